"""Who runs what next, and which endpoints may be used: pure, the time is an argument."""

"""Ray itself, for one search: found or started, watched, and ended."""

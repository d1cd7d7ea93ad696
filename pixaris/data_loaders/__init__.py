"""Where eval sets come from."""

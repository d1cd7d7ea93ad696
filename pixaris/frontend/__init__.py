"""The review page: look at experiments together, say what you think, vote without knowing what you see."""

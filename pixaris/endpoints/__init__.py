"""The pool: every endpoint busy, every request answered once."""

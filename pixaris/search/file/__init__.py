"""The search file: reading it, whole, with every problem told at its line."""

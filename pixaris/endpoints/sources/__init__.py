"""Where endpoints come from: one module for each kind of source, with how its endpoints are found and
watched.
"""

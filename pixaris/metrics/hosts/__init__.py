"""Where what is costly about a metric lives: a loaded model, an account with limits; once for many threads
and processes.
"""

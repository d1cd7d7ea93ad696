"""The kinds of endpoint: one module each, with the facts that differ between them and the client that talks
to one.
"""

"""Rounds of a search that votes steer, and waiting for votes between them."""

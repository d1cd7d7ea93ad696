"""Searches as jobs of a Ray cluster: what travels there, and the cluster's job server."""

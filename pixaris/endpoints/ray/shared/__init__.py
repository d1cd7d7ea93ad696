"""Pools that several searches of a cluster share: how one is kept, found, joined and ended."""

"""Runs held against each other, item by item: what differs, by how much, and whether it is more than luck."""

"""What runs a search: the driver process, its trials on Ray, budget, prefetch, replay. Ray is in this
room.
"""

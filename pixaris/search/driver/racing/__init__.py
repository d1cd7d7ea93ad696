"""What a race needs of the driver: trials that change their process between two items, images asked for
ahead, the ends of sets that fell.
"""

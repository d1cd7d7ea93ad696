"""Racing: which sets have no chance left, looked at after every item. Pure: numpy and scipy, no I/O."""

"""What a run or a search leaves on disk, and how to read it. Ray-free."""

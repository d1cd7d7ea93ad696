"""What the numbers can say: differences, intervals. Pure, no I/O."""

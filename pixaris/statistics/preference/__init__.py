"""What votes between two sets say: a model of them, the next pair to ask about, who is first."""

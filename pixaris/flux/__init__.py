"""The Flux API of Black Forest Labs: its models, and both sides of its wire."""

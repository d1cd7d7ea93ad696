"""Searches that people's votes steer: what they are, what is put up for votes, and what the votes say."""

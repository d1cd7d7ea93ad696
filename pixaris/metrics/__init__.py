"""Metrics: what makes one generated image better than another."""

"""Metrics that a trained network computes (extra ``learned``)."""

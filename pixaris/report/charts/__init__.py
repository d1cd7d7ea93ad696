"""Drawings of the report as SVG, made in Python: a file without a chart library."""

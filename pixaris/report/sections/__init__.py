"""The report's sections, from the verdict down: each makes its part of the page."""

"""The report of a search: one file for any browser, and the small picture to paste into a chat."""

from pixaris.report.writer import write

__all__ = ["write"]

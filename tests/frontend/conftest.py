"""What tests of the review page share; the browser's kit is the report's. A module says which `results` its
page shows.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from page_kit import Visitor, page, visitor

sys.path.append(str(Path(__file__).parents[1] / "report"))


@pytest.fixture(scope="module")
def root(results: Path) -> Iterator[str]:
    """The page's address."""
    with page(results) as address:
        yield address


@pytest.fixture(scope="module")
def ann(root: str) -> Visitor:
    """Somebody who has come in."""
    return visitor(root, "ann")

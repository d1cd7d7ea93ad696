"""One browser for all tests of a module, and one search whose report they look at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser_kit import running
from playwright.sync_api import Browser
from search_kit import Made, made_search

from pixaris.report import write


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running() as found:
        yield found


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a search with 12 sets, 8 items, some sets stopped early."""
    folder = tmp_path_factory.mktemp("results") / "demo" / "restore"
    return write(made_search(folder, Made(sets=12, items=8)))

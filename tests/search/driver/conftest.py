"""What tests of searches on two nodes share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def hidden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that only the first node has."""
    return tmp_path_factory.mktemp("hidden")


@pytest.fixture
def results(hidden: Path, tmp_path: Path) -> Path:
    """A results folder that only the first node has."""
    folder = hidden / tmp_path.name
    folder.mkdir()
    return folder

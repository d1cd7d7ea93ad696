"""The map names only what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = ("docs/architecture.md", "docs/security.md", "CONTRIBUTING.md")
PATHS = re.compile(r"`((?:pixaris|tests|docs|benchmarks|search_spaces|examples)/[\w./-]+)`")


@pytest.mark.parametrize("page", PAGES)
def test_every_path_that_a_page_names_is_there(page: str) -> None:
    named = PATHS.findall((ROOT / page).read_text(encoding="utf-8"))
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_room_is_on_the_map() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms = [path.name for path in (ROOT / "pixaris").iterdir() if (path / "__init__.py").exists()]
    assert [room for room in rooms if f"`pixaris/{room}/" not in text] == []


def test_the_make_targets_that_are_named_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    text = "".join((ROOT / page).read_text(encoding="utf-8") for page in (*PAGES, "README.md"))
    assert set(re.findall(r"`make ([a-z-]+)", text)) <= targets

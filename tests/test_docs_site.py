"""The documentation as a site: its pages are all there and lead to each other, and its reference is made of
the code. `make docs` builds it.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import messages
import pytest
import reference
import write
import yaml

from pixaris.cli import COMMANDS
from pixaris.components import METRICS
from pixaris.config import Config
from pixaris.search.file.schema import keys

ROOT = Path(__file__).parents[1]
TROUBLES = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return write.pages()


def named(entries: list[Any]) -> list[str]:
    """The pages that the navigation names."""
    found = []
    for entry in entries:
        (inner,) = entry.values()
        found += named(inner) if isinstance(inner, list) else [inner]
    return found


def test_the_navigation_names_every_page_once(pages: dict[str, str]) -> None:
    navigation = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    assert sorted(named(navigation)) == sorted(page for page in pages if not page.startswith("files/"))


def test_every_link_leads_to_a_page_or_a_picture(pages: dict[str, str]) -> None:
    pictures = {f"images/{file.name}" for file in (ROOT / "docs" / "images").iterdir()}
    broken = []
    for page, text in pages.items():
        prose = "".join(write.BLOCK.split(text)[::2])
        for _, link, _ in write.LINK.findall(prose):
            target = posixpath.normpath(posixpath.join(posixpath.dirname(page), link))
            if "://" not in link and target not in pages and target not in pictures:
                broken.append(f"{page}: {link}")
    assert broken == []


def test_code_in_a_page_is_left_as_it_is(pages: dict[str, str]) -> None:
    assert "docs/images/report.jpg" not in pages["index.md"]
    assert "images/report.jpg" in pages["index.md"]
    code = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), flags=re.M | re.S)
    assert code
    assert all(block in pages["index.md"] for block in code)


def test_every_kind_of_error_has_its_way_out() -> None:
    sections = re.split(r"^### ", TROUBLES, flags=re.M)[1:]
    explained = {section.split("\n", 1)[0]: section.split("\n", 1)[1].strip() for section in sections}
    assert list(explained) == list(dict.fromkeys(explained))
    assert set(explained) == set(messages.errors())
    assert [name for name, text in explained.items() if not text] == []


def test_the_page_of_troubles_has_the_texts_of_errors(pages: dict[str, str]) -> None:
    page = pages["troubleshooting.md"]
    for text in (
        "‹key› is no known key‹ (did you mean …?)›; known are",
        "there is no such file‹",
        "has no domain; give one of ‹",
    ):
        assert text in page
    counted = messages.messages()
    assert sum(len(texts) for rooms in counted.values() for texts in rooms.values()) > 500


def test_the_reference_has_everything(pages: dict[str, str]) -> None:
    for command in COMMANDS:
        assert f"\n## pixaris {command}\n" in pages["reference/cli.md"]
        assert f"usage: pixaris {command}" in pages["reference/cli.md"]
    for field in fields(Config):
        assert f"| `{field.name}` | `PIXARIS_{field.name.upper()}` |" in pages["reference/config.md"]
    for metric in METRICS:
        assert f"\n## {metric}\n" in pages["reference/metrics.md"]
    sections = (
        keys.FILE,
        keys.DATASET,
        keys.SEARCH,
        keys.BUDGET,
        keys.LIMIT,
        keys.RECHECK,
        keys.PARAMETER,
    )
    for key in (key for section in sections for key in section):
        assert f"| `{key.name}` |" in pages["reference/search-file-keys.md"]
    assert "| `report.html` |" in pages["reference/files.md"]
    assert "| `LoadImage` |" in pages["reference/nodes.md"]


def test_every_module_of_the_reference_is_there() -> None:
    for modules in reference.API.values():
        for module in modules:
            assert (ROOT / f"{module.replace('.', '/')}.py").is_file(), module

"""The version stands in one place, and everything that names it names that one; what is installed is pinned
once.
"""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

from pixaris import __version__

ROOT = Path(__file__).parents[1]


def test_the_package_s_version_is_read_from_its_code() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["hatch"]["version"]["path"] == "pixaris/__init__.py"
    assert version("pixaris") == __version__


def test_the_changelog_tells_of_this_version() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.M)
    released = [heading for heading in headings if heading != "Unreleased"]
    assert re.fullmatch(rf"{re.escape(__version__)} – \d{{4}}-\d\d-\d\d", released[0])


def test_the_cluster_s_files_name_the_image_of_this_version() -> None:
    files = [path for path in (ROOT / "cluster").rglob("*") if path.suffix in (".md", ".yaml")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    tags = re.findall(r"pixaris/pixaris:([\w.]+)|newName: \S*/pixaris, newTag: \"([^\"]+)\"", text)
    assert len(tags) == 5
    assert {image or tag for image, tag in tags} == {__version__}


def pins(name: str) -> dict[str, str]:
    """Package to version, of a lock file."""
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "://" not in text
    return dict(re.findall(r"^([\w.-]+)==([\w.+!]+)", text, flags=re.M))


def test_the_demo_installs_the_same_versions_and_no_development_tools() -> None:
    whole, first = pins("requirements.lock"), pins("requirements-demo.lock")
    assert {name: whole[name] for name in first} == first
    assert {"ray", "optuna", "hatchling"} <= first.keys()
    assert not {"pytest", "mypy", "ruff", "zensical", "playwright", "fastapi", "google-genai"} & first.keys()

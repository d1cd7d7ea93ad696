"""``pixaris cache`` and ``--no-cache``."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
import yaml
from kit import WORKFLOW
from PIL import Image

from pixaris.cache.base import CachedImage
from pixaris.cache.local import LocalCache
from pixaris.cli import main
from pixaris.images import EncodedImage


@pytest.fixture
def full(tmp_path: Path) -> LocalCache:
    """A cache of three images; one of them was used last long ago."""
    cache = LocalCache(tmp_path / "cache")
    for number in range(3):
        image = EncodedImage.of(Image.new("RGB", (8, 8), (number, 0, 0)))
        cache.put(f"{number:064}", CachedImage(image, "http://server", 1.0))
    old = time.time() - 40 * 86400
    os.utime(cache.folder / "00" / f"{0:064}.json", (old, old))
    return cache


def count(cache: LocalCache) -> int:
    return len(list(cache.entries()))


def test_info_tells_where_and_how_much(full: LocalCache, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "info"]) == 0
    printed = capsys.readouterr().out
    assert str(full.folder) in printed
    assert "images   3" in printed
    assert main(["cache", "info", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["images"], facts["limit"]) == (3, 20 * 10**9)
    assert facts["bytes"] == sum(entry.size for entry in full.entries())


def test_info_of_an_empty_cache(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "info"]) == 0
    assert "images   0" in capsys.readouterr().out


def test_clear_removes_everything(full: LocalCache, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "clear"]) == 0
    assert count(full) == 0
    assert "removed 3 images" in capsys.readouterr().out


def test_prune_removes_what_was_not_used(full: LocalCache, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "prune"]) == 0
    assert count(full) == 3
    assert main(["cache", "prune", "--unused-for", "30d"]) == 0
    assert count(full) == 2
    assert main(["cache", "prune", "--to", "0 kB"]) == 0
    assert count(full) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["prune", "--to", "much"], "--to must be a size such as 20 GB"),
        (["prune", "--unused-for", "long"], "--unused-for must be a time such as 30d"),
    ],
)
def test_what_is_no_size_or_time_is_refused(
    arguments: list[str], words: str, full: LocalCache, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cache", *arguments]) == 2
    assert words in capsys.readouterr().err
    assert count(full) == 3


def test_a_limit_that_is_no_size_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIXARIS_CACHE_SIZE", "plenty")
    assert main(["cache", "info"]) == 2
    assert "cache_size" in capsys.readouterr().err


def test_a_run_uses_it_unless_it_is_told_not_to(
    tmp_path: Path, cells: Path, endpoints: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    content = {
        "name": "cells",
        "project": "tests",
        "dataset": str(cells),
        "generator": {"type": "comfyui", "workflow": str(WORKFLOW)},
        "endpoints": endpoints,
        "metrics": [{"type": "iou", "reference": "Mask"}],
        "results": "./results",
    }
    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump(content))
    taken = "6 images were taken from it"
    for arguments, cached, kept in [
        (["--no-cache"], False, 0),
        (["--set", "cache=false"], False, 0),
        ([], False, 6),
        ([], True, 6),
        (["--no-cache"], False, 6),
    ]:
        assert main(["run", str(file), *arguments]) == 0
        assert (taken in capsys.readouterr().out) is cached
        assert count(LocalCache(tmp_path / "cache")) == kept
    file.write_text(yaml.safe_dump({**content, "cache": "sometimes"}))
    assert main(["check", str(file)]) == 2
    assert "cache (line" in capsys.readouterr().err

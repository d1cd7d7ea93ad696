"""Thumbnails of the report: half a size is made of the larger one, and is as good as if made of the file."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from search_kit import Made, made_search
from skimage import data
from skimage.metrics import structural_similarity

from pixaris.exceptions import ImageError
from pixaris.report.listener import write_report
from pixaris.report.thumbnails import Source, Thumbnails, thumbnail
from pixaris.results.paths import SearchPaths

QUALITY = 50


@pytest.fixture
def source(tmp_path: Path) -> Source:
    file = tmp_path / "photo.png"
    Image.fromarray(data.astronaut()).save(file)
    return Source("a photograph", (file,))


def likeness(found: bytes | ImageError, source: Source, side: int) -> float:
    """The SSIM to the image itself, scaled down and not compressed."""
    whole = Image.open(source.files[0])
    true = np.asarray(whole.resize((side, side), Image.Resampling.BICUBIC, reducing_gap=2.0))
    assert isinstance(found, bytes)
    shown = np.asarray(Image.open(io.BytesIO(found)))
    return float(structural_similarity(shown, true, channel_axis=2))


def test_half_the_size_needs_no_file_and_looks_as_good(tmp_path: Path, source: Source) -> None:
    copy = Source("a photograph", (tmp_path / "copy.png",))
    copy.files[0].write_bytes(source.files[0].read_bytes())
    with Thumbnails(tmp_path / "kept.sqlite") as thumbnails:
        thumbnails.make([copy], 192, QUALITY)
        copy.files[0].unlink()
        thumbnails.make([copy], 96, QUALITY)
        found = likeness(thumbnails.get(copy, 96), source, 96)
    assert found > likeness(thumbnail(source.files, 96, QUALITY), source, 96) - 0.015


def test_a_size_that_is_near_is_made_of_the_file(tmp_path: Path, source: Source) -> None:
    with Thumbnails(tmp_path / "kept.sqlite") as thumbnails:
        thumbnails.make([source], 192, QUALITY)
        thumbnails.make([source], 160, QUALITY)
        assert thumbnails.get(source, 160) == thumbnail(source.files, 160, QUALITY)


def test_a_larger_size_is_made_of_the_file(tmp_path: Path, source: Source) -> None:
    with Thumbnails(tmp_path / "kept.sqlite") as thumbnails:
        thumbnails.make([source], 96, QUALITY)
        thumbnails.make([source], 192, QUALITY)
        assert thumbnails.get(source, 192) == thumbnail(source.files, 192, QUALITY)


def test_an_image_that_is_small_itself_is_kept_as_it_is_in_all_sizes(tmp_path: Path) -> None:
    file = tmp_path / "small.png"
    Image.fromarray(data.astronaut()).resize((40, 40)).save(file)
    source = Source("small", (file,))
    with Thumbnails(tmp_path / "kept.sqlite") as thumbnails:
        for side in (192, 96, 48):
            thumbnails.make([source], side, QUALITY)
        assert len({thumbnails.get(source, side) for side in (192, 96, 48)}) == 1


def test_a_damaged_database_costs_time_and_no_picture(tmp_path: Path, source: Source) -> None:
    with Thumbnails(tmp_path / "kept.sqlite") as thumbnails:
        thumbnails.make([source], 192, QUALITY)
        thumbnails._database.execute("update thumbnails set data = 'none'")  # type: ignore[union-attr]
        thumbnails._database.commit()  # type: ignore[union-attr]
    with Thumbnails(tmp_path / "kept.sqlite") as thumbnails:
        thumbnails.make([], 192, QUALITY)
        thumbnails.make([source], 96, QUALITY)
        assert thumbnails.get(source, 96) == thumbnail(source.files, 96, QUALITY)


def test_pictures_for_which_there_is_no_time_come_later(tmp_path: Path) -> None:
    sources = []
    for number in range(100):
        file = tmp_path / f"{number}.png"
        Image.new("RGB", (8, 8), (number, 0, 0)).save(file)
        sources.append(Source(str(number), (file,)))
    now = iter(range(1_000))
    with Thumbnails(tmp_path / "kept.sqlite", clock=lambda: float(next(now))) as thumbnails:
        thumbnails.hurry(1.0)
        thumbnails.make(sources, 96, QUALITY)
        found = [thumbnails.get(source, 96) for source in sources]
        assert [isinstance(one, bytes) for one in found] == [True] * 64 + [False] * 36
        assert str(found[-1]) == "its picture comes with a later report; open the original"
        thumbnails.hurry(math.inf)
        thumbnails.make(sources, 96, QUALITY)
        assert all(isinstance(thumbnails.get(source, 96), bytes) for source in sources)


def test_a_report_in_a_hurry_says_what_comes_later_and_the_last_one_has_it(tmp_path: Path) -> None:
    result = made_search(tmp_path / "demo" / "search", Made(sets=12, items=8, stopped=0))
    with Thumbnails(SearchPaths(result.folder).thumbnails) as thumbnails:
        hurried = write_report(result, thumbnails, 10.0, most=0.0).read_text(encoding="utf-8")
        assert "its picture comes with a later report" in hurried
        last = write_report(result, thumbnails, 0.0).read_text(encoding="utf-8")
        assert "its picture comes with a later report" not in last

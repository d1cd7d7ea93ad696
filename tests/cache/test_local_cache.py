"""Images in a folder that processes share."""

from __future__ import annotations

import hashlib
import json
import logging
import multiprocessing
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pixaris.cache.base import CachedImage
from pixaris.cache.local import LocalCache, size_of
from pixaris.exceptions import ConfigurationError
from pixaris.files import link_or_write
from pixaris.images import EncodedImage


def key(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def made(number: int, side: int = 16) -> CachedImage:
    pixels = np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return CachedImage(
        EncodedImage.of(Image.fromarray(pixels)), f"http://server:{number}", number / 7, number or None
    )


def files(cache: LocalCache) -> list[Path]:
    return sorted(path for path in cache.folder.rglob("*") if path.is_file())


def test_what_is_put_comes_back_whole_in_another_cache_of_the_folder(tmp_path: Path) -> None:
    LocalCache(tmp_path).put(key(1), made(1))
    found = LocalCache(tmp_path).get(key(1))
    assert found == made(1)
    assert found is not None
    assert found.image.data == made(1).image.data
    assert LocalCache(tmp_path).get(key(2)) is None


def test_a_folder_that_is_not_there_has_nothing(tmp_path: Path) -> None:
    cache = LocalCache(tmp_path / "none")
    assert cache.get(key(1)) is None
    assert list(cache.entries()) == []
    assert cache.prune() == (0, 0)
    assert not cache.folder.exists()


@given(
    at=st.integers(0, 10_000),
    what=st.sampled_from(["cut", "flip", "grow", "empty"]),
    which=st.sampled_from([".png", ".json"]),
)
def test_a_damaged_image_is_missing_and_removed_and_damaged_facts_give_no_other_image(
    at: int, what: str, which: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    cache = LocalCache(tmp_path_factory.mktemp("cache"))
    cache.put(key(1), made(1))
    [path] = [file for file in files(cache) if file.suffix == which]
    data = bytearray(path.read_bytes())
    at %= len(data)
    if what == "flip":
        data[at] ^= 0xFF
    path.write_bytes({"cut": data[:at], "flip": data, "grow": data + b"x", "empty": b""}[what])
    found = cache.get(key(1))
    if which == ".png":
        assert found is None
    if found is None:
        assert files(cache) == []
    else:
        assert found.image.data == made(1).image.data


def test_images_are_plain_files_that_others_link_to(tmp_path: Path) -> None:
    cache = LocalCache(tmp_path / "cache")
    kept = cache.put(key(1), made(1))
    assert kept is not None
    assert kept.image.file is not None
    assert kept.image.file.read_bytes() == made(1).image.data
    link_or_write(tmp_path / "results" / "a.png", kept.image.data, kept.image.file)
    again = LocalCache(tmp_path / "other").put(key(2), kept)
    assert again is not None
    assert again.image.file is not None
    assert (tmp_path / "results" / "a.png").samefile(kept.image.file)
    assert again.image.file.samefile(kept.image.file)


def test_a_result_that_is_edited_in_place_spoils_nothing(tmp_path: Path) -> None:
    cache = LocalCache(tmp_path / "cache")
    kept = cache.put(key(1), made(1))
    assert kept is not None
    result = tmp_path / "a.png"
    link_or_write(result, kept.image.data, kept.image.file)
    result.write_bytes(made(2).image.data)
    assert cache.get(key(1)) is None, "it is generated anew"
    assert result.read_bytes() == made(2).image.data, "and the user's file stays"


def test_where_no_link_can_be_made_the_bytes_are_written(tmp_path: Path) -> None:
    for source in (None, tmp_path / "gone.png", tmp_path):
        target = tmp_path / "target.png"
        link_or_write(target, b"bytes", source)
        assert target.read_bytes() == b"bytes"
        target.unlink()
    changed = tmp_path / "changed.png"
    changed.write_bytes(b"something else")
    link_or_write(tmp_path / "target.png", b"bytes", changed)
    assert (tmp_path / "target.png").read_bytes() == b"bytes"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["changed.png", "target.png"]


def test_an_image_with_others_of_its_execution_comes_back_whole(tmp_path: Path) -> None:
    several = replace(made(1), others=(made(2).image, made(3).image))
    LocalCache(tmp_path).put(key(1), several)
    found = LocalCache(tmp_path).get(key(1))
    assert found == several
    assert found is not None
    assert [one.data for one in found.others] == [one.data for one in several.others]


def test_entries_of_version_0_1_are_read(tmp_path: Path) -> None:
    image = made(1).image
    facts = {"digest": image.digest, "endpoint": "http://server:1", "seconds": 1 / 7, "cost": 1}
    content = json.dumps(facts).encode() + b"\n" + image.data
    old = tmp_path / key(1)[:2] / key(1)
    old.parent.mkdir()
    old.write_bytes(hashlib.sha256(content).hexdigest().encode() + b"\n" + content)
    cache = LocalCache(tmp_path)
    assert cache.get(key(1)) == made(1)
    assert [entry.size for entry in cache.entries()] == [old.stat().st_size]
    old.write_bytes(b"damaged")
    assert cache.get(key(1)) is None
    assert not old.exists()


def test_what_was_not_used_for_longest_goes_first_when_the_limit_is_passed(tmp_path: Path) -> None:
    size = len(made(0, 64).image.data)
    cache = LocalCache(tmp_path, limit=5 * size)
    for number in range(4):
        cache.put(key(number), made(number, 64))
        os.utime(cache.folder / key(number)[:2] / f"{key(number)}.json", (1000 + number, 1000 + number))
    assert cache.get(key(0)) is not None  # now the one used last
    cache.put(key(4), made(4, 64))
    assert [number for number in range(5) if cache.get(key(number)) is not None] == [0, 2, 3, 4]
    assert sum(entry.size for entry in cache.entries()) <= 5 * size


def test_prune_goes_by_size_or_by_use(tmp_path: Path) -> None:
    cache = LocalCache(tmp_path)
    for number in range(4):
        cache.put(key(number), made(number))
        used = time.time() - 1000 * (4 - number)
        os.utime(cache.folder / key(number)[:2] / f"{key(number)}.json", (used, used))
    assert cache.prune() == (0, 0)
    assert cache.prune(cache.limit, time.time() - 3500)[0] == 1
    assert cache.get(key(0)) is None
    assert cache.prune(0)[0] == 3
    assert files(cache) == []


def test_a_folder_that_cannot_be_written_costs_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    cache = LocalCache(tmp_path / "file")
    with caplog.at_level(logging.WARNING):
        for number in range(3):
            cache.put(key(number), made(number))
    assert len(caplog.records) == 1
    assert "cannot be kept" in caplog.text
    assert cache.get(key(0)) is None


def test_what_a_killed_process_left_half_written_goes_in_time(tmp_path: Path) -> None:
    cache = LocalCache(tmp_path)
    cache.put(key(1), made(1))
    old, young = (cache.folder / key(1)[:2] / f".{name}.part" for name in ("old", "young"))
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))
    cache.prune()
    assert not old.exists()
    assert young.exists()


def work(folder: Path, seed: int, wrong: multiprocessing.Queue[str]) -> None:
    cache = LocalCache(folder, limit=40_000)
    order = np.random.default_rng(seed)
    for _ in range(150):
        number = int(order.integers(0, 40))
        found = cache.get(key(number))
        if found is None:
            cache.put(key(number), made(number))
        elif found != made(number):
            wrong.put(f"{number}")


def test_processes_that_write_read_and_evict_at_once_never_see_another_image(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    wrong = context.Queue()
    processes = [context.Process(target=work, args=(tmp_path, seed, wrong)) for seed in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert wrong.empty()
    assert sum(entry.size for entry in LocalCache(tmp_path).entries()) <= 40_000 * 1.3


@pytest.mark.parametrize(
    ("text", "size"), [("20 GB", 20 * 10**9), ("500MB", 500 * 10**6), ("1.5 tb", 1500 * 10**9), ("7 b", 7)]
)
def test_sizes(text: str, size: int) -> None:
    assert size_of(text) == size


@pytest.mark.parametrize("text", ["", "20", "GB", "-1 GB", "20 gigabytes", "nan GB", "1e9 GB"])
def test_no_sizes(text: str) -> None:
    with pytest.raises(ConfigurationError, match="such as 20 GB"):
        size_of(text)

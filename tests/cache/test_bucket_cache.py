"""A cache in a bucket: the real client of Google Cloud Storage on a stand-in of the service."""

from __future__ import annotations

import logging
import pickle
import threading
from pathlib import Path

import pytest
from gcs_stand_in import BucketServer, Fault
from gcs_stand_in import server as server  # the fixture

from pixaris.cache.base import CachedImage
from pixaris.cache.bucket import BucketCache
from pixaris.cache.local import LocalCache
from pixaris.cli import main
from pixaris.gcp.storage import BucketPath
from pixaris.images import EncodedImage
from pixaris.testing import samples

pytest.importorskip("google.cloud.storage")
PLACE = BucketPath.of("gs://pixels/images")
KEY = "ab" + 62 * "0"
NAME = f"images/ab/{KEY}"


def image(number: int) -> CachedImage:
    one, other = (EncodedImage.of(samples.picture(number + shift)) for shift in (0, 50))
    return CachedImage(one, "http://here", 1.5, 4.0, (other,))


def test_two_machines_that_make_one_image_agree_on_the_first(server: BucketServer, tmp_path: Path) -> None:
    machines = [BucketCache(PLACE, LocalCache(tmp_path / str(number))) for number in range(8)]
    threads = [
        threading.Thread(target=machine.put, args=(KEY, image(number)))
        for number, machine in enumerate(machines)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    others = [BucketCache(PLACE, LocalCache(tmp_path / f"other-{number}")) for number in range(3)]
    found = [other.get(KEY) for other in others]
    assert len({one.image.digest for one in found if one is not None}) == 1
    assert list(server.buckets["pixels"]) == [NAME]
    before = len(server.requests)
    assert others[0].get(KEY) == found[0]
    assert len(server.requests) == before, "its own store has it now"


def test_an_image_comes_back_whole_or_not_at_all(server: BucketServer, tmp_path: Path) -> None:
    made = image(1)
    BucketCache(PLACE, LocalCache(tmp_path / "a")).put(KEY, made)
    copy = pickle.loads(pickle.dumps(BucketCache(PLACE, LocalCache(tmp_path / "b"))))
    found = copy.get(KEY)
    assert (found.image.data, found.others[0].data) == (made.image.data, made.others[0].data)
    assert (found.endpoint, found.seconds, found.cost) == (made.endpoint, made.seconds, made.cost)
    assert found.image.file is not None
    data = server.buckets["pixels"][NAME].data
    for number, broken in enumerate((data[:-1], data[:40], b"", b"\n", data.replace(b"IDAT", b"IDAX"))):
        server.put(NAME, broken)
        assert BucketCache(PLACE, LocalCache(tmp_path / f"c{number}")).get(KEY) is None


@pytest.mark.parametrize("status", [403, 404])
def test_a_bucket_that_may_not_be_used_costs_one_warning(
    server: BucketServer, tmp_path: Path, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    if status == 403:
        server.denied.add("pixels")
    else:
        del server.buckets["pixels"]
    cache = BucketCache(PLACE, LocalCache(tmp_path))
    with caplog.at_level(logging.WARNING):
        for number in range(3):
            key = f"{number:02d}{KEY[2:]}"
            assert cache.get(key) is None
            assert cache.put(key, image(number)) is not None
            assert cache.get(key) is not None
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("the cache gs://pixels/images is not used any more: ")
    assert "the run goes on without" in said


def test_a_passing_fault_costs_nothing(server: BucketServer, tmp_path: Path) -> None:
    cache = BucketCache(PLACE, LocalCache(tmp_path / "a"))
    server.faults.append(Fault("POST /upload", status=503))
    cache.put(KEY, image(1))
    server.faults.append(Fault("GET /download", status=503))
    assert BucketCache(PLACE, LocalCache(tmp_path / "b")).get(KEY) is not None


# The limit


def keys(count: int) -> list[str]:
    return [f"{number:02x}{62 * '0'}" for number in range(count)]


def filled(tmp_path: Path, count: int, limit: int | None = None) -> BucketCache:
    """A cache with images of much the same size, the first one stored first."""
    cache = BucketCache(PLACE, LocalCache(tmp_path / "near"), limit=limit)
    for number, key in enumerate(keys(count)):
        cache.put(key, image(number))
    return cache


def test_what_was_stored_first_goes_until_there_is_room(server: BucketServer, tmp_path: Path) -> None:
    server.put("images/readme.txt", b"not an image")
    server.put("images/00/notes", b"neither")
    cache = filled(tmp_path, 10)
    sizes = [entry.size for entry in cache.entries()]
    cache.limit = sum(sizes) - 1
    told = cache.trim()
    left = [entry.name for entry in cache.entries()]
    assert left == [f"images/{key[:2]}/{key}" for key in keys(10)][10 - len(left) :]
    assert sum(sizes[10 - len(left) :]) <= 0.9 * cache.limit < sum(sizes[9 - len(left) :])
    assert f"{10 - len(left)} images removed" in told
    assert {"images/readme.txt", "images/00/notes"} <= server.buckets["pixels"].keys()
    before = len(server.requests)
    assert cache.trim() == "", "there is room now"
    assert len(server.requests) - before == 1, "which one request tells"


def test_two_that_make_room_at_once_remove_the_same(server: BucketServer, tmp_path: Path) -> None:
    cache = filled(tmp_path, 12)
    limit = sum(entry.size for entry in cache.entries()) // 2
    threads = [
        threading.Thread(target=BucketCache(PLACE, LocalCache(tmp_path / str(n)), limit=limit).trim)
        for n in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    left = cache.entries()
    assert 0.6 * limit < sum(entry.size for entry in left) <= 0.9 * limit
    assert server.buckets["pixels"].keys() == {entry.name for entry in left}


def test_without_a_limit_nothing_is_removed_and_a_bucket_that_fails_is_told(
    server: BucketServer, tmp_path: Path
) -> None:
    cache = filled(tmp_path, 3)
    assert cache.trim() == ""
    assert len(cache.entries()) == 3
    cache.limit = 1
    server.denied.add("pixels")
    assert "is not kept within 1 bytes" in cache.trim()
    server.denied.clear()
    assert len(cache.entries()) == 3


def test_the_command_tells_and_prunes_a_bucket(
    server: BucketServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled(tmp_path, 4)
    assert main(["cache", "info", str(PLACE)]) == 0
    assert "images   4\n" in capsys.readouterr().out
    assert main(["cache", "prune", str(PLACE)]) == 2
    assert "write --to SIZE or --unused-for TIME" in capsys.readouterr().err
    assert main(["cache", "prune", str(PLACE), "--unused-for", "30d"]) == 0
    assert "removed 0 images" in capsys.readouterr().out
    assert main(["cache", "prune", str(PLACE), "--to", "0MB"]) == 0
    assert "removed 4 images" in capsys.readouterr().out
    assert server.buckets["pixels"] == {}

"""A search's folder that is kept in a bucket while it grows: the real client on a stand-in of the service."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from gcs_stand_in import BucketServer, Fault

from pixaris.cache.base import CachedImage
from pixaris.cache.local import NO_LIMIT, LocalCache
from pixaris.exceptions import BucketChangedError, BucketError, ConfigurationError, StorageError
from pixaris.files import append_json_line, write_json
from pixaris.gcp.storage import Bucket, BucketPath
from pixaris.images import EncodedImage
from pixaris.results.bucket.lease import LEASE, Lease
from pixaris.results.bucket.mirror import Mirror
from pixaris.results.bucket.segments import Segments
from pixaris.results.bucket.stored import BucketHome, download
from pixaris.results.folders import new_folder
from pixaris.results.paths import SearchPaths
from pixaris.testing import samples

pytest.importorskip("google.cloud.storage")
HOME = BucketHome(BucketPath.of("gs://pixels/team/demo"))
PLACE = HOME.place / "restore"
KEY = "ab" + 62 * "0"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[BucketServer]:
    with BucketServer("pixels", page=3) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A search's folder as it is a moment after its first image."""
    paths = SearchPaths(tmp_path / "here" / "demo" / "restore")
    paths.folder.mkdir(parents=True)
    paths.store.mkdir()
    write_json(paths.head, {"status": "running"})
    append_json_line(paths.journal, {"proposed": 0, "values": {}})
    made(paths, "first", KEY)
    return paths.folder


def made(paths: SearchPaths, item: str, key: str) -> bytes:
    """An image is made: the search's store has it, then its trial's folder."""
    data = EncodedImage.of(samples.picture(len(item)))
    kept = LocalCache(paths.store, NO_LIMIT, make_folder=False).put(
        key, CachedImage(data, "http://here", 1.5)
    )
    assert kept is not None
    image = paths.trial(0).folder / paths.trial(0).image_name(item)
    image.parent.mkdir(parents=True, exist_ok=True)
    image.write_bytes(kept.image.data)
    return kept.image.data


def until(condition: Callable[[], object], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def names(server: BucketServer) -> set[str]:
    return {name.removeprefix(f"{PLACE.prefix}/") for name in server.buckets["pixels"]}


def test_segments_are_one_file_and_have_one_writer(server: BucketServer) -> None:
    bucket = Bucket("pixels")
    one, other = Segments(bucket, "a/b"), Segments(bucket, "a/b")
    assert (one.read(), other.read()) == (b"", b"")
    for number in range(12):
        one.append(f"{number}\n".encode())
    with pytest.raises(BucketChangedError):
        other.append(b"mine\n")
    assert other.read() == "".join(f"{number}\n" for number in range(12)).encode()
    other.append(b"mine\n")
    with pytest.raises(BucketChangedError):
        one.append(b"and mine\n")


def test_a_search_is_held_by_one_process(server: BucketServer) -> None:
    bucket, told = Bucket("pixels"), list[str]()
    first = Lease(PLACE, bucket)
    first.take(told.append)
    with pytest.raises(ConfigurationError, match="still running, on some machine"):
        Lease(PLACE, bucket, silent=8.0).take(told.append)
    first.release()
    second = Lease(PLACE, bucket)
    second.take(told.append)
    assert told == ["waiting 8 s, whether another process works at gs://pixels/team/demo/restore"]
    second.release()


def test_who_was_silent_loses_the_search_and_is_told_when_it_speaks_again(server: BucketServer) -> None:
    bucket = Bucket("pixels")
    lost = Lease(PLACE, bucket)
    lost.take(str)
    row = server.put(f"{PLACE.prefix}/{LEASE}", b'{"over": false}')  # as of a process that does not beat
    second = Lease(PLACE, bucket, silent=1.5)
    second.take(str)
    assert server.buckets["pixels"][f"{PLACE.prefix}/{LEASE}"].generation != row.generation
    until(lambda: lost.lost is not None)
    assert "another process goes on with the search" in str(lost.lost)
    second.release()


def test_what_is_written_is_in_the_bucket_within_seconds_the_journal_after_what_it_tells(
    server: BucketServer, folder: Path
) -> None:
    paths = SearchPaths(folder)
    with HOME.held(folder, str) as mirror:
        until(lambda: ".journal/00000001.jsonl" in names(server))
        image = "trial_0000/generated_images/first.png"
        assert {"search.json", image, ".store/00000001.jsonl", ".driver.json"} <= names(server)
        assert "journal.jsonl" not in names(server)
        server.faults.append(Fault("POST /upload", times=3, status=403))
        made(paths, "second", "cd" + 62 * "0")
        append_json_line(paths.journal, {"ended": 0})
        began = time.monotonic()
        until(lambda: ".journal/00000002.jsonl" in names(server))
        assert "trial_0000/generated_images/second.png" in names(server)
        assert time.monotonic() - began > 1.5, "it waited for the image, which was refused in some rounds"
        assert mirror.failed is None
        assert mirror.close() is None
    segments = [server.buckets["pixels"][f"{PLACE.prefix}/.journal/0000000{n}.jsonl"].data for n in (1, 2)]
    assert b"".join(segments) == paths.journal.read_bytes()
    assert json.loads(server.buckets["pixels"][f"{PLACE.prefix}/{LEASE}"].data)["over"] is True


def test_a_search_is_fetched_with_its_images_and_goes_on(
    server: BucketServer, folder: Path, tmp_path: Path
) -> None:
    paths = SearchPaths(folder)
    data = paths.trial(0).images.joinpath("first.png").read_bytes()
    LocalCache(paths.store, NO_LIMIT).put(
        "ee" + 62 * "0", CachedImage(EncodedImage.of(samples.picture(9)), "http://here", 1.0)
    )  # no trial has stored it
    with HOME.held(folder, str) as mirror:
        assert mirror.close() is None
    there = SearchPaths(tmp_path / "there" / "demo" / "restore")
    assert HOME.newest("restore") == "restore"
    assert HOME.fetch(there.folder).startswith("fetched gs://pixels/team/demo/restore: 2 files")
    assert there.journal.read_bytes() == paths.journal.read_bytes()
    store = LocalCache(there.store, NO_LIMIT, make_folder=False)
    found = store.get(KEY)
    assert found is not None
    assert (found.image.data, found.endpoint, found.seconds) == (data, "http://here", 1.5)
    assert store.get("ee" + 62 * "0") is None
    with HOME.held(there.folder, str) as mirror:
        append_json_line(there.journal, {"ended": 0})
        assert mirror.close() is None
    assert HOME.fetch(there.folder) == "", "it has all there is"
    # the first machine has what the bucket had then, and is brought up to date in its place
    assert HOME.fetch(folder).startswith("fetched")
    assert paths.journal.read_bytes() == there.journal.read_bytes()


def test_a_folder_that_has_gone_another_way_is_moved_aside(server: BucketServer, folder: Path) -> None:
    with HOME.held(folder, str) as mirror:
        assert mirror.close() is None
    SearchPaths(folder).journal.write_text('{"proposed": 0, "values": {"x": 1}}\n')
    assert HOME.fetch(folder).startswith("fetched")
    assert SearchPaths(folder).journal.read_text() == '{"proposed": 0, "values": {}}\n'
    (aside,) = folder.parent.glob(".restore.before-*")
    assert SearchPaths(aside).journal.read_text() == '{"proposed": 0, "values": {"x": 1}}\n'


def test_a_bucket_out_of_reach_fails_the_search_within_its_bound_and_says_where_everything_is(
    server: BucketServer, folder: Path
) -> None:
    lease, bucket = Lease(PLACE, Bucket("pixels")), Bucket("pixels")
    lease.take(str)
    mirror = Mirror(folder, PLACE, bucket, lease, patience=2.0)
    until(lambda: ".journal/00000001.jsonl" in names(server))
    server.denied.add("pixels")
    append_json_line(SearchPaths(folder).journal, {"ended": 0})
    write_json(SearchPaths(folder).head, {"status": "running", "more": 1})
    until(lambda: mirror.failed is not None)
    assert isinstance(mirror.failed, StorageError)
    assert "cannot be kept in gs://pixels/team/demo/restore" in str(mirror.failed)
    assert f"everything is in {folder}" in str(mirror.failed)
    assert mirror.close() is mirror.failed


def test_a_new_search_takes_no_name_that_the_bucket_has(server: BucketServer, tmp_path: Path) -> None:
    for name in ("restore", "restore-2", "other"):
        server.put(f"team/demo/{name}/search.json", b"{}")
    (tmp_path / "restore-3").mkdir()
    assert new_folder(tmp_path, "restore", HOME.names()).name == "restore-4"
    assert HOME.newest("restore") == "restore-2"
    HOME.remove("restore-2")
    assert HOME.names() == {"restore", "other"}


def test_a_download_shows_a_killed_search_as_killed(
    server: BucketServer, folder: Path, tmp_path: Path
) -> None:
    with HOME.held(folder, str) as mirror:
        assert mirror.close() is None
    row = {"process": "gone", "at": time.time() - 500, "over": False}
    server.put(f"{PLACE.prefix}/{LEASE}", json.dumps(row).encode())
    seen = SearchPaths(tmp_path / "seen" / "demo" / "restore")
    download(PLACE, seen.folder)
    assert seen.lock.exists()
    server.put(f"{PLACE.prefix}/{LEASE}", json.dumps({**row, "at": time.time()}).encode())
    download(PLACE, seen.folder)
    assert not seen.lock.exists()
    with pytest.raises(
        BucketError, match=r"no search gs://pixels/team/demo/restor \(did you mean 'restore'\?\)"
    ):
        download(HOME.place / "restor", seen.folder)
    before = len(server.requests)
    download(PLACE, seen.folder)
    media = [asked for asked in server.requests[before:] if "alt=media" in asked and "generated" in asked]
    assert media == [], "an image that is here is not read again"
    shutil.rmtree(seen.folder)

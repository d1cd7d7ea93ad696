"""Endpoints switched off and on, through the bucket, in a search that runs on another machine."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from gcs_stand_in import BucketServer
from gcs_stand_in import server as server  # the fixture

from pixaris.cli import main
from pixaris.endpoints.base import EndpointStatus
from pixaris.exceptions import BucketError
from pixaris.files import read_json_lines
from pixaris.gcp.storage import Bucket, BucketPath
from pixaris.results.bucket.copies import pull
from pixaris.results.bucket.stored import BucketHome
from pixaris.results.bucket.wanted import WANTED, Wishes, ask_in_bucket
from pixaris.results.endpoints_file import write_endpoints
from pixaris.results.paths import SearchPaths

pytest.importorskip("google.cloud.storage")

PLACE = BucketPath.of("gs://pixels/team/tests/cells")
URLS = ["http://10.0.0.5:8188", "http://10.0.0.6:8188"]
FILE = """
name: cells
project: tests
dataset: ./cells
generator: {type: comfyui, workflow: workflow.json}
endpoints: [http://10.0.0.5:8188, http://10.0.0.6:8188]
storage: gs://pixels/team
results: results
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The search file on a machine that has no results of it."""
    (tmp_path / "laptop").mkdir()
    path = tmp_path / "laptop" / "search.yaml"
    path.write_text(FILE)
    return path


@pytest.fixture
def driver(tmp_path: Path) -> SearchPaths:
    """The search's folder on the machine that runs it."""
    paths = SearchPaths(tmp_path / "driver" / "tests" / "cells")
    paths.folder.mkdir(parents=True)
    paths.head.write_text('{"status": "running"}')
    write_endpoints(paths.folder, [EndpointStatus(url, "healthy") for url in URLS], time.time())
    return paths


def wanted(paths: SearchPaths, count: int) -> list[tuple[str, str]]:
    """What the search finds in its folder, once it is so much."""
    deadline = time.monotonic() + 30
    while len(rows := read_json_lines(paths.switches)) < count:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return [(row["url"], row["use"]) for row in rows]


@pytest.mark.usefixtures("server")
def test_the_command_tells_a_search_on_another_machine(
    file: Path, driver: SearchPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["endpoints", str(file), "--drain", "10.0.0.5:8188"]
    assert main(command) == 2, "nothing is there yet"
    assert "or one with storage: gs://…" in capsys.readouterr().err
    home = BucketHome(PLACE.parent)
    with home.held(driver.folder, print) as mirror:
        deadline = time.monotonic() + 30
        while home.bucket.find(f"{PLACE.prefix}/{SearchPaths.ENDPOINTS}") is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert main(command) == 0
        assert f"{PLACE} is told: drain {URLS[0]}" in capsys.readouterr().out
        assert wanted(driver, 1) == [(URLS[0], "drain")]
        assert main(["endpoints", str(file), "--enable", URLS[0], "--disable", URLS[1]]) == 0
        found = wanted(driver, 3)
        assert found[0] == (URLS[0], "drain")
        assert set(found[1:]) == {(URLS[0], "enable"), (URLS[1], "disable")}
        assert main(["endpoints", str(file), "--drain", "http://10.0.0.9:8188"]) == 2
        assert f"is no endpoint of it; it has {', '.join(URLS)}" in capsys.readouterr().err
        mirror.close()  # at the end of the block nobody would wait until the hold is given back
    assert main(command) == 2, "it has ended"


def test_what_two_ask_at_once_arrives_and_each_wish_once(server: BucketServer, driver: SearchPaths) -> None:
    bucket = Bucket("pixels")
    asking = [
        threading.Thread(target=ask_in_bucket, args=(PLACE, Bucket("pixels"), url, "drain")) for url in URLS
    ]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    Wishes(PLACE, bucket, driver).look(100.0)
    assert sorted(wanted(driver, 2)) == [(url, "drain") for url in URLS]
    again = Wishes(PLACE, bucket, driver)  # the search goes on in another process
    again.look(100.0)
    assert len(read_json_lines(driver.switches)) == 2
    ask_in_bucket(PLACE, bucket, URLS[0], "enable")
    before = len(server.requests)
    again.look(101.0)
    assert len(server.requests) == before, "it is not time to look"
    again.look(104.0)
    assert wanted(driver, 3)[2] == (URLS[0], "enable")


def test_what_else_lies_there_is_no_wish(server: BucketServer, driver: SearchPaths, tmp_path: Path) -> None:
    bucket = Bucket("pixels")
    name = f"{PLACE.prefix}/{WANTED}"
    bucket.write(b'half a li\n{"url": 3, "use": "drain"}\n{"url": "x", "use": "burn"}\n[1]\n', name)
    Wishes(PLACE, bucket, driver).look(0.0)
    assert not driver.switches.exists()
    bucket.write(b"{}", f"{PLACE.prefix}/search.json")
    pull(PLACE, tmp_path / "copy")
    assert not (tmp_path / "copy" / WANTED).exists()
    server.buckets.clear()
    with pytest.raises(BucketError):
        ask_in_bucket(PLACE, bucket, URLS[0], "drain")

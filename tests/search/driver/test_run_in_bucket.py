"""A search that is kept in a bucket is gone on with on another machine: the real client of Google Cloud
Storage on a stand-in of the service.
"""

from __future__ import annotations

import json
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest
import resume_kit
from gcs_stand_in import BucketServer
from gcs_stand_in import server as server  # the fixture
from resume_kit import facts, killed, made

from pixaris.cli import main
from pixaris.exceptions import BucketError, StorageError
from pixaris.gcp.storage import BucketPath
from pixaris.results.bucket import mirror
from pixaris.results.paths import SearchPaths
from pixaris.results.progress import Silent
from pixaris.search import SearchResult
from pixaris.search.driver.storage.bucket import taken_names
from pixaris.search.settings import Home

pytest.importorskip("google.cloud.storage")
pytestmark = pytest.mark.usefixtures("ray_session")

STORAGE = "gs://pixels/team"
PLACE = f"{STORAGE}/tests/gray"


class Told(Silent):
    """Remembers what a search tells."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def event(self, sentence: str) -> None:
        self.sentences.append(sentence)


def another_machine(results: Path) -> None:
    """What the first machine had is gone, its caches too."""
    shutil.rmtree(results / "tests")
    shutil.rmtree(results / "cache")


def test_a_search_whose_machine_is_lost_goes_on_on_another(
    server: BucketServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, hurt = tmp_path / "whole", tmp_path / "hurt"
    hurt.mkdir()
    expected = resume_kit.search(whole, 0.0).run()
    assert killed(hurt, images=24, seconds=0.25, changes=f"{{'storage': {STORAGE!r}}}")
    another_machine(hurt)

    capsys.readouterr()
    assert main(["show", PLACE]) == 0
    assert "gray" in capsys.readouterr().out

    goal = made(hurt).total() + 8
    second = resume_kit.start(hurt, 0.25, f"{{'storage': {STORAGE!r}}}")
    while made(hurt).total() < goal:
        assert second.poll() is None
        time.sleep(0.05)
    second.send_signal(signal.SIGINT)
    assert second.wait(60) == 0
    head = server.buckets["pixels"]["team/tests/gray/search.json"].data
    assert json.loads(head)["status"] == "interrupted", "the last copy has its end"
    another_machine(hurt)

    began = time.monotonic()
    result = resume_kit.search(hurt, 0.0, storage=STORAGE).run(told := Told(), resume=True)
    assert not [sentence for sentence in told.sentences if "waiting" in sentence], "it was let go in order"
    assert told.sentences[-1] == f"kept in {PLACE}; from anywhere: pixaris show {PLACE}"
    assert time.monotonic() - began < 60
    assert result.status == "finished"
    assert facts(result) == facts(expected)
    assert result.images == expected.images
    for trial in result.trials:
        assert len(list(SearchPaths(result.folder).trial(trial.number).images.glob("*.png"))) == trial.items
    again = sum(count - 1 for count in made(hurt).values())
    assert again <= 12, "what is lost was made in the last few seconds"

    another_machine(hurt)
    before = made(hurt)
    assert facts(resume_kit.search(hurt, 0.0, storage=STORAGE).run(resume=True)) == facts(expected)
    assert made(hurt) == before, "nothing is left to do"
    for command in (["show", PLACE, "--json"], ["report", PLACE, "-o", str(tmp_path / "report.html")]):
        assert main(command) == 0
    assert (tmp_path / "report.html").stat().st_size > 10_000

    assert taken_names(Home("tests", "gray", hurt, BucketPath.of(STORAGE))) == {"gray"}


def test_a_bucket_that_cannot_be_used_ends_a_search_before_it_begins(
    server: BucketServer, tmp_path: Path
) -> None:
    server.denied.add("pixels")
    with pytest.raises(BucketError, match="may not list it"):
        resume_kit.search(tmp_path, 0.0, storage=STORAGE).run()
    assert not (tmp_path / "tests").exists()
    assert made(tmp_path).total() == 0


def test_a_bucket_that_goes_away_stops_a_search_which_can_be_resumed(
    server: BucketServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "PATIENCE_SECONDS", 2.0)
    search = resume_kit.search(tmp_path, 0.2, storage=STORAGE)

    def deny() -> None:
        deadline = time.monotonic() + 90
        while made(tmp_path).total() < 8 and time.monotonic() < deadline:
            time.sleep(0.02)
        server.denied.add("pixels")

    thread = threading.Thread(target=deny)
    thread.start()
    with pytest.raises(StorageError) as ended:
        search.run(Silent())
    thread.join()
    folder = tmp_path / "tests" / "gray"
    assert f"the search cannot be kept in {PLACE}: " in str(ended.value)
    assert f"everything is in {folder}: resume it there" in str(ended.value)
    assert "\n" not in str(ended.value)
    assert ended.value.exit_code == 1
    assert SearchResult.load(folder).status == "interrupted"
    before = made(tmp_path)
    server.denied.clear()
    row = json.loads(server.buckets["pixels"]["team/tests/gray/.driver.json"].data)
    server.put("team/tests/gray/.driver.json", json.dumps({**row, "over": True}).encode())  # 20 s later
    assert resume_kit.search(tmp_path, 0.0, storage=STORAGE).run(Silent(), resume=True).status == "finished"
    assert all(count == 1 for count in made(tmp_path).values())
    assert before.keys() < made(tmp_path).keys()
    assert json.loads(server.buckets["pixels"]["team/tests/gray/search.json"].data)["status"] == "finished"

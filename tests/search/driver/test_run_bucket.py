"""A search whose results go to a bucket too: the real client of Google Cloud Storage on a stand-in."""

from __future__ import annotations

from pathlib import Path

import pytest
import resume_kit
from gcs_stand_in import BucketServer
from gcs_stand_in import server as server  # the fixture

from pixaris.cache.local import LocalCache
from pixaris.experiment_handlers.gcp_tensorboard import GCPTensorboardHandler
from pixaris.gcp.storage import BucketPath
from pixaris.results.bucket.copies import pull
from pixaris.results.progress import SearchProgress
from pixaris.search import SearchResult

pytest.importorskip("google.cloud.storage")
pytestmark = [pytest.mark.usefixtures("ray_session"), pytest.mark.slow]


class Told:
    """Remembers what a search tells."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def update(self, progress: SearchProgress) -> None:
        pass

    def trial_ended(self, trial: object, progress: SearchProgress) -> None:
        pass

    def event(self, sentence: str) -> None:
        self.sentences.append(sentence)


def test_a_search_is_in_the_bucket_when_it_ends(server: BucketServer, tmp_path: Path) -> None:
    handler = GCPTensorboardHandler("project", "europe-west4", "pixels", tmp_path / "here")
    (tmp_path / "here").mkdir()
    told = Told()
    search = resume_kit.search(tmp_path / "here", 0.0, experiment_handler=handler, num_samples=3)
    result = search.run(listener=told)
    assert result.status == "finished"
    assert told.sentences[-1] == "copied to gs://pixels/results/tests/gray"
    copy = tmp_path / "there"
    pull(BucketPath("pixels", "results/tests/gray"), copy)
    again = SearchResult.load(copy)
    assert resume_kit.facts(again) == resume_kit.facts(result)
    assert (copy / "report.html").read_bytes() == (result.folder / "report.html").read_bytes()
    assert len(list((copy / "tensorboard").iterdir())) == 4


def test_a_bucket_that_cannot_be_written_costs_a_sentence(server: BucketServer, tmp_path: Path) -> None:
    server.denied.add("pixels")
    handler = GCPTensorboardHandler("project", "europe-west4", "pixels", tmp_path)
    told = Told()
    result = resume_kit.search(tmp_path, 0.0, experiment_handler=handler, num_samples=3).run(listener=told)
    assert result.status == "finished"
    assert "not copied to the bucket" in told.sentences[-1]
    assert f"pixaris results push {result.folder} gs://pixels/results" in told.sentences[-1]


class Trimming(LocalCache):
    """Says that it makes room, and how much it had to make it among."""

    def trim(self) -> str:
        return f"room is made among {len(list(self.entries()))}"


def test_a_cache_makes_room_once_when_a_search_has_ended(tmp_path: Path) -> None:
    told = Told()
    cache = Trimming(tmp_path / "cache")
    result = resume_kit.search(tmp_path, 0.0, cache=cache, num_samples=2, scheduler="fifo").run(listener=told)
    assert result.images == 18
    assert [one for one in told.sentences if "room is made" in one] == ["room is made among 18"]

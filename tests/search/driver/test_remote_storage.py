"""What trials on other nodes send to the driver's: it lies there as if they had written it themselves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import ray
from PIL import Image

from pixaris.cache.base import CachedImage
from pixaris.cache.local import LocalCache
from pixaris.exceptions import StorageError
from pixaris.experiment_handlers.local import LocalExperimentHandler
from pixaris.files import read_json, read_json_lines, write_json
from pixaris.images import EncodedImage
from pixaris.results.paths import SearchPaths
from pixaris.search.driver.storage.actor import Kept
from pixaris.search.driver.storage.base import DriverStorage, driver_storage
from pixaris.search.driver.storage.remote import RemoteCache, RemoteHandler, RemoteStorage
from pixaris.types import EvalItem, EvalSet, GeneratedImage, ItemResult, RunRecord, RunStatus

pytestmark = pytest.mark.usefixtures("ray_session")

KEY = "ab" * 32


@dataclass
class Home:
    paths: SearchPaths
    storage: DriverStorage


def picture(level: int) -> EncodedImage:
    return EncodedImage.of(Image.new("RGB", (8, 8), (level,) * 3))


def noise(seed: int) -> EncodedImage:
    """A picture of some hundred kB: what is large travels in another way on Ray."""
    pixels = np.random.default_rng(seed).integers(0, 255, (256, 256, 3), dtype=np.uint8)
    return EncodedImage.of(Image.fromarray(pixels))


EVAL_SET = EvalSet("blank", tuple(EvalItem(i, f"i{i}", {"Input": noise(i)}, {}) for i in range(3)))


def run_of(items: int, status: RunStatus = "running") -> RunRecord:
    results = tuple(
        ItemResult(i, f"i{i}", GeneratedImage(f"r{i}", f"i{i}", picture(i), "here", 1.0), scores={"x": 0.5})
        for i in range(items)
    )
    return RunRecord("run-1", "trial_0001", "p", EVAL_SET, status, items=results, search="s")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A search's folder, with the actor that keeps it."""
    paths = SearchPaths(tmp_path / "p" / "s")
    paths.folder.mkdir(parents=True)
    store = LocalCache(paths.store, make_folder=True)
    kept = Kept(LocalExperimentHandler(tmp_path), store, None, paths, EVAL_SET, None)
    with driver_storage(paths, kept, on_cluster=True) as storage:
        assert storage is not None
        yield Home(paths, storage)


def restarted(home: Home) -> None:
    """End the actor's process; Ray starts it again."""
    before = ray.get(home.storage.actor.pid.remote())
    ray.kill(home.storage.actor, no_restart=False)
    deadline = time.monotonic() + 60
    while ray.get(home.storage.actor.pid.remote()) == before:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_run_is_stored_step_by_step_and_its_images_link_to_the_store(home: Home) -> None:
    remote = home.storage.connect()
    store, handler = RemoteCache(remote, "store"), RemoteHandler(remote)
    made = CachedImage(picture(0), "here", 1.0)
    assert store.get(KEY) is None
    store.put(KEY, made)
    found = store.get(KEY)
    assert found is not None
    assert found.image == made.image
    handler.store_results(run_of(1))
    handler.store_results(run_of(2))
    handler.store_results(run_of(3, "finished"))
    run = home.paths.trial(1)
    assert (read_json(run.record) or {})["status"] == "finished"
    assert [row["name"] for row in read_json_lines(run.items)] == ["i0", "i1", "i2"]
    assert len(list(run.images.iterdir())) == 3
    assert (run.images / "i0.png").stat().st_nlink == 2, "an image that the store has lies on the disk once"
    assert (run.images / "i0.png").read_bytes() == made.image.data


def test_an_actor_that_was_started_again_is_told_everything_anew(home: Home) -> None:
    remote = home.storage.connect()
    handler, store = RemoteHandler(remote), RemoteCache(remote, "store")
    store.put(KEY, CachedImage(picture(0), "here", 1.0))
    first = run_of(2)
    handler.store_results(first)
    restarted(home)
    last = run_of(3, "finished")
    handler.store_results(replace(last, items=(*first.items, last.items[2])))
    run = home.paths.trial(1)
    assert len(read_json_lines(run.items)) == len(list(run.images.iterdir())) == 3
    store.put("cd" * 32, CachedImage(picture(0), "here", 1.0))
    assert store.get("cd" * 32) is not None, "its bytes are sent again where the new process lacks them"


def test_a_folder_that_is_gone_ends_the_trial_with_one_line(home: Home) -> None:
    handler = RemoteHandler(home.storage.connect())
    handler.store_results(run_of(1))
    home.paths.folder.rename(home.paths.folder.with_name("elsewhere"))
    with pytest.raises(StorageError, match="it was moved or deleted; put it back, then resume") as caught:
        handler.store_results(run_of(2))
    assert "\n" not in str(caught.value)
    home.paths.folder.with_name("elsewhere").rename(home.paths.folder)


def test_what_a_trial_breaks_off_with_stands_in_the_search_s_log(home: Home) -> None:
    RemoteStorage(home.storage.actor).log("trial_0001\nTraceback …\n")
    assert home.paths.trial_log.read_text().startswith("trial_0001")


def test_only_a_folder_with_the_same_mark_is_the_same_folder(home: Home, tmp_path: Path) -> None:
    elsewhere = replace(home.storage, node="another node")
    assert elsewhere.is_shared(home.paths.folder)
    copy = tmp_path / "copy"
    copy.mkdir()
    assert not elsewhere.is_shared(copy)
    write_json(SearchPaths(copy).mark, {"process": "an earlier one"})
    assert not elsewhere.is_shared(copy)


def test_the_mark_goes_with_the_search(tmp_path: Path) -> None:
    paths = SearchPaths(tmp_path)
    kept = Kept(
        LocalExperimentHandler(tmp_path),
        LocalCache(paths.store),
        LocalCache(paths.answers),
        paths,
        EVAL_SET,
        None,
    )
    with driver_storage(paths, kept, on_cluster=True):
        assert paths.mark.is_file()
    assert not paths.mark.exists()
    with driver_storage(paths, kept, on_cluster=False) as storage:
        assert storage is None

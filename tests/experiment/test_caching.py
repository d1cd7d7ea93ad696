"""What the cache has is not generated, what is generated is kept before it is scored."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
from kit import WORKFLOW, start_servers
from PIL import Image
from test_run import Adder, Loader, Memory, eval_set

from pixaris.cache.base import CachedImage, CacheStore
from pixaris.cache.local import LocalCache
from pixaris.data_loaders.local import LocalDatasetLoader
from pixaris.experiment.caching import CachingSubmitter, Layer
from pixaris.experiment.submitters import ThreadSubmitter
from pixaris.experiment_handlers.local import LocalExperimentHandler
from pixaris.generation.base import ItemArgs
from pixaris.generation.comfyui import ComfyGenerator
from pixaris.images import EncodedImage
from pixaris.metrics.base import BaseMetric
from pixaris.metrics.iou import IoUMetric
from pixaris.metrics.resources import SecondsMetric
from pixaris.orchestration.base import generate_images_based_on_dataset
from pixaris.types import EvalItem, GeneratedImage, RunRecord


def test_a_second_run_generates_nothing_and_another_value_everything(
    cells_loader: LocalDatasetLoader, tmp_path: Path
) -> None:
    with start_servers(tmp_path / "servers") as servers:
        url = servers.processes[0].url

        def run(name: str, value: float) -> RunRecord:
            return generate_images_based_on_dataset(
                cells_loader,
                ComfyGenerator(WORKFLOW, url),
                LocalExperimentHandler(tmp_path / "results"),
                [IoUMetric(reference="Mask"), SecondsMetric()],
                {
                    "generation_params": [{"node_name": "Threshold", "input": "value", "value": value}],
                    "experiment_run_name": name,
                },
                cache=LocalCache(tmp_path / "images"),
            )

        def prompts() -> int:
            return len(requests.get(f"{url}/history", timeout=10).json())

        first = run("first", 0.4)
        assert (first.cached, prompts()) == (0, 6)
        again = run("again", 0.4)
        assert (again.cached, prompts()) == (6, 6)
        other = run("other", 0.6)
        assert (other.cached, prompts()) == (0, 12)
    assert [item.generated.image for item in again.items if item.generated] == [
        item.generated.image for item in first.items if item.generated
    ]
    assert again.metrics == first.metrics  # the seconds too: those of the images' making
    assert other.metrics["iou"] != first.metrics["iou"]


class Numbered(Adder):
    """A generator of the user's own that says what its images are made from."""

    def cache_key(self, args: ItemArgs) -> str | None:
        return None if args.item == "item2" else f"{args.item:0>64}"


class Watching(BaseMetric):
    direction = "max"

    def __init__(self, cache: LocalCache) -> None:
        self.cache = cache
        self.kept: list[bool] = []

    def score(self, image: Image.Image, item: EvalItem) -> float:
        self.kept.append(self.cache.get(f"{item.name:0>64}") is not None)
        return 1.0


def run_of(generator: Adder, cache: CacheStore, metric: BaseMetric) -> RunRecord:
    return generate_images_based_on_dataset(
        Loader(eval_set(4)), generator, Memory(), [metric], {}, cache=cache
    )


def test_an_image_is_kept_before_it_is_scored_and_one_without_a_key_is_always_generated(
    tmp_path: Path,
) -> None:
    cache, generator = LocalCache(tmp_path / "images"), Numbered()
    metric = Watching(cache)
    assert run_of(generator, cache, metric).cached == 0
    assert sorted(metric.kept) == [False, True, True, True]
    assert run_of(generator, cache, metric).cached == 3
    assert sorted(generator.seen) == sorted(["item0", "item1", "item2", "item3", "item2"])


def test_a_generator_that_says_nothing_of_keys_is_never_cached(tmp_path: Path) -> None:
    cache, generator = LocalCache(tmp_path / "images"), Adder()
    run_of(generator, cache, Watching(cache))
    assert run_of(generator, cache, Watching(cache)).cached == 0
    assert len(generator.seen) == 8


def test_failures_are_not_kept(tmp_path: Path) -> None:
    cache = LocalCache(tmp_path / "images")
    assert len(run_of(Numbered(fails=["item1"]), cache, Watching(cache)).failures) == 1
    again = run_of(Numbered(), cache, Watching(cache))
    assert (again.cached, len(again.failures)) == (2, 0)


class Gray(Numbered):
    def generate_single_image(self, args: Mapping[str, Any]) -> tuple[Image.Image, str]:
        return Image.new("RGB", (2, 2), "gray"), ""


def test_a_runs_own_store_has_what_the_run_made_and_not_what_a_cache_gave(tmp_path: Path) -> None:
    own, cache = LocalCache(tmp_path / "own"), LocalCache(tmp_path / "shared")
    items = [ItemArgs({}, item=f"item{number}") for number in (0, 1, 3)]

    def start(which: list[ItemArgs]) -> list[GeneratedImage]:
        generator = Gray()
        layers = [Layer(generator.cache_key, own, own=True), Layer(generator.cache_key, cache)]
        submitter = CachingSubmitter(ThreadSubmitter(generator, 1), layers)
        return [future.result(10) for future in submitter.submit(which, 0)]

    cache.put(
        f"{'item0':0>64}", CachedImage(EncodedImage.of(Image.new("RGB", (2, 2))), "http://x", 1.0, None)
    )
    assert [image.cached for image in start(items[:2])] == [True, False]
    assert [image.cached for image in start(items)] == [True, False, False], "as they came the first time"
    assert [own.get(f"{args.item:0>64}") is None for args in items] == [True, False, False]


class Late(CacheStore):
    """A cache that looks whether the run's own store has an image when it gets one itself."""

    def __init__(self, own: CacheStore) -> None:
        self.own = own
        self.seen: list[bool] = []

    def get(self, key: str) -> CachedImage | None:
        return None

    def put(self, key: str, made: CachedImage) -> None:
        self.seen.append(self.own.get(key) is not None)


def test_what_a_run_has_made_is_never_in_a_cache_alone(tmp_path: Path) -> None:
    """Else a run that is killed in between finds it there, and takes its own image for another's."""
    own, generator = LocalCache(tmp_path / "own"), Gray()
    cache = Late(own)
    layers = [Layer(generator.cache_key, own, own=True), Layer(generator.cache_key, cache)]
    (future,) = CachingSubmitter(ThreadSubmitter(generator, 1), layers).submit(
        [ItemArgs({}, item="item0")], 0
    )
    assert not future.result(10).cached
    assert cache.seen == [True]


class Priced(CacheStore):
    def __init__(self, made: CachedImage) -> None:
        self.made = made

    def get(self, key: str) -> CachedImage | None:
        return self.made

    def put(self, key: str, made: CachedImage) -> None:
        raise AssertionError("nothing is generated")


def test_what_an_image_cost_when_it_was_made_is_not_charged_again() -> None:
    image = next(iter(eval_set(1).items[0].inputs.values()))

    class Cost(BaseMetric):
        direction = "min"

        def score(self, image: Image.Image, item: EvalItem) -> Mapping[str, Any] | float:
            return 0.0

    record = run_of(Numbered(), Priced(CachedImage(image, "https://far.example", 1.5, 4.0)), Cost())
    made = [item.generated for item in record.items if item.generated is not None and item.generated.cached]
    assert {(one.cost, one.seconds, one.endpoint) for one in made} == {(4.0, 1.5, "https://far.example")}
    assert record.cost is None


def test_a_run_without_a_cache_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    generate_images_based_on_dataset(Loader(eval_set(2)), Numbered(), Memory(), [], {})
    assert list(tmp_path.rglob("*")) == []

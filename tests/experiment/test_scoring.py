"""Scores are made beside generation: several at once, in no order, and each lands with its item."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future

import pytest
from PIL import Image

from pixaris.exceptions import ExecutionError
from pixaris.experiment.run import ExperimentRun
from pixaris.experiment.scoring import Scorer
from pixaris.experiment.setup import RunSetup
from pixaris.experiment.submitters import ThreadSubmitter
from pixaris.experiment_handlers.base import ExperimentHandler
from pixaris.generation.base import ImageGenerator, ItemArgs
from pixaris.metrics.base import BaseMetric, Execution
from pixaris.testing import samples
from pixaris.types import EvalItem, GeneratedImage, ItemResult, RunRecord

PATIENCE = 20.0
ITEMS = samples.eval_set(6).items


class Asked(BaseMetric):
    """Calls a function; knows how often it was asked, and how often at once."""

    def __init__(self, name: str, answer: Callable[[EvalItem], float], parallel: int = 16) -> None:
        self.name, self.answer, self.parallel = name, answer, parallel
        self.lock = threading.Lock()
        self.asked = self.now = self.most = 0

    def score(self, image: Image.Image, item: EvalItem) -> float:
        with self.lock:
            self.asked += 1
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            return self.answer(item)
        finally:
            with self.lock:
                self.now -= 1


def image_of(item: EvalItem, seconds: float = 0.5) -> GeneratedImage:
    return GeneratedImage(f"request {item.index}", item.name, item.inputs["Input"], "http://a", seconds)


def shown(generated: GeneratedImage, item: EvalItem) -> Execution:
    return Execution(generated.image, item, generated)


def follow(scorer: Scorer, *items: EvalItem) -> list[Future[ItemResult]]:
    futures: list[Future[GeneratedImage]] = [Future() for _ in items]
    results = [scorer.follow(future, item, shown) for future, item in zip(futures, items, strict=True)]
    for future, item in zip(futures, items, strict=True):
        future.set_result(image_of(item))
    return results


def test_scores_are_made_at_once_and_land_with_their_items() -> None:
    meeting = threading.Barrier(6)

    def answer(item: EvalItem) -> float:
        meeting.wait(PATIENCE)  # passes only where six images are scored at once
        return float(item.index)

    scorer = Scorer([Asked("a", answer)])
    results = [future.result(PATIENCE) for future in follow(scorer, *ITEMS)]
    assert [(result.index, dict(result.scores)) for result in results] == [
        (i, {"a": float(i)}) for i in range(6)
    ]
    scorer.close()


def test_a_metric_is_asked_as_often_at_once_as_it_allows() -> None:
    one = Asked("one", lambda item: time.sleep(0.002) or 1.0, parallel=1)
    scorer = Scorer([one])
    for future in follow(scorer, *ITEMS):
        future.result(PATIENCE)
    assert (one.asked, one.most) == (6, 1)
    scorer.close()


def test_a_metric_that_hangs_does_not_keep_another_from_its_images() -> None:
    released = threading.Event()
    quick, slow = (
        Asked("quick", lambda item: 1.0),
        Asked("slow", lambda item: float(released.wait(PATIENCE)), parallel=1),
    )
    scorer = Scorer([slow, quick])
    results = follow(scorer, *ITEMS)
    deadline = time.monotonic() + PATIENCE
    while quick.asked < 6 and time.monotonic() < deadline:
        time.sleep(0.005)
    assert (quick.asked, slow.asked) == (6, 1)
    released.set()
    assert list(results[0].result(PATIENCE).scores) == [
        "slow",
        "quick",
    ]  # the metrics' order, whoever was first
    scorer.close()


def test_what_a_metric_cannot_score_is_missing_with_all_reasons() -> None:
    def fail(item: EvalItem) -> float:
        raise RuntimeError(f"no {item.name}")

    scorer = Scorer(
        [Asked("bad", fail), Asked("good", lambda item: 2.0), Asked("nan", lambda item: float("nan"))]
    )
    (result,) = (future.result(PATIENCE) for future in follow(scorer, ITEMS[0]))
    assert dict(result.scores) == {"good": 2.0}
    assert result.generated is not None
    assert str(result.error) == "bad: RuntimeError: no photo 1; nan: nan is nan, which is no score"
    scorer.close()


def test_an_item_without_an_image_keeps_its_error_and_no_metric_sees_it() -> None:
    metric = Asked("m", lambda item: 1.0)
    scorer = Scorer([metric])
    failed: Future[GeneratedImage] = Future()
    result = scorer.follow(failed, ITEMS[3], shown)
    failed.set_exception(ExecutionError("no luck"))
    assert (result.result(PATIENCE).index, str(result.result(PATIENCE).error), metric.asked) == (
        3,
        "no luck",
        0,
    )
    broken: Future[GeneratedImage] = Future()
    result = scorer.follow(broken, ITEMS[3], shown)
    broken.set_exception(OSError("disk full"))
    with pytest.raises(OSError, match="disk full"):
        result.result(PATIENCE)
    scorer.close()


def test_another_items_image_is_never_scored() -> None:
    metric = Asked("m", lambda item: 1.0)
    scorer = Scorer([metric])
    future: Future[GeneratedImage] = Future()
    result = scorer.follow(future, ITEMS[0], shown)
    future.set_result(image_of(ITEMS[1]))
    with pytest.raises(AssertionError, match="asked for 'photo 1', was given 'photo 2'"):
        result.result(PATIENCE)
    assert metric.asked == 0
    scorer.close()


def test_withdrawn_images_are_not_scored() -> None:
    released = threading.Event()
    metric = Asked("m", lambda item: float(released.wait(PATIENCE)), parallel=1)
    scorer = Scorer([metric])
    first, *rest = follow(scorer, *ITEMS)
    for future in rest:
        assert future.cancel()
    released.set()
    assert first.result(PATIENCE).scores == {"m": 1.0}
    (again,) = follow(scorer, ITEMS[5])
    assert again.result(PATIENCE).scores == {"m": 1.0}
    assert metric.asked == 2
    with pytest.raises(CancelledError):
        rest[0].result()
    scorer.close()


def test_a_slow_metric_asks_for_as_many_images_ahead_as_are_made_while_it_works() -> None:
    ticks = iter([10.0, 11.5])
    scorer = Scorer([Asked("m", lambda item: 1.0)], clock=lambda: next(ticks))
    assert scorer.ahead(4) == 0  # nothing is known yet
    follow(scorer, ITEMS[0])
    deadline = time.monotonic() + PATIENCE
    while not scorer.ahead(4) and time.monotonic() < deadline:
        time.sleep(0.001)
    assert scorer.ahead(4) == 12  # four images each half a second, for a second and a half
    assert scorer.ahead(1) == 3
    scorer.close()


class Maker(ImageGenerator):
    """Remembers what it made."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def generate_single_image(self, args: object) -> tuple[Image.Image, str]:
        assert isinstance(args, ItemArgs)
        self.made.append(args.item)
        return samples.picture(1), args.item


class Nowhere(ExperimentHandler):
    def store_results(self, run: RunRecord) -> None:
        pass


def test_images_are_generated_while_a_metric_works() -> None:
    maker = Maker()

    def until_five_are_made(item: EvalItem) -> float:
        deadline = time.monotonic() + PATIENCE
        while len(maker.made) < 5 and time.monotonic() < deadline:
            time.sleep(0.005)
        return float(len(maker.made) == 5)

    setup = RunSetup(
        "p", samples.eval_set(6), maker, (Asked("m", until_five_are_made, parallel=1),), ItemArgs({})
    )
    run = ExperimentRun(setup, ThreadSubmitter(maker, 1), Nowhere(), "run")
    record = run.advance(2, ahead=3)
    assert [item.scores for item in record.items] == [
        {"m": 1.0}
    ] * 2  # nobody waits for the other three, which are there
    assert maker.made == [f"photo {i}" for i in range(1, 6)]
    run.finish("stopped")


def test_a_run_that_is_stopped_tells_of_no_image_that_was_made_ahead() -> None:
    maker = Maker()
    setup = RunSetup("p", samples.eval_set(6), maker, (Asked("m", lambda item: 1.0),), ItemArgs({}))
    run = ExperimentRun(setup, ThreadSubmitter(maker, 2), Nowhere(), "run")
    run.advance(2, ahead=4)
    record = run.finish("stopped")
    assert [item.index for item in record.items] == [0, 1]


def test_a_metric_that_allows_no_call_is_told_before_anything_is_generated() -> None:
    setup = RunSetup(
        "p", samples.eval_set(2), Maker(), (Asked("m", lambda item: 1.0, parallel=0),), ItemArgs({})
    )
    assert [str(problem) for problem in setup.problems()] == [
        "metric 'm': parallel is a number of calls, at least 1 (got 0)"
    ]

"""Budgets in whole searches, on real Ray and real sockets."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
import ray
from kit import WORKFLOW
from PIL import Image
from ray import tune

from pixaris.data_loaders.local import LocalDatasetLoader
from pixaris.exceptions import (
    BudgetSpentError,
    CancelledRequestError,
    ChargedError,
    ConfigurationError,
    SearchFailedError,
)
from pixaris.experiment_handlers.local import LocalExperimentHandler
from pixaris.generation.base import ImageGenerator, ItemArgs
from pixaris.generation.comfyui import ComfyGenerator
from pixaris.images import EncodedImage
from pixaris.metrics.iou import IoUMetric
from pixaris.results.budget import Amounts, Budget
from pixaris.search import Search, SearchResult
from pixaris.search.driver.spending import Account, BudgetedSubmitter
from pixaris.types import GeneratedImage

pytestmark = pytest.mark.usefixtures("ray_session")


def search(loader: LocalDatasetLoader, results: Path, endpoints: Sequence[str], **changes: Any) -> Search:
    settings: dict[str, Any] = {
        "data_loader": loader,
        "image_generator": ComfyGenerator(WORKFLOW),
        "space": {
            "value": ("Threshold", "value", tune.uniform(0.1, 0.9)),
            "grow": ("Grow", "expand", tune.randint(-3, 4)),
        },
        "metrics": [IoUMetric(reference="Mask")],
        "objective": "iou",
        "experiment_handler": LocalExperimentHandler(results),
        "endpoints": endpoints,
        "project": "tests",
        "name": "cells",
        "num_samples": 60,
        "seed": 3,
        "results_dir": results,
    }
    return Search(**{**settings, **changes})


def test_a_search_generates_no_image_more_than_its_budget_and_leaves_no_trial_cut(
    cells_loader: LocalDatasetLoader, endpoints: list[str], tmp_path: Path
) -> None:
    result = search(
        cells_loader, tmp_path, endpoints, budget={"images": 21}, scheduler="asha", step=2, max_concurrent=2
    ).run()
    assert result.status == "stopped"
    assert result.reason == "the budget of 21 images pays for no other trial of 6 images"
    assert 15 < result.spent.images <= 21, "what early stopping saves is spent on further trials"
    assert result.images == result.spent.images
    assert {trial.status for trial in result.trials} <= {"finished", "stopped"}
    assert result.images == sum(trial.items for trial in result.trials), (
        "no image is made for a trial that is stopped then"
    )
    assert result.best is not None
    head = json.loads((result.folder / "search.json").read_text())
    assert (head["status"], head["reason"], head["budget"]) == ("stopped", result.reason, {"images": 21})
    assert head["spent"]["images"] == result.spent.images
    again = SearchResult.load(result.folder)
    assert (again.budget, again.spent.images) == (Budget(images=21), result.spent.images)


class Painter(ImageGenerator):
    """Makes its images itself, and writes down that it did."""

    def __init__(self, tally: Path) -> None:
        self._tally = tally

    def generate_single_image(self, args: Mapping[str, Any]) -> tuple[Image.Image, str]:
        with self._tally.open("a") as file:
            file.write("x")
        return Image.new("RGB", (128, 96)), "painted"


def test_a_generator_of_the_users_own_has_the_same_budget(
    cells_loader: LocalDatasetLoader, tmp_path: Path
) -> None:
    tally = tmp_path / "tally"
    result = search(
        cells_loader,
        tmp_path,
        [],
        image_generator=Painter(tally),
        args={"max_parallel_jobs": 3},
        algorithm="random",
        scheduler="fifo",
        budget=Budget(images=17),
    ).run()
    assert result.status == "stopped"
    assert [trial.status for trial in result.trials] == ["finished", "finished"]
    assert len(tally.read_text()) == result.spent.images == 12


def test_a_search_whose_time_is_over_before_it_begins_fails_and_says_why(
    cells_loader: LocalDatasetLoader, endpoints: list[str], tmp_path: Path
) -> None:
    with pytest.raises(
        SearchFailedError, match=r"the budget of 0\.001 seconds pays for no other trial of 6 images"
    ):
        search(cells_loader, tmp_path, endpoints, budget={"seconds": 0.001}).run()
    assert SearchResult.load(tmp_path / "tests" / "cells").images == 0


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        ({"images": 5}, "budget.images: pays for no trial: one takes 6 images; give it that many (got 5)"),
        ({"images": 0}, "budget.images: must be at least 1 (got 0)"),
        ({"image": 9}, "'image' is no known key (did you mean 'images'?)"),
        (Budget(seconds=-1.0), "budget.seconds: must be above 0 (got -1.0)"),
    ],
)
def test_a_budget_that_cannot_be_is_told_before_anything_is_generated(
    cells_loader: LocalDatasetLoader, endpoints: list[str], tmp_path: Path, budget: Any, words: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        search(cells_loader, tmp_path, endpoints, budget=budget).run()
    assert words in str(caught.value)


class Till:
    """Starts items that take until `ring` is called and cost five credits each."""

    def __init__(self) -> None:
        self.started: list[Future[GeneratedImage]] = []
        self.arrived = threading.Semaphore(0)

    def submit(self, items: Sequence[ItemArgs], priority: int) -> list[Future[GeneratedImage]]:
        futures: list[Future[GeneratedImage]] = [Future() for _ in items]
        self.started += futures
        for _ in items:
            self.arrived.release()
        return futures

    def promote(self, futures: Sequence[Future[GeneratedImage]]) -> None: ...

    def cancel(self, futures: Sequence[Future[GeneratedImage]]) -> None:
        for future in futures:
            future.set_exception(CancelledRequestError("withdrawn"))

    def ring(self, cost: float | None = 5.0) -> None:
        assert self.arrived.acquire(timeout=60)
        image = EncodedImage.of(Image.new("RGB", (2, 2)))
        self.started[-1].set_result(GeneratedImage("r", "i", image, "till", 1.0, cost=cost))

    def lose(self) -> None:
        assert self.arrived.acquire(timeout=60)
        self.started[-1].set_exception(ChargedError("the answer was lost"))


def test_images_wait_for_what_the_ones_before_them_cost_and_are_refused_when_it_is_too_much(
    tmp_path: Path,
) -> None:
    account = Account(Budget(credits=12), tmp_path / "spent.json", items=6)
    till = Till()
    submitter = BudgetedSubmitter(till, account.actor)
    futures = submitter.submit([ItemArgs({}, item=str(number)) for number in range(6)], 0)
    till.ring()
    assert futures[0].result(60).cost == 5.0
    submitter.cancel([futures[5]])
    with pytest.raises(CancelledRequestError, match="was cancelled"):
        futures[5].result(60)
    till.ring()
    assert futures[1].result(60).cost == 5.0
    for future in futures[2:5]:
        with pytest.raises(BudgetSpentError, match=r"the budget of 12 credits pays for no other image"):
            future.result(60)
    assert len(till.started) == 2
    account.look(0, 0.0)
    assert (account.spent.images, account.spent.credits, account.reason[:29]) == (
        2,
        10.0,
        "the budget of 12 credits pays",
    )
    account.close()
    later = Account(Budget(credits=16), tmp_path / "spent.json", items=1)
    assert later.spent.credits == 10.0, "a search that goes on goes on counting"
    assert ray.get(later.actor.admit.remote(0, "p", 2))[0] == [1]
    later.close()


def test_what_the_account_does_not_tell_counts_at_its_listed_price(tmp_path: Path) -> None:
    account = Account(Budget(credits=12), tmp_path / "spent.json", items=6)
    till = Till()
    submitter = BudgetedSubmitter(till, account.actor, lambda args: float(args.item))
    futures = submitter.submit([ItemArgs({}, item="5") for _ in range(6)], 0)
    till.ring(cost=None)
    assert futures[0].result(60).cost is None  # the result itself says what is known
    till.lose()
    with pytest.raises(ChargedError, match="lost"):
        futures[1].result(60)
    for future in futures[2:]:
        with pytest.raises(BudgetSpentError, match=r"the budget of 12 credits pays for no other image"):
            future.result(60)
    account.look(1, 0.0)
    assert account.spent.credits == 10.0
    account.close()


def test_an_image_whose_price_cannot_be_told_is_not_lost_for_that(tmp_path: Path) -> None:
    account = Account(Budget(credits=16), tmp_path / "spent.json", items=1)
    till = Till()
    submitter = BudgetedSubmitter(till, account.actor, lambda args: float(args.item))
    (future,) = submitter.submit([ItemArgs({}, item="no number")], 0)
    till.ring(cost=None)
    assert future.result(60).cost is None
    account.close()


def test_what_is_withdrawn_costs_nothing_once_the_pool_says_it_was_not_made(tmp_path: Path) -> None:
    account = Account(Budget(images=1), tmp_path / "spent.json", items=1)
    till = Till()
    submitter = BudgetedSubmitter(till, account.actor)
    (first,) = submitter.submit([ItemArgs({}, item="a")], 0)
    assert till.arrived.acquire(timeout=60)
    (second,) = submitter.submit([ItemArgs({}, item="b")], 0)
    submitter.cancel([first])
    while not till.arrived.acquire(timeout=0.3):
        account.look(0, 0.0)
    till.arrived.release()
    till.ring()
    assert second.result(60).item == "i"
    account.look(1, 5.0)
    assert account.spent == Amounts(1, account.spent.seconds, 1.0, 5.0)
    account.close()

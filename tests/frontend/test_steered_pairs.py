"""The page asks about a steered search's sets by what they share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_blind_queue import iteration

from pixaris.feedback_handlers.base import Iteration, IterationKey
from pixaris.files import read_json, write_json
from pixaris.frontend.blind import BlindQueue
from pixaris.frontend.steered import shared_prior
from pixaris.results.evidence.preferences import Nearness, Preferences, keep_preferences
from pixaris.results.paths import SearchPaths, trial_name

POINTS = {"0": (0.1, 0.0), "1": (0.12, 0.0), "2": (0.9, 1.0)}


def steered(folder: Path) -> Iteration:
    """An iteration of three sets of a search, and what that search says of them."""
    found = iteration(runs=3, items=2)
    images = []
    for image in found.images:
        number = int(image.run.removeprefix("run "))
        images.append(image.__class__(image.name, image.file, image.item, f"gray/{trial_name(number)}"))
    (folder / "demo" / "gray").mkdir(parents=True)
    nearness = Nearness(POINTS, (False, True), (-0.7, -0.7), 0.0, -2.0)
    keep_preferences(
        SearchPaths(folder / "demo" / "gray"), Preferences("preference", "first", nearness=nearness)
    )
    return Iteration(IterationKey("demo", "first"), tuple(images))


def test_sets_that_are_near_share_much(tmp_path: Path) -> None:
    prior = shared_prior(tmp_path, steered(tmp_path))
    assert prior is not None
    assert prior.shape == (3, 3)
    assert prior[0, 1] > 0.9 > 0.3 > prior[0, 2] > 0
    assert np.linalg.eigvalsh(prior).min() > 0


@pytest.mark.parametrize(
    "change",
    [
        {"iteration": "another"},
        {"nearness": {}},
        {"nearness": {"points": {"0": [0.1, 0.0]}, "categorical": [False, False], "lengths": [0.0, 0.0]}},
        {"nearness": {"points": POINTS, "categorical": [False, False], "lengths": [900.0, 0.0]}},
        {"nearness": "damaged"},
    ],
)
def test_what_is_not_known_of_all_sets_is_not_used(tmp_path: Path, change: dict[str, object]) -> None:
    found = steered(tmp_path)
    file = SearchPaths(tmp_path / "demo" / "gray").votes
    write_json(file, {**(read_json(file) or {}), **change})
    assert shared_prior(tmp_path, found) is None


def test_images_of_no_search_share_nothing(tmp_path: Path) -> None:
    assert shared_prior(tmp_path, iteration()) is None


def test_the_queue_asks_by_it_and_needs_no_chain(tmp_path: Path) -> None:
    found = steered(tmp_path)
    queue = BlindQueue(found, lambda one, other: True, seed=1)
    queue.take(found, shared_prior(tmp_path, found))
    lease = queue.lend("ann", [])
    assert lease is not None
    far = trial_name(2)
    assert far in lease.left.run + lease.right.run, "near sets hardly differ, and the answer tells little"

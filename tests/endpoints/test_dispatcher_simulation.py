"""Whole searches played in thought: how long they take and how many models are loaded."""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence

import pytest
from dispatcher_kit import Machine, Simulation, Trial, machines
from hypothesis import given, settings
from hypothesis import strategies as st

from pixaris.endpoints.dispatch.dispatcher import Policy
from pixaris.search.algorithms.ordering import by_models

PROCESS_START = 1.0
CHANGE = 0.1


def ideal(images: int, seconds: Sequence[float]) -> float:
    """The least time in which these endpoints can make so many images."""
    ends = [(each, each) for each in seconds]
    heapq.heapify(ends)
    end = 0.0
    for _ in range(images):
        end, each = heapq.heappop(ends)
        heapq.heappush(ends, (end + each, each))
    return end


def one_trial(endpoints: list[Machine], images: int, model: str = "") -> float:
    simulation = Simulation(endpoints)
    simulation.process("p", iter([Trial(images, model, step=images)]))
    return simulation.run()


def grid_of_models(
    endpoints: list[Machine], models: str, sets: int, items: int, *, stagger: float, change: float = CHANGE
) -> tuple[float, int]:
    """A grid, the models in its slowest dimension, as a search runs it; gives its seconds and its loads."""
    at_once = min(len(models), len(endpoints))
    keys = [model for model in models for _ in range(sets)]
    trials = iter([Trial(items, keys[index]) for index in by_models(keys, at_once)])
    simulation = Simulation(endpoints, policy=Policy(models_at_once=at_once), change=change)
    for number in range(at_once):
        simulation.process(f"p{number}", trials, start=number * stagger)
    return simulation.run(), simulation.loads


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("stagger", [0.0, 0.1, 0.5, PROCESS_START, 2.0])
@pytest.mark.parametrize("change", [0.0, CHANGE, 0.3])
def test_three_checkpoints_on_four_endpoints_need_few_loads(
    depth: int, stagger: float, change: float
) -> None:
    seconds, loads = grid_of_models(
        machines(*[0.5] * 4, load=5.0, depth=depth), "ABC", 3, 8, stagger=stagger, change=change
    )
    assert loads <= 5  # the goal: 8 loads, 20 seconds
    assert (
        seconds <= 17.0 + stagger + 3 * change <= 20.0
    )  # one endpoint has one model's 24 images: 5 + 12 seconds


@pytest.mark.parametrize(("models", "endpoints"), [("ABCD", 4), ("ABCDEF", 3), ("AB", 8), ("ABCDEFGH", 2)])
def test_no_model_is_loaded_more_often_than_there_are_endpoints_to_share_it(
    models: str, endpoints: int
) -> None:
    times = machines(*[0.5] * endpoints, load=5.0)
    seconds, loads = grid_of_models(times, models, 4, 12, stagger=0.0)
    images = len(models) * 4 * 12
    assert loads <= max(len(models), endpoints) + endpoints
    assert seconds <= (images * 0.5 + loads * 5.0) / endpoints * 1.25


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("images", [32, 64, 100, 200])
@pytest.mark.parametrize("model", ["", "A"])
@pytest.mark.parametrize("seconds", [(1, 1, 1, 5), (1, 2, 4, 8), (1, 5, 5, 5), (0.5, 0.5, 0.5, 0.5)])
def test_the_tail_waits_for_no_slow_endpoint(
    seconds: tuple[float, ...], model: str, images: int, depth: int
) -> None:
    assert one_trial(machines(*seconds, depth=depth), images, model) <= 1.15 * ideal(images, seconds)


@pytest.mark.parametrize("seed", range(4))
def test_images_of_unequal_length_do_not_mislead(seed: int) -> None:
    chance = random.Random(seed)
    trials = [Trial(8, "A", factor=chance.choice([0.5, 1.0, 2.0])) for _ in range(30)]
    seconds = (1.0, 1.0, 1.0, 5.0)
    simulation = Simulation(machines(*seconds), think=0.05, change=CHANGE)
    queue = iter(trials)
    for number in range(2):
        simulation.process(f"p{number}", queue)
    assert simulation.run() <= 1.15 * sum(8 * trial.factor for trial in trials) / sum(
        1 / each for each in seconds
    )


@pytest.mark.parametrize(
    ("endpoints", "processes", "items", "step"), [(4, 2, 8, 8), (4, 2, 16, 4), (16, 4, 32, 8)]
)
def test_many_trials_keep_every_endpoint_busy(endpoints: int, processes: int, items: int, step: int) -> None:
    simulation = Simulation(machines(*[0.5] * endpoints), think=0.05, change=CHANGE)
    trials = iter([Trial(items, "A", step=step) for _ in range(64)])
    for number in range(processes):
        simulation.process(f"p{number}", trials)
    assert simulation.utilisation(simulation.run()) >= 0.97


def test_two_owners_with_equal_work_are_never_more_than_a_step_apart() -> None:
    simulation = Simulation(machines(1, 1, 1, 1))
    for name in "ab":
        simulation.process(name, iter([Trial(64, step=8)]))
    total = simulation.run()
    assert total == 32.0
    ends = {name: simulation.ends[name] for name in "ab"}
    for moment in sorted(ends["a"] + ends["b"]):
        done = [sum(end <= moment for end in ends[name]) for name in "ab"]
        assert abs(done[0] - done[1]) <= 1


def test_a_small_trial_is_not_delayed_by_a_big_one() -> None:
    simulation = Simulation(machines(1, 1, 1, 1))
    simulation.process("big", iter([Trial(400, step=400)]))
    simulation.process("small", iter([Trial(8)]), start=3.5)
    assert simulation.run() == 102.0
    assert simulation.ends["small"] == [7.0], "what runs already, then its own two seconds"


def test_two_models_that_compete_for_one_endpoint_take_turns_that_are_worth_their_load() -> None:
    endpoint = machines(1, load=5.0)
    simulation = Simulation(endpoint)
    for name in "ab":
        simulation.process(name, iter([Trial(300, name, step=150)]))
    assert simulation.run() <= 600 * 1.25
    assert 5 <= simulation.loads <= 25


def test_an_endpoint_that_freezes_is_left_behind() -> None:
    endpoints = machines(1, 1, 1)
    endpoints[0].seconds = 60.0
    simulation = Simulation(endpoints)
    simulation.process("p", iter([Trial(24, step=24)]))
    assert simulation.run() == 120.0, "it has two: nobody knew before"
    assert endpoints[0].images == 2


@settings(max_examples=60, deadline=None)
@given(
    seconds=st.lists(st.sampled_from([0.5, 1.0, 1.1, 3.0, 8.0]), min_size=1, max_size=5),
    load=st.sampled_from([0.0, 0.3, 5.0, 40.0]),
    depth=st.integers(1, 3),
    trials=st.lists(
        st.tuples(
            st.integers(1, 20),
            st.sampled_from(["", "A", "B", "C"]),
            st.integers(1, 8),
            st.sampled_from([0.5, 1.0, 3.0]),
        ),
        min_size=1,
        max_size=12,
    ),
    processes=st.integers(1, 4),
    at_once=st.integers(1, 3),
)
def test_whatever_is_asked_for_is_made_and_endpoints_are_never_all_idle(
    seconds: list[float],
    load: float,
    depth: int,
    trials: list[tuple[int, str, int, float]],
    processes: int,
    at_once: int,
) -> None:
    simulation = Simulation(
        machines(*seconds, load=load, depth=depth), policy=Policy(models_at_once=at_once), think=0.05
    )
    queue = iter([Trial(images, model, step, factor) for images, model, step, factor in trials])
    for number in range(processes):
        simulation.process(f"p{number}", queue, start=0.7 * number)
    simulation.run()  # asserts after every event that somebody works while anybody waits
    assert simulation.dispatcher.images == sum(images for images, *_ in trials)
    slowest = max(seconds) * 3.0 + load
    assert simulation.worst_wait <= sum(images for images, *_ in trials) * slowest

"""GPUs that managed servers will want: asked of the autoscaler ahead, and taken back."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest

from pixaris.endpoints.ray.demand import Demand, limits_of


class Autoscaler:
    """Keeps what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[list[dict[str, float]]] = []

    def __call__(self, bundles: list[dict[str, float]]) -> None:
        self.asked.append(bundles)


@dataclass
class Group:
    """A group of nodes as the autoscaler tells of it."""

    name: str
    resources: dict[str, float]
    max_count: int


def test_what_the_cluster_lacks_is_asked_for_beside_what_others_use_and_taken_back_once() -> None:
    autoscaler = Autoscaler()
    demand = Demand([1.0, 1.0, 0.0], autoscaler)
    assert demand.ask(total=3.0, free=0.5)
    demand.release()
    demand.release()
    assert autoscaler.asked == [[{"GPU": 1.0}] * 5, []]


@pytest.mark.parametrize(("wanted", "free"), [([1.0, 1.0], 2.0), ([0.0], 0.0), ([], 0.0)])
def test_what_is_there_is_not_asked_for(wanted: list[float], free: float) -> None:
    autoscaler = Autoscaler()
    demand = Demand(wanted, autoscaler)
    assert not demand.ask(total=free, free=free)
    demand.release()
    assert autoscaler.asked == [], "and nobody else's demand is taken back"


def test_the_most_that_there_can_be_is_read_from_the_groups() -> None:
    head, small = Group("head", {"CPU": 8.0}, 1), Group("small", {"CPU": 4.0, "GPU": 1.0}, 5)
    assert limits_of([head, small, Group("large", {"GPU": 8.0}, 2)]) == (8.0, 21.0)
    assert limits_of([head, Group("any", {"GPU": 4.0}, -1)]) == (4.0, math.inf)
    assert limits_of([head, Group("none", {"CPU": 4.0}, -1)]) == (0.0, 0.0)
    assert limits_of([]) is None

"""Sets that are drawn from what votes say: where they lie, that none comes twice, and as a searcher."""

from __future__ import annotations

import itertools

import numpy as np
from ray import tune
from ray.tune.search import Searcher

from pixaris.search.algorithms.factory import SearcherContext, build
from pixaris.search.algorithms.gp.cube import Cube, Dimension, Point
from pixaris.search.algorithms.gp.thompson import Heard, Thompson
from pixaris.search.algorithms.gp.values import ValueCube
from pixaris.search.algorithms.gp.voted import VotedSearcher
from pixaris.search.algorithms.tune_domains import space_of
from pixaris.statistics.preference.davidson import Comparison
from pixaris.statistics.preference.utility import utility

LINE = Cube((Dimension(),))
PLACES = tuple((place / 8,) for place in range(9))


def heard(best: int, times: int = 8) -> Heard:
    """Everybody prefers one place of the line to all others, and what is nearer to it to what is farther."""
    order = sorted(range(len(PLACES)), key=lambda place: abs(place - best))
    pairs = list(itertools.pairwise(order))
    votes = [Comparison(one, other, "first") for one, other in pairs] * times
    said = utility(np.array(PLACES), LINE.categorical, votes)
    return Heard(PLACES, said)


def drawn(thompson: Thompson, count: int) -> list[Point]:
    found: list[Point] = []
    for _ in range(count):
        point = thompson.next(found)
        assert point is not None
        found.append(point)
    return found


def test_without_votes_sets_lie_evenly() -> None:
    found = [at for (at,) in drawn(Thompson(LINE, Heard(), 3), 16)]
    counts = np.histogram(found, bins=4, range=(0.0, 1.0))[0]
    assert counts.tolist() == [4, 4, 4, 4]


def test_sets_come_where_votes_say_that_the_best_may_be() -> None:
    low = [at for (at,) in drawn(Thompson(LINE, heard(best=2), 3), 20)]
    high = [at for (at,) in drawn(Thompson(LINE, heard(best=6), 3), 20)]
    assert abs(np.median(low) - 0.25) < 0.15
    assert abs(np.median(high) - 0.75) < 0.15


def test_no_set_comes_twice_and_it_ends_when_all_are_known() -> None:
    cube = Cube((Dimension(3), Dimension(2, categorical=True)))
    everything = {(one / 2, float(other)) for one in range(3) for other in range(2)}
    assert set(drawn(Thompson(cube, Heard(), 1), 6)) == everything
    points = ((0.0, 0.0), (1.0, 1.0))
    said = utility(np.array(points), cube.categorical, [Comparison(0, 1, "first")] * 3)
    thompson = Thompson(cube, Heard(points, said), 1)
    found = drawn(thompson, 4)
    assert set(found) == everything - set(points)
    assert thompson.next(found) is None


def test_the_same_seed_draws_the_same() -> None:
    assert drawn(Thompson(LINE, heard(2), 3), 5) == drawn(Thompson(LINE, heard(2), 3), 5)
    assert drawn(Thompson(LINE, heard(2), 3), 5) != drawn(Thompson(LINE, heard(2), 4), 5)


SPACE = space_of(
    {
        "strength": ("A", "strength", tune.choice([0.0, 0.5, 1.0])),
        "mode": ("A", "mode", tune.choice(["plain", "soft"])),
    }
)


def searcher(points: tuple[dict[str, object], ...] = ()) -> VotedSearcher:
    context = SearcherContext(SPACE, ("max",), {}, seed=2, points=points, heard=Heard())  # type: ignore[arg-type]
    found = build("auto", {}, context)
    assert isinstance(found, VotedSearcher)
    return found


def test_without_votes_to_hear_auto_is_another_searcher() -> None:
    assert not isinstance(build("auto", {}, SearcherContext(SPACE, ("max",), {}, seed=2)), VotedSearcher)


def test_points_that_were_given_come_first_and_once() -> None:
    given = {"strength": 0.5, "mode": "soft"}
    voted = searcher((given,))
    configs = [voted.suggest(str(number)) for number in range(6)]
    assert configs[0] == {"p0": 0.5, "p1": "soft"}
    assert len({tuple(config.values()) for config in configs}) == 6
    assert voted.suggest("one more") == Searcher.FINISHED


def test_a_set_that_was_learnt_is_not_proposed_and_one_that_was_withdrawn_is() -> None:
    voted = searcher()
    voted.learn({"strength": 0.0, "mode": "plain"}, [0.5])
    configs = [voted.suggest(str(number)) for number in range(5)]
    assert {"p0": 0.0, "p1": "plain"} not in configs
    assert voted.suggest("one more") == Searcher.FINISHED
    voted.on_trial_complete("3", None, True)
    assert voted.suggest("one more") == configs[3]


def test_a_round_proposes_what_its_values_stand_for() -> None:
    cube = ValueCube(SPACE)
    points = tuple(cube.point(values) for values in ({"strength": 0.0, "mode": "plain"},))
    said = utility(np.array(points), cube.cube.categorical, [])
    keys = {"strength": "p0", "mode": "p1"}
    voted = VotedSearcher(cube, Heard(points, said), keys, "score", "max", seed=1)
    configs = [voted.suggest(str(number)) for number in range(5)]
    assert all(config["p0"] in (0.0, 0.5, 1.0) and config["p1"] in ("plain", "soft") for config in configs)
    assert {"p0": 0.0, "p1": "plain"} not in configs

"""The drawings: where marks lie, what is said of the winner, how few elements they are."""

from __future__ import annotations

import re

import pytest
from results_kit import search_of, trial_of

from pixaris.report.charts import contour, course, parallel, parameters
from pixaris.report.charts.scale import Scale, of_domain, of_values
from pixaris.report.charts.subject import Measured, Subject
from pixaris.results.objective import Objective
from pixaris.results.report import TrialReport
from pixaris.results.trial import TrialResult
from pixaris.statistics.intervals import MeanInterval

SPACE = {
    "amount": {"node_name": "S", "input": "a", "loguniform": [0.01, 1.0]},
    "radius": {"node_name": "B", "input": "r", "randint": [1, 8]},
    "mode": {"node_name": "C", "input": "m", "choice": ["soft", "hard"]},
}


def subject(count: int = 12, winner: int = 3, items: int = 4, **values: object) -> Subject:
    """A search of so many sets, the gain rising with the number."""
    sets = []
    for number in range(count):
        own = {
            "amount": 0.01 * 10 ** (2 * number / max(count - 1, 1)),
            "radius": 1 + number % 7,
            "mode": ("soft", "hard")[number % 2],
        }
        done = items if number % 3 else 1
        report = TrialReport(objectives=(0.5,), items=done, scores={"ssim": 0.5})
        trial = TrialResult(number, {**own, **values}, "finished", report)  # type: ignore[dict-item]
        mean = 0.01 * number
        sets.append(Measured(number, trial, MeanInterval(mean, mean - 0.1, mean + 0.1, items)))
    shares = {"radius": 0.7, "amount": 0.2, "mode": 0.1}
    return Subject(sets, "ssim", True, items, winner, True, SPACE, shares)


def test_an_axis_is_the_domain_and_logarithmic_where_the_domain_is() -> None:
    scale = of_domain(SPACE["amount"], [0.1]).between(0.0, 100.0)
    assert scale.at(0.1) == pytest.approx(50.0)
    assert [label for _, label in scale.ticks()] == ["0.01", "0.1", "1"]
    assert of_domain(SPACE["radius"], [3]).high == 7.0
    assert of_domain(SPACE["mode"], ["soft", "hard"]).options == ("soft", "hard")


def test_a_value_outside_the_domain_is_still_drawn() -> None:
    scale = of_domain(SPACE["amount"], [0.1, 5.0])
    assert (scale.low, scale.high, scale.bounded) == (0.01, 5.0, False)


@pytest.mark.parametrize(("value", "end"), [(0.01, "lower"), (1.0, "upper"), (0.1, ""), (0.99, "upper")])
def test_a_value_at_an_end_of_its_domain_is_known(value: float, end: str) -> None:
    assert of_domain(SPACE["amount"], [value]).edge(value) == end
    assert of_values([value, 0.5]).edge(value) == ""


def test_ticks_are_round() -> None:
    labels = [label for _, label in Scale(-0.07, 0.23, 0.0, 100.0).ticks()]
    assert labels == ["0", "0.1", "0.2"]


def test_a_winner_at_the_edge_is_marked_in_its_slice_alone() -> None:
    shown = {chart.title: chart for chart in parameters.slices(subject(winner=11), "0-")}
    assert "the winner (1) is at the upper end of the domain" in shown["amount"].note
    assert shown["mode"].note == ""


def test_slices_come_by_importance_and_hold_every_set() -> None:
    charts = parameters.slices(subject(), "0-")
    assert [chart.title for chart in charts] == ["radius", "amount", "mode"]
    for chart in charts:
        assert sorted(point.place for point in chart.points) == list(range(12))
        assert chart.svg.count('class="winner"') == 1


def test_a_thousand_sets_are_as_many_elements_as_ten() -> None:
    few, many = subject(10), subject(1_000)
    for draw in (parallel.parallel, contour.contour, course.best_so_far):
        counts = [len(re.findall(r"<\w", draw(one, "0-").svg)) for one in (few, many)]  # type: ignore[union-attr]
        assert counts[1] <= counts[0] + 20


def test_the_contour_is_of_the_two_most_important_numbers() -> None:
    chart = contour.contour(subject(), "0-")
    assert chart is not None
    assert chart.title == "radius and amount"
    assert contour.contour(subject(3), "0-") is None


def test_with_several_objectives_the_front_is_drawn_and_with_one_not() -> None:
    trials = [
        trial_of(at, {"amount": 0.1 * at}, (0.1 * at,) * 4, ssim=0.1 * at, lpips=0.05 * at * at)
        for at in range(1, 5)
    ]
    items = tuple("abcd")
    both = (Objective("ssim", "max"), Objective("lpips", "min"))
    result = search_of(*trials, objectives=both, items=items)
    sets = [Measured(at, trial, MeanInterval(0.0, None, None, 4)) for at, trial in enumerate(trials)]
    drawn = course.pareto(Subject(sets, "ssim", True, 4, 4, False, SPACE, {}), result, "0-")
    assert drawn is not None
    assert len(drawn.points) == 4
    assert 'class="curve"' in drawn.svg
    assert course.pareto(subject(), search_of(*trials, items=items), "0-") is None


def test_the_race_tells_stopped_sets_from_whole_ones() -> None:
    chart = course.race(subject(), "0-")
    assert chart is not None
    whole, stopped = re.findall(r'<path class="bar(?: stopped)?" d="([^"]*)"', chart.svg)
    assert (whole.count("M"), stopped.count("M")) == (8, 4)

"""Several sets at once: corrections, ties, and the items it takes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixaris.statistics.corrections import holm, tied
from pixaris.statistics.power import items_needed, smallest_difference
from pixaris.statistics.signflip import sign_flip_p


def test_holm_is_the_step_down_of_the_paper() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=20))
def test_holm_keeps_the_order_and_lies_between_p_and_bonferroni(p: list[float]) -> None:
    adjusted = holm(p)
    assert all(a <= b <= min(1.0, len(p) * a) or math.isclose(a, b) for a, b in zip(p, adjusted, strict=True))
    order = sorted(range(len(p)), key=lambda place: p[place])
    assert sorted(adjusted) == [adjusted[place] for place in order]


def test_a_set_is_tied_with_the_best_unless_the_items_tell_them_apart() -> None:
    rng = np.random.default_rng(1)
    same, worse = rng.normal(0.0, 0.1, 12).tolist(), rng.normal(0.5, 0.1, 12).tolist()
    assert tied({3: same, 7: worse, 9: []}) == (3, 9)
    many = dict.fromkeys(range(200), worse)
    assert tied({**many, 500: same}) == (500,), "12 items give the flips no p below 1/2048"


def test_the_items_that_are_said_to_be_needed_find_the_difference_in_four_of_five_cases() -> None:
    rng = np.random.default_rng(2)
    for difference in (0.4, 0.75):
        count = items_needed(difference, 1.0)
        assert count is not None
        found = sign_flip_p(rng.normal(difference, 1.0, (1500, count))) <= 0.05
        assert 0.77 <= found.mean() <= 0.83
    assert items_needed(0.0, 1.0) is None
    assert items_needed(100.0, 1.0) == 6


def test_what_so_many_items_find_is_the_other_way_round() -> None:
    found = [round(smallest_difference(count), 2) for count in (8, 12, 16, 32, 64)]
    assert found == [1.14, 0.89, 0.75, 0.51, 0.36]
    assert smallest_difference(5) == math.inf
    assert items_needed(smallest_difference(20, 3.0), 3.0) == 20

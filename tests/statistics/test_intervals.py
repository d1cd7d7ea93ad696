"""Means and differences with their intervals and tests, against SciPy's own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pixaris.statistics.intervals import MeanInterval, student_interval, student_p
from pixaris.statistics.paired import PairedDifference, differences
from pixaris.statistics.signflip import FEWEST, sign_flip_interval, sign_flip_p, smallest_p

SCORES = st.floats(-1e3, 1e3).map(lambda score: round(score, 6))


@pytest.mark.filterwarnings("ignore:Precision loss")  # SciPy's, of values that are nearly equal
@given(st.lists(SCORES, min_size=2, max_size=30))
def test_student_s_interval_and_p_are_scipy_s(values: list[float]) -> None:
    found, wanted = student_interval(values), stats.ttest_1samp(values, 0.0)
    assert found is not None
    if len(set(values)) > 1:
        assert found == pytest.approx(tuple(wanted.confidence_interval(0.95)), rel=1e-5, abs=1e-6)
        assert student_p(values) == pytest.approx(wanted.pvalue, rel=1e-5, abs=1e-9)
    else:
        assert found[0] == pytest.approx(found[1])


@pytest.mark.parametrize("count", [2, 5, 6, 9, 13])
def test_the_sign_flip_test_is_scipy_s_permutation_test_of_all_flips(count: int) -> None:
    rng = np.random.default_rng(count)
    for _ in range(10):
        values = np.round(rng.normal(1.0, 3.0, count))  # with ties, and sums that are exact
        wanted = stats.permutation_test(
            (values,), np.sum, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
        )
        assert float(sign_flip_p(values)) == pytest.approx(wanted.pvalue)


@pytest.mark.parametrize("count", [6, 12, 13, 14, 20, 64])
def test_the_interval_leaves_out_zero_where_p_is_at_most_five_percent_and_only_there(count: int) -> None:
    rng = np.random.default_rng(count)
    decided = set()
    for _ in range(40):
        values = rng.normal(0.5 / count**0.5 * rng.integers(0, 7), 1.0, count)
        found = MeanInterval.of(values.tolist())
        assert found.excludes(0.0) == (float(sign_flip_p(values)) <= 0.05)
        decided.add(found.excludes(0.0))
    assert decided == {True, False}


def test_an_interval_takes_six_values_and_nothing_is_significant_below() -> None:
    assert [smallest_p(count) for count in (1, 2, 5, 6)] == [1.0, 0.5, 0.0625, 0.03125]
    for count in range(1, FEWEST):
        assert sign_flip_interval([1.0] * count) is None
        assert MeanInterval.of([1.0] * count).half is None
    assert MeanInterval.of([1.0] * FEWEST).excludes(0.0)


@given(st.lists(SCORES, min_size=6, max_size=20), st.floats(0.1, 10.0), SCORES)
def test_the_interval_moves_and_stretches_with_its_values(
    values: list[float], factor: float, shift: float
) -> None:
    found, moved = MeanInterval.of(values), MeanInterval.of([factor * value + shift for value in values])
    assert found.low is not None
    assert found.high is not None
    assert moved.low == pytest.approx(factor * found.low + shift, rel=1e-9, abs=1e-6)
    assert moved.high == pytest.approx(factor * found.high + shift, rel=1e-9, abs=1e-6)


def test_a_difference_has_student_s_interval_beside_its_own_and_says_what_limits_it() -> None:
    found = PairedDifference.of([0.0] * 7 + [0.1])
    assert found.student == student_interval([0.0] * 7 + [0.1])
    assert found.remarks == ("7 of 8 differences are exactly 0, so the rest decides alone",)
    assert "strongly skewed" in PairedDifference.of([0.01 * 2**n for n in range(10)]).remarks[0]
    assert "too few" in PairedDifference.of([0.1, 0.2]).remarks[0]
    assert not PairedDifference.of([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]).remarks


def test_items_that_one_side_lacks_make_no_difference() -> None:
    assert differences([1.0, None, 3.0], [0.5, 1.0, None, 4.0]) == [0.5]

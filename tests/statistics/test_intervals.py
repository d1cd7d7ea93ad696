"""Means and differences with their intervals, against SciPy's own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pixaris.statistics.intervals import MeanInterval
from pixaris.statistics.paired import PairedDifference

SCORES = st.floats(-1e3, 1e3, allow_subnormal=False)


@given(st.lists(SCORES, min_size=2, max_size=30))
def test_the_interval_is_student_s(values: list[float]) -> None:
    found, wanted = MeanInterval.of(values), stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert found.count == len(values)
    if len(set(values)) > 1:
        assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), rel=1e-5, abs=1e-6)
    else:
        assert found.low == pytest.approx(found.mean) == found.high


@given(st.lists(st.tuples(SCORES, SCORES), min_size=2, max_size=30))
def test_the_difference_s_interval_is_the_paired_t_test_s(pairs: list[tuple[float, float]]) -> None:
    differences = [a - b for a, b in pairs]
    if len(set(differences)) > 1:
        wanted = stats.ttest_rel([a for a, _ in pairs], [b for _, b in pairs]).confidence_interval(0.95)
        found = PairedDifference.of(differences)
        assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), rel=1e-4, abs=1e-6)


def test_one_value_has_no_interval() -> None:
    assert MeanInterval.of([2.0]) == MeanInterval(2.0, None, None, 1)

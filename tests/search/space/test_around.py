"""A narrower domain around good values."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixaris.search.space.around import around
from pixaris.search.space.domain import Domain

DOMAINS = [
    Domain("uniform", 0.0, 10.0),
    Domain("loguniform", 0.001, 10.0),
    Domain("quniform", 1.0, 12.0, 0.5),
    Domain("qloguniform", 0.1, 100.0, 0.1),
    Domain("randint", 1, 41),
    Domain("qrandint", 8, 64, 8),
    Domain("qrandint", 1, 9, 1),
    Domain("lograndint", 1, 1000),
]


def test_numbers_keep_their_kind_and_get_a_margin() -> None:
    assert around(Domain("uniform", 0.0, 10.0), [4.0, 6.0]) == Domain("uniform", 3.0, 7.0)
    assert around(Domain("randint", 1, 41), [20, 22, 24]) == Domain("randint", 16, 29)
    assert around(Domain("quniform", 1.0, 12.0, 0.5), [7.0]) == Domain("quniform", 5.5, 8.5, 0.5)
    assert around(Domain("qrandint", 8, 64, 8), [32]) == Domain("qrandint", 24, 40, 8)


def test_a_logarithmic_domain_is_narrowed_by_its_logarithm() -> None:
    found = around(Domain("loguniform", 0.001, 1.0), [0.01, 0.1])
    assert found.low is not None
    assert found.high is not None
    assert math.isclose(found.low, 0.01 / math.sqrt(10), rel_tol=0.01)
    assert math.isclose(found.high, 0.1 * math.sqrt(10), rel_tol=0.01)


def test_a_normal_distribution_moves_and_shrinks() -> None:
    assert around(Domain("randn", mean=0.0, sd=4.0), [2.0, 4.0]) == Domain("randn", mean=3.0, sd=2.0)


def test_listed_values_are_those_of_the_best_in_their_order() -> None:
    options = Domain("choice", options=("euler", "ddim", "heun"))
    assert around(options, ["heun", "euler"]).options == ("euler", "heun")
    assert around(options, ["gone"]) == options


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda domain: f"{domain.kind} {domain.q}")
@given(data=st.data())
def test_it_is_never_wider_and_holds_the_values(domain: Domain, data: Any) -> None:
    bounds = domain.bounds
    assert bounds is not None
    raw = data.draw(st.lists(st.floats(*bounds), min_size=1, max_size=5))
    values = [domain.clean(domain.nearest(value)) for value in raw]
    found = around(domain, values)
    assert found.bounds is not None
    assert bounds[0] <= found.bounds[0] <= found.bounds[1] <= bounds[1]
    for value in values:
        slack = 1e-3 * (abs(float(value)) + 1e-9)
        assert found.bounds[0] - slack <= float(value) <= found.bounds[1] + slack

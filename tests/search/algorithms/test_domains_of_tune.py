"""Domains hold exactly what Ray Tune draws: its own samplers are the judge."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ray import tune

from pixaris.exceptions import ConfigurationError
from pixaris.search.algorithms.tune_domains import from_tune, to_tune
from pixaris.search.space.domain import KINDS, Domain

STEPS = st.sampled_from([0.01, 0.05, 0.1, 0.25, 0.3, 1, 1.5, 2, 7])


@st.composite
def numeric(draw: st.DrawFn) -> Domain:
    kind = draw(st.sampled_from([name for name, kind in KINDS.items() if not kind.listed]))
    rules = KINDS[kind]
    if rules.normal:
        return Domain(
            kind,
            mean=draw(st.floats(-9, 9)),
            sd=draw(st.floats(0.1, 9)),
            q=draw(STEPS) if rules.stepped else None,
        )
    low = draw(st.integers(1 if rules.log else -40, 40))
    high = draw(st.integers(low + 1, 60))
    if rules.whole and rules.stepped:
        q = draw(st.integers(1, 9))
        return Domain(kind, low, high + q, q)
    q = draw(STEPS) if rules.stepped else None
    return Domain(kind, low * (q or 1), high * (q or 1), q)


def drawn(domain: Domain, count: int, seed: int) -> list[Any]:
    values = to_tune(domain).sample(size=count, random_state=np.random.RandomState(seed))
    return [value.item() if isinstance(value, np.generic) else value for value in values]


@given(numeric(), st.integers(0, 1000))
@settings(max_examples=150, deadline=None)
def test_everything_that_tune_draws_is_in_the_domain(domain: Domain, seed: int) -> None:
    for value in drawn(domain, 30, seed):
        assert domain.contains(value)
        cleaned = domain.clean(value)
        assert domain.contains(cleaned)
        assert cleaned == pytest.approx(value, rel=1e-9, abs=1e-9)
        assert domain.nearest(float(value)) == cleaned
        assert type(cleaned) is (int if domain.whole else float)
        assert domain.size() is None or cleaned in domain.values()


@st.composite
def short(draw: st.DrawFn) -> Domain:
    """A domain of a dozen values at most, none of them rare."""
    kind = draw(st.sampled_from(["randint", "qrandint", "quniform"]))
    low, steps = draw(st.integers(-40, 40)), draw(st.integers(1, 11))
    if kind == "randint":
        return Domain(kind, low, low + steps)
    if kind == "qrandint":
        q = draw(st.integers(1, 9))
        return Domain(kind, low, low + q + draw(st.integers(1, 10 * q)), q)
    q = draw(STEPS)
    return Domain(kind, low * q, (low + steps) * q, q)


@given(short())
@settings(max_examples=40, deadline=None)
def test_tune_draws_every_value_that_is_listed(domain: Domain) -> None:
    assert {domain.clean(value) for value in drawn(domain, 1500, 0)} == set(domain.values())


@pytest.mark.parametrize(
    "domain", [Domain("lograndint", 1, 6), Domain("qlograndint", 3, 17, 4), Domain("qloguniform", 1, 3, 0.5)]
)
def test_on_a_log_scale_too(domain: Domain) -> None:
    assert {domain.clean(value) for value in drawn(domain, 3000, 0)} == set(domain.values())


@given(numeric(), st.integers(0, 1000))
@settings(max_examples=100, deadline=None)
def test_a_domain_survives_the_way_to_tune_and_back(domain: Domain, seed: int) -> None:
    back = from_tune(to_tune(domain))
    assert (back.bounds, back.size(), back.mean, back.sd) == (
        domain.bounds,
        domain.size(),
        domain.mean,
        domain.sd,
    )
    assert drawn(back, 5, seed) == drawn(domain, 5, seed)


@given(numeric())
@settings(max_examples=100, deadline=None)
def test_outside_of_its_bounds_nothing_is_in_the_domain(domain: Domain) -> None:
    assert domain.bounds is not None
    low, high = domain.bounds
    if domain.sd is None:
        assert domain.contains(low)
        assert domain.contains(high)
        step = domain.q or 1
        assert not domain.contains(low - step)
        assert not domain.contains(high + step)
    assert not any(domain.contains(value) for value in ("a", True, float("nan"), float("inf")))


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        (tune.choice([np.int64(1), "a"]), Domain("choice", options=(1, "a"))),
        (tune.grid_search([1, 2]), Domain("grid_search", options=(1, 2))),
        ([0.5, 1.5], Domain("grid_search", options=(0.5, 1.5))),
        (np.array([1, 2]), Domain("grid_search", options=(1, 2))),
        (7, Domain("constant", options=(7,))),
        (np.float64(0.5), Domain("constant", options=(0.5,))),
        ("euler", Domain("constant", options=("euler",))),
        (tune.uniform(0, 1), Domain("uniform", 0, 1)),
        (tune.quniform(0, 1, 0.25), Domain("quniform", 0, 1, 0.25)),
        (tune.loguniform(1, 9), Domain("loguniform", 1, 9)),
        (tune.qloguniform(1, 9, 0.5), Domain("qloguniform", 1, 9, 0.5)),
        (tune.randn(5, 2), Domain("randn", mean=5, sd=2)),
        (tune.qrandn(5, 2, 0.5), Domain("qrandn", mean=5, sd=2, q=0.5)),
        (tune.randint(1, 9), Domain("randint", 1, 9)),
        (tune.qrandint(1, 9, 2), Domain("qrandint", 2, 8, 2)),
        (tune.lograndint(1, 9), Domain("lograndint", 1, 9)),
        (tune.qlograndint(2, 9, 2), Domain("qlograndint", 2, 8, 2)),
    ],
)
def test_every_domain_of_tune_is_known(given_: object, expected: Domain) -> None:
    found = from_tune(given_)
    assert found == expected
    assert all(type(value) in (int, float, str) for value in found.options)


@pytest.mark.parametrize("given_", [tune.sample_from(lambda config: 1), None, object(), {"uniform": [1, 2]}])
def test_what_is_no_domain_is_named(given_: object) -> None:
    with pytest.raises(ConfigurationError, match="is no domain Pixaris knows; give one of"):
        from_tune(given_)

"""What Optuna draws lies in the space, and a sampler learns each parameter from the trials in which it
counted.
"""

from __future__ import annotations

import pickle
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixaris.search.algorithms import factory as algorithms
from pixaris.search.algorithms.factory import SearcherContext
from pixaris.search.algorithms.optuna_space import OptunaSpace, decoded, distribution, encoded
from pixaris.search.algorithms.searchers import BaselineFirst, neutral
from pixaris.search.space.domain import KINDS, Domain
from pixaris.search.space.space import Condition, Parameter, Space, Target

DOMAINS = {
    "choice": Domain("choice", options=("a", 1, True)),
    "constant": Domain("constant", options=(7,)),
    "uniform": Domain("uniform", -1, 1),
    "quniform": Domain("quniform", 0.1, 0.9, 0.1),
    "loguniform": Domain("loguniform", 0.01, 10),
    "qloguniform": Domain("qloguniform", 0.5, 8, 0.5),
    "randn": Domain("randn", mean=7, sd=2),
    "qrandn": Domain("qrandn", mean=7, sd=2, q=0.5),
    "randint": Domain("randint", 1, 6),
    "qrandint": Domain("qrandint", 1, 20, 3),
    "lograndint": Domain("lograndint", 1, 60),
    "qlograndint": Domain("qlograndint", 4, 64, 4),
}


def space_of(**parameters: tuple[Domain, tuple[Condition, ...]]) -> Space:
    return Space(
        tuple(
            Parameter(name, (Target("N", name),), domain, when) for name, (domain, when) in parameters.items()
        )
    )


def test_every_kind_but_grid_search_is_here() -> None:
    assert set(DOMAINS) == set(KINDS) - {"grid_search"}


@given(st.sampled_from(sorted(DOMAINS)), st.integers(0, 99))
@settings(max_examples=100, deadline=None)
def test_what_optuna_draws_lies_in_the_domain_and_is_known_again(kind: str, seed: int) -> None:
    domain = DOMAINS[kind]
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    drawn = study.ask({"p": distribution(domain)}).params["p"]
    value = decoded(drawn, domain)
    assert domain.contains(value)
    assert domain.clean(value) == value
    assert decoded(encoded(value, domain), domain) == (pytest.approx(value) if kind == "randn" else value)
    assert distribution(domain)._contains(distribution(domain).to_internal_repr(encoded(value, domain)))


@pytest.mark.parametrize("kind", ["qrandint", "qlograndint", "randint", "quniform", "qloguniform", "choice"])
def test_optuna_draws_every_value_that_is_listed(kind: str) -> None:
    domain = DOMAINS[kind]
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    drawn = [decoded(study.ask({"p": distribution(domain)}).params["p"], domain) for _ in range(600)]
    assert {(type(value), value) for value in drawn} == {(type(value), value) for value in domain.values()}


CONDITIONAL = space_of(
    lora=(Domain("choice", options=("none", "portrait")), ()),
    strength=(Domain("uniform", 0, 1), (Condition("lora", ("portrait",)),)),
    cfg=(Domain("randn", mean=7, sd=2), ()),
    width=(Domain("constant", options=(512,)), (Condition("lora", ("none",)),)),
)


def proposals(
    baseline: dict[str, Any], points: tuple[dict[str, Any], ...] = (), samples: int = 40
) -> BaselineFirst:
    task = SearcherContext(
        CONDITIONAL, ("max",), baseline, num_samples=samples, seed=3, parallel=False, points=points
    )
    inner = algorithms.build("tpe", {}, task)
    return BaselineFirst(inner, CONDITIONAL, baseline, limit=samples + 1, directions=["max"])


def score(values: dict[str, Any]) -> float:
    """Best is a portrait with a strength of 0.8 and a cfg of 5."""
    gain = 1 - abs(values["strength"] - 0.8) if "strength" in values else 0.3
    return float(gain - abs(values["cfg"] - 5) / 10)


def test_a_sampler_is_asked_only_for_what_counts_and_learns_from_it() -> None:
    searcher = proposals({"lora": "none", "cfg": 7.0, "width": 512})
    seen = []
    for number in range(41):
        values = searcher.suggest(str(number))["values"]
        assert CONDITIONAL.contains(values)
        assert ("strength" in values) == (values["lora"] == "portrait")
        seen.append((score(values), values))
        searcher.on_trial_complete(str(number), {"objective": score(values)})
    study: optuna.Study = searcher._inner._ot_study
    assert len(study.trials) == 41  # the baseline among them
    strength = next(key for key, name in neutral(CONDITIONAL).items() if name == "strength")
    for trial, (_, values) in zip(study.trials, seen, strict=True):
        assert (strength in trial.params) == ("strength" in values)
    late = [values["lora"] for _, values in seen[21:]]
    assert late.count("portrait") > 14
    best = max(seen, key=lambda pair: pair[0])
    assert best[0] > 0.8
    assert best[1]["lora"] == "portrait"


def test_points_come_first_with_only_what_counts() -> None:
    points = ({"lora": "portrait", "strength": 0.5, "cfg": 6.0}, {"lora": "none", "cfg": 5.0, "width": 512})
    searcher = proposals({"lora": "none", "cfg": 7.0, "width": 512}, points)
    first = [searcher.suggest(str(number))["values"] for number in range(3)][1:]
    assert [set(values) for values in first] == [set(point) for point in points]
    assert first[0]["strength"] == 0.5
    assert [values["cfg"] for values in first] == pytest.approx([6.0, 5.0])


def test_a_space_of_optuna_is_pickled_with_the_searcher() -> None:
    space = OptunaSpace(CONDITIONAL, {name: key for key, name in neutral(CONDITIONAL).items()})
    assert pickle.loads(pickle.dumps(space)).encode({"lora": "none"}) == {"p0": "none"}


def test_random_drops_what_does_not_count() -> None:
    task = SearcherContext(CONDITIONAL, ("max",), {"lora": "none", "cfg": 7.0}, num_samples=20, seed=1)
    searcher = BaselineFirst(
        algorithms.build("random", {}, task),
        CONDITIONAL,
        {"lora": "none", "cfg": 7.0},
        limit=21,
        directions=["max"],
    )
    for number in range(21):
        values = searcher.suggest(str(number))["values"]
        assert number == 0 or CONDITIONAL.contains(values)

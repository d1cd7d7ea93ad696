"""Algorithms and schedulers by name: what they take, what they refuse, and that they propose what lies in the
space.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit import WORKFLOW
from ray import tune
from ray.tune.schedulers import (
    ASHAScheduler,
    FIFOScheduler,
    PopulationBasedTraining,
    ResourceChangingScheduler,
)
from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch
from results_kit import search_of, trial_of

from pixaris.data_loaders.local import LocalDatasetLoader
from pixaris.exceptions import ConfigurationError, SearchFailedError
from pixaris.experiment_handlers.local import LocalExperimentHandler
from pixaris.generation.comfyui import ComfyGenerator
from pixaris.metrics.similarity import PSNRMetric, SSIMMetric
from pixaris.results.objective import Objective
from pixaris.results.report import objective_keys
from pixaris.search import Search, SearchResult
from pixaris.search.algorithms import factory as algorithms
from pixaris.search.algorithms import schedulers
from pixaris.search.algorithms.catalog import ALGORITHMS, SCHEDULERS
from pixaris.search.algorithms.factory import SearcherContext
from pixaris.search.algorithms.searchers import BaselineFirst
from pixaris.search.file.reader import Reader
from pixaris.search.file.strategies import read_strategy
from pixaris.search.file.yaml_file import Document
from pixaris.search.space.domain import KINDS, Domain
from pixaris.search.space.space import Parameter, Space, Target
from pixaris.types import Direction

DOMAINS = {
    "steps": Domain("randint", low=1, high=6),
    "amount": Domain("loguniform", low=0.01, high=1.0),
    "strength": Domain("quniform", low=0.2, high=0.8, q=0.1),
    "mode": Domain("choice", options=("normal", "screen", 3)),
    "value": Domain("uniform", low=0.0, high=1.0),
}
BASELINE: dict[str, Any] = {"steps": 1, "amount": 0.01, "strength": 0.2, "mode": "normal", "value": 0.0}
POINT: dict[str, Any] = {"steps": 5, "amount": 0.5, "strength": 0.8, "mode": 3, "value": 0.25}
LISTED = ("steps", "strength", "mode")


def space_of(*names: str) -> Space:
    return Space(tuple(Parameter(name, (Target("Node", name),), DOMAINS[name]) for name in names or DOMAINS))


def only(values: dict[str, Any], space: Space) -> dict[str, Any]:
    return {name: values[name] for name in space.names}


def proposed(
    name: str, space: Space, *, seed: int = 7, count: int = 12, many: bool = False, **options: Any
) -> list[dict[str, Any]]:
    """What an algorithm proposes, trial after trial, when larger steps score better; the baseline first."""
    directions: tuple[Direction, ...] = ("max", "min") if many else ("max",)
    point = only(POINT, space)
    task = SearcherContext(space, directions, only(BASELINE, space), count, seed, points=(point,))
    searcher = BaselineFirst(
        algorithms.build(name, options, task), space, task.baseline, limit=count + 1, directions=directions
    )
    found = []
    for number in range(count + 1):
        config = searcher.suggest(f"t{number}")
        if config == "FINISHED":
            break
        assert config["number"] == number
        found.append(config["values"])
        scores = (float(found[-1]["steps"]), float(number))
        result = {
            **dict(zip(objective_keys(len(directions)), scores, strict=False)),
            "training_iteration": 1,
            "items": 4,
        }
        searcher.on_trial_result(f"t{number}", result)
        searcher.on_trial_complete(f"t{number}", result)
    return found


NAMED = [
    ("grid", {}),
    ("random", {}),
    ("tpe", {"n_startup_trials": 3, "multivariate": True, "group": True}),
    ("optuna", {"sampler": "nsga-ii", "population_size": 4}),
    ("optuna", {"sampler": "QMC"}),
    ("optuna", {"sampler": "CmaEs", "n_startup_trials": 2}),
    ("hyperopt", {"n_initial_points": 3, "gamma": 0.3}),
    ("nevergrad", {"optimizer": "OnePlusOne"}),
]


@pytest.mark.parametrize(("name", "options"), NAMED)
def test_every_proposal_lies_in_the_space_points_come_first_and_a_seed_repeats_them(
    name: str, options: dict[str, Any]
) -> None:
    modules = ("cmaes",) if "CmaEs" in options.values() else ALGORITHMS[name].modules
    if any(importlib.util.find_spec(module) is None for module in modules):
        pytest.skip(f"{name} is not installed")
    space = space_of(*LISTED) if name == "grid" else space_of()
    found = proposed(name, space, **options)
    assert found[0] == only(BASELINE, space)
    assert found[1] == only(POINT, space)
    assert len(found) == 13
    for values in found:
        assert all(parameter.domain.contains(values[parameter.name]) for parameter in space.parameters), (
            values
        )
        assert all(type(value) in (int, float, str) for value in values.values())
    assert proposed(name, space, **options) == found


@pytest.mark.parametrize("name", ["zoopt", "bayesopt"])
def test_searchers_of_few_domains_propose_one_set_after_the_other(name: str) -> None:
    if any(importlib.util.find_spec(module) is None for module in ALGORITHMS[name].modules):
        pytest.skip(f"{name} is not installed")
    space = Space(
        (*space_of("value").parameters, Parameter("steps", (Target("Node", "steps"),), DOMAINS["strength"]))
    )
    task = SearcherContext(
        space, ("max",), {"value": 0.0, "steps": 0.2}, 12, 7, points=({"value": 0.25, "steps": 0.8},)
    )
    searcher = BaselineFirst(
        algorithms.build(name, {}, task), space, task.baseline, limit=13, directions=("max",)
    )
    for number in range(13):
        values = searcher.suggest(f"t{number}")["values"]
        assert number != 1 or values == task.points[0]
        assert space.contains(values)
        searcher.on_trial_complete(f"t{number}", {"objective": values["value"]})


class Scripted(Searcher):
    """Does what its script says, one word a suggestion."""

    def __init__(self, *script: Any) -> None:
        super().__init__(metric="objective", mode="max")
        self._script = list(script)

    def suggest(self, trial_id: str) -> Any:
        word = self._script.pop(0)
        if isinstance(word, Exception):
            raise word
        return word

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None: ...


def test_a_searcher_that_waits_for_nothing_or_fails_ends_the_search_with_its_name() -> None:
    space = space_of("value")
    searcher = BaselineFirst(
        Scripted(None, None, KeyError("p0")), space, {"value": 0.5}, limit=None, directions=("max",)
    )
    searcher.suggest("t0")
    assert searcher.suggest("t1") is None, "the baseline is under way"
    searcher.on_trial_complete("t0", {"objective": 1.0})
    with pytest.raises(
        SearchFailedError, match="Scripted proposes nothing after 1 trials, though none of them is under way"
    ):
        searcher.suggest("t1")
    with pytest.raises(SearchFailedError, match="Scripted failed after 1 trials: KeyError: 'p0'"):
        searcher.suggest("t1")


@pytest.mark.parametrize("name", ["grid", "random"])
def test_listed_sets_are_known_before_they_are_proposed(name: str) -> None:
    space = Space(
        tuple(Parameter(key, (Target("Node", key),), Domain("grid_search", options=(1, 2))) for key in "ab")
    )
    task = SearcherContext(space, ("max",), {"a": 2, "b": 1}, 1)
    searcher = BaselineFirst(
        algorithms.build(name, {}, task), space, task.baseline, limit=4, directions=("max",)
    )
    known = [{"number": number, "values": values} for number, values in enumerate(searcher.upcoming(10))]
    assert len(known) == 4
    assert known[:2] == [
        {"number": number, "values": values} for number, values in enumerate(searcher.upcoming(2))
    ]
    for number in range(4):
        assert searcher.suggest(f"t{number}") == known[number]
        assert searcher.upcoming(10) == [one["values"] for one in known[number + 1 :]]
    assert BaselineFirst(Scripted(), space, task.baseline, limit=4, directions=("max",)).upcoming(10) == []


@pytest.mark.parametrize("options", [{}, {"sampler": "NSGAIII"}])
def test_several_objectives_are_learnt_from(options: dict[str, Any]) -> None:
    name = "optuna" if options else "tpe"
    assert proposed(name, space_of(), many=True, count=15, **options) == proposed(
        name, space_of(), many=True, count=15, **options
    )


def test_the_baselines_scores_are_learnt_with_several_objectives() -> None:
    space = space_of()
    inner = algorithms.build("tpe", {}, SearcherContext(space, ("max", "min"), BASELINE, 5, 1))
    searcher = BaselineFirst(inner, space, BASELINE, limit=None, directions=("max", "min"))
    searcher.suggest("t0")
    searcher.on_trial_complete("t0", {"objective": 0.5, "objective_2": 3.0})
    assert [trial.values for trial in inner._ot_study.trials] == [[0.5, 3.0]]


def test_a_grid_moves_its_points_to_the_front_and_runs_no_set_twice() -> None:
    space = space_of(*LISTED)
    found = proposed("grid", space, count=200)
    assert len(found) == len({tuple(values.items()) for values in found}) == 5 * 7 * 3


def test_a_trial_that_ends_while_it_is_paused_teaches_its_last_report() -> None:
    space = space_of()
    inner = algorithms.build("tpe", {}, SearcherContext(space, ("max",), BASELINE, 5, 1))
    searcher = BaselineFirst(inner, space, BASELINE, limit=None, directions=("max",))
    searcher.suggest("t0")
    searcher.suggest("t1")
    searcher.on_trial_result("t1", {"objective": 0.25, "items": 2, "training_iteration": 1})
    searcher.on_trial_complete("t1")
    (trial,) = inner._ot_study.trials
    assert trial.value == 0.25
    assert trial.intermediate_values == {2: 0.25}, (
        "steps are items: Tune's calls begin anew when a search is resumed"
    )


@settings(deadline=None, max_examples=40)
@given(
    low=st.integers(-40, 40),
    steps=st.integers(1, 12),
    q=st.sampled_from([0.1, 0.25, 2, 3]),
    value=st.floats(-200, 200),
)
def test_what_a_searcher_draws_between_two_steps_becomes_a_step(
    low: int, steps: int, q: float, value: float
) -> None:
    domain = Domain("quniform", low=low * q, high=(low + steps) * q, q=q)
    space = Space((Parameter("p", (Target("N", "i"),), domain),))
    inner = algorithms.build("random", {}, SearcherContext(space, ("max",), {"p": low * q}))
    cleaned = BaselineFirst(inner, space, {"p": low * q}, limit=None, directions=("max",))._clean("p", value)
    assert domain.contains(cleaned)
    nearest = min(domain.values(), key=lambda step: abs(float(step) - value))
    assert abs(float(cleaned) - value) <= abs(float(nearest) - value) + 1e-9


def told(space: Space | None = None, objectives: int = 1, **fields: Any) -> list[str]:
    reader = Reader(Document({"search": fields}))
    read_strategy(reader, fields, space or space_of("steps", "mode"), objectives)
    return [str(problem) for problem in reader.problems]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"algorithm": {"type": "tpe", "n_start": 3}},
            ["search.algorithm.n_start: 'n_start' is no option of tpe", "takes n_startup"],
        ),
        (
            {"algorithm": {"type": "optuna", "sampler": "QMC", "scrambel": True}},
            ["did you mean 'scramble'", "takes sampler, qmc_type"],
        ),
        (
            {"algorithm": {"type": "optuna", "sampler": "CMAS"}},
            ["search.algorithm.sampler", "did you mean 'CmaEs'", "NSGAIII"],
        ),
        (
            {"algorithm": "hyperop"},
            ["search.algorithm: 'hyperop' is not known (did you mean 'hyperopt'?)", "bohb"],
        ),
        (
            {"algorithm": {"type": "tpe", "group": 1}},
            ["search.algorithm.group: must be true or false (got 1)"],
        ),
        (
            {"algorithm": "bohb_", "scheduler": "pbt"},
            ["'bohb_' is not known", "pbt changes a trial's parameters while it runs"],
        ),
        (
            {"scheduler": "pb2"},
            ["pb2 changes a trial's parameters while it runs", "known are race, fifo, asha"],
        ),
        ({"scheduler": "resource_changing"}, ["the endpoints do the work"]),
        (
            {"scheduler": {"type": "median", "grace_perod": 3}},
            ["'grace_perod' is no option of median (did you mean 'grace_period'?)"],
        ),
        ({"scheduler": {"type": "hyperband", "reduction_factor": 1}}, ["must be above 1 (got 1)"]),
        (
            {"scheduler": {"type": "asha", "hard_stop": True}},
            ["asha takes grace_period, reduction_factor, brackets"],
        ),
        ({"scheduler": "hb_bohb"}, ["bohb and hb_bohb belong together"]),
        (
            {"points_to_evaluate": [{"steps": 9, "mode": "normal"}]},
            ["points_to_evaluate.0.steps: must lie in randint [1, 6] (got 9)"],
        ),
        ({"points_to_evaluate": [{"steps": 2}]}, ["points_to_evaluate.0: lacks mode"]),
        (
            {"points_to_evaluate": [{"steps": 2, "mode": "normal", "mod": 1}]},
            ["'mod' is no known key (did you mean 'mode'?)"],
        ),
        (
            {"points_to_evaluate": {"steps": 2}},
            ["must be a list", "write points_to_evaluate: [{steps: ..., mode: ...}]"],
        ),
        (
            {"points_to_evaluate": [{"steps": True, "mode": "normal"}]},
            ["must lie in randint [1, 6] (got true)"],
        ),
        (
            {
                "num_samples": 1,
                "points_to_evaluate": [{"steps": 2, "mode": "normal"}, {"steps": 3, "mode": "normal"}],
            },
            ["search.num_samples: must be at least 2", "(got 1)"],
        ),
    ],
)
def test_what_does_not_fit_is_told_with_the_way_out(fields: dict[str, Any], words: list[str]) -> None:
    text = "\n".join(told(**fields))
    for word in words:
        assert word in text


@pytest.mark.parametrize("name", [name for name, strategy in ALGORITHMS.items() if strategy.modules])
def test_a_searcher_whose_package_is_missing_names_it(name: str) -> None:
    strategy = ALGORITHMS[name]
    if all(importlib.util.find_spec(module) for module in strategy.modules):
        pytest.skip(f"{name} is installed")
    scheduler = "hb_bohb" if name == "bohb" else "fifo"
    (message,) = told(space_of("value"), algorithm=name, scheduler=scheduler)
    assert message.startswith(f"search.algorithm: {name} needs the package")
    assert message.endswith(f"not installed here: pip install {strategy.packages}")


def test_every_name_of_tune_is_known_or_refused_with_words() -> None:
    from ray.tune.schedulers import SCHEDULER_IMPORT
    from ray.tune.search import SEARCH_ALG_IMPORT

    for name in SCHEDULER_IMPORT:
        assert "is not known" not in "".join(told(scheduler=name))
    for name in SEARCH_ALG_IMPORT:
        assert "is not known" not in "".join(told(algorithm=name))


def test_the_kinds_that_searchers_lack_are_kinds_of_tune() -> None:
    drawn = [strategy.draws for strategy in ALGORITHMS.values()]
    named = {kind for draws in drawn for kind in (*draws.lacks, *draws.only)}
    assert named - set(KINDS) <= {kind for kind in vars(tune) if kind.startswith(("q", "rand", "log"))}


def test_a_domain_that_an_algorithm_cannot_draw_from_is_told() -> None:
    strategy = ALGORITHMS["bayesopt"]
    if any(importlib.util.find_spec(module) is None for module in strategy.modules):
        assert "bayesopt needs the package bayes_opt" in told(space_of("mode"), algorithm="bayesopt")[0]
    text = "\n".join(told(space_of("mode", "value"), algorithm="bayesopt"))
    assert (
        "parameters.mode.choice: algorithm bayesopt cannot draw from choice; it draws from quniform, uniform"
        in text
    )


@pytest.mark.parametrize(
    ("field", "name"), [("scheduler", "asha"), ("scheduler", "median"), ("scheduler", "hyperband")]
)
def test_what_goes_by_one_objective_is_refused_with_several(field: str, name: str) -> None:
    (message,) = told(objectives=2, **{field: name})
    assert (
        message
        == f"search.{field}: {name} stops trials by one objective, and there are 2; with several use race,"
        " fifo"
    )
    assert told(objectives=2, algorithm="tpe", scheduler="fifo") == []


def test_the_sampler_cmaes_is_refused_with_several_objectives() -> None:
    if importlib.util.find_spec("cmaes") is None:
        pytest.skip("cmaes is not installed")
    with pytest.raises(ConfigurationError, match="CmaEs knows one objective"):
        algorithms.build(
            "optuna", {"sampler": "CmaEs"}, SearcherContext(space_of(), ("max", "min"), BASELINE)
        )


@pytest.mark.parametrize("name", SCHEDULERS)
def test_schedulers_count_items(name: str) -> None:
    scheduler = schedulers.build(name, {}, items=9, step=2, direction="max")
    if name not in ("fifo", "race"):
        assert scheduler._time_attr == "items"
        assert scheduler._metric == "objective"


def test_schedulers_that_pause_are_known() -> None:
    def pausing(name: str, **options: Any) -> bool:
        return schedulers.pauses(schedulers.build(name, options, items=9, step=2, direction="max"))

    assert pausing("hyperband")
    assert pausing("median", hard_stop=False)
    assert pausing("median", min_time_slice=4)
    assert not pausing("median")
    assert not pausing("asha")


def test_schedulers_that_make_no_sense_for_images_are_refused_as_objects_too() -> None:
    pbt = PopulationBasedTraining(hyperparam_mutations={"a": [1, 2]})
    with pytest.raises(ConfigurationError, match="PopulationBasedTraining changes a trial's parameters"):
        schedulers.take(pbt, direction="max", objectives=1)
    with pytest.raises(ConfigurationError, match="ResourceChangingScheduler changes a trial's CPUs"):
        schedulers.take(ResourceChangingScheduler(), direction="max", objectives=1)
    with pytest.raises(ConfigurationError, match="stops trials by one objective, and there are 2"):
        schedulers.take(ASHAScheduler(time_attr="items"), direction="max", objectives=2)
    fifo = FIFOScheduler()
    assert schedulers.take(fifo, direction="max", objectives=2) is fifo


def search(cells_loader: LocalDatasetLoader, tmp_path: Path, endpoints: list[str], **changes: Any) -> Search:
    settings: dict[str, Any] = {
        "data_loader": cells_loader,
        "image_generator": ComfyGenerator(WORKFLOW),
        "space": {
            "value": ("Threshold", "value", tune.uniform(0.1, 0.9)),
            "grow": ("Grow", "expand", tune.randint(-3, 4)),
        },
        "metrics": [SSIMMetric(reference="Mask"), PSNRMetric(reference="Mask")],
        "objective": ["ssim", "psnr"],
        "experiment_handler": LocalExperimentHandler(tmp_path),
        "endpoints": endpoints,
    }
    return Search(**{**settings, **changes})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"algorithm": "tpe", "algorithm_options": {"n_start": 3}}, "'n_start' is no option of tpe"),
        ({"scheduler": "asha"}, "asha stops trials by one objective, and there are 2"),
        ({"objective": ["ssim", "ssmi"]}, "'ssmi' is no score of this search (did you mean 'ssim'?)"),
        ({"objective": ["ssim", "ssim"]}, "names ssim twice"),
        ({"objective": []}, "name at least one score"),
        (
            {"space": {"value": ("Threshold", "value", 0.5)}},
            "all are constants, so every trial would be the same",
        ),
        (
            {"objective": "ssim", "scheduler": "asha", "scheduler_options": {"grace_period": 7}},
            "the eval set has 6, so no trial would be stopped; give it at most that (got 7)",
        ),
        ({"direction": "max"}, "with several objectives write {score: 'max' or 'min'}"),
        ({"direction": {"ssim": "up"}}, "must be max or min, of an objective (got 'ssim': 'up')"),
        ({"algorithm": OptunaSearch(), "algorithm_options": {"seed": 3}}, "belong to a named algorithm"),
        (
            {"algorithm": OptunaSearch(), "points_to_evaluate": [{"value": 0.5, "grow": 1}]},
            "give them to OptunaSearch itself",
        ),
        ({"points_to_evaluate": [{"value": 0.5, "grow": 7}]}, "must lie in randint [-3, 4] (got 7)"),
        (
            {"scheduler": PopulationBasedTraining(hyperparam_mutations={"a": [1]}), "algorithm": "optuna"},
            "changes a trial's par",
        ),
        (
            {"algorithm": "optuna", "algorithm_options": {"sampler": "NSGAII", "population_size": 1}},
            "search.algorithm optuna: `population_size` must be greater than or equal to 2",
        ),
    ],
)
def test_python_is_told_the_same(
    cells_loader: LocalDatasetLoader,
    endpoints: list[str],
    tmp_path: Path,
    changes: dict[str, Any],
    words: str,
) -> None:
    checked = search(cells_loader, tmp_path, endpoints, **changes).check()
    assert words in "\n".join(map(str, checked.problems))


def test_objectives_have_their_metrics_directions_unless_told(
    cells_loader: LocalDatasetLoader, endpoints: list[str], tmp_path: Path
) -> None:
    checked = search(cells_loader, tmp_path, endpoints, direction={"psnr": "min"}).check()
    assert checked.problems == ()
    assert checked.objectives == (Objective("ssim", "max"), Objective("psnr", "min"))


def result_of(*rows: tuple[float, float, int]) -> SearchResult:
    """A search for much `ssim` in few `seconds`: trials as (ssim, seconds, scored items)."""
    trials = [
        trial_of(n, {}, (ssim,) * items, ssim=ssim, seconds=seconds)
        for n, (ssim, seconds, items) in enumerate(rows)
    ]
    objectives = (Objective("ssim", "max"), Objective("seconds", "min"))
    return search_of(*trials, objectives=objectives)


def test_the_front_holds_what_nothing_beats_and_the_winner_is_in_it() -> None:
    result = result_of(
        (0.5, 1.0, 4), (0.9, 3.0, 4), (0.8, 3.5, 4), (0.9, 2.5, 4), (0.99, 0.1, 3), (0.5, 1.0, 4)
    )
    assert [trial.number for trial in result.pareto()] == [3, 0, 5]
    assert result.best is not None
    assert result.best.number == 3
    assert result.head()["pareto"] == ["trial_0003", "trial_0000", "trial_0005"]
    assert result_of().pareto() == []


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=25))
def test_every_trial_is_in_the_front_or_beaten_by_one_of_it(scores: list[tuple[int, int]]) -> None:
    result = result_of(*((float(a), float(b), 2) for a, b in scores))
    front = {trial.number for trial in result.pareto()}
    assert result.best is not None
    assert result.best.number in front

    def beats(one: tuple[int, int], other: tuple[int, int]) -> bool:
        return one != other and one[0] >= other[0] and one[1] <= other[1]

    for number, pair in enumerate(scores):
        assert (number in front) != any(beats(scores[one], pair) for one in front)

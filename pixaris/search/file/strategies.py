"""The search file's ``search``: algorithms and schedulers are one row each, which is all the file's reader
knows of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from pixaris.exceptions import Problem, nearest
from pixaris.search.file.reader import ComponentSpec, Reader, shown
from pixaris.search.file.strategy_options import FLAG, WHOLE, Option, options_of
from pixaris.search.file.yaml_file import Document, join
from pixaris.search.space.space import Space
from pixaris.types import ParamValue

DEFAULT_SAMPLES = 20
MAX_GRID = 100_000
_MAX_SEED = 2**32 - 1
_KEYS = ("algorithm", "num_samples", "scheduler", "seed", "step", "max_concurrent", "points_to_evaluate")
_NORMAL = frozenset(("randn", "qrandn"))
_NOT_OURS = frozenset(
    (
        "space",
        "dim_dict",
        "metric",
        "mode",
        "points_to_evaluate",
        "evaluated_rewards",
        "study_name",
        "verbose",
    )
)
"""Arguments of Tune's searchers that the search itself gives."""


@dataclass(frozen=True)
class Strategy:
    """What an algorithm or scheduler takes.

    Attributes:
        options: Option name to its form, where the table says them.
        homes: ``module:Class`` of the classes whose arguments are options too; the first one is the searcher.
        modules: What must be importable, and …
        packages: … what to install for it.
        continuous: It can draw from domains without a list of values.
        grid_search: It goes through every value of a grid_search domain.
        samples: It goes by ``num_samples``.
        lacks: Kinds of domain it cannot draw from.
        only: The only kinds of domain it can draw from; empty for all but `lacks`.
        seeded: The searcher's argument for the seed, or "".
        many: It knows several objectives.
    """

    options: Mapping[str, Option] = field(default_factory=dict)
    homes: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    packages: str = ""
    continuous: bool = True
    grid_search: bool = False
    samples: bool = True
    lacks: frozenset[str] = frozenset()
    only: frozenset[str] = frozenset()
    seeded: str = ""
    many: bool = False


def _tune(name: str, cls: str, *also: str) -> tuple[str, ...]:
    return (f"ray.tune.search.{name}.{name}_search:{cls}", *also)


ALGORITHMS: Mapping[str, Strategy] = {
    "grid": Strategy(continuous=False, grid_search=True, samples=False, many=True),
    "random": Strategy(grid_search=True, many=True),
    "tpe": Strategy(
        {
            "n_startup_trials": WHOLE,
            "n_ei_candidates": WHOLE,
            "multivariate": FLAG,
            "group": FLAG,
            "prior_weight": Option("number", above=0),
        },
        many=True,
    ),
    "optuna": Strategy({"sampler": Option("text")}, many=True),
    "hyperopt": Strategy(
        homes=_tune("hyperopt", "HyperOptSearch"),
        modules=("hyperopt",),
        packages="hyperopt",
        seeded="random_state_seed",
    ),
    "bayesopt": Strategy(
        homes=_tune("bayesopt", "BayesOptSearch"),
        modules=("bayes_opt",),
        packages="bayesian-optimization==1.4.3",
        only=frozenset(("uniform", "quniform")),
        seeded="random_state",
    ),
    "ax": Strategy(
        homes=_tune("ax", "AxSearch", "ax.service.ax_client:AxClient"),
        modules=("ax",),
        packages="ax-platform",
        lacks=_NORMAL,
        seeded="random_seed",
    ),
    "nevergrad": Strategy(
        {"optimizer": Option("text")},
        homes=_tune("nevergrad", "NevergradSearch"),
        modules=("nevergrad",),
        packages="nevergrad",
        lacks=_NORMAL,
    ),
    "zoopt": Strategy(
        homes=_tune("zoopt", "ZOOptSearch"),
        modules=("zoopt",),
        packages="zoopt",
        only=frozenset(("choice", "constant", "uniform", "quniform", "randint", "qrandint")),
    ),
    "hebo": Strategy(
        homes=_tune("hebo", "HEBOSearch", "hebo.optimizers.hebo:HEBO"),
        modules=("hebo", "torch"),
        packages="HEBO",
        lacks=_NORMAL,
        seeded="random_state_seed",
    ),
    "bohb": Strategy(
        homes=_tune("bohb", "TuneBOHB"),
        modules=("hpbandster", "ConfigSpace"),
        packages="hpbandster ConfigSpace",
        lacks=_NORMAL,
        seeded="seed",
    ),
}

SCHEDULERS: Mapping[str, Strategy] = {
    "fifo": Strategy(many=True),
    "asha": Strategy(
        {"grace_period": WHOLE, "reduction_factor": Option("number", above=1), "brackets": WHOLE}
    ),
    "median": Strategy(
        {
            "grace_period": WHOLE,
            "min_samples_required": WHOLE,
            "min_time_slice": Option("whole", at_least=0),
            "hard_stop": FLAG,
        }
    ),
    "hyperband": Strategy({"reduction_factor": Option("number", above=1)}),
    "hb_bohb": Strategy({"reduction_factor": Option("number", above=1)}),
}
ALIASES: Mapping[str, str] = {
    "async_hyperband": "asha",
    "asynchyperband": "asha",
    "median_stopping_rule": "median",
    "medianstopping": "median",
    "variant_generator": "random",
}
"""Ray Tune's other names for rows of these tables."""

REFUSED: Mapping[str, str] = {
    **dict.fromkeys(
        ("pbt", "pbt_replay", "pb2"),
        "changes a trial's parameters while it runs, and here a trial is one parameter set over the eval set,"
        " so that its images can be compared",
    ),
    "resource_changing": "changes a trial's CPUs and GPUs while it runs, and here the endpoints do the work",
}
"""Schedulers of Ray Tune that make no sense for images, and why."""


@dataclass(frozen=True)
class SearchOptions:
    """How the space is searched.

    Attributes:
        algorithm: A row of `ALGORITHMS`.
        scheduler: A row of `SCHEDULERS`.
        num_samples: Trials to run; 1 for an algorithm that goes through the whole grid.
        seed: Of the algorithm and of the items' order.
        step: Images between two reports of a trial, or None for a default.
        max_concurrent: Trials at once, or None for as many as keep the endpoints busy.
        points_to_evaluate: Parameter sets to try first.
    """

    algorithm: ComponentSpec
    scheduler: ComponentSpec
    num_samples: int = DEFAULT_SAMPLES
    seed: int | None = None
    step: int | None = None
    max_concurrent: int | None = None
    points_to_evaluate: tuple[Mapping[str, ParamValue], ...] = ()


def read_search_options(reader: Reader, value: object, space: Space, objectives: int = 1) -> SearchOptions:
    """The section ``search``; space and objectives decide what algorithm and scheduler may be."""
    fields = reader.section("search", value, _KEYS)
    kinds = {parameter.domain.kind for parameter in space.parameters}
    default = "grid" if kinds == {"grid_search"} else "tpe"
    before = len(reader.problems)
    algorithm = _strategy(reader, "search.algorithm", fields.get("algorithm", default), ALGORITHMS)
    sound = len(reader.problems) == before
    scheduler = _strategy(reader, "search.scheduler", fields.get("scheduler", "fifo"), SCHEDULERS)
    samples = reader.whole("search.num_samples", fields.get("num_samples", 1), at_least=1)
    points = _points(reader, fields.get("points_to_evaluate", []), space)
    if (strategy := ALGORITHMS.get(algorithm.type)) is not None:
        _fits_space(reader, algorithm.type, strategy, space)
        if "num_samples" in fields and not strategy.samples and samples not in (None, 1):
            reader.tell(
                "search.num_samples",
                f"has no meaning with {algorithm.type}, which runs every set once; remove it",
            )
        if not strategy.samples:
            samples = 1
        elif "num_samples" not in fields:
            samples = DEFAULT_SAMPLES
        if strategy.samples and samples is not None and len(points) > samples:
            needed = (
                f"must be at least {len(points)}, as many as search.points_to_evaluate has (got {samples})"
            )
            reader.tell("search.num_samples", needed)
    _fit_each_other(reader, algorithm.type, scheduler.type, objectives)
    return SearchOptions(
        algorithm=algorithm if sound else ComponentSpec("tpe"),  # what is wrong with it is told once
        scheduler=scheduler,
        num_samples=samples or 1,
        seed=reader.whole("search.seed", fields["seed"], at_most=_MAX_SEED) if "seed" in fields else None,
        step=reader.whole("search.step", fields["step"], at_least=1) if "step" in fields else None,
        max_concurrent=(
            reader.whole("search.max_concurrent", fields["max_concurrent"], at_least=1)
            if "max_concurrent" in fields
            else None
        ),
        points_to_evaluate=points,
    )


def problems_of(fields: Mapping[str, Any], space: Space, objectives: int = 1) -> list[Problem]:
    """What is wrong with the same settings given in Python.

    Args:
        fields: As in the section ``search``; a strategy given as an object is absent.
        space: The search space.
        objectives: How many there are.
    """
    reader = Reader(Document({"search": fields}))
    read_search_options(reader, dict(fields), space, objectives)
    return reader.problems


def _strategy(reader: Reader, path: str, value: object, known: Mapping[str, Strategy]) -> ComponentSpec:
    component = reader.component(path, value)
    name = ALIASES.get(component.type, component.type)
    where = join(path, "type") if isinstance(value, dict) else path
    if name in REFUSED and known is SCHEDULERS:
        reader.tell(where, f"{name} {REFUSED[name]}; known are {', '.join(known)}")
        return component
    if name not in known:
        if name:
            reader.tell(
                where, f"{shown(name)} is not known{nearest(name, known)}; known are {', '.join(known)}"
            )
        return component
    strategy = known[name]
    missing = [module for module in strategy.modules if find_spec(module) is None]
    if missing:
        reader.tell(where, _needs(name, missing, strategy.packages))
        return component
    forms = strategy_options(name, strategy, component.options)
    options = {}
    if component.options:
        takes = tuple(forms) or ("no options",)
        for key, given in component.options.items():
            if key not in forms:
                hint = f"{nearest(str(key), forms)}; {name} takes {', '.join(takes)}"
                reader.tell(join(path, str(key)), f"{shown(key)} is no option of {name}{hint}")
            elif given is not None and (read := forms[key].read(reader, join(path, key), given)) is not None:
                options[key] = read
    if name == "optuna":
        _sampler(reader, path, component.options)
    return ComponentSpec(name, options, component.where)


def strategy_options(name: str, strategy: Strategy, given: Mapping[str, Any]) -> dict[str, Option]:
    """Every option a strategy takes; those of Ray's and others' classes are asked for only where some are
    given.
    """
    if name == "optuna":
        sampler = sampler_name(str(given.get("sampler", "TPE")))
        found = options_of((f"optuna.samplers:{sampler}",), ("seed",)) if sampler else {}
        return {**strategy.options, **found}
    if not (given and strategy.homes):
        return dict(strategy.options)
    return {**strategy.options, **options_of(strategy.homes, _NOT_OURS)}


SAMPLERS = (
    "TPESampler",
    "CmaEsSampler",
    "GPSampler",
    "NSGAIISampler",
    "NSGAIIISampler",
    "QMCSampler",
    "RandomSampler",
)
"""Optuna's samplers that need no objects of the caller's."""
_SAMPLER_MODULES: Mapping[str, tuple[str, str]] = {
    "CmaEsSampler": ("cmaes", "cmaes"),
    "GPSampler": ("torch", "torch"),
}


def sampler_name(text: str) -> str:
    """Optuna's class for what a user calls it (``CmaEs``, ``cmaes``, ``CmaEsSampler``), or ""."""
    wanted = text.lower().replace("-", "").replace("_", "").removesuffix("sampler")
    return next((name for name in SAMPLERS if name.lower().removesuffix("sampler") == wanted), "")


def _sampler(reader: Reader, path: str, given: Mapping[str, Any]) -> None:
    text = str(given.get("sampler", "TPE"))
    name, where = sampler_name(text), join(path, "sampler")
    if not name:
        known = [sampler.removesuffix("Sampler") for sampler in SAMPLERS]
        reader.tell(where, f"{shown(text)} is not known{nearest(text, known)}; known are {', '.join(known)}")
        return
    module, package = _SAMPLER_MODULES.get(name, ("", ""))
    if module and find_spec(module) is None:
        reader.tell(where, _needs(name, [module], package))


def _needs(name: str, modules: Sequence[str], packages: str) -> str:
    one = "package" if len(modules) == 1 else "packages"
    return f"{name} needs the {one} {' and '.join(modules)}, not installed here: pip install {packages}"


def _fits_space(reader: Reader, name: str, strategy: Strategy, space: Space) -> None:
    """What the algorithm asks of the domains."""
    for parameter in space.parameters:
        kind = parameter.domain.kind
        path = f"parameters.{parameter.name}.{kind}"
        if not strategy.continuous and parameter.domain.size() is None:
            reader.tell(
                path,
                f"is continuous, and algorithm {name} needs a list of values; use choice or quniform, or"
                " algorithm random",
            )
        if not strategy.grid_search and kind == "grid_search":
            reader.tell(
                path, f"belongs to the algorithms grid and random, and {name} draws samples; use choice"
            )
        elif kind in strategy.lacks or (strategy.only and kind not in strategy.only):
            can = f"it draws from {', '.join(sorted(strategy.only))}" if strategy.only else "most others can"
            reader.tell(
                path, f"algorithm {name} cannot draw from {kind}; {can}; use another domain, or algorithm tpe"
            )
    if not strategy.samples and (size := space.size() or 0) > MAX_GRID:
        reader.tell(
            "parameters",
            f"make a grid of {size:,} sets (at most {MAX_GRID:,}); use fewer values, or algorithm random",
        )


def _fit_each_other(reader: Reader, algorithm: str, scheduler: str, objectives: int) -> None:
    if (
        (algorithm == "bohb") != (scheduler == "hb_bohb")
        and algorithm in ALGORITHMS
        and scheduler in SCHEDULERS
    ):
        reader.tell(
            "search.scheduler",
            f"bohb and hb_bohb belong together (got algorithm {algorithm}, scheduler {scheduler})",
        )
    if objectives < 2:
        return
    for path, name, known in (("algorithm", algorithm, ALGORITHMS), ("scheduler", scheduler, SCHEDULERS)):
        if name in known and not known[name].many:
            able = ", ".join(other for other, strategy in known.items() if strategy.many)
            does = "learns from" if known is ALGORITHMS else "stops trials by"
            reader.tell(
                f"search.{path}",
                f"{name} {does} one objective, and there are {objectives}; with several use {able}",
            )


def _points(reader: Reader, value: object, space: Space) -> tuple[Mapping[str, ParamValue], ...]:
    """The parameter sets to try first, held against the space; each once."""
    names = space.names
    points: dict[Any, dict[str, ParamValue]] = {}
    hint = f"write points_to_evaluate: [{{{', '.join(f'{name}: ...' for name in names)}}}]"
    for index, entry in enumerate(reader.items("search.points_to_evaluate", value, hint)):
        path = join("search.points_to_evaluate", index)
        fields = reader.section(path, entry, names)
        if missing := space.lacking(fields):
            if isinstance(entry, dict):
                reader.tell(
                    path, f"lacks {', '.join(missing)}; a point has a value for every parameter that counts"
                )
            continue
        point = {}
        counting = space.active(fields)
        for parameter in (one for one in space.parameters if one.name in counting):
            given, domain = counting[parameter.name], parameter.domain
            if not isinstance(given, str | int | float) or not domain.contains(given):
                reader.tell(
                    join(path, parameter.name), f"must lie in {domain.describe()} (got {shown(given)})"
                )
            else:
                point[parameter.name] = domain.clean(given)
        if len(point) == len(counting):
            points.setdefault(tuple((name, type(value), value) for name, value in point.items()), point)
    return tuple(points.values())

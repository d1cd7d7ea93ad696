"""The search file's ``search``: algorithms and schedulers are one row each, which is all the file's reader knows of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pixaris.exceptions import nearest
from pixaris.search.read import ComponentSpec, Reader, shown
from pixaris.search.space import Space
from pixaris.search.yaml_file import join

DEFAULT_SAMPLES = 20
MAX_GRID = 100_000
_MAX_SEED = 2**32 - 1
_KEYS = ("algorithm", "num_samples", "scheduler", "seed", "step", "max_concurrent")


@dataclass(frozen=True)
class Option:
    """A number an algorithm or scheduler takes.

    Attributes:
        at_least: Its smallest value (for fractions: the value it must be above).
        whole: It is a whole number.
    """

    at_least: int = 1
    whole: bool = True


@dataclass(frozen=True)
class Strategy:
    """What an algorithm or scheduler takes.

    Attributes:
        options: Option name to its limits.
        continuous: It can draw from domains without a list of values.
        grid_search: It goes through every value of a grid_search domain.
        samples: It goes by ``num_samples``.
    """

    options: Mapping[str, Option] = field(default_factory=dict)
    continuous: bool = True
    grid_search: bool = False
    samples: bool = True


ALGORITHMS: Mapping[str, Strategy] = {
    "grid": Strategy(continuous=False, grid_search=True, samples=False),
    "random": Strategy(grid_search=True),
    "tpe": Strategy({"n_startup_trials": Option(), "n_ei_candidates": Option()}),
}

SCHEDULERS: Mapping[str, Strategy] = {
    "fifo": Strategy(),
    "asha": Strategy({"grace_period": Option(), "reduction_factor": Option(whole=False), "brackets": Option()}),
}


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
    """

    algorithm: ComponentSpec
    scheduler: ComponentSpec
    num_samples: int = DEFAULT_SAMPLES
    seed: int | None = None
    step: int | None = None
    max_concurrent: int | None = None


def read_search_options(reader: Reader, value: object, space: Space) -> SearchOptions:
    """The section ``search``; the space decides what the algorithm may be."""
    fields = reader.section("search", value, _KEYS)
    kinds = {parameter.domain.kind for parameter in space.parameters}
    default = "grid" if kinds == {"grid_search"} else "tpe"
    algorithm = _strategy(reader, "search.algorithm", fields.get("algorithm", default), ALGORITHMS)
    scheduler = _strategy(reader, "search.scheduler", fields.get("scheduler", "fifo"), SCHEDULERS)
    samples = reader.whole("search.num_samples", fields.get("num_samples", 1), at_least=1)
    if (strategy := ALGORITHMS.get(algorithm.type)) is not None:
        _fits_space(reader, algorithm.type, strategy, space)
        if "num_samples" in fields and not strategy.samples and samples not in (None, 1):
            reader.tell("search.num_samples", f"has no meaning with {algorithm.type}, which runs every set once; remove it")
        if not strategy.samples:
            samples = 1
        elif "num_samples" not in fields:
            samples = DEFAULT_SAMPLES
    return SearchOptions(
        algorithm=algorithm,
        scheduler=scheduler,
        num_samples=samples or 1,
        seed=reader.whole("search.seed", fields["seed"], at_most=_MAX_SEED) if "seed" in fields else None,
        step=reader.whole("search.step", fields["step"], at_least=1) if "step" in fields else None,
        max_concurrent=reader.whole("search.max_concurrent", fields["max_concurrent"], at_least=1)
        if "max_concurrent" in fields
        else None,
    )


def _strategy(reader: Reader, path: str, value: object, known: Mapping[str, Strategy]) -> ComponentSpec:
    component = reader.component(path, value)
    if component.type not in known:
        if component.type:
            where = join(path, "type") if isinstance(value, dict) else path
            reader.tell(
                where, f"{shown(component.type)} is not known{nearest(component.type, known)}; known are {', '.join(known)}"
            )
        return component
    limits = known[component.type].options
    options = {}
    for name, given in reader.section(path, dict(component.options), tuple(limits)).items():
        where, limit = join(path, name), limits[name]
        number = reader.whole(where, given, limit.at_least) if limit.whole else reader.above(where, given, limit.at_least)
        if number is not None:
            options[name] = number
    return ComponentSpec(component.type, options, component.where)


def _fits_space(reader: Reader, name: str, strategy: Strategy, space: Space) -> None:
    """What the algorithm asks of the domains."""
    for parameter in space.parameters:
        path = f"parameters.{parameter.name}.{parameter.domain.kind}"
        if not strategy.continuous and parameter.domain.size() is None:
            reader.tell(
                path, f"is continuous, and algorithm {name} needs a list of values; use choice or quniform, or algorithm random"
            )
        if not strategy.grid_search and parameter.domain.kind == "grid_search":
            reader.tell(path, f"belongs to the algorithms grid and random, and {name} draws samples; use choice")
    if not strategy.samples and (size := space.size() or 0) > MAX_GRID:
        reader.tell("parameters", f"make a grid of {size:,} sets (at most {MAX_GRID:,}); use fewer values, or algorithm random")

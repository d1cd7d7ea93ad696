"""The search file's ``search``: how the space is searched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from pixaris.exceptions import ConfigurationError, nearest
from pixaris.results.records import SearchResult
from pixaris.search.algorithms.catalog import (
    ALGORITHMS,
    ALIASES,
    REFUSED,
    SAMPLER_MODULES,
    SAMPLERS,
    SCHEDULERS,
    AlgorithmInfo,
    sampler_name,
    strategy_options,
)
from pixaris.search.algorithms.guided import AUTO, GP
from pixaris.search.algorithms.racing import RACE
from pixaris.search.file.reader import ComponentSpec, Reader, located, shown
from pixaris.search.file.schema.keys import EARLIER, SEARCH, TOP, key_of, names, read_values
from pixaris.search.file.yaml_file import join
from pixaris.search.settings import DEFAULT_SAMPLES, Choice, StrategySettings
from pixaris.search.space.space import Space
from pixaris.types import ParamValue

MAX_GRID = 100_000


def read_strategy(
    reader: Reader, value: object, space: Space, objectives: int = 1, folder: Path = Path()
) -> StrategySettings:
    """The section ``search``; space and objectives decide what algorithm and scheduler may be. Names of
    earlier searches start at the folder.
    """
    fields = reader.section("search", value, names(SEARCH))
    kinds = {parameter.domain.kind for parameter in space.parameters}
    if kinds == {"grid_search"}:
        default = "grid"
    else:
        default = AUTO
    before = len(reader.problems)
    algorithm = _strategy(reader, "search.algorithm", fields.get("algorithm", default), ALGORITHMS)
    sound = len(reader.problems) == before
    scheduler = _strategy(reader, "search.scheduler", fields.get("scheduler", RACE), SCHEDULERS)
    values = read_values(reader, "search", fields, SEARCH)
    samples: int | None = values.get("num_samples") if "num_samples" in fields else 1
    points = _points(reader, fields.get("points_to_evaluate", []), space, folder)
    if (strategy := ALGORITHMS.get(algorithm.type)) is not None:
        _fits_space(reader, algorithm.type, strategy, space)
        if "num_samples" in fields and not strategy.samples and samples not in (None, 1):
            reader.add_problem(
                "search.num_samples",
                f"has no meaning with {algorithm.type}, which runs every set once; remove it",
            )
        if not strategy.samples:
            samples = 1
        elif "num_samples" not in fields:
            if algorithm.type in (AUTO, GP):
                samples = None
            else:
                samples = DEFAULT_SAMPLES
        if strategy.samples and samples is not None and len(points) > samples:
            needed = (
                f"must be at least {len(points)}, as many as search.points_to_evaluate has (got {samples})"
            )
            reader.add_problem("search.num_samples", needed)
    _fit_each_other(reader, algorithm.type, scheduler.type, objectives)
    return StrategySettings(
        algorithm=_choice(algorithm) if sound else Choice(AUTO),  # what is wrong with it is told once
        scheduler=_choice(scheduler),
        num_samples=samples if samples or algorithm.type in (AUTO, GP) else 1,
        seed=values.get("seed"),
        step=values.get("step"),
        max_concurrent=values.get("max_concurrent"),
        points_to_evaluate=points,
    )


def _choice(component: ComponentSpec) -> Choice:
    return Choice(component.type, component.options)


def _strategy(reader: Reader, path: str, value: object, known: Mapping[str, AlgorithmInfo]) -> ComponentSpec:
    component = reader.component(path, value)
    name = ALIASES.get(component.type, component.type)
    if isinstance(value, dict):
        where = join(path, "type")
    else:
        where = path
    if name in REFUSED and known is SCHEDULERS:
        reader.add_problem(where, f"{name} {REFUSED[name]}; known are {', '.join(known)}")
        return component
    if name not in known:
        if name:
            reader.add_problem(
                where, f"{shown(name)} is not known{nearest(name, known)}; known are {', '.join(known)}"
            )
        return component
    strategy = known[name]
    missing = [module for module in strategy.modules if find_spec(module) is None]
    if missing:
        reader.add_problem(where, _needs(name, missing, strategy.packages))
        return component
    forms = strategy_options(name, strategy, component.options)
    options = {}
    if component.options:
        takes = tuple(forms) or ("no options",)
        for key, given in component.options.items():
            if key not in forms:
                hint = f"{nearest(str(key), forms)}; {name} takes {', '.join(takes)}"
                reader.add_problem(join(path, str(key)), f"{shown(key)} is no option of {name}{hint}")
            elif given is not None and (read := forms[key].read(reader, join(path, key), given)) is not None:
                options[key] = read
    if name == "optuna":
        _sampler(reader, path, component.options)
    return ComponentSpec(name, options, component.where)


def _sampler(reader: Reader, path: str, given: Mapping[str, object]) -> None:
    text = str(given.get("sampler", "TPE"))
    name, where = sampler_name(text), join(path, "sampler")
    if not name:
        known = [sampler.removesuffix("Sampler") for sampler in SAMPLERS]
        reader.add_problem(
            where, f"{shown(text)} is not known{nearest(text, known)}; known are {', '.join(known)}"
        )
        return
    module, package = SAMPLER_MODULES.get(name, ("", ""))
    if module and find_spec(module) is None:
        reader.add_problem(where, _needs(name, [module], package))


def _needs(name: str, modules: Sequence[str], packages: str) -> str:
    if len(modules) == 1:
        one = "package"
    else:
        one = "packages"
    return f"{name} needs the {one} {' and '.join(modules)}, not installed here: pip install {packages}"


def _fits_space(reader: Reader, name: str, strategy: AlgorithmInfo, space: Space) -> None:
    """What the algorithm asks of the domains."""
    draws = strategy.draws
    for parameter in space.parameters:
        kind = parameter.domain.kind
        path = f"parameters.{parameter.name}.{kind}"
        if not draws.continuous and parameter.domain.size() is None:
            reader.add_problem(
                path,
                f"is continuous, and algorithm {name} needs a list of values; use choice or quniform, or"
                " algorithm random",
            )
        if not draws.grid_search and kind == "grid_search":
            reader.add_problem(
                path, f"belongs to the algorithms grid and random, and {name} draws samples; use choice"
            )
        elif not draws.can(kind):
            if draws.only:
                can = f"it draws from {', '.join(sorted(draws.only))}"
            else:
                can = "most others can"
            reader.add_problem(
                path, f"algorithm {name} cannot draw from {kind}; {can}; use another domain, or algorithm tpe"
            )
    if not strategy.samples and (size := space.size() or 0) > MAX_GRID:
        reader.add_problem(
            "parameters",
            f"make a grid of {size:,} sets (at most {MAX_GRID:,}); use fewer values, or algorithm random",
        )


def _fit_each_other(reader: Reader, algorithm: str, scheduler: str, objectives: int) -> None:
    if (
        (algorithm == "bohb") != (scheduler == "hb_bohb")
        and algorithm in ALGORITHMS
        and scheduler in SCHEDULERS
    ):
        reader.add_problem(
            "search.scheduler",
            f"bohb and hb_bohb belong together (got algorithm {algorithm}, scheduler {scheduler})",
        )
    if objectives < 2:
        return
    for path, name, known in (("algorithm", algorithm, ALGORITHMS), ("scheduler", scheduler, SCHEDULERS)):
        if name in known and not known[name].many:
            able = ", ".join(other for other, strategy in known.items() if strategy.many)
            if known is ALGORITHMS:
                does = "learns from"
            else:
                does = "stops trials by"
            reader.add_problem(
                f"search.{path}",
                f"{name} {does} one objective, and there are {objectives}; with several use {able}",
            )


def _points(
    reader: Reader, value: object, space: Space, folder: Path
) -> tuple[Mapping[str, ParamValue], ...]:
    """The parameter sets to try first, held against the space; each once."""
    if isinstance(value, dict) and _names_a_search(value):
        return _points_of_search(reader, value, space, folder)
    names = space.names
    points: dict[object, dict[str, ParamValue]] = {}
    hint = f"write points_to_evaluate: [{{{', '.join(f'{name}: ...' for name in names)}}}]"
    for index, entry in enumerate(reader.items("search.points_to_evaluate", value, hint)):
        path = join("search.points_to_evaluate", index)
        fields = reader.section(path, entry, names)
        if missing := space.lacking(fields):
            if isinstance(entry, dict):
                reader.add_problem(
                    path, f"lacks {', '.join(missing)}; a point has a value for every parameter that counts"
                )
            continue
        point = {}
        counting = space.active(fields)
        for parameter in (one for one in space.parameters if one.name in counting):
            given, domain = counting[parameter.name], parameter.domain
            if not isinstance(given, str | int | float) or not domain.contains(given):
                reader.add_problem(
                    join(path, parameter.name), f"must lie in {domain.describe()} (got {shown(given)})"
                )
            else:
                point[parameter.name] = domain.clean(given)
        if len(point) == len(counting):
            points.setdefault(tuple((name, type(value), value) for name, value in point.items()), point)
    return tuple(points.values())


def _names_a_search(value: dict[object, object]) -> bool:
    """Whether that is an earlier search, perhaps misspelt, and no single set."""
    keys = names(EARLIER)
    return any(key in keys or nearest(str(key), keys) for key in value)


def _points_of_search(
    reader: Reader, value: dict[object, object], space: Space, folder: Path
) -> tuple[Mapping[str, ParamValue], ...]:
    """The best sets of an earlier search, as far as they are sets of this space."""
    path = "search.points_to_evaluate"
    fields = reader.section(path, value, names(EARLIER))
    if not reader.required(path, fields, "from", "write {from: local_results/demo/restore, top: 5}"):
        return ()
    top = read_values(reader, path, fields, [key_of(EARLIER, "top")]).get("top", TOP)
    where = located(reader, f"{path}.from", reader.text(f"{path}.from", fields["from"]), folder)
    try:
        ranking = SearchResult.load(where).ranking()
    except ConfigurationError as error:
        reader.add_problem(f"{path}.from", str(error))
        return ()
    best = [trial for trial in ranking if trial.number != 0][:top]
    points: list[Mapping[str, ParamValue]] = []
    for trial in best:
        fitting = _fitting(trial.values, space)
        if fitting is not None and fitting not in points:
            points.append(fitting)
    if not points:
        rule = "each needs a value of every parameter, within its domain"
        few = f"has no set of this space among its {len(best)} best: {rule}"
        reader.add_problem(f"{path}.from", few)
    return tuple(points)


def _fitting(values: Mapping[str, ParamValue], space: Space) -> dict[str, ParamValue] | None:
    """What of another search's set is a set of this space; None where it is none."""
    known = {name: value for name, value in values.items() if name in space.names}
    if space.lacking(known):
        return None
    counting = space.active(known)
    domains = {parameter.name: parameter.domain for parameter in space.parameters}
    fits = all(name in known and domains[name].contains(known[name]) for name in counting)
    if fits:
        return {name: domains[name].clean(known[name]) for name in counting}
    return None

"""The search file's ``metrics`` and ``objective``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import get_args

from pixaris.exceptions import nearest
from pixaris.results.ranking import FailurePolicy
from pixaris.search.file.reader import ComponentSpec, Reader, shown
from pixaris.search.file.schema.keys import OBJECTIVE, names
from pixaris.search.file.yaml_file import join
from pixaris.search.objectives import choose_one
from pixaris.search.settings import ObjectiveSettings
from pixaris.types import Direction

_RESOURCES = ("seconds", "cost")
_SCORE_IS_TYPE = frozenset(("ssim", "psnr", "mae", "iou", *_RESOURCES))
"""Metrics whose only score has their own name; of others, the score names are known only once they are
built.
"""


def read_metrics(
    reader: Reader, fields: Mapping[str, object], *, required: bool
) -> tuple[ComponentSpec, ...]:
    example = "metrics: [{type: ssim, reference: Original}]"
    if "metrics" not in fields and not required:
        return ()
    if not reader.has(fields, "metrics", example):
        return ()
    if fields["metrics"] == []:
        reader.add_problem("metrics", f"needs at least one metric; write {example}")
    entries = reader.items("metrics", fields["metrics"], f"write {example}")
    return tuple(reader.component(join("metrics", index), entry) for index, entry in enumerate(entries))


def with_resources(metrics: Sequence[ComponentSpec], objective: object) -> tuple[ComponentSpec, ...]:
    """The metrics, with ``seconds`` or ``cost`` added where the objective names them: they need no
    options.
    """
    types = [metric.type for metric in metrics]
    if isinstance(objective, list):
        entries = objective
    else:
        entries = [objective]
    named = [entry.get("metric") if isinstance(entry, dict) else entry for entry in entries]
    if any(":" in one for one in types):  # the user's own metric may give such a score
        return tuple(metrics)
    return (
        *metrics,
        *(
            ComponentSpec(name, where="objective")
            for name in _RESOURCES
            if name in named and name not in types
        ),
    )


def read_objective(
    reader: Reader, fields: Mapping[str, object], metrics: Sequence[ComponentSpec], *, required: bool
) -> ObjectiveSettings:
    """The section ``objective``; without names where there is none, or none that can be read."""
    types = [metric.type for metric in metrics if metric.type]
    example = f"objective: {{metric: {types[0] if types else 'ssim'}}}"
    if "objective" not in fields:
        if required:
            if types:
                missing = choose_one(types)
            else:
                missing = f"is missing; write {example}"
            reader.add_problem("objective", missing)
        return ObjectiveSettings()
    if not reader.has(fields, "objective", example):
        return ObjectiveSettings()
    value = fields["objective"]
    if value == []:
        reader.add_problem("objective", f"needs at least one score; write {example}")
    entries = {"objective": value}
    if isinstance(value, list):
        entries = {join("objective", index): entry for index, entry in enumerate(value)}
    names: list[str] = []
    given: dict[str, Direction] = {}
    failures: FailurePolicy = "skip"
    for path, entry in entries.items():
        if isinstance(entry, dict) and "failures" in entry:
            failures = _failures(reader, join(path, "failures"), entry["failures"], first=not names)
        name, direction = _score(reader, path, entry, types)
        if name in names:
            reader.add_problem(path, f"names {shown(name)} twice; keep one of them")
        elif name:
            names.append(name)
        if name and direction is not None:
            given[name] = direction
    return ObjectiveSettings(tuple(names), given, failures)


def _score(reader: Reader, path: str, value: object, types: Sequence[str]) -> tuple[str, Direction | None]:
    """A score's name, "" where it cannot be read, and its direction where one is given."""
    direction = None
    if isinstance(value, dict):
        inner = reader.section(path, value, names(OBJECTIVE))
        if "direction" in inner:
            direction = _direction(reader, join(path, "direction"), inner["direction"])
        if not reader.required(path, inner, "metric", "name the score to optimise"):
            return "", direction
        path, value = join(path, "metric"), inner["metric"]
    metric = reader.text(path, value)
    known = all(name in _SCORE_IS_TYPE for name in types)
    if metric and types and metric not in types and known:
        hint = f"they give {', '.join(types)}; name one of these, or add the metric that gives it"
        rule = f"{shown(metric)} is no score of the metrics{nearest(metric, types)}; {hint}"
        reader.add_problem(path, rule)
        return "", direction
    return metric, direction


def _failures(reader: Reader, path: str, value: object, *, first: bool) -> FailurePolicy:
    if not first:
        reader.add_problem(path, "belongs to the leading objective; write it into the first one")
    if value not in get_args(FailurePolicy):
        known = "skip (compare over the items that both sets have) or worst"
        reader.add_problem(path, f"must be {known} (got {shown(value)})")
    if value == "worst":
        return "worst"
    return "skip"


def _direction(reader: Reader, path: str, value: object) -> Direction | None:
    if value == "max":
        return "max"
    if value == "min":
        return "min"
    reader.add_problem(path, f"must be max or min (got {shown(value)}){nearest(str(value), ('max', 'min'))}")
    return None

"""``pixaris metrics [NAME]``."""

from __future__ import annotations

import argparse
import inspect
import json
import math
from collections.abc import Mapping, Sequence

from pixaris.components import METRICS
from pixaris.metrics.base import BaseMetric, Scale
from pixaris.plugins import resolve
from pixaris.terminal import console

_DIRECTIONS = {"max": "higher is better", "min": "lower is better", None: "–"}
_ARROWS = {"max": "↑", "min": "↓", None: ""}
_PIPE_WIDTH = 200


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "name", metavar="NAME", nargs="?", help="tell everything about one metric, or module:Class"
    )
    parser.add_argument("--json", action="store_true", help="print the list as JSON")
    parser.add_argument("--markdown", action="store_true", help="print the list as a table of Markdown")


def main(options: argparse.Namespace) -> int:
    """List the metrics, or describe one."""
    if options.name is None:
        names = list(METRICS)
    else:
        names = [options.name]
    found = {name: resolve(name, METRICS, BaseMetric) for name in names}
    if options.json:
        print(json.dumps([entry(name, cls) for name, cls in found.items()], indent=2, ensure_ascii=False))
    elif options.markdown:
        print("\n".join(markdown(found)))
    elif options.name is not None:
        print(description(options.name, found[options.name]))
    else:
        _print_table([row for name, cls in found.items() for row in rows(name, cls)])
    return 0


def class_scales(cls: type[BaseMetric]) -> dict[str, Scale]:
    """Score name to scale, as a metric's class declares them; what is made with options may give others."""
    return dict(cls.scores) or {cls.name: Scale(cls.direction, cls.range, cls.unit)}


def rows(name: str, cls: type[BaseMetric]) -> list[dict[str, str]]:
    """A metric's rows of the table: one for each of its scores."""
    found = []
    for index, (score, scale) in enumerate(class_scales(cls).items()):
        cells = {
            "metric": name if index == 0 else "",
            "score": score,
            "direction": _DIRECTIONS[scale.direction],
        }
        cells |= {"range": range_text(scale), "unit": scale.unit or "–"}
        cells |= {"needs": ", ".join(cls.needs) or "nothing", "extra": cls.extra or "–"}
        found.append(cells)
    return found


def range_text(scale: Scale) -> str:
    """``0 … 1``; ``≥ 0`` where there is no upper limit."""
    low, high = scale.range
    if math.isinf(low) and math.isinf(high):
        return "any"
    if math.isinf(high):
        return f"≥ {_number(low)}"
    if math.isinf(low):
        return f"≤ {_number(high)}"
    return f"{_number(low)} … {_number(high)}"


def _number(value: float) -> str:
    if value == round(value):
        return f"{value:.0f}"
    return f"{value:.4g}"


def markdown(metrics: Mapping[str, type[BaseMetric]]) -> list[str]:
    """The lines of a table with one row per metric."""
    lines = ["| metric | scores | needs | extra |", "|---|---|---|---|"]
    for name, cls in metrics.items():
        scores = []
        for score, scale in class_scales(cls).items():
            words = [f"`{score}`", _ARROWS[scale.direction], range_text(scale), scale.unit]
            scores.append(" ".join(word for word in words if word))
        if cls.extra:
            extra = f"`{cls.extra}`"
        else:
            extra = "–"
        lines.append(f"| `{name}` | {'; '.join(scores)} | {', '.join(cls.needs) or 'nothing'} | {extra} |")
    return lines


def entry(name: str, cls: type[BaseMetric]) -> dict[str, object]:
    """A metric as JSON has it; a limit that does not exist is null."""
    return {
        "name": name,
        "scores": {score: _scale(scale) for score, scale in class_scales(cls).items()},
        "needs": list(cls.needs),
        "extra": cls.extra,
        "per_item": cls.per_item,
    }


def _scale(scale: Scale) -> dict[str, object]:
    limits = [None if math.isinf(limit) else limit for limit in scale.range]
    return {"direction": scale.direction, "range": limits, "unit": scale.unit}


def description(name: str, cls: type[BaseMetric]) -> str:
    """A metric's facts, its options and its documentation."""
    options = [_option(parameter) for parameter in inspect.signature(cls).parameters.values()]
    lines = [f"{name} ({cls.__module__}.{cls.__name__})"]
    for row in rows(name, cls):
        if row["unit"] == "–":
            unit = ""
        else:
            unit = f" {row['unit']}"
        lines.append(f"score    {row['score']}: {row['direction']}, {row['range']}{unit}")
    lines.append(f"needs    {', '.join(cls.needs) or 'nothing'}")
    if cls.extra:
        lines.append(f"extra    pip install 'pixaris[{cls.extra}]'")
    lines.append(f"options  {', '.join(options) or 'none'}")
    return "\n".join([*lines, "", inspect.getdoc(cls) or ""])


def _option(parameter: inspect.Parameter) -> str:
    default = parameter.default
    if default in (inspect.Parameter.empty, None):
        return parameter.name
    return f"{parameter.name} ({default!r})"


def _print_table(table_rows: Sequence[Mapping[str, str]]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in table_rows[0]:
        table.add_column(column, overflow="fold")
    for row in table_rows:
        table.add_row(*row.values())
    screen = console()
    (screen if screen.is_terminal else console(_PIPE_WIDTH)).print(table)

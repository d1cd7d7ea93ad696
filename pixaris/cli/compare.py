"""``pixaris compare A B …``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from pixaris.cli import searches

if TYPE_CHECKING:
    from pixaris.results.comparison.compare import Comparison, ScoreChange

_WORST = 3
_ARROWS = {"max": " ↑", "min": " ↓", None: ""}
REFERENCE = "a search (its winner), SEARCH/TRIAL, a run, any of them by its folder, or a baseline.json"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("first", metavar="A", help=f"what is compared with: {REFERENCE}")
    parser.add_argument("others", metavar="B", nargs="+", help="what is compared, as many as there are")
    parser.add_argument(
        "--worst",
        metavar="N",
        type=int,
        default=_WORST,
        help=f"items that lost most to tell of each score ({_WORST})",
    )
    searches.results_argument(parser)
    searches.json_argument(parser)


def main(options: argparse.Namespace) -> int:
    """Compare runs item by item with the first one."""
    from pixaris.results.comparison.compare import compare
    from pixaris.results.comparison.scored import read_run

    results = searches.results_of(options)
    first, *others = (read_run(results, name) for name in (options.first, *options.others))
    found = compare(first, others)
    if options.json:
        searches.print_json({"first": first.name, "comparisons": [_as_dict(one) for one in found]})
        return 0
    for one in found:
        _print(one, options.worst, several=sum(len(each.scores) for each in found) > 1)
    return 0


def _print(found: Comparison, worst: int, *, several: bool) -> None:
    print(f"{found.second.name} against {found.first.name}")
    for problem in found.problems:
        print(f"  mind: {problem}")
    print("\n  parameters" + ("" if found.values else "  the same"))
    # Names stand under each other, so that values can be compared down the column.
    width = max(map(len, found.values), default=0)
    for name, (before, after) in found.values.items():
        print(f"    {name:<{width}}  {_value(before)} → {_value(after)}")
    if not found.scores:
        print("\n  they share no score of an item\n")
        return
    print()
    heads = ("score", "change ± 95 %", "p (Holm)" if several else "p", "items", "")
    searches.print_table(heads, [_row(change) for change in found.scores], "  ")
    for change in found.scores:
        for remark in change.difference.remarks:
            print(f"  mind, {change.metric}: {remark}")
    for change in found.scores:
        if lost := change.worst(worst):
            print(f"\n  worst of {change.metric}")
            width = max(len(name) for name, _ in lost)
            for name, difference in lost:
                print(f"    {name:<{width}}  {difference:+.4f}  {_files(found, name)}".rstrip())
    print()


def _row(change: ScoreChange) -> tuple[str, ...]:
    half = change.difference.half
    if half is None:
        ends = ""
    else:
        ends = f" ± {half:.4f}"
    return (
        f"{change.metric}{_ARROWS[change.direction]}",
        f"{change.difference.mean:+.4f}{ends}",
        f"{change.p:.2g}",
        str(change.difference.count),
        conclusion(change),
    )


def conclusion(change: ScoreChange) -> str:
    """What a difference says, in words."""
    if not any(change.changes.values()):
        return "the same on every item"
    if change.difference.low is None:
        return "too few items to tell"
    if not change.is_evident:
        return "no evidence of a difference"
    if change.direction is None:
        return "differs"
    if change.is_better:
        return "better"
    return "worse"


def _files(found: Comparison, item: str) -> str:
    from pixaris.cli.invocation import shown

    before, after = found.first.image(item), found.second.image(item)
    return "  ".join(str(shown(path)) for path in (before, after) if path is not None)


def _value(value: object) -> str:
    from pixaris.words import number

    if value is None:
        return "none"
    return number(value)


def _as_dict(found: Comparison) -> Mapping[str, object]:
    changes = []
    for change in found.scores:
        changes.append({**asdict(change), "conclusion": conclusion(change)})
    return {
        "name": found.second.name,
        "problems": found.problems,
        "parameters": found.values,
        "scores": changes,
    }

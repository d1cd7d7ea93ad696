"""``pixaris show SEARCH [TRIAL]``."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from pixaris.cli import searches
from pixaris.cli.trial_table import Wanted, print_trials, sorted_trials
from pixaris.exceptions import ConfigurationError
from pixaris.files import JsonObject
from pixaris.results.paths import SearchPaths
from pixaris.results.records import SearchResult
from pixaris.results.trial import TrialResult
from pixaris.statistics.intervals import MeanInterval

_ROWS = 20
_OWNERS = {True: "workflow", False: "default"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    searches.argument(parser)
    parser.add_argument("trial", metavar="TRIAL", nargs="?", help="trial_0003 or 3: this trial, item by item")
    parser.add_argument("--all", action="store_true", help=f"every trial, not only the first {_ROWS}")
    parser.add_argument("--metric", metavar="SCORE", default="", help="show this score, not the objective")
    parser.add_argument(
        "--sort",
        metavar="KEY",
        default="rank",
        help="by a score (best first), a parameter, trial, status, items or seconds (default: rank)",
    )
    parser.add_argument("--reverse", action="store_true", help="the last first")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="print all trials as CSV")
    searches.json_argument(form)


def main(options: argparse.Namespace) -> int:
    """Show a search as it stands, also while it runs."""
    result = searches.load(options)
    wanted = Wanted(options.metric, options.sort, options.reverse, None if options.all else _ROWS)
    wanted.check(result)
    if options.trial is not None:
        trial = searches.trial_of(result, options.trial)
        if options.json:
            searches.print_json({**_described(result, trial), "item_results": _items(result, trial)})
        else:
            show_trial(result, trial)
    elif options.json:
        shares = {
            objective.metric: _importance(result, objective.metric)[0] for objective in result.objectives
        }
        trials = [_described(result, trial) for trial in result.trials]
        told = {"folder": str(result.folder), "verdict": asdict(result.verdict()), "importance": shares}
        searches.print_json({**result.head(), **told, "trials": trials})
    elif options.csv:
        order = [trial.number for trial in sorted_trials(result, wanted)]
        # All trials, whatever the limit: who asks for CSV reads it with a program.
        print(result.table().loc[order].to_csv(), end="")
    else:
        show_search(result, wanted)
    return 0


def show_search(result: SearchResult, wanted: Wanted) -> None:
    """Print a search: its trials, best first, what its parameters matter, and what was found.

    Args:
        result: The search as it stands.
        wanted: How its trials are shown.
    """
    from pixaris.cli.search import report

    if result.reason:
        why = f": {result.reason}"
    else:
        why = ""
    print(f"{result.folder.parent.name}/{result.folder.name} ({result.status}{why})\n")
    # Cut after sorting: the first of the order that was asked for.
    trials = sorted_trials(result, wanted)
    print_trials(result, trials[: wanted.limit], wanted)
    if wanted.limit is not None and len(trials) > wanted.limit:
        print(f"… and {len(trials) - wanted.limit} more (--all)")
    for objective in result.objectives:
        shares, reason = _importance(result, objective.metric)
        if result.others:
            of = f" for {objective.metric}"
        else:
            of = ""
        words = ", ".join(f"{name} {share:.0%}" for name, share in (shares or {}).items())
        print(f"\nimportance{of}: {words or reason}")
    report(result, _owner(result))


def ends(interval: MeanInterval | None, sign: str = "") -> str:
    """The ends of an interval, if it has any."""
    if interval is None or interval.low is None or interval.high is None:
        return ""
    return f"{interval.low:{sign}.4f} … {interval.high:{sign}.4f}"


def show_trial(result: SearchResult, trial: TrialResult) -> None:
    """Print a trial: parameters, scores, item by item, failures."""
    from pixaris.cli.invocation import shown
    from pixaris.words import credits, duration, number

    what = ""
    if trial.number == 0:
        what = ", the baseline"
    elif result.best == trial:
        what = ", the winner"
    did = f"{trial.items} of {len(result.items)} items, {duration(trial.seconds)}"
    print(f"{result.name} {trial.name}{what} ({trial.status}, {did})")
    baseline = result.baseline
    width = max(map(len, trial.values), default=0)
    print("\nparameters")
    for name, value in trial.values.items():
        print(f"  {name:<{width}}  {number(value)}{searches.own_value(baseline, name, _owner(result))}")
    _print_scores(result, trial)
    if charged := credits(trial.cost, trial.unaccounted):
        print(f"  charged {charged}")
    if trial.cached:
        print(f"  {trial.cached} images came from the cache")
    rows = _items(result, trial)
    names, failed = list(trial.scores), any(row.get("error") for row in rows)
    print("\nitems")
    heads = ("item", *names, *(["failure"] if failed else []))
    searches.print_table(
        heads,
        [_item_row(row, names) + ((str(row.get("error") or ""),) if failed else ()) for row in rows],
        "  ",
    )
    if trial.error and not failed:
        print(f"\nfailed  {trial.error}")
    print(f"\nimages  {shown(SearchPaths(result.folder).trial(trial.number).images)}")


def _print_scores(result: SearchResult, trial: TrialResult) -> None:
    """A trial's means, and how far the leading one is from the baseline's."""
    print("\nscores")
    width = max(map(len, trial.scores), default=0)
    for name, mean in trial.scores.items():
        interval = ""
        if name == result.metric:
            interval = ends(result.interval(trial))
        print(f"  {name:<{width}}  {mean:.4f}{f'   95 % interval {interval}' if interval else ''}")
    if trial.number == 0:
        return
    difference = result.difference(trial)
    if difference is None:
        return
    interval = ""
    if ends(difference):
        interval = f", 95 % interval {ends(difference, '+')}"
    over = f"spread {difference.spread:.4f} over {difference.count} items"
    print(f"  change of {result.metric} per item {difference.mean:+.4f}{interval}, {over}")
    for remark in difference.remarks:
        print(f"  mind: {remark}")


def _item_row(row: JsonObject, names: list[str]) -> tuple[str, ...]:
    scores = row.get("scores") or {}
    return (
        str(row.get("name")),
        *("none" if scores.get(name) is None else f"{scores[name]:.4f}" for name in names),
    )


def _items(result: SearchResult, trial: TrialResult) -> list[dict[str, object]]:
    from pixaris.files import read_json_lines

    return read_json_lines(SearchPaths(result.folder).trial(trial.number).items)


def _described(result: SearchResult, trial: TrialResult) -> dict[str, object]:
    interval, difference = result.interval(trial), result.difference(trial)
    return {
        **trial.as_dict(),
        "interval": None if interval is None else asdict(interval),
        "difference": None if difference is None or trial.number == 0 else asdict(difference),
    }


def _importance(result: SearchResult, metric: str) -> tuple[dict[str, float] | None, str]:
    """The parameters' importance, or why there is none yet."""
    try:
        return result.importance(metric), ""
    except ConfigurationError as error:
        return None, str(error)


def _owner(result: SearchResult) -> str:
    """Whose values the baseline has."""
    from pixaris.results.manifest import read_manifest

    return _OWNERS[read_manifest(SearchPaths(result.folder)).get("workflow", {}) is not None]

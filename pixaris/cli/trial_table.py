"""The trials of a search as a table: as many parameters as the terminal is wide, in the order asked for."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pixaris.exceptions import ConfigurationError, nearest
from pixaris.results.paths import SearchPaths
from pixaris.results.records import SearchResult
from pixaris.results.trial import TrialResult
from pixaris.statistics.intervals import MeanInterval
from pixaris.statistics.paired import PairedDifference, differences
from pixaris.terminal import raw, safe
from pixaris.words import number

_GAP = "  "
_RANK = "rank"
_FACTS: dict[str, Callable[[TrialResult], float | str]] = {
    "trial": lambda trial: trial.number,
    "status": lambda trial: trial.status,
    "items": lambda trial: trial.items,
    "seconds": lambda trial: trial.seconds,
}


@dataclass(frozen=True)
class Wanted:
    """How the trials are to be shown.

    Attributes:
        metric: The score to show, or "": the objectives.
        sort: What they are sorted by: "rank", a score, a parameter, ``trial``, ``status``, ``items``,
            ``seconds``.
        reverse: Whether the last comes first.
        limit: Trials to show; None: all.
    """

    metric: str = ""
    sort: str = _RANK
    reverse: bool = False
    limit: int | None = None

    def check(self, result: SearchResult) -> None:
        """Refuse names that the search does not have.

        Raises:
            ConfigurationError: All that are wrong.
        """
        scores, problems = scores_of(result), []
        if self.metric and self.metric not in scores:
            hint = f"{nearest(self.metric, scores)}; {_there_are(scores)}"
            problems.append(f"--metric: {self.metric!r} is no score of this search{hint}")
        keys = [_RANK, *scores, *parameters_of(result), *_FACTS]
        if self.sort not in keys:
            hint = f"{nearest(self.sort, keys)}; {_there_are(keys)}"
            problems.append(f"--sort: {self.sort!r} is nothing to sort by{hint}")
        if problems:
            raise ConfigurationError("\n".join(problems))


def scores_of(result: SearchResult) -> list[str]:
    """Names of the scores, the objectives first."""
    objectives = [objective.metric for objective in result.objectives]
    return list(dict.fromkeys([*objectives, *(name for trial in result.trials for name in trial.scores)]))


def parameters_of(result: SearchResult) -> list[str]:
    """Names of the parameters, those that vary first."""
    names = dict.fromkeys(name for trial in result.trials for name in trial.values)
    varying, fixed = [], []
    for name in names:
        values = {repr(trial.values.get(name)) for trial in result.trials}
        if len(values) > 1:
            varying.append(name)
        else:
            fixed.append(name)
    return [*varying, *fixed]


def sorted_trials(result: SearchResult, wanted: Wanted) -> list[TrialResult]:
    """The trials in the order asked for; those that lack what is sorted by are last."""
    ranked = result.ranking()
    numbers = {trial.number for trial in ranked}
    trials = [*ranked, *(trial for trial in result.trials if trial.number not in numbers)]
    if wanted.sort != _RANK:
        key = wanted.sort
    else:
        key = wanted.metric
    if not key:
        if wanted.reverse:
            return trials[::-1]
        return trials
    found = {trial.number: _value(trial, key) for trial in trials}
    have = [trial for trial in trials if found[trial.number] is not None]
    lack = [trial for trial in trials if found[trial.number] is None]
    best_first = key in scores_of(result) and _higher_is_better(result, key)
    # Best first, or the worst first where it is turned round.
    have.sort(key=lambda trial: _comparable(found[trial.number]), reverse=best_first != wanted.reverse)
    return [*have, *lack]


def _value(trial: TrialResult, key: str) -> object:
    if key in trial.scores:
        return trial.scores[key]
    if key in trial.values:
        return trial.values[key]
    if key in _FACTS:
        return _FACTS[key](trial)
    return None


def _comparable(value: object) -> tuple[int, float, str]:
    """Numbers before words."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return 0, float(value), ""
    return 1, 0.0, str(value)


def _higher_is_better(result: SearchResult, metric: str) -> bool:
    directions = {objective.metric: objective.direction for objective in result.objectives}
    return directions.get(metric, "max") == "max"


def print_trials(result: SearchResult, trials: Sequence[TrialResult], wanted: Wanted) -> None:
    """Print trials, one line each; parameters that do not fit are named below."""
    objectives = [objective.metric for objective in result.objectives]
    lead = wanted.metric or objectives[0]
    if wanted.metric:
        others = []
    else:
        others = objectives[1:]
    heads = ["trial", "status", f"{lead} ± 95 %", *others, "change ± 95 %", "items"]
    rows = [_row(result, trial, lead, others) for trial in trials]
    errors = [
        trial.error.splitlines()[0] if trial.error and trial.objective is None else "" for trial in trials
    ]
    names = parameters_of(result)
    columns = [[name, *_cells(trials, name)] for name in names]
    fitting = _fitting([heads, *rows], columns)
    for at, row in enumerate([heads, *rows]):
        row += [column[at] for column in columns[:fitting]]
    if any(errors):
        heads.append("failed")
        rows = [[*row, error] for row, error in zip(rows, errors, strict=True)]
    _print(heads, rows, [SearchPaths(result.folder).trial(trial.number).images for trial in trials])
    if fitting < len(names):
        print(f"not shown for want of width: {', '.join(names[fitting:])} (--csv has all)")


def _cells(trials: Sequence[TrialResult], name: str) -> list[str]:
    """A parameter's column, without its head."""
    return [number(trial.values[name]) if name in trial.values else "" for trial in trials]


def _row(result: SearchResult, trial: TrialResult, lead: str, others: Sequence[str]) -> list[str]:
    if trial.failures:
        failed = f" ({trial.failures} failed)"
    else:
        failed = ""
    interval, change = measured(result, trial, lead)
    if lead not in trial.scores:
        score = "none"
    else:
        score = f"{trial.scores[lead]:.4f}{_half(interval)}"
    if trial.number == 0:
        gain = "baseline"
    else:
        gain = ""
    if change is not None and trial.number != 0:
        gain = f"{change.mean:+.4f}{_half(change)}"
    return [
        *(trial.name, trial.status, score),
        *(f"{trial.scores[name]:.4f}" if name in trial.scores else "none" for name in others),
        *(gain, f"{trial.scored}/{len(result.items)}{failed}"),
    ]


def measured(
    result: SearchResult, trial: TrialResult, metric: str
) -> tuple[MeanInterval | None, PairedDifference | None]:
    """A score's mean with its interval, and its difference to the baseline's; None without scores."""
    if metric == result.metric:
        return result.interval(trial), result.difference(trial)
    scores = trial.scores_of(metric)
    known = [score for score in scores if score is not None]
    if result.baseline is None:
        gains = []
    else:
        gains = differences(scores, result.baseline.scores_of(metric))
    if known:
        interval = MeanInterval.of(known)
    else:
        interval = None
    return interval, PairedDifference.of(gains) if gains else None


def _half(interval: MeanInterval | None) -> str:
    """Half the width of a 95 % interval, if there is one."""
    if interval is None or interval.half is None:
        return ""
    return f" ± {interval.half:.4f}"


def _fitting(table: Sequence[Sequence[str]], columns: Sequence[Sequence[str]]) -> int:
    """How many columns find room beside a table; all of them in a pipe."""
    if not sys.stdout.isatty():
        return len(columns)
    # What does not fit is left out whole: a folded table cannot be read down.
    room = shutil.get_terminal_size().columns
    room -= sum(_width(column) + len(_GAP) for column in zip(*table, strict=True))
    for count, column in enumerate(columns):
        room -= _width(column) + len(_GAP)
        if room + len(_GAP) < 0:
            return count
    return len(columns)


def _width(column: Sequence[str]) -> int:
    return max(map(len, column))


def _print(heads: Sequence[str], rows: Sequence[Sequence[str]], folders: Sequence[Path]) -> None:
    """Print a table whose first cells lead to folders, where the terminal has links."""
    widths = [_width(column) for column in zip(heads, *rows, strict=True)]
    stream = raw(sys.stdout)
    for row, folder in zip([heads, *rows], [None, *folders], strict=True):
        cells = [safe(cell).ljust(width) for cell, width in zip(row, widths, strict=True)]
        first, rest = cells[0], _GAP.join(cells[1:]).rstrip()
        stream.write(f"{_linked(first, folder)}{_GAP}{rest}\n")


def _linked(text: str, folder: Path | None) -> str:
    """A text that leads to a folder (OSC 8)."""
    if folder is None or not sys.stdout.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        return text
    # The padding is no part of the link.
    name = text.rstrip()
    address = folder.resolve().as_uri()
    return f"\x1b]8;;{address}\x1b\\{name}\x1b]8;;\x1b\\{text[len(name) :]}"


def _there_are(names: Sequence[str]) -> str:
    return f"there are {', '.join(names)}"

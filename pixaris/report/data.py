"""What the report's scripts read: the sets' scores and pictures, as plain JSON values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from pixaris.files import JsonObject
from pixaris.report.charts.drawing import Chart
from pixaris.report.gallery import PER_CHUNK, Gallery
from pixaris.report.model import Report, SetRow
from pixaris.results.paths import RunPaths, trial_name
from pixaris.results.records import SearchResult
from pixaris.results.report import Stop
from pixaris.results.trial import TrialResult
from pixaris.statistics.intervals import MeanInterval
from pixaris.words import number

Mark: TypeAlias = Literal["better", "tied", "worse", ""]
SIGNS: Mapping[Mark, str] = {"better": "▲ better", "tied": "~ tied", "worse": "▼ worse", "": ""}
"""How a set stands against the baseline, in a sign and a word: never by colour alone."""

# More than a tooltip shows, and half the bytes of a number in full.
_DIGITS = 6


@dataclass(frozen=True)
class Facts:
    """What a row says of a set.

    Attributes:
        place: The set's place in the report.
        name: Its name; with several searches, the search's too.
        role: "baseline", "winner", "tied for best" or "".
        mean: Its leading score.
        own: The same with its interval over the items, or None.
        gain: Its difference to its search's baseline, or None.
        mark: Whether that is better, tied or worse.
        stop: Why it was stopped, or "".
    """

    place: int
    name: str
    role: str
    mean: float | None
    own: MeanInterval | None
    gain: MeanInterval | None
    mark: Mark
    stop: str

    @property
    def half(self) -> float | None:
        """Half the width of its 95 % interval."""
        if self.own is None or self.own.high is None:
            return None
        return self.own.high - self.own.mean


def facts_of(report: Report) -> list[Facts]:
    """The facts of all sets, by place."""
    return [_facts(report, place, row) for place, row in enumerate(report.sets)]


def _facts(report: Report, place: int, row: SetRow) -> Facts:
    part = report.parts[row.search]
    trial, metric = row.trial, report.metrics[0] if report.metrics else part.result.metric
    gain = part.result.difference(trial) if trial.number != 0 else None
    best = part.best
    role = "tied for best" if trial.number in part.verdict.tied else ""
    role = "winner" if best is not None and best.number == trial.number else role
    if trial.number == 0:
        role = "baseline, winner" if role else "baseline"
    return Facts(
        place=place,
        name=trial.name if len(report.parts) == 1 else f"{part.title}/{trial.name}",
        role=role,
        mean=report.mean(row, metric),
        own=report.interval(row, metric),
        gain=gain,
        mark=mark_of(gain, part.result.direction),
        stop=_why_not(part.result, trial),
    )


def _why_not(result: SearchResult, trial: TrialResult) -> str:
    """Why a set was stopped, or else why it cannot win; "" of one that may."""
    if trial.stop is not None:
        return stop_words(trial.stop, len(result.items))
    broken = result.broken(trial)
    if broken:
        return f"cannot win: {broken}"
    return ""


def mark_of(gain: MeanInterval | None, direction: str) -> Mark:
    """How a difference to the baseline is to be read; "" where it has no interval."""
    if gain is None or gain.low is None or gain.high is None:
        return ""
    # Turned round where less is better, so that above 0 is better in either case.
    low, high = (gain.low, gain.high) if direction == "max" else (-gain.high, -gain.low)
    if low > 0:
        return "better"
    if high < 0:
        return "worse"
    return "tied"


def stop_words(stop: Stop, items: int) -> str:
    """Where and why a set was stopped."""
    words = f"stopped after {stop.items} of {items} items"
    if stop.difference is not None:
        half = "" if stop.half_width is None else f" ± {stop.half_width:.2g}"
        against = "" if stop.against is None else f" against {trial_name(stop.against)}"
        words += f": {stop.difference:+.3g}{half}{against}"
    else:
        words += f" by {stop.by}"
    if stop.note:
        return f"{words} ({stop.note})"
    return words


def line_of(facts: Facts, row: SetRow, metric: str) -> str:
    """A set in one line: what a row says until it is filled, and without scripts."""
    half = "" if facts.half is None else f" ± {facts.half:.4f}"
    score = "no score" if facts.mean is None else f"{metric} {facts.mean:.4f}{half}"
    parts = [f"{facts.place + 1}. {facts.name}", *([facts.role] if facts.role else []), row.trial.status]
    parts.append(score)
    if facts.mark and facts.gain is not None:
        parts.append(f"{SIGNS[facts.mark]} {gain_words(facts.gain)}")
    parts += [f"{name}={number(value)}" for name, value in row.trial.values.items()]
    parts += [words for words in (facts.stop, row.trial.error) if words]
    return " · ".join(parts)


def gain_words(gain: MeanInterval) -> str:
    """``+0.1445 ± 0.0474``."""
    half = "" if gain.high is None else f" ± {gain.high - gain.mean:.4f}"
    return f"{gain.mean:+.4f}{half}"


@dataclass(frozen=True)
class Originals:
    """Where a report finds the images in their full size.

    Attributes:
        prefixes: Number of a search to the relative address of its folder; None where the report cannot lead
            there.
    """

    prefixes: tuple[str | None, ...] = ()

    @classmethod
    def beside(cls, report: Report, file: Path) -> Originals:
        """For a report that lies in a folder which holds its searches."""
        home = file.parent.resolve()
        prefixes: list[str | None] = []
        for part in report.parts:
            folder = part.result.folder.resolve()
            if folder.is_relative_to(home):
                relative = folder.relative_to(home).as_posix()
                # Relative, so that the folder can be moved or copied with its report.
                prefixes.append("" if relative == "." else f"{relative}/")
            else:
                prefixes.append(None)
        return cls(tuple(prefixes))


def data_of(
    report: Report, facts: Sequence[Facts], gallery: Gallery, charts: Sequence[Chart], originals: Originals
) -> dict[str, object]:
    """Everything that scripts need."""
    metrics = list(report.metrics)
    names = dict.fromkeys(name for row in report.sets for name in row.trial.values)
    return {
        "perChunk": PER_CHUNK,
        "metrics": [{"name": name, "direction": report.first.directions.get(name)} for name in metrics],
        "parameters": list(names),
        "folders": [{"name": name, "role": role} for name, role in report.folders.items()],
        "items": _items(report, gallery),
        "sets": [_set(report, one, gallery, originals) for one in facts],
        "charts": {chart.identity: _points(chart) for chart in charts if chart.points},
    }


def _points(chart: Chart) -> list[list[object]]:
    return [[_short(point.x), _short(point.y), point.place] for point in chart.points]


def _items(report: Report, gallery: Gallery) -> list[JsonObject]:
    pictured = {item.name: item.pictures for item in report.first.pictures.items}
    prompts = {item.name: item.prompt for item in report.first.pictures.items}
    found = []
    for name in report.items:
        pictures = pictured.get(name, {})
        digests = [pictures[folder].digest if folder in pictures else "" for folder in report.folders]
        images = [gallery.best(digest) for digest in digests]
        found.append(
            {
                "name": name,
                "prompt": prompts.get(name, ""),
                "file": RunPaths.image_name(name),
                "images": images,
                "problems": [gallery.problems.get(digest) for digest in digests],
            }
        )
    return found


def _set(report: Report, facts: Facts, gallery: Gallery, originals: Originals) -> dict[str, object]:
    row = report.sets[facts.place]
    trial = row.trial
    scores = []
    for metric in report.metrics:
        scores.append([_short(score) for score in report.scores(row, metric)])
    images: list[int | None] = []
    large: dict[int, int] = {}
    problems: dict[int, str] = {}
    for place in range(len(report.items)):
        cell = row.cells.get(place)
        digest = "" if cell is None or cell.source is None else cell.source.digest
        images.append(gallery.small.get(digest))
        if digest in gallery.large:
            large[place] = gallery.large[digest]
        problem = "" if cell is None else cell.problem or gallery.problems.get(digest) or cell.row.error
        if problem:
            problems[place] = problem
    prefix = originals.prefixes[row.search]
    return {
        "name": facts.name,
        "role": facts.role,
        "search": row.search,
        "status": trial.status,
        "values": dict(trial.values),
        "means": [_short(report.mean(row, metric)) for metric in report.metrics],
        "half": _short(facts.half),
        "gain": None if facts.gain is None else gain_words(facts.gain),
        "mark": facts.mark,
        "items": trial.items,
        "failures": trial.failures,
        "stop": facts.stop,
        "error": trial.error,
        "scores": scores,
        "images": images,
        "large": large,
        "problems": problems,
        "folder": None if prefix is None else f"{prefix}{trial.name}/",
        "files": _unusual_files(report, row),
    }


def _unusual_files(report: Report, row: SetRow) -> dict[int, str]:
    """The files of images that are not where an item's image usually is."""
    found = {}
    for place, cell in row.cells.items():
        if cell.source is not None and cell.row.image != RunPaths.image_name(report.items[place]):
            # Only those that are unusual: a path for every image would be the largest part of the file.
            found[place] = str(cell.row.image)
    return found


def _short(value: float | None) -> float | None:
    """A number with as many digits as a reader can use."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{_DIGITS}g}")

"""How large a search is and how long it will take, estimated before anything is generated."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from pixaris.endpoints.discovery import EmbeddedSource, EndpointSource, ManagedSource
from pixaris.files import read_json, safe_name
from pixaris.search import servers
from pixaris.search.check import Checked
from pixaris.search.price import trials_of


def estimate(checked: Checked) -> list[tuple[str, str]]:
    """What a search's size, images and time are expected to be: a word and a sentence each."""
    space, images = checked.space, checked.setup.images
    if not space.parameters:
        return [("images", f"{images} in a run")]
    size = space.size()
    sets = "without end: a domain is continuous"
    if size is not None:
        sets = f"{size:,} parameter {'set' if size == 1 else 'sets'} in the whole grid"
    trials = trials_of(checked)
    if trials is None:
        return [
            ("space", sets),
            ("images", f"{images} a trial; how many trials is up to the algorithm and the budget"),
        ]
    total = trials * images
    limit = checked.search.limits_of_spending().images
    capped = limit is not None and limit < total
    said = f"at most {total:,} ({trials:,} trials of {images})" + (
        f"; the budget pays for {limit:,}" if capped else ""
    )
    expected = limit if capped and limit is not None else total
    return [("space", sets), ("images", said), ("time", _time(checked, expected))]


def _time(checked: Checked, images: int) -> str:
    speeds = measured(checked.search.results)
    name = safe_name(checked.search.name)
    rate, unknown, at_once = 0.0, 0, 0
    for source in checked.sources:
        found = _rates(source, speeds, name)
        rate += sum(found)
        unknown += not found
        at_once += len(found)
    if not rate:
        return "not known: no earlier search has measured these endpoints"
    each = f"{at_once / rate:.3g} s an image, as earlier searches measured"
    some = f"; {unknown} of the endpoints' sources are not measured" if unknown else ""
    return f"about {_duration(images / rate)} ({each} on {at_once} endpoints){some}"


def _rates(source: EndpointSource, speeds: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    """Images per second of every endpoint of a source that was measured; of those that a search starts, its
    own last ones'.
    """
    if isinstance(source, EmbeddedSource | ManagedSource):
        own: Mapping[str, float] = next((row["speeds"] for row in speeds if _is_of(row["name"], name)), {})
        return [1 / fmean(own.values())] * source.replicas if own else []
    urls = [endpoint.url for endpoint in servers.static([source])]
    return [1 / row["speeds"][url] for url in urls for row in _latest(url, speeds)]


def _latest(url: str, speeds: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [row for row in speeds if url in row["speeds"]][:1]


def _is_of(folder: str, name: str) -> bool:
    """Whether a folder is of a search of this name: ``name``, ``name-2``, …."""
    return folder == name or (folder.startswith(f"{name}-") and folder[len(name) + 1 :].isdigit())


def measured(results: Path) -> list[dict[str, Any]]:
    """Seconds per image of every endpoint that earlier searches measured, the latest search first."""
    found = []
    for file in results.glob("*/*/endpoints.json"):
        content = read_json(file)
        rows = content.get("endpoints") if content else None
        when = content.get("time") if content else None
        speeds = {
            row["url"]: float(row["speed"])
            for row in (rows if isinstance(rows, list) else ())
            if isinstance(row, dict) and isinstance(row.get("url"), str) and _is_speed(row.get("speed"))
        }
        if speeds:
            found.append(
                {
                    "name": file.parent.name,
                    "time": when if isinstance(when, int | float) else 0,
                    "speeds": speeds,
                }
            )
    return sorted(found, key=lambda row: row["time"], reverse=True)


def _is_speed(value: object) -> bool:
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0
    )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"

"""How large a search is, how long it will take and what it will cost, estimated before anything is
generated.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from pixaris.endpoints.sources.base import EndpointSource
from pixaris.exceptions import ConfigurationError
from pixaris.files import JsonMapping, JsonObject, read_json, safe_name
from pixaris.generation.base import has_own_values
from pixaris.results.paths import SearchPaths, number_of
from pixaris.search.algorithms.guided import guides, reason
from pixaris.search.algorithms.racing import described
from pixaris.search.check import CheckedSearch


@dataclass(frozen=True)
class Price:
    """An estimate in credits, at the list's prices and with the baseline's values.

    Attributes:
        run: Of one experiment run over the whole eval set, or None if no price is listed.
        images: Of a whole run.
        trials: How many there are at most, the baseline among them; None if that is up to the searcher.
        after: Images of the re-check.
    """

    run: float | None
    images: int
    trials: int | None
    after: int = 0

    @property
    def total(self) -> float | None:
        """Of all trials, if none is stopped early, and the re-check; None if it cannot be told."""
        if self.run is None or self.trials is None:
            return None
        return self.run * (self.trials + self.after / max(1, self.images))

    def describe(self) -> str:
        """The estimate in one line."""
        if self.run is None:
            return "not listed; every answer says what it cost"
        parts = [f"about {self.run / max(1, self.images):.4g} credits an image", f"{self.run:.6g} a trial"]
        if self.total is not None:
            if self.after:
                more = f" and {self.after} images of the re-check"
            else:
                more = ""
            parts.append(f"at most {self.total:.6g} in all ({self.trials} trials{more})")
        return ", ".join(parts)


def price_of(checked: CheckedSearch) -> Price | None:
    """Estimate a search; None where nothing is charged. Of several generators the dearest counts."""
    runs = [_cost_of_run(one) for one in checked.each().values()]
    if None in runs:
        dearest = None
    else:
        dearest = max(run for run in runs if run is not None)
    if dearest == 0.0:
        return None
    return Price(dearest, checked.setup.images, checked.size.trials, checked.recheck_images)


def _cost_of_run(checked: CheckedSearch) -> float | None:
    """What the baseline costs, in credits: 0 where nothing is charged, None where no price is listed."""
    args, setup = checked.setup.args, checked.setup
    partial = has_own_values(checked.settings.generator)
    try:
        args = args.with_params(checked.space.bind(checked.baseline(), partial=partial))
    except ConfigurationError:
        return 0.0  # told as a problem
    run = checked.settings.generator.cost(setup.eval_set, args)
    if run is None:
        return None
    return run * setup.seeds


def estimate(checked: CheckedSearch) -> list[tuple[str, str]]:
    """What a search's size, images and time are expected to be: a word and a sentence each."""
    size, images = checked.size, checked.setup.images
    if not checked.space.parameters:
        return [("images", f"{images} in a run")]
    rows = [("space", _sets(checked.space.size()))]
    if chosen := reason(checked.settings):
        rows.append(("algorithm", chosen))
    limit = checked.settings.limits.budget.images
    if limit is not None and guides(checked.settings):
        return [*rows, ("images", f"{limit:,}, the budget"), ("time", _time(checked, limit))]
    if size.images is None or size.trials is None:
        rows.append(("images", f"{images} a trial; how many trials is up to the algorithm and the budget"))
        return rows
    limit = checked.without_recheck().settings.limits.budget.images
    said = f"at most {size.images:,} ({size.trials:,} trials of {images})"
    expected = size.images
    if limit is not None and limit < size.images:
        said += f"; the budget pays for {limit:,}"
        expected = limit
    rows.append(("images", said))
    if said := described(checked.settings, len(checked.setup.eval_set)):
        rows.append(("scheduler", said))
    if after := checked.recheck_images:
        rows.append(("re-check", f"{after:,} images after the search"))
    return [*rows, ("time", _time(checked, expected + after))]


def _sets(count: int | None) -> str:
    if count is None:
        return "infinite (continuous parameters)"
    return f"{count:,} parameter {'set' if count == 1 else 'sets'} in the whole grid"


def _time(checked: CheckedSearch, images: int) -> str:
    speeds = measured(checked.settings.home.results)
    name = safe_name(checked.settings.home.name)
    rate, unknown, at_once = 0.0, 0, 0
    for source in checked.sources:
        found = _rates(source, speeds, name)
        rate += sum(found)
        unknown += not found
        at_once += len(found)
    if not rate:
        return "not known: no earlier search has measured these endpoints"
    each = f"{at_once / rate:.3g} s an image, as earlier searches measured"
    if unknown:
        some = f"; {unknown} of the endpoints' sources are not measured"
    else:
        some = ""
    return f"about {_duration(images / rate)} ({each} on {at_once} endpoints){some}"


def _rates(source: EndpointSource, speeds: Sequence[JsonMapping], name: str) -> list[float]:
    """Images per second of every endpoint of a source that was measured; of those that a search starts, its
    own last ones'.
    """
    if source.servers():
        own: Mapping[str, float] = next(
            (row["speeds"] for row in speeds if number_of(row["name"], name) is not None), {}
        )
        if own:
            return [1 / fmean(own.values())] * source.count
        return []
    urls = [endpoint.url for endpoint in source.endpoints()]
    return [1 / row["speeds"][url] for url in urls for row in _latest(url, speeds)]


def _latest(url: str, speeds: Sequence[JsonMapping]) -> list[JsonMapping]:
    return [row for row in speeds if url in row["speeds"]][:1]


def measured(results: Path) -> list[JsonObject]:
    """Seconds per image of every endpoint that earlier searches measured, the latest search first."""
    found = []
    for file in results.glob(f"*/*/{SearchPaths.ENDPOINTS}"):
        content = read_json(file) or {}
        speeds = dict(_speeds(content.get("endpoints")))
        if not speeds:
            continue
        when = content.get("time")
        if not isinstance(when, int | float):
            when = 0
        found.append({"name": file.parent.name, "time": when, "speeds": speeds})
    return sorted(found, key=lambda row: row["time"], reverse=True)


def _speeds(rows: object) -> Iterator[tuple[str, float]]:
    """URL and seconds per image of the endpoints that a file tells them of."""
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict) and isinstance(row.get("url"), str) and _is_speed(row.get("speed")):
            yield row["url"], float(row["speed"])


def _is_speed(value: object) -> bool:
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0
    )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"

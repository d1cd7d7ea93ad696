"""What a search will cost, estimated before anything is generated."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pixaris.exceptions import ConfigurationError
from pixaris.search.check import Checked


@dataclass(frozen=True)
class Price:
    """An estimate in credits, at the list's prices and with the baseline's values.

    Attributes:
        run: Of one experiment run over the whole eval set, or None if no price is listed.
        images: Of a whole run.
        trials: How many there are at most, the baseline among them; None if that is up to the searcher.
    """

    run: float | None
    images: int
    trials: int | None

    @property
    def total(self) -> float | None:
        """Of all trials, if none is stopped early; None if it cannot be told."""
        return None if self.run is None or self.trials is None else self.run * self.trials

    def describe(self) -> str:
        """The estimate in one line."""
        if self.run is None:
            return "not listed; every answer says what it cost"
        parts = [f"about {self.run / max(1, self.images):.4g} credits an image", f"{self.run:.6g} a trial"]
        if self.total is not None:
            parts.append(f"at most {self.total:.6g} in all ({self.trials} trials)")
        return ", ".join(parts)


def price_of(checked: Checked) -> Price | None:
    """Estimate a search; None where nothing is charged."""
    args, generator = checked.setup.args, checked.search.image_generator
    try:
        args = args.with_params(checked.space.bind(checked.baseline()))
    except ConfigurationError:
        return None  # told as a problem
    setup = checked.setup
    run = generator.cost(setup.eval_set, args)
    return (
        None
        if run == 0.0
        else Price(None if run is None else run * setup.seeds, setup.images, trials_of(checked))
    )


def trials_of(checked: Checked) -> int | None:
    """How many trials there are at most, the baseline among them; None if that is up to the searcher."""
    search, space = checked.search, checked.space
    if not space.parameters:
        return 1
    if search.algorithm == "grid":
        size = space.size()
        return None if size is None else size + 1
    if search.num_samples is None:
        return None
    repeated = [p.domain.size() or 1 for p in space.parameters if p.domain.kind == "grid_search"]
    return 1 + search.num_samples * (math.prod(repeated) if search.algorithm == "random" else 1)

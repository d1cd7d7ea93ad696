"""Iterations of feedback made from what experiments left."""

from __future__ import annotations

import time
from collections.abc import Sequence

from pixaris.exceptions import ConfigurationError
from pixaris.feedback_handlers.base import FeedbackImage, Iteration, IterationKey
from pixaris.frontend.experiments import Run
from pixaris.report.model import Cell
from pixaris.types import Direction

# 24 sets make 276 pairs on every item.
MOST_RUNS = 24
MOST_IMAGES = 2_000


def iteration_of(name: str, runs: Sequence[Run]) -> Iteration:
    """An iteration of all images that runs have; of several seeds the first one's.

    Args:
        name: The iteration's.
        runs: At most `MOST_RUNS`, of one project.

    Raises:
        ConfigurationError: They cannot be looked at together, with all reasons.
    """
    problems = []
    projects = sorted({run.project for run in runs})
    if len(projects) > 1:
        problems.append(f"an iteration is of one project (these are of {', '.join(projects)})")
    if not 1 <= len(runs) <= MOST_RUNS:
        problems.append(f"choose 1 to {MOST_RUNS} runs (got {len(runs)})")
    if not name.strip():
        problems.append("give the iteration a name")
    if problems:
        raise ConfigurationError(problems)
    images = [image for run in runs for image in _images(run)]
    if len(images) > MOST_IMAGES:
        raise ConfigurationError(
            f"these runs have {len(images):,} images, an iteration at most {MOST_IMAGES:,}; choose fewer runs"
        )
    directions: dict[str, Direction] = {}
    for run in runs:
        directions.update(run.directions)
    # By item, so that people see the same picture of all sets one after the other.
    ordered = sorted(images, key=lambda image: _place(image.item, runs))
    return Iteration(IterationKey(projects[0], name.strip()), tuple(ordered), time.time(), directions)


def _place(item: str, runs: Sequence[Run]) -> int:
    return min((list(run.items).index(item) for run in runs if item in run.items), default=0)


def _images(run: Run) -> list[FeedbackImage]:
    return [_image(run, cell) for _, cell in sorted(run.cells().items()) if cell.source is not None]


def _image(run: Run, cell: Cell) -> FeedbackImage:
    assert cell.source is not None, "only cells with images come here"
    scores = {name: value for name, value in cell.row.scores.items() if value is not None}
    name = f"{cell.row.name} · {run.name}"
    return FeedbackImage(name, cell.source.files[0], cell.row.name, run.name, run.dataset, "", scores)

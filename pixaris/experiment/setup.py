"""What all runs of a search share, and what would make every image of them fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pixaris.exceptions import ConfigurationError, Problem, WorkflowError, nearest
from pixaris.generation.base import ImageGenerator, ItemArgs
from pixaris.images import EncodedImage
from pixaris.metrics.base import BaseMetric, Prompt
from pixaris.types import Direction, EvalSet

SEEDLESS = (
    "every seed would give the same image: the workflow has no seed, or the parameters set it; remove seeds,"
    " or the parameter that sets the seed"
)

MOST_SEEDS = 1000
"""Images of one item; more would be a slip."""


@dataclass(frozen=True)
class RunSetup:
    """What all runs of a search share; it pickles.

    Attributes:
        project: The project's name.
        eval_set: The items, with their images.
        generator: Makes the images.
        metrics: Score them.
        args: What the user gave for every image, with the parameters that are the same in every run.
        search: Name of the search, or "".
        order: The order in which items are generated, as indices; the eval set's own by default.
        workflow_image: Picture of the workflow to keep with the results, or None.
        seeds: Images of every item, each with a seed of its own; an item's scores are means over them.
        first_seed: Number of the first of an item's seeds; a re-check begins after those of the search.
        objectives: Names of the scores that are optimised; none outside of a search.
    """

    project: str
    eval_set: EvalSet
    generator: ImageGenerator
    metrics: tuple[BaseMetric, ...]
    args: ItemArgs
    search: str = ""
    order: tuple[int, ...] = ()
    workflow_image: EncodedImage | None = None
    seeds: int = 1
    first_seed: int = 0
    objectives: tuple[str, ...] = ()

    @property
    def images(self) -> int:
        """Images of a whole run."""
        return self.seeds * len(self.eval_set)

    @property
    def repeats(self) -> range:
        """Numbers of the seeds that every item is generated with."""
        return range(self.first_seed, self.first_seed + self.seeds)

    def each(self) -> dict[str, RunSetup]:
        """Where a parameter chooses one of several generators, name to the setup of each by itself; else
        itself under no name.
        """
        choice = self.generator.choice
        if choice is None:
            return {"": self}
        return {
            name: replace(
                self,
                generator=one,
                args=choice.args(name, self.args),
                eval_set=choice.eval_set(name, self.eval_set),
            )
            for name, one in choice.generators.items()
        }

    def problems(self) -> list[Problem]:
        """Everything that would make every image fail, found without generating."""
        found = self.generator.problems(self.eval_set, self.args)
        if self.seeds > 1 and not self.generator.takes_seed(self.args):
            found.append(Problem("seeds", SEEDLESS))
        scores = [name for metric in self.metrics for name in metric.scales() or metric.directions()]
        # Told here, before a run: later one value would silently take the other's place.
        for name in sorted({name for name in scores if scores.count(name) > 1}):
            found.append(
                Problem(
                    "metrics",
                    f"the score {name!r} is given by two of them, and only one would be kept; leave one out",
                )
            )
        folders = (*self.eval_set.input_folders, *self.eval_set.reference_folders)
        for metric in self.metrics:
            where = f"metric {metric.name!r}"
            if metric.parallel < 1:
                found.append(
                    Problem(where, f"parallel is a number of calls, at least 1 (got {metric.parallel})")
                )
            for folder in metric.reference_folders():
                if folder not in folders:
                    has = ", ".join(folders) or "no folders"
                    message = (
                        f"needs the folder {folder!r}, but the eval set {self.eval_set.name!r} has {has}"
                    )
                    found.append(Problem(where, message))
            for images in metric.item_images():
                if message := images.problem_with(self.eval_set):
                    found.append(Problem(where, message))
            found += [Problem(where, message) for message in self._column_problems(metric.columns())]
            for prompt in metric.prompts():
                found += self._prompt_problems(where, prompt)
            found += [Problem(where, message) for message in metric.problems()]
        return found

    def _column_problems(self, columns: Sequence[str]) -> list[str]:
        known = self.eval_set.columns
        if known:
            has = f"has {', '.join(map(repr, known))}"
        else:
            has = "is no set of prompts and has no columns"
        missing = [column for column in columns if column not in known]
        return [
            f"reads the column {column!r}{nearest(column, known)}; the eval set {self.eval_set.name!r} {has}"
            for column in missing
        ]

    def _prompt_problems(self, where: str, prompt: Prompt) -> list[Problem]:
        # A prompt that is given as text stands in no workflow.
        if self.generator.workflow is None or not prompt.node_name:
            return []
        try:
            self.generator.workflow.value(prompt.node_name, prompt.input)
        except WorkflowError as error:
            return [Problem(f"{where}, prompt", problem.message) for problem in error.problems]
        return []

    def indices(self) -> tuple[int, ...]:
        """Item indices in the order they are generated."""
        return self.order or tuple(range(len(self.eval_set)))


def seeds_of(args: Mapping[str, Any]) -> int:
    """How many images every item is generated as, each with a seed of its own: ``args["seeds"]``, 1 by
    default.

    Raises:
        ConfigurationError: It is no whole number from 1.
    """
    value = args.get("seeds", 1)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MOST_SEEDS:
        raise ConfigurationError(
            f"seeds must be a whole number from 1 to {MOST_SEEDS} (got {value!r})", "args"
        )
    return value


def directions(metrics: Sequence[BaseMetric]) -> dict[str, Direction]:
    """Score name to direction over all metrics."""
    return {name: direction for metric in metrics for name, direction in metric.directions().items()}

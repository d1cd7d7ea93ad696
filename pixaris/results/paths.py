"""Where everything lies that a search or a run leaves: every file name of ours, once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pixaris.files import safe_name

TRACKING = "experiment_tracking.jsonl"
"""One line for each run, in the results folder."""


def trial_name(number: int) -> str:
    """``trial_0003``: the name of a trial, of its folder and of its TensorBoard run."""
    return f"trial_{number:04d}"


def numbered(name: str, number: int) -> str:
    """The folder's name of the first, second, … search or run of a name: ``name``, ``name-2``, …."""
    if number == 1:
        return name
    return f"{name}-{number}"


def recheck_name(search: str) -> str:
    """The name of a search's re-check, which is a search of its own: ``restore-2-recheck``."""
    return f"{search}-recheck"


def number_of(folder: str, name: str) -> int | None:
    """Which search of a name a folder's name means; None if it is another name's."""
    # In whole: `restore-2-recheck` is no search called `restore`.
    match = re.fullmatch(rf"{re.escape(name)}(?:-(\d+))?", folder)
    if match:
        return int(match[1] or 1)
    return None


@dataclass(frozen=True)
class RunPaths:
    """The files of an experiment run.

    Attributes:
        folder: The run's own folder.
    """

    folder: Path

    RECORD = "run.json"
    ITEMS = "items.jsonl"
    IMAGES = "generated_images"
    WORKFLOW = "workflow_apiformat.json"
    PICTURE = "workflow.png"

    @property
    def record(self) -> Path:
        """Parameters, scores, counts, failures."""
        return self.folder / self.RECORD

    @property
    def items(self) -> Path:
        """One line for each item: its scores or its error."""
        return self.folder / self.ITEMS

    @property
    def images(self) -> Path:
        """The generated images."""
        return self.folder / self.IMAGES

    @property
    def workflow(self) -> Path:
        """The workflow with its parameters bound."""
        return self.folder / self.WORKFLOW

    @property
    def picture(self) -> Path:
        """The workflow's picture."""
        return self.folder / self.PICTURE

    @classmethod
    def image_name(cls, item: str, seed: int = 0) -> str:
        """Path of an item's image in the run's folder.

        Args:
            item: The item's name.
            seed: Which of its seeds, from 0.
        """
        if seed:
            # The first seed's images lie where those of a run with one seed lie, so that everything that
            # shows one image finds it.
            folder = f"{cls.IMAGES}/seed_{seed + 1}"
        else:
            folder = cls.IMAGES
        return f"{folder}/{safe_name(item)}.png"

    def images_of(self, item: str) -> list[Path]:
        """The item's images there are, one for each seed, in the seeds' order."""
        numbers = [int(folder.name.removeprefix("seed_")) - 1 for folder in self.images.glob("seed_*")]
        # As numbers: `seed_10` comes after `seed_2`.
        names = [self.image_name(item, seed) for seed in (0, *sorted(numbers))]
        return [self.folder / name for name in names if (self.folder / name).is_file()]


@dataclass(frozen=True)
class SearchPaths:
    """The files of a search.

    Attributes:
        folder: The search's own folder.
    """

    folder: Path

    HEAD = "search.json"
    MANIFEST = "manifest.json"
    ENDPOINTS = "endpoints.json"
    OLD_MANIFEST = "recipe.json"  # before version 0.2

    @property
    def head(self) -> Path:
        """What is optimised, how the search stands, and what it took."""
        return self.folder / self.HEAD

    @property
    def manifest(self) -> Path:
        """What the search was made from."""
        return self.folder / self.MANIFEST

    @property
    def trials(self) -> Path:
        """One line for each trial that has ended."""
        return self.folder / "trials.jsonl"

    @property
    def journal(self) -> Path:
        """What happened, in its order."""
        return self.folder / "journal.jsonl"

    @property
    def spent(self) -> Path:
        """What the search has spent of its budget."""
        return self.folder / "spent.json"

    @property
    def endpoints(self) -> Path:
        """The endpoints as the search sees them while it runs."""
        return self.folder / self.ENDPOINTS

    @property
    def events(self) -> Path:
        """One line for everything that happened to an endpoint."""
        return self.folder / "events.jsonl"

    @property
    def eval_set(self) -> Path:
        """Folder of the eval set's pictures, as they are shown beside what was made of them."""
        return self.folder / "eval_set"

    @property
    def report(self) -> Path:
        """The report: one file for any browser."""
        return self.folder / "report.html"

    @property
    def thumbnails(self) -> Path:
        """The report's small pictures, which need not be made again."""
        return self.folder / ".thumbnails.sqlite"

    @property
    def votes(self) -> Path:
        """What people's votes say of the trials, in a search that votes steer."""
        return self.folder / "votes.json"

    @property
    def rejected(self) -> Path:
        """One line for every trial that somebody wants to be stopped."""
        return self.folder / "rejected.jsonl"

    @property
    def switches(self) -> Path:
        """One line for every endpoint that somebody wants to be used no more, or again."""
        return self.folder / "switches.jsonl"

    @property
    def lock(self) -> Path:
        """Locked by the process that runs the search."""
        return self.folder / ".lock"

    @property
    def mark(self) -> Path:
        """Says which process runs the search on a cluster: whoever reads the same has this very folder."""
        return self.folder / ".mark.json"

    @property
    def store(self) -> Path:
        """Folder of the images made so far, for the process that goes on with an unfinished search."""
        return self.folder / ".images"

    @property
    def answers(self) -> Path:
        """Folder of the same images by what they were made of, where the user has no cache."""
        return self.store / "answers"

    @property
    def tune(self) -> Path:
        """Folder of Ray Tune's own files."""
        return self.folder / ".tune"

    @property
    def logs(self) -> Path:
        """Folder of the logs of servers and trials."""
        return self.folder / "logs"

    @property
    def trial_log(self) -> Path:
        """Tracebacks of trials that broke off."""
        return self.logs / "trials.log"

    @property
    def tensorboard(self) -> Path:
        """Folder of TensorBoard's event files."""
        return self.folder / "tensorboard"

    @property
    def comparison(self) -> Path:
        """The picture of input, baseline and winner."""
        return self.folder / "comparison.png"

    def source(self, suffix: str) -> Path:
        """The copy of the search file.

        Args:
            suffix: ``.yaml`` or ``.py``; any other is taken as YAML.
        """
        return self.folder / ("search.py" if suffix == ".py" else "search.yaml")

    def trial(self, number: int) -> RunPaths:
        """A trial's files."""
        return RunPaths(self.folder / trial_name(number))

"""The seam for feedback: iterations of images that people look at, and what they say of them.

An iteration is only ever added to once it is made, and what people say is a log: a later entry of the same
person on the same image counts instead of the earlier one, and a vote is taken back by an entry that says so.
So nobody's word is lost where two write at once, and a store that can only append is enough.
"""

from __future__ import annotations

import datetime
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from pixaris.exceptions import ConfigurationError, Problem
from pixaris.types import Direction

Verdict: TypeAlias = Literal["like", "dislike", "neither"]
Outcome: TypeAlias = Literal["left", "right", "tie"]

INDICATORS: dict[str, Verdict] = {"Like": "like", "Dislike": "dislike", "Neither": "neither"}
"""What `FeedbackHandler.write_single_feedback` is told, to what is kept."""

_SUFFIXES = (".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif", ".heic")


@dataclass(frozen=True, order=True)
class IterationKey:
    """Which iteration is meant.

    Attributes:
        project: The project's name.
        name: The iteration's name; it is unique in its project.
    """

    project: str
    name: str


@dataclass(frozen=True)
class FeedbackImage:
    """An image that people are asked about.

    Attributes:
        name: Its name; it is unique in its iteration.
        file: Where it lies.
        item: Name of the eval set's item that it was made of; images of one item are compared.
        run: What made it: ``restore/trial_0003``, an experiment run's name.
        dataset: The eval set's name, or "".
        digest: Of its pixels, or "" where nobody has looked.
        scores: Score name to value, as metrics saw it.
    """

    name: str
    file: Path
    item: str = ""
    run: str = ""
    dataset: str = ""
    digest: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Iteration:
    """Images that people are asked about together.

    Attributes:
        key: Its project and name.
        images: In the order in which they are shown.
        created: Unix time.
        directions: Score name to what is better, of the scores that its images have.
    """

    key: IterationKey
    images: tuple[FeedbackImage, ...]
    created: float = 0.0
    directions: Mapping[str, Direction] = field(default_factory=dict)

    @property
    def runs(self) -> list[str]:
        """What made its images, in their order."""
        return list(dict.fromkeys(image.run for image in self.images))


@dataclass(frozen=True)
class Entry:
    """Something that a person said.

    Attributes:
        rater: The person's name.
        at: Unix time.
        id: Unique; an entry that is written a second time is passed over, so that it may be sent again.
    """

    rater: str
    at: float = field(default_factory=time.time)
    id: str = field(default_factory=lambda: secrets.token_hex(12))


@dataclass(frozen=True)
class Feedback(Entry):
    """What a person thinks of an image; the last entry on an image counts.

    Attributes:
        image: The image's name.
        verdict: "neither" takes an earlier one back.
        comment: In words, or "".
    """

    image: str = ""
    verdict: Verdict = "neither"
    comment: str = ""


@dataclass(frozen=True)
class Vote(Entry):
    """Which of two images of one item a person prefers, seen side by side without names.

    Attributes:
        item: The item's name.
        left: Name of the image that was shown on the left.
        right: Name of the other one.
        outcome: Which is better.
        comment: In words, or "".
    """

    item: str = ""
    left: str = ""
    right: str = ""
    outcome: Outcome = "tie"
    comment: str = ""


@dataclass(frozen=True)
class Retraction(Entry):
    """A vote that its rater takes back.

    Attributes:
        vote: The vote's id.
    """

    vote: str = ""


AnyEntry: TypeAlias = Feedback | Vote | Retraction


@dataclass(frozen=True)
class Log:
    """Entries of an iteration.

    Attributes:
        entries: In the order in which they were written.
        until: Number of the last one; what is asked for `after` it is what has come since.
    """

    entries: tuple[AnyEntry, ...]
    until: int = 0


@dataclass(frozen=True)
class Totals:
    """What people said of an image.

    Attributes:
        likes: How many like it.
        dislikes: How many do not.
        comments: Who said what, in the order in which it was said.
    """

    likes: int = 0
    dislikes: int = 0
    comments: tuple[tuple[str, str], ...] = ()


class FeedbackHandler(ABC):
    """Keeps iterations, and what people say of their images.

    Implement five methods. They are called from several threads at once, and several processes may use one
    store (two review pages, a search that waits for votes). Handlers must pickle; open files and connections
    lazily, in the process that uses them.

    Attributes:
        look_seconds: How often a page should read what others have said.
        is_local: Whether it lies on this machine, where other machines do not reach it.
    """

    look_seconds: float = 0.0
    is_local: bool = False

    @abstractmethod
    def create(self, iteration: Iteration) -> Iteration:
        """Keep a new iteration and copies of its images; give it as it is kept.

        Raises:
            ConfigurationError: There is one of this name already, or an image cannot be read.
            StorageError: It cannot be kept.
        """

    @abstractmethod
    def iterations(self) -> Sequence[IterationKey]:
        """All iterations there are, by project and name.

        Raises:
            StorageError: The store cannot be read.
        """

    @abstractmethod
    def load(self, key: IterationKey) -> Iteration:
        """Give an iteration with the files of its images on this machine.

        Raises:
            ConfigurationError: There is none.
            StorageError: The store cannot be read.
        """

    @abstractmethod
    def write(self, key: IterationKey, entry: AnyEntry) -> None:
        """Keep what a person said; it is kept when this returns.

        Raises:
            ConfigurationError: There is no such iteration, or it has no such image.
            StorageError: It cannot be kept.
        """

    @abstractmethod
    def read(self, key: IterationKey, after: int = 0) -> Log:
        """What was said of an iteration.

        Args:
            key: The iteration.
            after: `Log.until` of an earlier answer: only what has come since is wanted.

        Raises:
            StorageError: The store cannot be read.
        """

    def extend(self, key: IterationKey, images: Sequence[FeedbackImage]) -> None:
        """Add images to an iteration; those whose names it has are passed over. Optional to implement: only
        a search that votes steer asks for it.

        Raises:
            ConfigurationError: There is no such iteration, an image cannot be read, or this store cannot.
            StorageError: They cannot be kept.
        """
        kind = type(self).__name__
        raise ConfigurationError(f"{kind} cannot add images to an iteration; give it a method `extend`")

    @property
    def has_begun(self) -> bool:
        """Whether anything may be kept in it yet; where not, whoever only looks need not make it."""
        return True

    @property
    def notes(self) -> list[str]:
        """What whoever starts a page on it should know, a sentence each."""
        return []

    def close(self) -> None:  # noqa: B027  (optional to implement)
        """Let go of files and connections of this process."""

    # Written once

    def load_projects_list(self) -> list[str]:
        """Names of the projects that have iterations."""
        return sorted({key.project for key in self.iterations()})

    def load_feedback_iterations_for_project(self, project: str) -> list[str]:
        """Names of a project's iterations."""
        return sorted(key.name for key in self.iterations() if key.project == project)

    def load_images_for_feedback_iteration(self, project: str, feedback_iteration: str) -> list[str]:
        """Paths of an iteration's images."""
        return [str(image.file) for image in self.load(IterationKey(project, feedback_iteration)).images]

    def create_feedback_iteration(
        self,
        local_image_directory: str | Path,
        project: str,
        feedback_iteration: str,
        date_suffix: str | None = None,
        dataset: str = "",
        experiment_name: str = "",
    ) -> Iteration:
        """Make an iteration of a folder's images.

        Args:
            local_image_directory: The folder.
            project: The project's name.
            feedback_iteration: The iteration's name …
            date_suffix: … which begins with this; by default with today's date, ``261130_``.
            dataset: The eval set's name.
            experiment_name: The run that made the images.

        Raises:
            ConfigurationError: The folder has no images, or there is an iteration of this name.
            StorageError: It cannot be kept.
        """
        folder = Path(local_image_directory)
        files = sorted(path for path in folder.glob("*") if path.suffix.lower() in _SUFFIXES)
        if not files:
            raise ConfigurationError(f"{folder} holds no images; name the folder that they lie in")
        if date_suffix is None:
            date = datetime.date.today().strftime("%y%m%d")
        else:
            date = date_suffix
        if date:
            name = f"{date}_{feedback_iteration}"
        else:
            name = feedback_iteration
        images = [FeedbackImage(file.name, file, file.stem, experiment_name, dataset) for file in files]
        return self.create(Iteration(IterationKey(project, name), tuple(images), time.time()))

    def write_single_feedback(self, feedback: Mapping[str, object]) -> None:
        """Keep feedback on one image, given as a mapping.

        Args:
            feedback: ``project``, ``feedback_iteration``, ``image_name``, ``feedback_indicator`` ("Like",
                "Dislike" or "Neither"), and perhaps ``comment`` and ``rater``.

        Raises:
            ConfigurationError: One of them is missing or wrong, or there is no such image.
            StorageError: It cannot be kept.
        """
        problems = [
            Problem(name, "is missing")
            for name in ("project", "feedback_iteration", "image_name", "feedback_indicator")
            if not feedback.get(name)
        ]
        indicator = feedback.get("feedback_indicator")
        if indicator and indicator not in INDICATORS:
            words = f"must be one of {', '.join(INDICATORS)} (got {indicator!r})"
            problems.append(Problem("feedback_indicator", words))
        if problems:
            raise ConfigurationError(problems, "feedback")
        entry = Feedback(
            rater=str(feedback.get("rater") or ""),
            image=str(feedback["image_name"]),
            verdict=INDICATORS[str(indicator)],
            comment=str(feedback.get("comment") or ""),
        )
        self.write(IterationKey(str(feedback["project"]), str(feedback["feedback_iteration"])), entry)

    def totals(self, key: IterationKey) -> dict[str, Totals]:
        """Image name to what was said of it; images that nobody has said anything of are left out."""
        return totals_of(self.read(key).entries)


def check_iteration(iteration: Iteration) -> None:
    """Refuse an iteration that cannot be kept.

    Raises:
        ConfigurationError: It has no images, or two of one name, or no name.
    """
    key, names = iteration.key, [image.name for image in iteration.images]
    problems = []
    if not key.project.strip() or not key.name.strip():
        problems.append("a feedback iteration needs a project and a name")
    if not names:
        problems.append(f"feedback iteration {key.name!r} has no images; choose runs that have some")
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
    else:
        twice = []
    problems += [f"feedback iteration {key.name!r} has two images {name!r}" for name in twice]
    if problems:
        raise ConfigurationError(problems)


def latest(entries: Sequence[AnyEntry]) -> dict[tuple[str, str], Feedback]:
    """Image and rater to the feedback that counts."""
    return {(entry.image, entry.rater): entry for entry in entries if isinstance(entry, Feedback)}


def totals_of(entries: Sequence[AnyEntry]) -> dict[str, Totals]:
    """Image name to what was said of it."""
    found: dict[str, Totals] = {}
    for (image, rater), said in latest(entries).items():
        known = found.get(image, Totals())
        if said.comment:
            comments = (*known.comments, (rater, said.comment))
        else:
            comments = known.comments
        likes = known.likes + (said.verdict == "like")
        dislikes = known.dislikes + (said.verdict == "dislike")
        found[image] = Totals(likes, dislikes, comments)
    return found


def votes_of(entries: Sequence[AnyEntry]) -> list[Vote]:
    """The votes that count: those that their own rater has not taken back."""
    back = {(entry.vote, entry.rater) for entry in entries if isinstance(entry, Retraction)}
    return [entry for entry in entries if isinstance(entry, Vote) and (entry.id, entry.rater) not in back]

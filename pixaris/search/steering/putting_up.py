"""A search's sets as a feedback iteration, for people to compare."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from pixaris.exceptions import ConfigurationError, SearchFailedError
from pixaris.feedback_handlers.base import FeedbackImage, Iteration
from pixaris.results.paths import SearchPaths
from pixaris.results.records import SearchResult
from pixaris.results.trial import TrialResult
from pixaris.search.steering.settings import searches_of
from pixaris.search.steering.steering import Steering
from pixaris.types import Direction


@dataclass(frozen=True)
class Stage:
    """Where a search's sets are put up.

    Attributes:
        steering: How votes steer it.
        search: The name of the search's folder.
        dataset: The eval set's name.
        directions: Score name to what is better, of the scores that are watched.
    """

    steering: Steering
    search: str
    dataset: str
    directions: Mapping[str, Direction]

    def present(self) -> Iteration | None:
        """The iteration as it is; None if there is none yet.

        Raises:
            ConfigurationError: It has images of another search.
            StorageError: The store cannot be read.
        """
        key, handler = self.steering.key, self.steering.handler
        if key not in handler.iterations():
            return None
        found = handler.load(key)
        if searches_of(found.runs) != {self.search}:
            rule = f"project {key.project!r} has a feedback iteration {key.name!r} already, of other images"
            raise ConfigurationError(f"{rule}; give this one another name, or go on with its search")
        return found

    def put_up(self, result: SearchResult) -> Iteration:
        """Add the sets that have all of their images and are not there yet; of several seeds the first one's
        images.

        Args:
            result: The search as it stands.

        Raises:
            SearchFailedError: The baseline has no images, and everything is compared with it.
            ConfigurationError: The iteration is another search's.
            StorageError: The images cannot be kept.
        """
        present = self.present()
        if present is None:
            known = set()
        else:
            known = set(present.runs)
        # A set of which items are missing would be voted on where it happened to succeed.
        whole = [trial for trial in result.trials if trial.status == "finished"]
        # Trial 0 is the baseline.
        if all(trial.number for trial in whole):
            raise SearchFailedError("the baseline has no image of some item, and votes compare with it")
        fresh = [trial for trial in whole if self.run_of(trial) not in known]
        images = [image for trial in fresh for image in self._images(result, trial)]
        key, handler = self.steering.key, self.steering.handler
        if present is None:
            own = self.steering.score
            # The votes' own score is left out: it is made of them, and must not be watched while they are
            # given.
            directions = {name: way for name, way in self.directions.items() if name != own}
            return handler.create(Iteration(key, tuple(images), time.time(), directions))
        # Nothing new where a round was put up already and the driver was killed after it: what is there is
        # gone on with.
        if images:
            handler.extend(key, images)
        return handler.load(key)

    def run_of(self, trial: TrialResult) -> str:
        """A trial's name in the iteration."""
        return f"{self.search}/{trial.name}"

    def _images(self, result: SearchResult, trial: TrialResult) -> list[FeedbackImage]:
        paths = SearchPaths(result.folder).trial(trial.number)
        images = []
        for index, item in enumerate(result.items):
            scores = {name: row[index] for name, row in trial.report.item_scores.items() if index in row}
            name = f"{item} · {self.run_of(trial)}"
            file = paths.folder / paths.image_name(item)
            images.append(FeedbackImage(name, file, item, self.run_of(trial), self.dataset, "", scores))
        return images

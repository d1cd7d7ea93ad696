"""All that the review page works with, whatever shows it."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pixaris.exceptions import ConfigurationError
from pixaris.feedback_handlers.base import (
    AnyEntry,
    FeedbackHandler,
    Iteration,
    IterationKey,
    Vote,
    latest,
    totals_of,
    votes_of,
)
from pixaris.frontend.blind import BlindQueue
from pixaris.frontend.experiments import Experiments
from pixaris.frontend.logs import Logs
from pixaris.frontend.pictures import Pictures
from pixaris.frontend.sessions import Attempts, Keyring
from pixaris.frontend.settings import PageSettings
from pixaris.frontend.steered import shared_prior
from pixaris.search.steering.visible import differ_visibly
from pixaris.statistics.preference.davidson import Array

_COMPARED = 20_000
"""Pairs of images of which it is remembered whether they differ."""

_FRESH_SECONDS = 2.0
"""How long an iteration is taken for what it was: a search that votes steer adds to its own."""


@dataclass(frozen=True)
class _Known:
    """An iteration as it was read last.

    Attributes:
        looked: When, in monotonic time.
        iteration: As it was then.
        places: Name of an image to its place.
        prior: How far its runs share what votes say; None where that is not known.
    """

    looked: float
    iteration: Iteration
    places: Mapping[str, int]
    prior: Array | None


class Review:
    """Experiments and feedback as the page shows them. Safe to be used by several threads.

    Args:
        feedback: Keeps what people say.
        results: The results folder.
        settings: How the page is served.
    """

    def __init__(self, feedback: FeedbackHandler, results: Path, settings: PageSettings) -> None:
        self.settings = settings
        self.feedback = feedback
        self.keyring = Keyring.of(results)
        self.experiments = Experiments(results, self.keyring)
        self.pictures = Pictures()
        self.attempts = Attempts()
        self._lock = threading.Lock()
        self._logs = Logs(feedback)
        self._keys: dict[str, IterationKey] = {}
        self._queues: dict[IterationKey, BlindQueue] = {}
        self._known: dict[IterationKey, _Known] = {}
        # For all iterations: images of one search are in several.
        self._visible = functools.lru_cache(maxsize=_COMPARED)(differ_visibly)

    def iteration_id(self, key: IterationKey) -> str:
        """An iteration's name in addresses."""
        return self.keyring.opaque("iteration", key.project, key.name)

    def key(self, identity: str) -> IterationKey:
        """The iteration that a name in addresses means.

        Raises:
            ConfigurationError: There is none.
        """
        with self._lock:
            # Names in addresses are digests, so that they can only be looked up, not undone.
            known = self._keys.get(identity)
        if known is None:  # iterations come, and never go
            found = {self.iteration_id(key): key for key in self.feedback.iterations()}
            with self._lock:
                self._keys.update(found)
            known = found.get(identity)
        if known is None:
            raise ConfigurationError("there is no such feedback iteration")
        return known

    def iteration(self, identity: str) -> Iteration:
        """An iteration by its name in addresses.

        Raises:
            ConfigurationError: There is none.
        """
        return self.feedback.load(self.key(identity))

    def log(self, key: IterationKey) -> Sequence[AnyEntry]:
        """All that was said of an iteration."""
        return self._logs.entries(key)

    def write(self, key: IterationKey, entry: AnyEntry) -> None:
        """Keep what somebody said."""
        self._logs.write(key, entry)

    def votes(self, key: IterationKey) -> list[Vote]:
        """The votes that count."""
        return votes_of(self.log(key))

    def queue(self, key: IterationKey) -> BlindQueue:
        """The queue of an iteration's blind comparison."""
        known = self._read(key)
        with self._lock:
            queue = self._queues.get(key)
        if queue is None:
            queue = BlindQueue(known.iteration, self._visible)
            with self._lock:
                # Another thread may have made one meanwhile: the first counts, or a pair would be lent twice.
                queue = self._queues.setdefault(key, queue)
        # Each time: an iteration that votes steer grows between rounds.
        queue.take(known.iteration, known.prior)
        return queue

    def _read(self, key: IterationKey) -> _Known:
        """An iteration, read again where that was long ago."""
        with self._lock:
            known = self._known.get(key)
        now = time.monotonic()
        # A store far away, or one that charges for a look, says itself how often it may be asked.
        if known is not None and now - known.looked < max(_FRESH_SECONDS, self.feedback.look_seconds):
            return known
        iteration = self.feedback.load(key)
        places = {image.name: place for place, image in enumerate(iteration.images)}
        known = _Known(now, iteration, places, shared_prior(self.experiments.results, iteration))
        with self._lock:
            self._known[key] = known
        return known

    def totals(self, key: IterationKey) -> dict[str, object]:
        """What was said of each image, by its place, and how many votes there are: what is sent to pages."""
        entries = self.log(key)
        places = self._read(key).places
        images = {}
        for name, totals in totals_of(entries).items():
            if name in places:
                images[places[name]] = {
                    "likes": totals.likes,
                    "dislikes": totals.dislikes,
                    "comments": [list(pair) for pair in totals.comments],
                }
        return {"images": images, "votes": len(votes_of(entries))}

    def own(self, key: IterationKey, rater: str) -> dict[int, dict[str, str]]:
        """What somebody said of each image, by its place."""
        places = self._read(key).places
        return {
            places[image]: {"verdict": said.verdict, "comment": said.comment}
            for (image, whose), said in latest(self.log(key)).items()
            if whose == rater and image in places
        }

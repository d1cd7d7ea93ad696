"""The queue of a blind comparison: which two images somebody sees next, and what it tells of them.

A pair is lent for a minute, so that several people share the queue. A vote on a pair whose minute is over
counts all the same.
"""

from __future__ import annotations

import itertools
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pixaris.feedback_handlers.base import FeedbackImage, Iteration, Vote
from pixaris.search.steering.comparisons import comparisons
from pixaris.search.steering.visible import can_be_told_apart
from pixaris.statistics.preference.davidson import Array
from pixaris.statistics.preference.duel import Pair, least_asked, next_pair

LEASE_SECONDS = 60.0
APART = 20
"""A pair does not come back to somebody within so many votes, unless to see whether they agree with
themselves.
"""

# One in fourteen: enough to tell how far somebody agrees with themselves.
REPEATS = 0.07
"""Share of questions that somebody has answered before, with sides swapped."""

# A page that was left open overnight may still be answered.
_KEPT_SECONDS = 12 * 3600.0


@dataclass(frozen=True)
class Lease:
    """A question to somebody.

    Attributes:
        id: Its name, which tells nothing of the images.
        rater: Who was asked.
        left: The image on the left.
        right: The image on the right.
        since: When, by the queue's clock.
    """

    id: str
    rater: str
    left: FeedbackImage
    right: FeedbackImage
    since: float

    @property
    def question(self) -> frozenset[str]:
        """The two images, in whatever order."""
        return frozenset((self.left.name, self.right.name))


class BlindQueue:
    """Asks people about pairs of an iteration's images, of one item each. Safe to be used by several threads.

    Args:
        iteration: Its images.
        visible: Tells whether two images differ where anybody could see it.
        seed: Of everything random.
        clock: Gives seconds.
    """

    def __init__(
        self,
        iteration: Iteration,
        visible: Callable[[Path, Path], bool],
        seed: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._random = np.random.default_rng(seed)
        self._visible = visible
        self._clock = clock
        self._lock = threading.Lock()
        self._leases: dict[str, Lease] = {}
        self._answered: set[str] = set()
        self._alike: set[frozenset[str]] = set()
        self.runs: list[str] = []
        self._images: dict[tuple[str, str], FeedbackImage] = {}
        self._items: dict[Pair, list[str]] = {}
        self._prior: Array | None = None
        self.take(iteration)

    def take(self, iteration: Iteration, prior: Array | None = None) -> None:
        """Take in the iteration as it is now: it may have been added to.

        Args:
            iteration: With the images it has by now.
            prior: How far its runs share what votes say [runs × runs], where that is known.
        """
        with self._lock:
            self._prior = prior
            # Images are only ever added, so their number tells.
            if len(iteration.images) == len(self._images):
                return
            self.runs = iteration.runs
            self._images = {(image.item, image.run): image for image in iteration.images}
            self._items = self._pairs()

    def _pairs(self) -> dict[Pair, list[str]]:
        """Pairs of runs to the items that both have an image of, but for those that are known to look
        alike.
        """
        items = list(dict.fromkeys(item for item, _ in self._images))
        found = {}
        for one, other in itertools.combinations(range(len(self.runs)), 2):
            both = [item for item in items if self._has(item, one) and self._has(item, other)]
            different = [item for item in both if self._question((one, other), item) not in self._alike]
            if different:
                found[one, other] = different
        return found

    def _has(self, item: str, run: int) -> bool:
        return (item, self.runs[run]) in self._images

    @property
    def questions(self) -> int:
        """Pairs of images that may be asked about; those that look alike are found out when they come up."""
        return sum(map(len, self._items.values()))

    def lend(self, rater: str, votes: Sequence[Vote]) -> Lease | None:
        """The next question for somebody; None if there is none for now.

        Args:
            rater: Who asks.
            votes: All that count so far, in their order.
        """
        with self._lock:
            self._forget()
            mine = [vote for vote in votes if vote.rater == rater]
            # Before a fresh one is looked for, and only if there is something to repeat.
            if self._random.random() < REPEATS and (again := self._again(rater, mine)) is not None:
                return again
            return self._fresh(rater, votes, mine)

    def ask_again(self, rater: str, vote: Vote) -> Lease | None:
        """The question of a vote that was taken back, as it was asked; None if its images are gone."""
        by_name = {image.name: image for image in self._images.values()}
        if vote.left not in by_name or vote.right not in by_name:
            return None
        with self._lock:
            return self._keep(rater, by_name[vote.left], by_name[vote.right])

    def lease(self, identity: str, rater: str) -> Lease | None:
        """A question that somebody was asked; None if it was not asked, or of another."""
        # Without the lock: a single look at a dict, and a lease never changes.
        lease = self._leases.get(identity)
        if lease is not None and lease.rater == rater:
            return lease
        return None

    def answered(self, identity: str) -> None:
        """A question was answered: it is lent to nobody any more."""
        self._answered.add(identity)

    def release(self, rater: str) -> None:
        """Somebody has opened the page anew: what was shown or loaded ahead may be asked again."""
        with self._lock:
            self._answered.update(lease.id for lease in self._open(rater))

    def _open(self, rater: str) -> list[Lease]:
        """What somebody was asked and has not answered, however long ago."""
        leases = self._leases.values()
        return [lease for lease in leases if lease.rater == rater and lease.id not in self._answered]

    def _forget(self) -> None:
        now = self._clock()
        old = [name for name, lease in self._leases.items() if now - lease.since > _KEPT_SECONDS]
        for name in old:
            del self._leases[name]
            self._answered.discard(name)

    def _lent(self) -> list[Lease]:
        now = self._clock()
        return [
            lease
            for lease in self._leases.values()
            if lease.id not in self._answered and now - lease.since <= LEASE_SECONDS
        ]

    def _again(self, rater: str, mine: Sequence[Vote]) -> Lease | None:
        """Something that somebody answered a while ago, with sides swapped."""
        times = Counter(frozenset((vote.left, vote.right)) for vote in mine)
        by_name = {image.name: image for image in self._images.values()}
        held = {lease.question for lease in self._lent()}
        old = []
        # Not what somebody has just seen and remembers.
        for vote in mine[:-APART]:
            pair = frozenset((vote.left, vote.right))
            # Twice is enough to tell; and whoever has it open must not be asked it beside that.
            if times[pair] == 1 and pair not in held and pair <= by_name.keys():
                old.append(vote)
        if not old:
            return None
        vote = old[int(self._random.integers(len(old)))]
        return self._keep(rater, by_name[vote.right], by_name[vote.left])

    def _fresh(self, rater: str, votes: Sequence[Vote], mine: Sequence[Vote]) -> Lease | None:
        asked = Counter(frozenset((vote.left, vote.right)) for vote in votes)
        barred = {frozenset((vote.left, vote.right)) for vote in mine[-APART:]}
        barred |= {lease.question for lease in self._lent()}
        # Also those whose minute is over: the same person may have them loaded ahead.
        barred |= {lease.question for lease in self._open(rater)}
        told = comparisons(self.runs, self._images.values(), votes)
        # Each round that does not return takes one item out, so it ends.
        while True:
            free = {pair: self._free(pair, barred) for pair in self._items}
            open_pairs = [pair for pair, items in free.items() if items]
            pair = next_pair(len(self.runs), told, open_pairs, self._random, self._prior)
            if pair is None:
                return None
            counts = {item: asked[self._question(pair, item)] for item in free[pair]}
            item = least_asked(free[pair], counts, self._random)
            one, other = (self._images[item, self.runs[run]] for run in pair)
            if can_be_told_apart(one, other, self._visible):
                # Who prefers a side must not prefer a set by it.
                swap = self._random.random() < 0.5
                if swap:
                    return self._keep(rater, other, one)
                return self._keep(rater, one, other)
            self._items[pair].remove(item)
            # Remembered, because `take` makes the list of items anew.
            self._alike.add(self._question(pair, item))

    def _free(self, pair: Pair, barred: set[frozenset[str]]) -> list[str]:
        return [item for item in self._items[pair] if self._question(pair, item) not in barred]

    def _question(self, pair: Pair, item: str) -> frozenset[str]:
        return frozenset(self._images[item, self.runs[run]].name for run in pair)

    def _keep(self, rater: str, left: FeedbackImage, right: FeedbackImage) -> Lease:
        # Not from the seeded generator: names of questions must not be guessed.
        lease = Lease(secrets.token_hex(10), rater, left, right, self._clock())
        self._leases[lease.id] = lease
        return lease

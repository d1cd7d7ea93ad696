"""The requests that wait, kept so that the next one is found without looking at all of them.

By kind of endpoint, by priority (a `Level`), by affinity key (a `Line`), by search (a `Share`), by owner (a
`Queue`). Requests that have failed on an endpoint stand apart in their level: they cannot go to any endpoint,
and there are few of them.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from pixaris.endpoints.dispatch.request import Request
from pixaris.endpoints.dispatch.slots import Slots, Turn

_STALE = 8
"""Entries of an owner in a heap, beyond which those that count no longer are thrown out."""

Rank: TypeAlias = tuple[Turn, bool, int, int]
"""Smaller goes first: the turn of its search; has it not waited too long; unanswered requests of its owner;
its age.
"""


class Queue:
    """One owner's requests in a line, oldest first: one that comes back has its old turn."""

    def __init__(self) -> None:
        self._requests: dict[int, Request] = {}
        self._orders: list[int] = []

    def __len__(self) -> int:
        return len(self._requests)

    def add(self, request: Request) -> None:
        self._requests[request.order] = request
        heapq.heappush(self._orders, request.order)

    def remove(self, request: Request) -> None:
        del self._requests[request.order]
        # Removed ones stay in the heap until they are its top: to take them out where they are would look
        # through it.
        while self._orders and self._orders[0] not in self._requests:
            heapq.heappop(self._orders)

    @property
    def oldest(self) -> Request:
        return self._requests[self._orders[0]]


class Share:
    """One search's requests in a line, by owner. Never empty."""

    def __init__(self) -> None:
        self.queues: dict[str, Queue] = {}
        self._by_age: list[tuple[int, str]] = []
        self._by_unanswered: list[tuple[int, int, str]] = []

    def changed(self, owner: str, unanswered: Mapping[str, int]) -> None:
        """An owner's oldest request here is another one than before, or it has more or fewer without a
        result: what was noted of it counts no longer.

        Args:
            owner: The owner whose requests have changed.
            unanswered: Owner to its requests without a result.
        """
        queue = self.queues.get(owner)
        if queue is None:
            return
        order = queue.oldest.order
        heapq.heappush(self._by_age, (order, owner))
        # The old entry stays: to find it would cost more than to pass over it when it comes up.
        heapq.heappush(self._by_unanswered, (unanswered.get(owner, 0), order, owner))
        # Entries that no longer count are dropped when they come to the top; where many changes hit one owner
        # they never do.
        if len(self._by_unanswered) > _STALE * (len(self.queues) + _STALE):
            orders = [(queue.oldest.order, name) for name, queue in self.queues.items()]
            self._by_age = sorted(orders)
            self._by_unanswered = sorted((unanswered.get(name, 0), age, name) for age, name in orders)

    def _is_oldest(self, order: int, owner: str) -> bool:
        queue = self.queues.get(owner)
        return queue is not None and queue.oldest.order == order

    @property
    def oldest(self) -> Request:
        """The one that waits the longest."""
        while not self._is_oldest(*self._by_age[0]):
            heapq.heappop(self._by_age)
        return self.queues[self._by_age[0][1]].oldest

    def nearest(self, unanswered: Mapping[str, int]) -> Request:
        """The oldest of the owner that has the fewest requests without a result.

        Args:
            unanswered: Owner to how many these are.
        """
        while True:
            count, order, owner = self._by_unanswered[0]
            if count == unanswered.get(owner, 0) and self._is_oldest(order, owner):
                return self.queues[owner].oldest
            heapq.heappop(self._by_unanswered)


class Line:
    """The requests of one priority that need the same models, by search. Never empty."""

    def __init__(self, affinity: str) -> None:
        self.affinity = affinity
        self.count = 0
        self.shares: dict[str, Share] = {}

    def changed(self, owner: str, unanswered: Mapping[str, int]) -> None:
        """As `Share.changed`."""
        for share in self.shares.values():
            share.changed(owner, unanswered)

    @property
    def oldest(self) -> Request:
        """The one that waits the longest."""
        return min((share.oldest for share in self.shares.values()), key=lambda request: request.order)


class Level:
    """The requests of one priority.

    Args:
        slots: Those that searches have, of endpoints of this kind.

    Attributes:
        lines: Affinity key to the requests that need it.
        retries: Requests that have failed on an endpoint, by age.
        unanswered: Owner to the number of its requests of this priority without a result, leased ones
            included.
    """

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self.lines: dict[str, Line] = {}
        self.retries: dict[int, Request] = {}
        self.unanswered: Counter[str] = Counter()
        self._lines_of: dict[str, dict[str, Line]] = {}

    @property
    def waiting(self) -> bool:
        """Whether any request waits."""
        return bool(self.lines or self.retries)

    def count(self, affinity: str) -> int:
        """How many wait in a line."""
        line = self.lines.get(affinity)
        if line:
            return line.count
        return 0

    def add(self, request: Request) -> None:
        # It may not go everywhere, so it cannot stand in a queue whose first one is handed to anybody.
        if request.tries.tried:
            self.retries[request.order] = request
            return
        line = self.lines.get(request.affinity)
        if line is None:
            line = self.lines[request.affinity] = Line(request.affinity)
        share = line.shares.get(request.search)
        if share is None:
            share = line.shares[request.search] = Share()
        queue = share.queues.get(request.owner)
        if queue is None:
            queue = share.queues[request.owner] = Queue()
        queue.add(request)
        line.count += 1
        self._lines_of.setdefault(request.owner, {})[request.affinity] = line
        line.changed(request.owner, self.unanswered)

    def remove(self, request: Request) -> None:
        if self.retries.pop(request.order, None) is not None:
            return
        line = self.lines[request.affinity]
        share = line.shares[request.search]
        queue = share.queues[request.owner]
        queue.remove(request)
        line.count -= 1
        if not queue:
            del share.queues[request.owner]
            if not share.queues:
                del line.shares[request.search]
            del self._lines_of[request.owner][request.affinity]
            if not self._lines_of[request.owner]:
                del self._lines_of[request.owner]
        if not line.count:
            del self.lines[request.affinity]
        line.changed(request.owner, self.unanswered)

    def has_more(self, owner: str, count: int) -> None:
        """An owner has so many more requests without a result, or fewer."""
        self.unanswered[owner] += count
        # Owners come and go all through a search; zeros would pile up.
        if not self.unanswered[owner]:
            del self.unanswered[owner]
        for line in self._lines_of.get(owner, {}).values():
            line.changed(owner, self.unanswered)

    def rank(self, request: Request, overdue: float) -> Rank:
        """Who goes first: the search that has the fewest slots, of equal ones the one that has waited longer
        for its next; of one search what waits since `overdue` or longer, oldest first; then the owner whose
        decision is nearest.

        The owner with the fewest unanswered requests is the nearest to its decision; among equals the older
        request goes first.
        """
        turn = self._slots.turn(request.search)
        if request.since <= overdue:
            return turn, False, 0, request.order
        return turn, True, self.unanswered[request.owner], request.order

    def pick(self, line: Line, skip: int, overdue: float) -> tuple[Rank, Request]:
        """The most urgent request of a line after the first `skip` (fewer than it has), each queue taken as a
        whole.
        """
        shares = line.shares.values()
        if len(shares) == 1:
            (share,) = shares
            if skip == 0 or len(share.queues) == 1:
                return self._first(share, overdue)
        if skip == 0:
            firsts = [self._first(share, overdue) for share in shares]
            return min(firsts, key=lambda first: first[0])
        heads = [
            (self.rank(queue.oldest, overdue), queue) for share in shares for queue in share.queues.values()
        ]
        for rank, queue in sorted(heads, key=lambda head: head[0]):
            skip -= len(queue)
            if skip < 0:
                return rank, queue.oldest
        # The caller bounds `skip` by the line's count.
        raise AssertionError("more are skipped than wait")

    def _first(self, share: Share, overdue: float) -> tuple[Rank, Request]:
        """The most urgent request of a search in a line."""
        if len(share.queues) == 1:
            (queue,) = share.queues.values()
            return self.rank(queue.oldest, overdue), queue.oldest
        request = share.oldest
        # Not even the oldest has waited too long, so owners go by how near they are to their decisions.
        if request.since > overdue:
            request = share.nearest(self.unanswered)
        return self.rank(request, overdue), request


class Waiting:
    """All requests that wait.

    Attributes:
        count: How many.
        arrived: How often one has come to wait, or come back to it.
    """

    def __init__(self) -> None:
        self.count = 0
        self.arrived = 0
        self._levels: dict[str, dict[int, Level]] = {}
        self._slots: dict[str, Slots] = {}

    def enter(self, request: Request) -> None:
        """Take a new request, which waits."""
        self._level(request).has_more(request.owner, 1)
        self.add(request)

    def add(self, request: Request) -> None:
        """Let a request wait (again)."""
        if request.lease is not None:
            self._slots[request.kind].take(request.search)
        request.lease = None
        self._level(request).add(request)
        self.count += 1
        self.arrived += 1

    def remove(self, request: Request) -> None:
        """A request waits no longer: it has a slot, and is given its lease next."""
        self._take_out(request)
        self._slots[request.kind].give(request.search)

    def leave(self, request: Request) -> None:
        """Keep a request no longer that has its result or was cancelled."""
        if request.lease is None:
            self._take_out(request)
        else:
            self._slots[request.kind].take(request.search)
        level = self._level(request)
        level.has_more(request.owner, -1)
        if not level.unanswered:
            del self._levels[request.kind][request.priority]

    def move(self, request: Request, priority: int) -> None:
        """Change a request's priority."""
        lease = request.lease
        self.leave(request)
        # Through `leave` and `enter`, so that the owner's count moves to the other priority too; that lets
        # it wait, which a leased one must not.
        request.priority, request.lease = priority, None
        self.enter(request)
        if lease is not None:
            self.remove(request)
            request.lease = lease

    def levels(self, kind: str) -> Sequence[Level]:
        """The priorities of a kind, most urgent first."""
        return [level for _, level in sorted(self._levels.get(kind, {}).items(), key=lambda item: item[0])]

    def owners(self, kind: str) -> set[str]:
        """Those who have requests of a kind without a result, leased ones included."""
        return {owner for level in self._levels.get(kind, {}).values() for owner in level.unanswered}

    def kinds(self) -> Iterator[str]:
        """The kinds of endpoint that something waits for."""
        for kind, levels in self._levels.items():
            if any(level.waiting for level in levels.values()):
                yield kind

    def asks(self, kind: str) -> bool:
        """Whether a request of a kind has no result yet."""
        return bool(self._levels.get(kind))

    def _take_out(self, request: Request) -> None:
        self._level(request).remove(request)
        self.count -= 1

    def _level(self, request: Request) -> Level:
        slots = self._slots.setdefault(request.kind, Slots())
        levels = self._levels.setdefault(request.kind, {})
        level = levels.get(request.priority)
        if level is None:
            level = levels[request.priority] = Level(slots)
        return level

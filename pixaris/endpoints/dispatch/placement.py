"""Which request goes to which endpoint: one round of it, for the endpoints and the requests of one kind.

The rules, in words:

1. **Whether.** An endpoint reckons when it would have finished one more request: what it has and this one, at
   its seconds per image, and a load for each that needs other models. It takes one only if more requests wait
   for those models than the other endpoints that hold them finish before then. Otherwise they wait for these,
   though it has a free slot: the tail of a search waits neither for a slow endpoint nor for a load. Where it
   takes one, the first in the queue are left to those others.
2. **Which endpoint.** The one that would have finished first; of equals the emptier one, then the one that
   has done less.
3. **Which request.** Work whose models it holds (no affinity key: everybody holds it) before other work,
   whatever the priority; if a load costs less than an image, priority comes first. Of one priority: the
   search that has the fewest slots, where several share the pool; of one search what waited longer than
   `Policy.patience` or 20 images, oldest first; then the owner with the fewest unanswered requests of that
   priority; then the oldest.
4. **Taking over other models.** Only with no work that it holds the models for, and only by rule 1 with more
   than the load itself reckoned: half a load of gain, and a load to come back if it gives up models. So what
   nobody holds is taken at once, what others hold only if it would wait much longer than a load. Of several
   the models whose work would take longest without it. While nobody knows what a load costs it counts as
   nothing, for an endpoint that is idle: rather load than do nothing.
5. **Leaving room.** While more models are expected (`Policy.models_at_once`) than are held, endpoints that
   hold none yet are kept for them: those who join models that are held already are no more than these models'
   share.
6. **Nothing starves.** What waited as long as in rule 3 and whose models nobody holds is taken over by the
   first endpoint with a free slot that has worked for its own models for as long, and for six times a load,
   even if it has more work for these.

A request that failed on an endpoint goes before its priority, to another one; back to one it failed on only
if no other can be used. Whoever would be the first to finish a request, of those that hold its models, takes
it if it has a free slot; if nobody holds them, anybody does: so endpoints are never all idle while work waits
for them.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil, inf

from pixaris.endpoints.dispatch.policy import Policy
from pixaris.endpoints.dispatch.request import Request
from pixaris.endpoints.dispatch.server import Server
from pixaris.endpoints.dispatch.waiting import Level, Line, Rank, Waiting

_TAKE_OVER = 1.5
"""Loads reckoned for work whose models are not held: it must save more than it costs …"""
_GIVE_UP = 1.0
"""… and these for the models that are given up for it: they will be loaded again."""
_TENURE = 6.0
"""Loads that an endpoint works for its models at least, though others starve."""
# So many images' time is waited in any case: on slow endpoints `Policy.patience` would be less than a few
# images.
_PATIENT_IMAGES = 20
# Breaks ties between numbers that are equal but for rounding.
_HAIR = 1e-6


@dataclass(frozen=True)
class Part:
    """The endpoints of one round.

    Attributes:
        servers: Healthy ones of one kind.
        share: Their part of all of that kind.
        most: Requests that are placed in the round: a part takes no more than its share of what waits.
        elsewhere: Gives how many of the others hold the models of an affinity key.
    """

    servers: Sequence[Server]
    share: float = 1.0
    most: float = inf
    elsewhere: Callable[[str], int] = lambda affinity: 0


class Placement:
    """One round. It changes what it is given: the requests it places are taken from those that wait.

    Args:
        part: The endpoints, and what is to be known of the others of their kind.
        waiting: All requests that wait.
        policy: `Policy.patience` and `Policy.models_held`.
        load: Seconds that loading models adds to an image, or None if nobody knows yet.
        expected: Affinity keys that will be asked for soon.
        now: Seconds.
    """

    def __init__(
        self,
        part: Part,
        waiting: Waiting,
        policy: Policy,
        load: float | None,
        expected: int,
        now: float,
    ) -> None:
        servers = part.servers
        self._part = part
        self._servers = [server for server in servers if server.rest.until <= now]
        self._waiting = waiting
        self._policy = policy
        self._now = now
        if servers:
            self._levels = waiting.levels(servers[0].kind)
        else:
            self._levels = []
        self._load = load or 0.0
        self._unknown = load is None
        self._expected = expected
        self._holders: dict[str, list[Server]] = {"": self._servers}
        known = [server.timing.speed.value for server in servers if server.timing.speed.value is not None]
        if known:
            # The median: one slow endpoint must not make new ones look slow.
            typical = sorted(known)[len(known) // 2]
        else:
            typical = None
        patience = max(policy.patience, _PATIENT_IMAGES * (typical or 0.0))
        self._overdue = now - patience
        # At least as long as others are patient: else two models would take an endpoint from each other in
        # turns.
        self._tenure = max(patience, _TENURE * self._load)
        for server in self._servers:
            silence = server.silence(now)
            if server.loading and load is None:
                silence = 0.0  # nobody knows how much of it is the load
            elif server.loading:
                silence -= 2 * self._load  # a load may well take twice as long as usual
            # An endpoint that is late with an image has become slow.
            server.pace = max(server.timing.usual(typical or 1.0, load), silence, _HAIR)
            # Resting endpoints are not among the holders: work is not to wait for them.
            for key in server.models:
                self._holders.setdefault(key, []).append(server)
        # Then priority decides before models do; unknown, a load counts as nothing.
        self._cheap = self._load < (typical or 0.0)

    def run(self) -> Iterator[tuple[Request, Server]]:
        """Place what can be placed; each request has been given to its endpoint when it comes out."""
        # The index last: it decides between equals, and endpoints themselves cannot be compared.
        free = [(*self._place(server), index) for index, server in enumerate(self._servers) if server.free]
        heapq.heapify(free)
        placed = 0
        while free and placed < self._part.most and any(level.waiting for level in self._levels):
            index = heapq.heappop(free)[-1]
            server = self._servers[index]
            request = self._next(server)
            # It is not put back: what it leaves to others is what they take from now on.
            if request is None:
                continue
            self._give(request, server)
            placed += 1
            yield request, server
            # Pushed anew, because its place depends on what it has just got.
            if server.free:
                heapq.heappush(free, (*self._place(server), index))

    def _next(self, server: Server) -> Request | None:
        depths = range(len(self._levels))
        if self._cheap:
            # Generators, so that lower priorities are only looked at where nothing is found above.
            found = (self._own(server, depth) or self._other(server, depth) for depth in depths)
        else:
            found = (choose(server, depth) for choose in (self._own, self._other) for depth in depths)
        return next((request for request in found if request is not None), None)

    def _place(self, server: Server) -> tuple[float, float, int]:
        return self._finish(server, 0.0), len(server.leases) / server.endpoint.depth, server.tally.done

    def _give(self, request: Request, server: Server) -> None:
        self._waiting.remove(request)
        # To take a request may give up models, and the holders must say what is true for the next choice.
        before = list(server.models)
        server.take(request, self._policy.models_held, self._now)
        if server.models != before:
            for key in set(before).difference(server.models):
                self._holders[key].remove(server)
            for key in set(server.models).difference(before):
                self._holders.setdefault(key, []).append(server)

    # One endpoint's next request

    def _own(self, server: Server, depth: int) -> Request | None:
        """What it takes before it thinks of other models."""
        level = self._levels[depth]
        request = self._retry(server, level) or self._starving(server, level)
        if request is not None:
            return request
        found = [
            self._pick(server, depth, line) for key in ("", *server.models) if (line := level.lines.get(key))
        ]
        picks = [pick for pick in found if pick is not None]
        if picks:
            return min(picks, key=lambda pick: pick[0])[1]
        return None

    def _other(self, server: Server, depth: int) -> Request | None:
        """What it takes over other models for."""
        best: tuple[tuple[float, Rank], Request] | None = None
        for key, line in self._levels[depth].lines.items():
            if server.holds(key) or not self._may_load(server, key):
                continue
            if not self._holders.get(key) and not self._is_worth_a_load(server, line):
                continue
            pick = self._pick(server, depth, line)
            if pick is None:
                continue
            rank, request = pick
            merit = (-self._drain(key, line.count), rank)
            # Negative, because the smallest merit wins and the longest work is to come first.
            if best is None or merit < best[0]:
                best = merit, request
        if best:
            return best[1]
        return None

    def _is_worth_a_load(self, server: Server, line: Line) -> bool:
        """Whether those of other cells who hold a line's models would take longer for it than a load pays."""
        others = self._part.elsewhere(line.affinity)
        return not others or line.count * server.pace / others > self._cost(server)

    def _may_load(self, server: Server, affinity: str) -> bool:
        """Whether it may join those who hold models already; anybody may where nobody does."""
        holders = len(self._holders.get(affinity, ()))
        if not holders:
            return True
        # It has work, and nobody knows what a load costs: one endpoint at a time finds out.
        if server.leases and self._unknown:
            return False
        if server.models or self._expected <= 1:
            return True
        held = sum(bool(key and servers) for key, servers in self._holders.items())
        return held >= self._expected or holders < len(self._servers) // self._expected

    def _retry(self, server: Server, level: Level) -> Request | None:
        for _, request in sorted(level.retries.items()):
            if server.endpoint.url in request.tries.tried:
                # Another one can still try it.
                if any(one.endpoint.url not in request.tries.tried for one in self._servers):
                    continue
                others = self._holders.get(request.affinity, [])
            else:
                others = [
                    one
                    for one in self._holders.get(request.affinity, [])
                    if one.endpoint.url not in request.tries.tried
                ]
            if not self._sooner(others, server, request.affinity, enough=1):
                return request
        return None

    def _starving(self, server: Server, level: Level) -> Request | None:
        # It has not worked for its models long enough; or it holds all that is asked for, so nobody starves
        # by it.
        if server.turned + self._tenure > self._now or all(map(server.holds, level.lines)):
            return None
        elsewhere = self._part.elsewhere
        unheld = [
            line.oldest
            for key, line in level.lines.items()
            if not self._holders.get(key) and not elsewhere(key)
        ]
        oldest = min(unheld, key=lambda request: request.order, default=None)
        if oldest is not None and oldest.since <= self._overdue:
            return oldest
        return None

    def _pick(self, server: Server, depth: int, line: Line) -> tuple[Rank, Request] | None:
        """The request of a line that this endpoint would be the first to finish, if there is one."""
        # What is more urgent is done first, by the same endpoints.
        ahead = sum(level.count(line.affinity) for level in self._levels[:depth])
        # A cell reckons with its share of the queue, for other cells take from it too.
        enough = ceil((ahead + line.count) * self._part.share)
        sooner = self._sooner(self._holders.get(line.affinity, []), server, line.affinity, enough)
        if sooner >= enough:
            return None
        # The first ones are left to those who finish them sooner.
        skip = min(max(0, sooner - int(ahead * self._part.share)), line.count - 1)
        return self._levels[depth].pick(line, skip, self._overdue)

    # Reckoning

    def _finish(self, server: Server, load: float) -> float:
        """Seconds until an endpoint has finished one request more."""
        return (len(server.leases) + 1) * server.pace + server.loading * self._load + load

    def _sooner(self, others: Sequence[Server], server: Server, affinity: str, enough: int) -> int:
        """How many more requests other endpoints finish before this one would finish its next; at most about
        `enough`.
        """
        if server.holds(affinity):
            load = 0.0
        else:
            # At equal times those who hold the models go first, even while a load costs nothing.
            load = max(self._cost(server), 2 * _HAIR * server.pace)
        finish = self._finish(server, load)
        count = 0
        for other in others:
            if other is not server:
                more = (
                    ceil((finish - other.loading * self._load) / other.pace - _HAIR) - 1 - len(other.leases)
                )
                if more > 0:
                    count += more
                    if count >= enough:
                        break
        return count

    def _cost(self, server: Server) -> float:
        """Seconds that taking over other models must save."""
        return (
            _TAKE_OVER + (_GIVE_UP if len(server.models) >= self._policy.models_held else 0.0)
        ) * self._load

    def _drain(self, affinity: str, count: int) -> float:
        """Seconds until those who hold the models have finished what waits for them."""
        holders = self._holders.get(affinity)
        if not holders:
            return inf
        leases = sum(len(server.leases) for server in holders)
        # What they have done of the image, or the load, that they are at.
        done = max(server.silence(self._now) for server in holders)
        return (leases + count) / sum(1 / server.pace for server in holders) - done

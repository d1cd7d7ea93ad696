"""Who runs what next: pure bookkeeping of requests, endpoints and leases.

Nothing here waits, opens a connection or reads a clock: the caller passes ``now`` (seconds, monotonic) and
carries out what comes back. `pixaris.endpoints.core` is the caller in every pool.

A request is *waiting* or *leased*. A lease says which endpoint tries it and which attempt it is; no two
leases are equal. What comes back for a lease that is no longer current (its endpoint left, the request was
cancelled) is told apart and counts for nothing.

Which waiting request goes to which endpoint is decided in `pixaris.endpoints.dispatch.placement`, which
endpoints may be used in `pixaris.endpoints.dispatch.health`; their docstrings have the rules.
"""

from __future__ import annotations

from functools import partial
from math import ceil

from pixaris.endpoints.base import Endpoint
from pixaris.endpoints.dispatch.blame import unfit
from pixaris.endpoints.dispatch.health import Health
from pixaris.endpoints.dispatch.placement import Part, Placement
from pixaris.endpoints.dispatch.policy import Policy
from pixaris.endpoints.dispatch.request import Lease, Request
from pixaris.endpoints.dispatch.server import MovingAverage, Server
from pixaris.endpoints.dispatch.waiting import Waiting
from pixaris.exceptions import (
    AccountError,
    ChargedError,
    EndpointError,
    OutOfMemoryError,
    PixarisError,
    RateLimitedError,
)

__all__ = ["Dispatcher", "Lease", "Policy"]

_PLACE_AGAIN = 1.0
"""Seconds until requests that wait for a better endpoint than the free ones are placed again, if nothing
happens before.
"""


class Dispatcher:
    """The lease table. Not thread-safe: the pool that owns it serialises the calls.

    Args:
        policy: The limits.

    Attributes:
        health: The endpoints and the state of each.
        images: Requests answered with an image.
        errors: Requests answered with an error.
    """

    def __init__(self, policy: Policy | None = None) -> None:
        self.policy = policy or Policy()
        self.images = 0
        self.errors = 0
        self._requests: dict[str, Request] = {}
        self._waiting = Waiting()
        self.health = Health(self.policy, self._waiting)
        self._load = MovingAverage()
        self._order = 0
        # The first request's time: only its first seconds are the head start in which more models are
        # expected.
        self._began = float("inf")
        # Never goes back, so that no two leases are equal.
        self._leases = 0

    # Endpoints join and leave

    def join(self, endpoint: Endpoint, now: float, *, healthy: bool = False) -> None:
        """Add an endpoint. Unless it is known to be healthy, it gets its first request after a probe."""
        self.health.join(endpoint, now, healthy=healthy)

    def leave(self, url: str, now: float, *, stays: bool = False) -> list[Lease]:
        """Remove an endpoint, or only what it has; that waits again.

        Args:
            url: The endpoint.
            now: Seconds.
            stays: Whether it stays part of the pool.

        Returns:
            The leases it held, which no longer count.
        """
        if stays:
            server = self.health.server(url)
        else:
            server = self.health.leave(url, now)
        if server is None:
            return []
        # Copies: to release a request takes it from the table that is gone through.
        requests = list(server.leases.values())
        leases = [request.lease for request in requests if request.lease is not None]
        for request in requests:
            server.release(request)
            self._waiting.add(request)
        self._freed(server)
        return leases

    # Requests

    def submit(
        self,
        request_id: str,
        kind: str,
        priority: int,
        now: float,
        *,
        owner: str = "",
        search: str = "",
        affinity: str = "",
    ) -> bool:
        """Queue a request; False if it is known already (the same id is the same request).

        Args:
            request_id: Its id.
            kind: The endpoints that can serve it.
            priority: Smaller runs first.
            now: Seconds.
            owner: Who waits for it: owners share the endpoints, the one with the fewest unanswered requests
                goes first.
            search: The owner's: searches that share a pool share its slots, the one with the fewest goes
                first.
            affinity: Equal for requests that need the same models; "" if that makes no difference.
        """
        if request_id in self._requests:
            return False
        self.health.asked(kind, owner, now)
        self._began = min(self._began, now)
        self._order += 1
        request = Request(request_id, kind, priority, self._order, now, owner, search, affinity)
        self._requests[request_id] = request
        self._waiting.enter(request)
        return True

    def promote(self, request_id: str, priority: int) -> None:
        """Give a waiting request a new priority (work done ahead has become work that is waited for)."""
        request = self._requests.get(request_id)
        if request is not None and request.priority != priority:
            # A leased one too: its owner's share is counted by priority.
            self._waiting.move(request, priority)

    def cancel(self, request_id: str) -> tuple[bool, Lease | None]:
        """Keep a request no longer. Returns whether it was known, and the lease that must be cancelled on its
        endpoint, if any.
        """
        request = self._requests.get(request_id)
        if request is None:
            return False, None
        lease = request.lease
        if lease is not None:
            server = self._server(lease)
            server.release(request)
            self._freed(server)
        self._release(request)
        return True, lease

    def assign(self, now: float) -> list[Lease]:
        """Lease waiting requests to free slots, by the rules of `pixaris.endpoints.dispatch.placement`."""
        leases = []
        if now < self._began + self.policy.head_start:
            # At the start the owners come one after the other: whoever is first must not fill all endpoints
            # with one model.
            expected = self.policy.models_at_once
        else:
            expected = 1
        # A copy, since placing the last request of a kind takes the kind away.
        for kind in list(self._waiting.kinds()):
            cells = self.health.members.cells(kind)
            # Before the cells take theirs: each is given its share of what waits now, not of what the last
            # one left.
            count = self._waiting.count
            for cell in cells.due(self._waiting.arrived, now):
                share = cells.share(cell)
                part = Part(cell.servers, share, ceil(count * share), partial(cells.elsewhere, cell))
                placement = Placement(part, self._waiting, self.policy, self._load.value, expected, now)
                leases += [self._lease(request, server) for request, server in placement.run()]
        return leases

    def claim(self, request_id: str, url: str, now: float) -> Lease | None:
        """Lease a waiting request to the endpoint that has it already; None if it does not wait, or has no
        slot there.
        """
        request, server = self._requests.get(request_id), self.health.server(url)
        if request is None or request.lease is not None or server is None:
            return None
        serves = server in self.health.usable(request.kind)
        # It may rest, or be drained: then it is no place for a lease, whatever it is doing.
        if not serves or not server.free or server.rest.until > now:
            return None
        self._waiting.remove(request)
        # Without placement: the endpoint is at work on it, so there is nothing to choose.
        server.take(request, self.policy.models_held, now)
        server.timing.disturbed = True  # when it began is not known
        return self._lease(request, server)

    def lease(self, request_id: str) -> Lease | None:
        """The lease of a request, if it has one."""
        request = self._requests.get(request_id)
        if request is not None:
            return request.lease
        return None

    # What came back

    def succeeded(self, lease: Lease, now: float) -> bool:
        """Count an image, and learn from its time. False if the lease is no longer current: then nobody waits
        for this answer.
        """
        request = self._current(lease)
        if request is None:
            return False
        server = self._server(lease)
        # Learns from the time before the lease is released: how long it took depends on what else was there.
        server.answer(request, self._load, now)
        self._freed(server)
        self._release(request)
        server.tally.done += 1
        # An image proves the endpoint: its rests start from the shortest again, and nobody's requests are
        # suspected of its failures.
        server.rest.relapses = 0
        server.blamed_by.clear()
        self.health.blame.cleared(request.owner)
        # What was out of memory there was made here: it was the endpoint that is too small, not the set
        # that is too large.
        if request.tries.short_on not in (None, lease.url):
            self.health.ran_out(request.tries.short_on, request.owner, now)
        self.images += 1
        return True

    def failed(self, lease: Lease, error: PixarisError, now: float) -> bool:
        """Count a failed attempt, and rest the endpoint if the fault is its own.

        Returns:
            True if `error` is the request's final result; False if it waits for another endpoint, or the
            lease is not current.
        """
        request = self._current(lease)
        if request is None:
            return False
        server = self._server(lease)
        server.release(request, now)
        self._freed(server)
        # The first time says nothing of the endpoint yet; `succeeded` puts the blame where it belongs, if
        # another one can.
        if isinstance(error, OutOfMemoryError) and request.tries.short_on is None:
            self._ran_out_of_memory(request, server)
            return False
        if isinstance(error, EndpointError):
            self.health.failed(server, error, request.owner, now)
            if not isinstance(error, RateLimitedError):
                # To be asked to wait is no failure: the request may go back there.
                request.tries.tried.add(lease.url)
                request.tries.failures += 1
            # What was charged is not tried again: the account would pay twice.
            if request.tries.failures < self.policy.max_attempts and not isinstance(error, ChargedError):
                self._waiting.add(request)
                return False
        self._release(request)
        self.errors += 1
        return True

    def returned(self, lease: Lease) -> bool:
        """Take a request back that was not tried to the end (its worker died): it waits again, no endpoint is
        to blame.

        Returns:
            True if that has happened `Policy.max_attempts` times: then it is what kills the workers, and is
                not tried again.
        """
        request = self._current(lease)
        if request is None:
            return False
        server = self._server(lease)
        server.release(request)
        self._freed(server)
        # Counted apart from failures: a worker's death is no endpoint's fault, but a request that kills every
        # worker must end somewhere.
        request.tries.returns += 1
        if request.tries.returns < self.policy.max_attempts:
            self._waiting.add(request)
            return False
        self._release(request)
        self.errors += 1
        return True

    # The pool as a whole

    def next_event(self, now: float) -> float | None:
        """Seconds until something is due without anybody calling (a probe, the end of a rest, the wait
        limit), or None.
        """
        times = self.health.due(now, working=bool(self._requests))
        for kind in self._waiting.kinds():
            cells = self.health.members.cells(kind)
            if cells.has_free and any(one.free and one.rest.until <= now for one in cells.servers):
                times.append(now + _PLACE_AGAIN)
        if times:
            return max(0.0, min(times) - now)
        return None

    def unanswered(self) -> list[str]:
        """Ids of every request that has no result yet."""
        return list(self._requests)

    def ended_by(self, fatal: PixarisError) -> list[str]:
        """Ids of those that an error which ends everything answers: of a refused account, not what it has
        begun and charged.
        """
        if not isinstance(fatal, AccountError):
            return self.unanswered()
        return [key for key, request in self._requests.items() if not self._is_charged(request)]

    @property
    def waiting(self) -> int:
        """Requests without a lease."""
        return self._waiting.count

    # Inside

    def _ran_out_of_memory(self, request: Request, server: Server) -> None:
        """Let a request wait for its second try: where there is more memory if that is anywhere, else where
        there is as much.
        """
        request.tries.short_on = server.endpoint.url
        request.tries.tried.update(unfit(server, self.health.usable(server.kind)))
        self._waiting.add(request)

    def _is_charged(self, request: Request) -> bool:
        return request.lease is not None and self._server(request.lease).endpoint.api.charges

    def _freed(self, server: Server) -> None:
        """An endpoint has a slot more."""
        self.health.members.cells(server.kind).freed(server.endpoint.url)

    def _server(self, lease: Lease) -> Server:
        """The endpoint of a current lease."""
        server = self.health.server(lease.url)
        assert server is not None, "an endpoint that leaves takes its leases along"
        return server

    def _current(self, lease: Lease) -> Request | None:
        """The request of a lease that still counts."""
        request = self._requests.get(lease.request_id)
        if request is not None and request.lease == lease:
            return request
        return None

    def _lease(self, request: Request, server: Server) -> Lease:
        request.tries.attempts += 1
        self._leases += 1
        is_short = request.tries.short_on is not None
        request.lease = Lease(request.id, server.endpoint.url, request.tries.attempts, self._leases, is_short)
        return request.lease

    def _release(self, request: Request) -> None:
        del self._requests[request.id]
        self._waiting.leave(request)

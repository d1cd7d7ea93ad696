"""Who runs what next: pure bookkeeping of requests, endpoints and leases.

Nothing here waits, opens a connection or reads a clock: the caller passes ``now`` (seconds, monotonic) and carries out what comes
back. The thread pool and the Ray pool are two bodies around this one head.

A request is *waiting* or *leased*. A lease says which endpoint tries it and which attempt it is; what comes back for a lease that
is no longer current (its endpoint left, the request was cancelled) is told apart and counts for nothing.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field

from pixaris.endpoints.base import Endpoint, EndpointState, EndpointStatus
from pixaris.exceptions import (
    AccountError,
    EndpointError,
    InterruptedPromptError,
    NoEndpointError,
    OutOfMemoryError,
    PixarisError,
    RateLimitedError,
)
from pixaris.types import EndpointKind


@dataclass(frozen=True)
class Policy:
    """Limits, in attempts and seconds.

    Attributes:
        max_attempts: Endpoint failures a request survives; the last one is its result.
        first_quarantine: How long a failed endpoint rests before its first probe; doubled for each failed probe …
        max_quarantine: … up to this.
        memory_rest: How long an endpoint rests after it ran out of memory.
        rate_rest: How long an endpoint rests after HTTP 429 without a time of its own.
        wait_limit: How long requests wait while no endpoint is healthy, before the pool gives up.
    """

    max_attempts: int = 6
    first_quarantine: float = 1.0
    max_quarantine: float = 30.0
    memory_rest: float = 2.0
    rate_rest: float = 5.0
    wait_limit: float = 120.0


@dataclass(frozen=True)
class Lease:
    """One attempt at one request on one endpoint."""

    request_id: str
    url: str
    attempt: int


@dataclass
class _Request:
    id: str
    kind: EndpointKind
    priority: int
    order: int
    attempts: int = 0
    failures: int = 0
    tried: set[str] = field(default_factory=set)
    lease: Lease | None = None


@dataclass
class _Endpoint:
    endpoint: Endpoint
    state: EndpointState
    leases: dict[str, Lease] = field(default_factory=dict)
    rest_until: float = 0.0
    rest: float = 0.0
    probing: bool = False
    done: int = 0
    failures: int = 0
    last_failure: str = ""


class Dispatcher:
    """The lease table. Not thread-safe: the pool that owns it serialises the calls.

    Args:
        policy: The limits.
    """

    def __init__(self, policy: Policy | None = None) -> None:
        self.policy = policy or Policy()
        self.images = 0
        self.errors = 0
        self._endpoints: dict[str, _Endpoint] = {}
        self._requests: dict[str, _Request] = {}
        self._waiting: list[tuple[int, int, str]] = []
        self._order = 0
        self._none_healthy_since: float | None = None
        self._events: list[str] = []

    # Endpoints join and leave

    def join(self, endpoint: Endpoint, now: float, *, healthy: bool = False) -> None:
        """Add an endpoint. Unless it is known to be healthy, it gets its first request after a probe."""
        if endpoint.url in self._endpoints:
            return
        known = _Endpoint(endpoint, "healthy" if healthy else "starting", rest_until=now, rest=self.policy.first_quarantine)
        self._endpoints[endpoint.url] = known
        self._note_health(now)

    def leave(self, url: str, now: float) -> list[Lease]:
        """Remove an endpoint; what it had waits again. Returns the leases it held, which no longer count."""
        known = self._endpoints.pop(url, None)
        if known is None:
            return []
        leases = list(known.leases.values())
        for lease in leases:
            self._wait_again(self._requests[lease.request_id])
        self._note_health(now)
        return leases

    # Requests

    def submit(self, request_id: str, kind: EndpointKind, priority: int, now: float) -> bool:
        """Queue a request; False if it is known already (the same id is the same request)."""
        if request_id in self._requests:
            return False
        if self._none_healthy_since is not None and not self._requests:
            self._none_healthy_since = now  # an idle pool's past does not count against its first request
        self._order += 1
        request = _Request(request_id, kind, priority, self._order)
        self._requests[request_id] = request
        heapq.heappush(self._waiting, (priority, request.order, request_id))
        return True

    def promote(self, request_id: str, priority: int) -> None:
        """Give a waiting request a new priority (work done ahead has become work that is waited for)."""
        request = self._requests.get(request_id)
        if request is None or request.priority == priority:
            return
        request.priority = priority
        if request.lease is None:
            heapq.heappush(self._waiting, (priority, request.order, request_id))

    def cancel(self, request_id: str) -> tuple[bool, Lease | None]:
        """Forget a request. Returns whether it was known, and the lease that must be stopped on its endpoint, if any."""
        request = self._requests.pop(request_id, None)
        if request is None:
            return False, None
        if request.lease is not None:
            self._release(request.lease)
        return True, request.lease

    def assign(self, now: float) -> list[Lease]:
        """Lease waiting requests to free places, most urgent first, the emptiest endpoint first."""
        leases = []
        passed_over = []
        free = {kind: self._free(kind, now) for kind in {e.endpoint.kind for e in self._endpoints.values()}}
        while self._waiting and any(free.values()):
            entry = heapq.heappop(self._waiting)
            request = self._requests.get(entry[2])
            if request is None or request.lease is not None or request.priority != entry[0]:
                continue  # cancelled, leased or promoted meanwhile
            endpoint = self._choose(request, free.get(request.kind, []))
            if endpoint is None:
                passed_over.append(entry)
                continue
            request.attempts += 1
            request.lease = Lease(request.id, endpoint.endpoint.url, request.attempts)
            endpoint.leases[request.id] = request.lease
            leases.append(request.lease)
            if len(endpoint.leases) >= endpoint.endpoint.depth:
                free[request.kind].remove(endpoint)
        for entry in passed_over:
            heapq.heappush(self._waiting, entry)
        return leases

    def _free(self, kind: EndpointKind, now: float) -> list[_Endpoint]:
        return [
            e
            for e in self._endpoints.values()
            if e.state == "healthy" and e.endpoint.kind == kind and e.rest_until <= now and len(e.leases) < e.endpoint.depth
        ]

    def _choose(self, request: _Request, free: list[_Endpoint]) -> _Endpoint | None:
        """An endpoint the request has not failed on; one it has only where no other is healthy."""
        fresh = [e for e in free if e.endpoint.url not in request.tried]
        if not fresh and any(self._healthy(request.kind, besides=request.tried)):
            return None
        return min(fresh or free, key=lambda e: (len(e.leases), len(e.leases) / e.endpoint.depth, e.done), default=None)

    def _healthy(self, kind: EndpointKind, besides: Iterable[str] = ()) -> Iterable[_Endpoint]:
        return (
            e
            for e in self._endpoints.values()
            if e.state == "healthy" and e.endpoint.kind == kind and e.endpoint.url not in besides
        )

    # What came back

    def succeeded(self, lease: Lease) -> bool:
        """Count an image. False if the lease is no longer current: then nobody waits for this answer."""
        if not self._current(lease):
            return False
        del self._requests[lease.request_id]
        self._release(lease)
        known = self._endpoints[lease.url]
        known.done += 1
        known.rest = self.policy.first_quarantine
        self.images += 1
        return True

    def failed(self, lease: Lease, error: PixarisError, now: float) -> bool:
        """Count a failed attempt, and rest the endpoint if the fault is its own.

        Returns:
            True if `error` is the request's final result; False if it waits for another endpoint, or the lease is not current.
        """
        if not self._current(lease):
            return False
        request = self._requests[lease.request_id]
        self._release(lease)
        if isinstance(error, EndpointError):
            self._rest(self._endpoints[lease.url], error, now)
            if not isinstance(error, RateLimitedError):
                request.tried.add(lease.url)
                request.failures += 1
            if request.failures < self.policy.max_attempts:
                self._wait_again(request)
                return False
        del self._requests[lease.request_id]
        self.errors += 1
        return True

    def returned(self, lease: Lease) -> None:
        """Take a request back that was never really tried (its worker died): it waits again, nobody is to blame."""
        if self._current(lease):
            self._release(lease)
            self._wait_again(self._requests[lease.request_id])

    def _rest(self, known: _Endpoint, error: EndpointError, now: float) -> None:
        known.failures += 1
        known.last_failure = error.message
        if isinstance(error, InterruptedPromptError):
            return  # somebody's wish, no fault of the server
        if isinstance(error, RateLimitedError):
            known.rest_until = max(known.rest_until, now + (error.retry_after or self.policy.rate_rest))
            return
        if known.state != "healthy":
            return
        known.state = "quarantined"
        known.rest = self.policy.memory_rest if isinstance(error, OutOfMemoryError) else self.policy.first_quarantine
        known.rest_until = now + known.rest
        self._events.append(f"{known.endpoint.url} is quarantined: {error.message}")
        self._note_health(now)

    # Probes

    def probes(self, now: float) -> list[Endpoint]:
        """Endpoints whose probe is due; each is named once until `probed` answers."""
        due = [e for e in self._endpoints.values() if e.state in ("starting", "quarantined") and not e.probing]
        due = [e for e in due if e.rest_until <= now]
        for known in due:
            known.probing = True
        return [known.endpoint for known in due]

    def probed(self, url: str, error: PixarisError | None, now: float) -> None:
        """Take the outcome of a probe: back to work, or rest twice as long."""
        known = self._endpoints.get(url)
        if known is None or not known.probing:
            return
        known.probing = False
        if error is None:
            if known.state == "quarantined":
                self._events.append(f"{url} is back")
            known.state = "healthy"
            self._note_health(now)
            return
        if known.state == "starting":
            known.state = "quarantined"
            self._events.append(f"{url} does not answer yet: {error}")
        known.last_failure = str(error)
        known.rest = min(known.rest * 2, self.policy.max_quarantine)
        known.rest_until = now + known.rest

    # The pool as a whole

    def next_event(self, now: float) -> float | None:
        """Seconds until something is due without anybody calling (a probe, the end of a rest, the wait limit), or None."""
        times = [e.rest_until for e in self._endpoints.values() if e.state != "healthy" and not e.probing]
        if self._waiting:
            times += [e.rest_until for e in self._endpoints.values() if e.state == "healthy" and e.rest_until > now]
            if self._none_healthy_since is not None:
                times.append(self._none_healthy_since + self.policy.wait_limit)
        return max(0.0, min(times) - now) if times else None

    def exhausted(self, now: float) -> NoEndpointError | None:
        """The reason to give up, once requests have waited `Policy.wait_limit` seconds with no endpoint healthy."""
        since = self._none_healthy_since
        if since is None or not self._requests or now - since < self.policy.wait_limit:
            return None
        reasons = "; ".join(f"{url}: {e.last_failure or 'no answer'}" for url, e in self._endpoints.items())
        return NoEndpointError(f"no endpoint has been healthy for {now - since:.0f} s ({reasons or 'there is none'})")

    def _note_health(self, now: float) -> None:
        if any(e.state == "healthy" for e in self._endpoints.values()):
            self._none_healthy_since = None
        elif self._none_healthy_since is None:
            self._none_healthy_since = now

    def endpoint(self, url: str) -> Endpoint | None:
        """The endpoint of a URL, while it is part of the pool."""
        known = self._endpoints.get(url)
        return known.endpoint if known else None

    def unanswered(self) -> list[str]:
        """Ids of every request that has no result yet."""
        return list(self._requests)

    @property
    def waiting(self) -> int:
        """Requests without a lease."""
        return sum(request.lease is None for request in self._requests.values())

    @property
    def slots(self) -> int:
        """Places on healthy endpoints."""
        return sum(e.endpoint.depth for e in self._endpoints.values() if e.state == "healthy")

    def status(self) -> tuple[EndpointStatus, ...]:
        """Every endpoint as it stands."""
        return tuple(
            EndpointStatus(url, e.state, len(e.leases), e.done, e.failures, e.last_failure) for url, e in self._endpoints.items()
        )

    def events(self, since: int = 0) -> tuple[str, ...]:
        """What happened to endpoints, as sentences, from number `since` on."""
        return tuple(self._events[since:])

    # Inside

    def _current(self, lease: Lease) -> bool:
        request = self._requests.get(lease.request_id)
        return request is not None and request.lease == lease

    def _release(self, lease: Lease) -> None:
        known = self._endpoints.get(lease.url)
        if known is not None:
            known.leases.pop(lease.request_id, None)

    def _wait_again(self, request: _Request) -> None:
        request.lease = None
        heapq.heappush(self._waiting, (request.priority, request.order, request.id))


def is_fatal(error: PixarisError) -> bool:
    """Whether an error ends the search rather than one request."""
    return isinstance(error, AccountError | NoEndpointError)

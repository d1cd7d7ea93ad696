"""Who runs what next: pure bookkeeping of requests, endpoints and leases.

Nothing here waits, opens a connection or reads a clock: the caller passes ``now`` (seconds, monotonic) and
carries out what comes back. The thread pool and the Ray pool are two bodies around this one head.

A request is *waiting* or *leased*. A lease says which endpoint tries it and which attempt it is; no two
leases are equal. What comes back for a lease that is no longer current (its endpoint left, the request was
cancelled) is told apart and counts for nothing.

Which waiting request goes to which endpoint is decided in `pixaris.endpoints.placement`; its docstring has
the rules.
"""

from __future__ import annotations

from collections.abc import Iterable

from pixaris.endpoints.base import Endpoint, EndpointStatus, PoolStatus
from pixaris.endpoints.placement import Placement
from pixaris.endpoints.policy import Policy
from pixaris.endpoints.server import MovingAverage, Server
from pixaris.endpoints.waiting import Lease, Request, Waiting
from pixaris.exceptions import (
    AccountError,
    ChargedError,
    EndpointError,
    FarSideError,
    InterruptedPromptError,
    NoEndpointError,
    OutOfMemoryError,
    PixarisError,
    RateLimitedError,
)
from pixaris.types import EndpointKind

__all__ = ["Dispatcher", "Lease", "Policy", "is_fatal"]

_LOOK_AGAIN = 1.0
"""Seconds until requests that wait for a better endpoint than the free ones are looked at again, if nothing
happens before.
"""


class Dispatcher:
    """The lease table. Not thread-safe: the pool that owns it serialises the calls.

    Args:
        policy: The limits.
    """

    def __init__(self, policy: Policy | None = None) -> None:
        self.policy = policy or Policy()
        self.images = 0
        self.errors = 0
        self._endpoints: dict[str, Server] = {}
        self._requests: dict[str, Request] = {}
        self._waiting = Waiting()
        self._load = MovingAverage()
        self._order = 0
        self._began = float("inf")
        self._leases = 0
        self._none_healthy_since: dict[EndpointKind, float] = {}
        self._events: list[str] = []

    # Endpoints join and leave

    def join(self, endpoint: Endpoint, now: float, *, healthy: bool = False) -> None:
        """Add an endpoint. Unless it is known to be healthy, it gets its first request after a probe."""
        if endpoint.url in self._endpoints:
            return
        known = Server(
            endpoint, "healthy" if healthy else "starting", rest_until=now, rest=self.policy.first_quarantine
        )
        self._endpoints[endpoint.url] = known
        self._note_health(endpoint.kind, now)

    def leave(self, url: str, now: float) -> list[Lease]:
        """Remove an endpoint; what it had waits again. Returns the leases it held, which no longer count."""
        known = self._endpoints.pop(url, None)
        if known is None:
            return []
        leases = [request.lease for request in known.leases.values() if request.lease is not None]
        for request in known.leases.values():
            self._waiting.add(request)
        self._note_health(known.endpoint.kind, now)
        return leases

    # Requests

    def submit(
        self,
        request_id: str,
        kind: EndpointKind,
        priority: int,
        now: float,
        *,
        owner: str = "",
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
            affinity: Equal for requests that need the same models; "" if that makes no difference.
        """
        if request_id in self._requests:
            return False
        if not any(self._healthy(kind)) and not self._waiting.asks(kind):
            self._none_healthy_since[kind] = (
                now  # an idle pool's past does not count against its first request
            )
        self._began = min(self._began, now)
        self._order += 1
        request = Request(request_id, kind, priority, self._order, now, owner, affinity)
        self._requests[request_id] = request
        self._waiting.enter(request)
        return True

    def promote(self, request_id: str, priority: int) -> None:
        """Give a waiting request a new priority (work done ahead has become work that is waited for)."""
        request = self._requests.get(request_id)
        if request is not None and request.priority != priority:
            self._waiting.move(request, priority)

    def cancel(self, request_id: str) -> tuple[bool, Lease | None]:
        """Forget a request. Returns whether it was known, and the lease that must be stopped on its endpoint,
        if any.
        """
        request = self._requests.get(request_id)
        if request is None:
            return False, None
        lease = request.lease
        if lease is not None:
            self._endpoints[lease.url].release(request)
        self._forget(request)
        return True, lease

    def assign(self, now: float) -> list[Lease]:
        """Lease waiting requests to free places, by the rules of `pixaris.endpoints.placement`."""
        leases = []
        expected = self.policy.models_at_once if now < self._began + self.policy.head_start else 1
        for kind in list(self._waiting.kinds()):
            servers = list(self._healthy(kind))
            for request, server in Placement(
                servers, self._waiting, self.policy, self._load.value, expected, now
            ).run():
                leases.append(self._lease(request, server))
        return leases

    def claim(self, request_id: str, url: str, now: float) -> Lease | None:
        """Lease a waiting request to the endpoint that has it already; None if it does not wait, or has no
        place there.
        """
        request, server = self._requests.get(request_id), self._endpoints.get(url)
        if request is None or request.lease is not None:
            return None
        if (
            server is None
            or server not in self._healthy(request.kind)
            or not server.free
            or server.rest_until > now
        ):
            return None
        self._waiting.remove(request)
        server.take(request, self.policy.models_held, now)
        server.disturbed = True  # when it began is not known
        return self._lease(request, server)

    def lease(self, request_id: str) -> Lease | None:
        """The lease of a request, if it has one."""
        request = self._requests.get(request_id)
        return request.lease if request is not None else None

    def _healthy(self, kind: EndpointKind) -> Iterable[Server]:
        return (e for e in self._endpoints.values() if e.state == "healthy" and e.endpoint.kind == kind)

    # What came back

    def succeeded(self, lease: Lease, now: float) -> bool:
        """Count an image, and learn from its time. False if the lease is no longer current: then nobody waits
        for this answer.
        """
        request = self._current(lease)
        if request is None:
            return False
        known = self._endpoints[lease.url]
        known.answer(request, self._load, now)
        self._forget(request)
        known.done += 1
        known.relapses = 0
        self.images += 1
        return True

    def lost(self) -> None:
        """An image that was counted never reached the process that asked for it, and is asked for again."""
        self.images = max(0, self.images - 1)

    def failed(self, lease: Lease, error: PixarisError, now: float) -> bool:
        """Count a failed attempt, and rest the endpoint if the fault is its own.

        Returns:
            True if `error` is the request's final result; False if it waits for another endpoint, or the
            lease is not current.
        """
        request = self._current(lease)
        if request is None:
            return False
        self._endpoints[lease.url].release(request, now)
        if isinstance(error, EndpointError):
            self._rest(self._endpoints[lease.url], error, now)
            if not isinstance(error, RateLimitedError):
                request.tried.add(lease.url)
                request.failures += 1
            if request.failures < self.policy.max_attempts and not isinstance(error, ChargedError):
                self._waiting.add(request)
                return False
        self._forget(request)
        self.errors += 1
        return True

    def charge(self, url: str, cost: float | None) -> None:
        """Add what an endpoint's account was charged, whether or not anybody waits for the image any more."""
        known = self._endpoints.get(url)
        if known is not None and cost is not None:
            known.cost = (known.cost or 0.0) + cost

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
        self._endpoints[lease.url].release(request)
        request.returns += 1
        if request.returns < self.policy.max_attempts:
            self._waiting.add(request)
            return False
        self._forget(request)
        self.errors += 1
        return True

    def _rest(self, known: Server, error: EndpointError, now: float) -> None:
        known.failures += 1
        known.last_failure = error.message
        if isinstance(error, InterruptedPromptError):
            return  # somebody's wish, no fault of the server
        if isinstance(error, RateLimitedError):
            asked = error.retry_after or self.policy.rate_rest
            known.rest_until = max(known.rest_until, now + min(asked, self.policy.max_rate_rest))
            return
        if known.state != "healthy":
            return
        known.state = "quarantined"
        known.forget()
        first = (
            self.policy.memory_rest if isinstance(error, OutOfMemoryError) else self.policy.first_quarantine
        )
        known.rest = min(first * 2.0 ** min(known.relapses, 16), max(first, self.policy.max_quarantine))
        known.relapses += 1
        known.rest_until = now + known.rest
        self.tell(f"{known.endpoint.url} is quarantined: {error.message}")
        self._note_health(known.endpoint.kind, now)
        self._tell_if_none_is_left(known.endpoint.kind)

    # Probes

    def probes(self, now: float) -> list[Endpoint]:
        """Endpoints whose probe is due; each is named once until `probed` answers."""
        due = [
            e for e in self._endpoints.values() if e.state in ("starting", "quarantined") and not e.probing
        ]
        due = [e for e in due if e.rest_until <= now]
        for known in due:
            known.probing = True
        return [known.endpoint for known in due]

    def probed(self, url: str, error: PixarisError | None, now: float) -> bool:
        """Take the outcome of a probe: back to work, or rest twice as long.

        Returns:
            Whether the error ends everything: the account is refused, and there are requests for it.
        """
        known = self._endpoints.get(url)
        if known is None or not known.probing:
            return False
        known.probing = False
        if error is None:
            if known.state == "quarantined":
                self.tell(f"{url} is back")
            known.state = "healthy"
            self._note_health(known.endpoint.kind, now)
            return False
        reason = (
            error.message if isinstance(error, FarSideError) else str(error)
        )  # without the URL, which is told besides
        if known.state == "starting":
            known.state = "quarantined"
            self.tell(f"{url} does not answer yet: {reason}")
            self._tell_if_none_is_left(known.endpoint.kind)
        known.last_failure = reason
        known.rest = min(known.rest * 2, self.policy.max_quarantine)
        known.rest_until = now + known.rest
        return is_fatal(error) and self._waiting.asks(known.endpoint.kind)

    # The pool as a whole

    def next_event(self, now: float) -> float | None:
        """Seconds until something is due without anybody calling (a probe, the end of a rest, the wait
        limit), or None.
        """
        times = [e.rest_until for e in self._endpoints.values() if e.state != "healthy" and not e.probing]
        if self._requests:
            times += [
                e.rest_until for e in self._endpoints.values() if e.state == "healthy" and e.rest_until > now
            ]
            times += [since + self.policy.wait_limit for _, since in self._stranded()]
            if any(
                e.free and e.rest_until <= now for kind in self._waiting.kinds() for e in self._healthy(kind)
            ):
                times.append(now + _LOOK_AGAIN)
        return max(0.0, min(times) - now) if times else None

    def exhausted(self, now: float) -> NoEndpointError | None:
        """The reason to give up, once requests have waited `Policy.wait_limit` seconds with no endpoint of
        their kind healthy.
        """
        for kind, since in self._stranded():
            if now - since >= self.policy.wait_limit:
                endpoints = [e for e in self._endpoints.values() if e.endpoint.kind == kind]
                reasons = "; ".join(f"{e.endpoint.url}: {e.last_failure or 'no answer'}" for e in endpoints)
                return NoEndpointError(
                    f"no endpoint has been healthy for {now - since:.0f} s ({reasons or 'there is none'})"
                )
        return None

    def _stranded(self) -> Iterable[tuple[EndpointKind, float]]:
        """Kinds that are asked for and have no healthy endpoint, nor one whose first probe is under way, and
        since when.
        """
        starting = {e.endpoint.kind for e in self._endpoints.values() if e.state == "starting"}
        since = self._none_healthy_since.items()
        return ((kind, moment) for kind, moment in since if self._waiting.asks(kind) and kind not in starting)

    def _tell_if_none_is_left(self, kind: EndpointKind) -> None:
        """Say that requests wait for nobody, unless an endpoint may still answer its first probe."""
        states = {e.state for e in self._endpoints.values() if e.endpoint.kind == kind}
        if states == {"quarantined"} and self._waiting.asks(kind):
            self.tell(
                f"no endpoint is healthy; waiting up to {self.policy.wait_limit:g} s for one to come back"
            )

    def _note_health(self, kind: EndpointKind, now: float) -> None:
        if any(self._healthy(kind)):
            self._none_healthy_since.pop(kind, None)
        else:
            self._none_healthy_since.setdefault(kind, now)

    def endpoint(self, url: str) -> Endpoint | None:
        """The endpoint of a URL, while it is part of the pool."""
        known = self._endpoints.get(url)
        return known.endpoint if known else None

    def unanswered(self) -> list[str]:
        """Ids of every request that has no result yet."""
        return list(self._requests)

    def ended_by(self, fatal: PixarisError) -> list[str]:
        """Ids of those that an error which ends everything answers: of a refused account, not what it has
        begun and charged.
        """
        return [
            request_id
            for request_id, request in self._requests.items()
            if not (isinstance(fatal, AccountError) and request.lease is not None and request.kind == "flux")
        ]

    @property
    def waiting(self) -> int:
        """Requests without a lease."""
        return self._waiting.count

    @property
    def slots(self) -> int:
        """Places on healthy endpoints."""
        return sum(e.endpoint.depth for e in self._endpoints.values() if e.state == "healthy")

    @property
    def resting(self) -> bool:
        """Whether an endpoint is quarantined: then it may still have what it was given, because it could not
        be told.
        """
        return any(e.state == "quarantined" for e in self._endpoints.values())

    def status(self) -> tuple[EndpointStatus, ...]:
        """Every endpoint as it stands."""
        return tuple(
            EndpointStatus(
                url,
                e.state,
                len(e.leases),
                e.done,
                e.failures,
                e.last_failure,
                speed=e.speed.value,
                models=tuple(e.models),
                cost=e.cost,
            )
            for url, e in self._endpoints.items()
        )

    def tell(self, sentence: str) -> None:
        """Add an event."""
        self._events.append(sentence)

    def events(self, since: int = 0) -> tuple[str, ...]:
        """What happened to endpoints, as sentences, from number `since` on."""
        return tuple(self._events[since:])

    def pool_status(self, since_event: int, fatal: Exception | None) -> PoolStatus:
        """The pool as it stands; all events, if there never were `since_event` (the number is another
        dispatcher's).
        """
        first = since_event if since_event <= len(self._events) else 0
        return PoolStatus(
            endpoints=self.status(),
            waiting=self.waiting,
            done=self.images,
            failed=self.errors,
            fatal=fatal,
            events=self.events(first),
            first_event=first,
        )

    # Inside

    def _current(self, lease: Lease) -> Request | None:
        """The request of a lease that still counts."""
        request = self._requests.get(lease.request_id)
        return request if request is not None and request.lease == lease else None

    def _lease(self, request: Request, server: Server) -> Lease:
        request.attempts += 1
        self._leases += 1
        request.lease = Lease(request.id, server.endpoint.url, request.attempts, self._leases)
        return request.lease

    def _forget(self, request: Request) -> None:
        del self._requests[request.id]
        self._waiting.leave(request)


def is_fatal(error: PixarisError) -> bool:
    """Whether an error ends the search rather than one request."""
    return isinstance(error, AccountError | NoEndpointError)

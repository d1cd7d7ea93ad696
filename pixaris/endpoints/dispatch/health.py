"""Which endpoints may be used: quarantine, probes, and how long requests wait while none is healthy. Pure.

An endpoint starts, works, and rests after a failure of its own; a probe brings it back. Each quarantine since
its last image, and each probe that fails, doubles the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pixaris.endpoints.base import Endpoint, EndpointState, EndpointStatus
from pixaris.endpoints.dispatch.blame import Blame
from pixaris.endpoints.dispatch.members import Members
from pixaris.endpoints.dispatch.policy import Policy
from pixaris.endpoints.dispatch.server import Rest, Server
from pixaris.endpoints.dispatch.waiting import Waiting
from pixaris.exceptions import (
    AccountError,
    EndpointError,
    FarSideError,
    InterruptedPromptError,
    NoEndpointError,
    PixarisError,
    RateLimitedError,
    first_line,
)


class Health:
    """The endpoints of a pool and the state of each. Not thread-safe.

    Args:
        policy: The limits.
        waiting: The requests; a kind that nobody asks for needs no healthy endpoint.

    Attributes:
        events: What happened to endpoints, as sentences for the user.
        blame: Whose fault failures are.
    """

    def __init__(self, policy: Policy, waiting: Waiting) -> None:
        self.events: list[str] = []
        self.blame = Blame()
        self._policy = policy
        self._waiting = waiting
        self.members = Members()
        self._none_healthy_since: dict[str, float] = {}
        self._told: dict[tuple[str, str], int] = {}
        self._limited: dict[str, Server] = {}

    def emit(self, sentence: str) -> None:
        """Add an event."""
        self.events.append(sentence)

    def join(self, endpoint: Endpoint, now: float, *, healthy: bool = False) -> None:
        """Add an endpoint, unless it is known. Unless it is known to be healthy, its first probe is due."""
        if endpoint.url in self.members.servers:
            return
        state: EndpointState = "healthy" if healthy else "starting"
        # The first probe is due now; this is what a failed one doubles.
        server = Server(endpoint, state, Rest(now, self._policy.first_quarantine))
        self.members.add(server)
        self._note(endpoint.kind, now)

    def leave(self, url: str, now: float) -> Server | None:
        """Remove an endpoint; None if there is none."""
        server = self.members.remove(url)
        if server is not None:
            self._limited.pop(url, None)
            self._note(server.kind, now)
        return server

    def server(self, url: str) -> Server | None:
        """An endpoint, while it is part of the pool."""
        return self.members.servers.get(url)

    def usable(self, kind: str) -> Sequence[Server]:
        """The endpoints of a kind that may be given requests, in the order in which they joined."""
        return self.members.cells(kind).servers

    def asked(self, kind: str, owner: str, now: float) -> None:
        """A request of a kind comes: if it is the only one, an idle pool's past does not count against it."""
        for server in self.members.quarantined:
            if server.kind == kind and len(server.blamed_by) == 1:
                # What one parameter set did to it need not keep another one waiting.
                rests_for_another = owner not in server.blamed_by
                if rests_for_another:
                    server.rest.until = min(server.rest.until, now)
        # The clock of the wait limit starts with the request, not with the endpoint's failure hours ago.
        if not self._waiting.asks(kind) and not self.members.has_healthy(kind):
            self._none_healthy_since[kind] = now

    def charge(self, url: str, cost: float | None) -> None:
        """Add what an endpoint's account was charged, whether or not anybody waits for the image any more."""
        server = self.members.servers.get(url)
        if server is not None and cost is not None:
            server.tally.cost = (server.tally.cost or 0.0) + cost

    def ran_out(self, url: str, owner: str, now: float) -> None:
        """An endpoint had no memory for what another one has made."""
        server = self.members.servers.get(url)
        # It has left, or rests for something else already.
        if server is None or server.state != "healthy":
            return
        server.tally.failures += 1
        server.tally.last_failure = "ran out of memory for an image that another endpoint could make"
        self._blame(server, owner, self._policy.memory_rest, now)

    def failed(self, server: Server, error: EndpointError, owner: str, now: float) -> None:
        """Let an endpoint rest that has failed, as long as the error asks for.

        Args:
            server: The endpoint.
            error: How it failed.
            owner: Whose request it was.
            now: Seconds.
        """
        server.tally.failures += 1
        server.tally.last_failure = error.message
        if isinstance(error, InterruptedPromptError):
            return  # somebody's wish, no fault of the server
        if isinstance(error, RateLimitedError):
            asked = error.retry_after or self._policy.rate_rest
            # It stays healthy, since it has answered: it only gets nothing for a while.
            server.rest.until = max(server.rest.until, now + min(asked, self._policy.max_rate_rest))
            self._limited[server.endpoint.url] = server
            return
        # Several requests may fail at once when it dies; only the first counts, or each would double the
        # rest.
        if server.state == "healthy":
            self._blame(server, owner, self._policy.first_quarantine, now)

    def _blame(self, server: Server, owner: str, first: float, now: float) -> None:
        """Quarantine an endpoint, or doubt it where the fault may be the request's."""
        # Also true when it is not among the usable ones any more.
        is_last = all(one is server for one in self.usable(server.kind))
        may_be_the_sets = self.blame.falls_on_owner(server, owner, is_last=is_last)
        # With nobody else waiting there is nobody to keep it for, and a rest costs nothing.
        if may_be_the_sets and self._waiting.owners(server.kind).difference([owner]):
            server.doubted = True
            self.members.changed(server)
        else:
            self._quarantine(server, first, now)

    def _quarantine(self, server: Server, first: float, now: float) -> None:
        policy = self._policy
        server.doubted = False
        # The exponent is bounded: 2.0 ** 1024 overflows, and an endpoint may relapse all night.
        server.rest.seconds = min(
            first * 2.0 ** min(server.rest.relapses, 16), max(first, policy.max_quarantine)
        )
        server.rest.until = now + server.rest.seconds
        server.rest.relapses += 1
        server.state = "quarantined"
        self.members.changed(server)
        # It may come back as another process.
        server.reset()
        self._emit_quarantine(server)
        self._note(server.kind, now)
        self._emit_if_none_is_left(server.kind, now)

    # Probes

    def probes(self, now: float) -> list[Endpoint]:
        """Endpoints whose probe is due; each is named once until `probed` answers."""
        waiting = [one for one in self.members.awaiting if not one.probing]
        # A doubted one is probed at once: until it answers it gets nothing, though it may be well.
        due = [one for one in waiting if one.doubted or one.rest.until <= now]
        for server in due:
            server.probing = True
        return [server.endpoint for server in due]

    def probed(self, url: str, error: PixarisError | None, now: float) -> bool:
        """Take the outcome of a probe: back to work, or rest twice as long.

        Returns:
            Whether the error ends everything: the account is refused, and there are requests for it.
        """
        server = self.members.servers.get(url)
        # It left meanwhile, or joined anew under the same URL: the answer is that of an earlier probe.
        if server is None or not server.probing:
            return False
        server.probing = False
        kind = server.kind
        if error is None:
            if server.state == "quarantined":
                self.emit(f"{url} is back")
            server.state = "healthy"
            server.doubted = False
            self.members.changed(server)
            self._note(kind, now)
            return False
        # the URL is told besides
        if isinstance(error, FarSideError):
            reason = error.message
        else:
            reason = str(error)
        # From now on it is one that fails: as long as it was starting, requests waited for it without a word.
        is_new = server.state == "starting"
        if is_new:
            server.state = "quarantined"
            self.members.changed(server)
            self.emit(f"{url} does not answer yet: {first_line(reason)}")
        if server.state == "healthy":  # it was doubted
            server.tally.last_failure = reason
            self._quarantine(server, self._policy.first_quarantine, now)
            return is_fatal(error) and self._waiting.asks(kind)
        server.tally.last_failure = reason
        # Doubled here; `_quarantine` starts from the shortest rest again.
        server.rest.seconds = min(server.rest.seconds * 2, self._policy.max_quarantine)
        server.rest.until = now + server.rest.seconds
        if is_new:
            self._emit_if_none_is_left(kind, now)
        return is_fatal(error) and self._waiting.asks(kind)

    # All endpoints

    def due(self, now: float, *, working: bool) -> list[float]:
        """When something is due of itself: a probe; and with requests, the end of a rest or of the wait
        limit.
        """
        times = [one.rest.until for one in self.members.awaiting if not one.probing]
        # Thrown out when somebody looks, so that no timer is needed.
        self._limited = {url: one for url, one in self._limited.items() if one.rest.until > now}
        if working:
            limited = self._limited.values()
            times += [one.rest.until for one in limited if one.state == "healthy"]
            times += [since + self._policy.wait_limit for _, since in self._stranded()]
        return times

    def exhausted(self, now: float) -> NoEndpointError | None:
        """The reason to stop, once requests have waited `Policy.wait_limit` seconds with no endpoint of their
        kind healthy.
        """
        for kind, since in self._stranded():
            if now - since < self._policy.wait_limit:
                continue
            servers = [one for one in self.members.servers.values() if one.kind == kind]
            reasons = "; ".join(
                f"{one.endpoint.url}: {one.tally.last_failure or 'no answer'}" for one in servers
            )
            waited = f"no endpoint has been healthy for {now - since:.0f} s"
            return NoEndpointError(f"{waited} ({reasons or 'there is none'})")
        return None

    @property
    def resting(self) -> bool:
        """Whether an endpoint is quarantined: then it may still have what it was given, because it could not
        be told.
        """
        return any(one.state == "quarantined" for one in self.members.servers.values())

    def status(self) -> tuple[EndpointStatus, ...]:
        """Every endpoint as it stands."""
        return tuple(one.status() for one in self.members.servers.values())

    def _stranded(self) -> Sequence[tuple[str, float]]:
        """Kinds that are asked for and have no healthy endpoint, nor one whose first probe is under way, and
        since when.
        """
        starting = {one.kind for one in self.members.awaiting if one.state == "starting"}
        since = self._none_healthy_since.items()
        return [(kind, moment) for kind, moment in since if self._waiting.asks(kind) and kind not in starting]

    def _emit_quarantine(self, server: Server) -> None:
        """Say why an endpoint rests; of a reason that was told before, only how often."""
        url = server.endpoint.url
        reason = first_line(server.tally.last_failure)
        # An endpoint that flaps all night would otherwise fill the log with one sentence.
        count = self._told[url, reason] = self._told.get((url, reason), 0) + 1
        if count == 1:
            self.emit(f"{url} is quarantined: {reason}")
        else:
            self.emit(f"{url} is quarantined again, for the same reason ({count} times so far)")

    def _emit_if_none_is_left(self, kind: str, now: float) -> None:
        """Say that requests wait for nobody, unless an endpoint may still answer its first probe."""
        states: Iterable[str] = (one.state for one in self.members.servers.values() if one.kind == kind)
        if set(states) == {"quarantined"} and self._waiting.asks(kind):
            limit = self._policy.wait_limit
            next_try = min(one.rest.until for one in self.members.servers.values() if one.kind == kind) - now
            self.emit(
                f"no endpoint is healthy; trying again in {max(0.0, next_try):.0f} s, for {limit:g} s at most"
            )

    def _note(self, kind: str, now: float) -> None:
        """Note since when a kind has no healthy endpoint."""
        if self.members.has_healthy(kind):
            self._none_healthy_since.pop(kind, None)
        else:
            # Not set anew by each failure: the wait counts from the first moment without any.
            self._none_healthy_since.setdefault(kind, now)


def is_fatal(error: PixarisError) -> bool:
    """Whether an error ends the search rather than one request."""
    return isinstance(error, AccountError | NoEndpointError)

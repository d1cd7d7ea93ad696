"""What every pool decides, on threads and on Ray alike: commands and outcomes come in, actions go out.

The core neither waits nor opens a connection; it reads the clock it is given. The pool that owns it calls it
from one thread at a time, and carries out what `take_actions` gives after each call: run a lease, cancel one,
probe an endpoint, answer a request.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeAlias

from pixaris.endpoints.actions import (
    Action,
    Answer,
    CancelOrphan,
    CancelRun,
    ProbeEndpoint,
    R,
    ReleaseEndpoint,
    Run,
)
from pixaris.endpoints.base import (
    Cancel,
    Command,
    Emit,
    Endpoint,
    Join,
    Leave,
    PoolStatus,
    Promote,
    Submit,
    Switch,
    Use,
)
from pixaris.endpoints.dispatch.dispatcher import Dispatcher
from pixaris.endpoints.dispatch.health import is_fatal
from pixaris.endpoints.dispatch.joined import Joined
from pixaris.endpoints.dispatch.orphans import Orphans
from pixaris.endpoints.dispatch.policy import Policy
from pixaris.endpoints.dispatch.switching import switch
from pixaris.endpoints.searches import Searches, only_search
from pixaris.exceptions import CancelledRequestError, EndpointError, PixarisError

Clock: TypeAlias = Callable[[], float]
"""Gives seconds that never go back."""


@dataclass
class Asked(Generic[R]):
    """A request without an answer.

    Attributes:
        owner: Who asks.
        request: What for.
        priority: How urgent it is to whoever asks.
    """

    owner: str
    request: R
    priority: int


class PoolCore(Generic[R]):
    """The decisions of a pool around its dispatcher. Not thread-safe.

    Args:
        policy: The limits.
        clock: The time; every decision is made at what it says then.
        successor: Whether it succeeds a pool whose process died: then endpoints may have requests of that
            one.
        search_of: Gives the search of an owner: searches share the endpoints evenly, and what ends one does
            not end the others.

    Attributes:
        searches: Those that share the pool.
    """

    def __init__(
        self,
        policy: Policy | None = None,
        clock: Clock = time.monotonic,
        *,
        successor: bool = False,
        search_of: Callable[[str], str] = only_search,
    ) -> None:
        self._clock = clock
        self._search_of = search_of
        self._dispatcher = Dispatcher(policy)
        self._health = self._dispatcher.health
        self.searches = Searches(self._health.events)
        self._orphans = Orphans(clock())
        self._tasks: dict[str, Asked[R]] = {}
        self._joined = Joined()
        self._actions: list[Action[R]] = []
        self._stopped: PixarisError | None = None
        if successor:
            self._orphans.expect()

    # What comes in

    def perform(self, command: Command[R], owner: str = "") -> None:
        """Carry out a command.

        Args:
            command: What to do.
            owner: Who asks. Owners share the endpoints; each has its own requests.
        """
        now = self._clock()
        match command:
            case Join(endpoint):
                self._dispatcher.join(endpoint, now)
            case Leave(url):
                self._leave(url, now)
            case Switch(url, use):
                self._switch(url, use, now)
            case Emit(sentence):
                self.searches.emit(sentence, self._search_of(owner))
            case Submit(requests, priority):
                for request in requests:
                    self._submit(owner, request, priority, now)
                self._assign(now)
            case Promote(request_ids, priority):
                for request_id in request_ids:
                    self._promote(_key(owner, request_id), priority)
            case Cancel(request_ids):
                for request_id in request_ids:
                    self._cancel(_key(owner, request_id))
                self._assign(now)

    def settle(
        self, run: Run[R], error: PixarisError | None, cost: float | None, *, died: bool = False
    ) -> tuple[Asked[R], ...]:
        """Take what came of a run.

        Args:
            run: As it was asked for.
            error: Why there is no image, or None.
            cost: What the endpoint's account was charged for it.
            died: Whether the process that ran it died, so that no endpoint is to blame.

        Returns:
            Those whose answer that is: whoever asked for the run, then who asked for the same meanwhile;
            nobody, if it is no answer.
        """
        lease, now = run.lease, self._clock()
        standing = self.searches.look(search := self._search_of(run.owner))
        # First of all: the account was charged even where nobody waits for the image any more.
        self._health.charge(lease.url, cost)
        if run.resume and isinstance(error, EndpointError):
            self._orphans.suspect(lease.url)
        if error is None:
            final = self._dispatcher.succeeded(lease, now)
        elif died:
            if self._dispatcher.lease(lease.request_id) == lease:
                self._orphans.left(lease.request_id, lease.url)
            final = self._dispatcher.returned(lease)
        else:
            final = self._dispatcher.failed(lease, error, now)
            if is_fatal(error):
                standing.fatal = standing.fatal or error
        answered: tuple[Asked[R], ...] = ()
        if final:
            standing.count(lease.url, error)
            answered = self._answered(lease.request_id)
        if standing.fatal is not None:
            self.end(standing.fatal, {search})
        self._assign(now)
        return answered

    def probed(self, url: str, error: PixarisError | None, memory: int | None = None) -> None:
        """Take the outcome of a probe.

        Args:
            url: The endpoint.
            error: What is wrong with it, or None.
            memory: As `EndpointClient.memory`.
        """
        now = self._clock()
        server = self._health.server(url)
        if server is not None and memory is not None:
            server.memory = memory
        if self._health.probed(url, error, now) and error is not None:
            self.end(error, self._asking())
        self._assign(now)

    def keep(self) -> float | None:
        """Do what is due: probes, the end of a rest, giving up once no endpoint was healthy for too long.

        Returns:
            Seconds until something is due again, None if nothing is as long as nobody calls.
        """
        now = self._clock()
        self._actions += [ProbeEndpoint(endpoint) for endpoint in self._health.probes(now)]
        for request_id, url in self._orphans.unclaimed(now - self._dispatcher.policy.client_limit):
            self._cancel_orphan(request_id, url)
        reason = self._health.exhausted(now)
        if reason is not None:
            # What a search has begun and is charged for goes on, although that ended it.
            going_on = {search for search in self._asking() if self.searches.look(search).fatal is None}
            self.end(reason, going_on)
        self._assign(now)
        return self._dispatcher.next_event(now)

    def stop(self, reason: CancelledRequestError, search: str | None = None) -> None:
        """Answer every request with a reason, those that are still to come too.

        Args:
            reason: What they are answered with.
            search: Only this search's; by default all searches'.
        """
        if search is None:
            self._stopped = reason
        else:
            self.searches.enter(search).stopped = reason
        for key in self._dispatcher.unanswered():
            if search is None or self._search(key) == search:
                self._cancel(key, reason)
        self._assign(self._clock())

    def release(self, owner: str) -> None:
        """Cancel all requests of an owner who is gone."""
        for key in [key for key, task in self._tasks.items() if task.owner == owner]:
            self._cancel(key)
        self._assign(self._clock())

    def end(self, fatal: PixarisError, searches: set[str]) -> None:
        """These searches cannot go on: answer all their requests but those that are charged all the same."""
        self.searches.end(searches, fatal)
        for key in self._dispatcher.ended_by(fatal):
            if self._search(key) in searches:
                self._cancel(key, fatal)

    def leave(self, search: str) -> None:
        """Cancel all requests of a search that is gone, and keep nothing of it."""
        for owner in {task.owner for key, task in self._tasks.items() if self._search(key) == search}:
            self.release(owner)
        self.searches.leave(search)

    def lost(self, owner: str = "") -> None:
        """An image that was counted never reached its owner, who asks for it again."""
        self.searches.look(self._search_of(owner)).lost += 1

    # What goes out

    def take_actions(self) -> list[Action[R]]:
        """What is to be done, in this order; each is given once."""
        actions, self._actions = self._actions, []
        return actions

    def status(self, since_event: int = 0, search: str = "") -> PoolStatus:
        """The pool as it stands for a search, as `Standing.status`; "" is the whole pool."""
        standing, endpoints = self.searches.enter(search), self._health.status()
        if search:
            endpoints = tuple(map(standing.seen, endpoints))
        return standing.status(endpoints, self._dispatcher.waiting, since_event)

    def endpoint(self, url: str) -> Endpoint | None:
        """The endpoint of a URL, while it is part of the pool."""
        server = self._health.server(url)
        if server is not None:
            return server.endpoint
        return None

    @property
    def resting(self) -> bool:
        """As `Health.resting`."""
        return self._health.resting

    # Orphans

    def seeks_orphans(self, url: str) -> bool:
        """Whether an endpoint that has answered its probe is to be looked through for requests of a process
        that died, before it gets work.
        """
        return self._orphans.is_unknown(url)

    def found_orphans(self, url: str, request_ids: tuple[str, ...]) -> None:
        """An endpoint was looked through: these requests are on it."""
        self._orphans.found(url, request_ids)
        for key, task in self._tasks.items():
            if task.request.id in request_ids:
                self._orphans.submitted(key, task.request.id)
                if self._dispatcher.lease(key) is not None:  # another endpoint has it by now
                    self._release_orphan(key, task.request.id)

    # Inside

    def _submit(self, owner: str, request: R, priority: int, now: float) -> None:
        search = self._search_of(owner)
        refusal = self._stopped or self.searches.enter(search).refusal
        if refusal is not None:
            self._actions.append(Answer(owner, request, refusal))
            return
        key, affinity = _key(owner, request.id), request.affinity_key
        if key in self._tasks:
            return
        self._tasks[key] = Asked(owner, request, priority)
        if self._joined.enter(key, request.cache_key, owner):
            self._promote(key, priority)
            return
        asker = {"owner": owner, "search": search}
        self._dispatcher.submit(key, request.kind, priority, now, **asker, affinity=affinity)
        self._orphans.submitted(key, request.id)

    def _promote(self, key: str, priority: int) -> None:
        """Make a request as urgent as somebody wants it, and the one whose answer it gets at least so."""
        task = self._tasks.get(key)
        if task is None:
            return
        task.priority = priority
        leader = self._joined.leader(key)
        if leader == key or priority < self._tasks[leader].priority:
            self._tasks[leader].priority = priority
            self._dispatcher.promote(leader, priority)

    def _leave(self, url: str, now: float) -> None:
        endpoint = self.endpoint(url)
        if endpoint is not None:
            self._dispatcher.leave(url, now)
            self._actions.append(ReleaseEndpoint(endpoint))
            self._assign(now)

    def _switch(self, url: str, use: Use, now: float) -> None:
        endpoint = self.endpoint(url)
        if endpoint is not None:
            withdrawn = switch(self._dispatcher, url, use, now)
            self._actions += [CancelRun(lease, endpoint) for lease in withdrawn]
            self._assign(now)

    def _assign(self, now: float) -> None:
        # First what endpoints have already: it must not be placed elsewhere, and be made twice.
        claimed = [self._dispatcher.claim(key, url, now) for key, url in self._orphans.known()]
        for lease in (*filter(None, claimed), *self._dispatcher.assign(now)):
            endpoint, task = self.endpoint(lease.url), self._tasks[lease.request_id]
            assert endpoint is not None, "only endpoints of the pool are leased"
            elsewhere = self._orphans.release(lease.request_id)
            resume = elsewhere == lease.url
            if elsewhere and not resume:
                self._cancel_orphan(task.request.id, elsewhere)
            self._actions.append(Run(lease, endpoint, task.owner, task.request, resume))

    def _cancel(self, key: str, reason: PixarisError | None = None) -> None:
        """Cancel a request, also where it runs; its owner is answered if there is a reason."""
        if key not in self._tasks:
            return
        _, lease = self._dispatcher.cancel(key)
        # Taken apart before anybody is answered: who followed is submitted anew below, and must not follow
        # the one that goes.
        followers = self._joined.leave(key)
        for task in (self._release(key), *map(self._release, followers)):
            if reason is not None:
                self._actions.append(Answer(task.owner, task.request, reason))
            elif _key(task.owner, task.request.id) != key:  # it goes on without the one it followed
                self._submit(task.owner, task.request, task.priority, self._clock())
        if lease is not None:
            endpoint = self.endpoint(lease.url)
        else:
            endpoint = None
        if lease is not None and endpoint is not None:
            self._actions.append(CancelRun(lease, endpoint))

    def _asking(self) -> set[str]:
        """The searches that have requests without an answer."""
        return set(map(self._search, self._tasks))

    def _search(self, key: str) -> str:
        """The search of a request without an answer."""
        return self._search_of(self._tasks[key].owner)

    def _answered(self, key: str) -> tuple[Asked[R], ...]:
        """Keep a request no longer that has its answer, nor those that asked for the same."""
        followers = self._joined.leave(key)
        return (self._release(key), *map(self._release, followers))

    def _release(self, key: str) -> Asked[R]:
        """Keep a request no longer that has its answer."""
        task = self._tasks.pop(key)
        self._release_orphan(key, task.request.id)
        return task

    def _release_orphan(self, key: str, request_id: str) -> None:
        """Nobody will ask for what an endpoint may have of a request."""
        url = self._orphans.release(key)
        if url:
            self._cancel_orphan(request_id, url)

    def _cancel_orphan(self, request_id: str, url: str) -> None:
        endpoint = self.endpoint(url)
        if endpoint is not None:
            self._actions.append(CancelOrphan(request_id, endpoint))


def _key(owner: str, request_id: str) -> str:
    """A request among those of all owners: what one of them cancels is its own."""
    return f"{owner}/{request_id}"

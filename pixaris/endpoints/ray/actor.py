"""The actor that holds the dispatcher."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import defaultdict
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError

from pixaris.endpoints.base import Endpoint, PoolStatus
from pixaris.endpoints.dispatcher import Dispatcher, Lease, Policy, is_fatal
from pixaris.endpoints.ray.messages import Delivery, Envelope, Mailbox, Outcome
from pixaris.endpoints.ray.orphans import Orphans
from pixaris.endpoints.ray.worker import SLOTS, Worker, start_worker
from pixaris.exceptions import CancelledRequestError, EndpointError, PixarisError, UnreachableError

log = logging.getLogger(__name__)

_SWEEP_SECONDS = 5.0
_TIDY_SECONDS = 1.0


class PoolActor:
    """The dispatcher as an async actor. Its calls carry metadata only.

    Ray gives every concurrency group an event loop in a thread of its own. The state belongs to the control
    group's.

    Args:
        endpoints: The endpoints to start with.
        policy: Limits of retries and quarantine.
        session: As for `clients.connect`.
    """

    def __init__(self, endpoints: Sequence[Endpoint], policy: Policy | None, session: str) -> None:
        self._policy = policy or Policy()
        self._session = session
        self._orphans = Orphans(time.monotonic())
        self._deaths = 0
        self._dispatcher = Dispatcher(self._policy)
        self._envelopes: dict[str, Envelope] = {}
        self._mailboxes: dict[str, Mailbox] = {}
        self._fatal: PixarisError | None = None
        self._stopping = False
        self._unwanted: defaultdict[str, list[int]] = defaultdict(list)
        self._tidied = 0.0
        self._expected: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        slots = sum(endpoint.depth for endpoint in endpoints)
        processors = max(1, int(ray.cluster_resources().get("CPU", 1)))
        count = max(1, min(-(-slots // SLOTS), processors))
        self._slots = max(SLOTS, -(-slots // count))  # of a worker
        self._workers = [self._start_worker() for _ in range(count)]
        self._home: dict[str, int] = {}
        for endpoint in endpoints:
            self._join(endpoint)
        if ray.get_runtime_context().was_current_actor_reconstructed:
            self._deaths = 1
            self._orphans.expect()
            self._dispatcher.tell(
                "the endpoint pool's process ended and was started again; it counts from zero"
            )

    @ray.method(concurrency_group="control")
    async def ready(self) -> None:
        """Return once the actor serves calls; starts its housekeeping."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._spawn(self._keep())

    @ray.method(concurrency_group="control")
    async def add_endpoint(self, endpoint: Endpoint) -> None:
        """As `EndpointPool.join`."""
        await self.ready()
        if not self._stopping:
            self._join(endpoint)
            self._changed.set()

    @ray.method(concurrency_group="control")
    async def remove_endpoint(self, url: str) -> None:
        """As `EndpointPool.leave`."""
        endpoint = self._dispatcher.endpoint(url)
        if endpoint is not None:
            self._dispatcher.leave(url, time.monotonic())
            self._workers[self._home[url]].actor.let_go.remote(endpoint)
            self._assign()

    @ray.method(concurrency_group="control")
    async def tell(self, sentence: str) -> None:
        """As `EndpointPool.tell`."""
        self._dispatcher.tell(sentence)

    @ray.method(concurrency_group="control")
    async def submit(
        self,
        client: str,
        envelopes: Sequence[Envelope],
        priority: int,
        lost: bool = False,
        early: bool = False,
    ) -> None:
        """Queue a client's requests. One that is queued already, or whose outcome waits to be collected, is
        not queued again.

        Args:
            client: Who asks.
            envelopes: The requests.
            priority: As `EndpointPool.submit`.
            lost: They were answered, and the bytes of their images are gone.
            early: Another process sends them for the client, which may come much later.
        """
        await self.ready()
        mailbox = self._mailbox(client, early=early)
        for envelope in envelopes:
            if lost:
                self._dispatcher.lost()
            elif mailbox.holds(envelope.request.id):
                continue
            refusal = self._fatal or (
                CancelledRequestError("the search is stopping") if self._stopping else None
            )
            if refusal is not None:
                mailbox.put(Outcome(envelope.request.id, error=refusal))
            elif self._queue(envelope, priority):
                self._envelopes[envelope.key] = envelope
                self._orphans.submitted(envelope.key, envelope.request.id)
        self._assign()

    @ray.method(concurrency_group="control")
    async def promote(self, client: str, request_ids: Sequence[str], priority: int, after: object) -> None:
        """Change the priority of a client's waiting requests.

        Args:
            client: Whose.
            request_ids: Which.
            priority: As `EndpointPool.submit`.
            after: What a call of `submit` returned; Ray thereby makes this call after that one.
        """
        for request_id in request_ids:
            self._dispatcher.promote(f"{client}/{request_id}", priority)

    @ray.method(concurrency_group="control")
    async def cancel(self, client: str, request_ids: Sequence[str], after: object) -> None:
        """Withdraw a client's requests; arguments as for `promote`."""
        for request_id in request_ids:
            self._cancel(f"{client}/{request_id}", CancelledRequestError("the request was cancelled"))
        self._assign()

    @ray.method(concurrency_group="control")
    async def leave(self, client: str, after: object) -> None:
        """Withdraw all of a client's requests and forget it; `after` as for `promote`."""
        self._forget(client)
        self._assign()

    @ray.method(concurrency_group="control")
    async def expect(self, client: str) -> None:
        """Somebody is on its way who will call `arrive`."""
        self._expected.add(client)

    @ray.method(concurrency_group="control")
    async def arrive(self, client: str) -> int:
        """Somebody is here. Gives the number of those who are still on their way."""
        self._expected.discard(client)
        return 0 if self._stopping else len(self._expected)

    @ray.method(concurrency_group="waiting")
    async def collect(self, client: str, token: str, seen: int) -> Delivery:
        """Wait for outcomes of a client's requests, at most some seconds.

        Args:
            client: Who asks.
            token: Of the client's mailbox as it knows it; with another one the answer comes at once.
            seen: How many outcomes the client has had from that mailbox.
        """
        if self._loop is None:
            return Delivery("")  # this actor was started again, and nobody has submitted anything since
        return await asyncio.wrap_future(
            asyncio.run_coroutine_threadsafe(self._collect(client, token, seen), self._loop)
        )

    async def _collect(self, client: str, token: str, seen: int) -> Delivery:
        mailbox = self._mailbox(client)
        if token != mailbox.token:
            return Delivery(mailbox.token)
        self._let_go(mailbox.acknowledge(seen))
        outcomes = await mailbox.take(self._policy.client_limit / 3)
        mailbox.hear(time.monotonic())
        return Delivery(token, outcomes)

    @ray.method(concurrency_group="control")
    async def status(self, since_event: int) -> PoolStatus:
        """The pool as it is now."""
        return self._dispatcher.pool_status(since_event, self._fatal)

    @ray.method(concurrency_group="control")
    async def stop(self) -> None:
        """Take no more requests and withdraw those there are; the trials are told at once."""
        self._stopping = True
        for key in self._dispatcher.unanswered():
            self._cancel(key, CancelledRequestError("the search is stopping"))

    @ray.method(concurrency_group="control")
    async def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping

    @ray.method(concurrency_group="control")
    async def pids(self) -> tuple[int, ...]:
        """Process ids of this actor and of its workers, on their nodes."""
        return (os.getpid(), *await asyncio.gather(*(worker.actor.pid.remote() for worker in self._workers)))

    @ray.method(concurrency_group="control")
    async def close(self) -> bool:
        """`stop`, then close the workers' connections.

        Returns:
            Whether nothing can be left on an endpoint: all could be told, and no process died on the way.
        """
        await self.stop()
        await asyncio.gather(
            *(worker.actor.close.remote() for worker in self._workers), return_exceptions=True
        )
        return not self._deaths and not self._dispatcher.resting

    # Inside, in the control group's loop

    def _join(self, endpoint: Endpoint) -> None:
        if endpoint.url not in self._home:
            loads = [0] * len(self._workers)
            for url, home in self._home.items():
                known = self._dispatcher.endpoint(url)
                loads[home] += known.depth if known is not None else 0
            if min(loads) and min(loads) + endpoint.depth > self._slots:
                self._workers.append(self._start_worker())
                loads.append(0)
            self._home[endpoint.url] = loads.index(min(loads))
        self._dispatcher.join(endpoint, time.monotonic())

    def _start_worker(self) -> Worker:
        return start_worker(self._session, self._slots)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _queue(self, envelope: Envelope, priority: int) -> bool:
        request, now = envelope.request, time.monotonic()
        return self._dispatcher.submit(
            envelope.key, request.kind, priority, now, owner=envelope.client, affinity=request.affinity_key
        )

    def _mailbox(self, client: str, *, early: bool = False) -> Mailbox:
        mailbox = self._mailboxes.get(client)
        if mailbox is None:
            mailbox = self._mailboxes[client] = Mailbox(time.monotonic(), awaited=early)
        if not early:
            mailbox.hear(time.monotonic())
        return mailbox

    def _assign(self) -> None:
        now = time.monotonic()
        claimed = [self._dispatcher.claim(key, url, now) for key, url in self._orphans.places()]
        for lease in (*filter(None, claimed), *self._dispatcher.assign(now)):
            envelope = self._envelopes[lease.request_id]
            place = self._orphans.take(lease.request_id)
            if place not in ("", lease.url):
                self._cancel_orphans(place, envelope.request.id)
            self._spawn(self._run(lease, envelope, resume=place == lease.url))
        self._changed.set()

    async def _run(self, lease: Lease, envelope: Envelope, *, resume: bool) -> None:
        endpoint = self._dispatcher.endpoint(lease.url)
        if endpoint is None:
            return  # it has left before this began, and the request waits again
        home = self._home[lease.url]
        worker = self._workers[home]
        died = False
        try:
            outcome: Outcome = await worker.actor.run.remote(endpoint, envelope, lease, resume)
        except RayError as error:
            died = isinstance(error, RayActorError)
            outcome = Outcome(
                envelope.request.id, error=UnreachableError(f"its worker failed: {error}", endpoint=lease.url)
            )
        if died:
            self._replace(home, worker)
        if resume and isinstance(outcome.error, EndpointError):
            self._orphans.suspect(lease.url)
        self._settle(lease, envelope, outcome, died=died)
        self._assign()

    def _settle(self, lease: Lease, envelope: Envelope, outcome: Outcome, *, died: bool) -> None:
        made = outcome.image if outcome.image is not None else outcome.error
        self._dispatcher.charge(lease.url, made.cost if made is not None else None)
        if outcome.error is None:
            final = self._dispatcher.succeeded(lease, time.monotonic())
        elif died:
            if self._dispatcher.lease(lease.request_id) == lease:
                self._orphans.left(lease.request_id, lease.url)
            final = self._dispatcher.returned(lease)
        else:
            final = self._dispatcher.failed(lease, outcome.error, time.monotonic())
            if is_fatal(outcome.error):
                self._fatal = self._fatal or outcome.error
        if final:
            del self._envelopes[lease.request_id]
            self._abandon(lease.request_id, envelope)
            self._mailbox_of(envelope).put(outcome)
        else:
            self._let_go([outcome])
        if self._fatal is not None:
            self._stop_all(self._fatal)

    def _mailbox_of(self, envelope: Envelope) -> Mailbox:
        return self._mailboxes[envelope.client]  # a client that is forgotten has no requests

    def _replace(self, home: int, dead: Worker) -> None:
        if self._workers[home] is dead and not self._stopping:
            log.warning("an endpoint worker died; starting another")
            self._dispatcher.tell("an endpoint worker's process ended; another one takes over")
            self._workers[home] = self._start_worker()
            self._deaths += 1

    def _cancel(self, key: str, reason: PixarisError) -> None:
        known, lease = self._dispatcher.cancel(key)
        if not known:
            return
        envelope = self._envelopes.pop(key)
        self._abandon(key, envelope)
        self._mailbox_of(envelope).put(Outcome(envelope.request.id, error=reason))
        endpoint = self._dispatcher.endpoint(lease.url) if lease else None
        if lease is not None and endpoint is not None:
            self._workers[self._home[lease.url]].actor.cancel.remote(endpoint, lease)

    def _stop_all(self, reason: PixarisError) -> None:
        self._fatal = self._fatal or reason
        for key in self._dispatcher.ended_by(self._fatal):
            self._cancel(key, self._fatal)

    def _forget(self, client: str) -> None:
        for key in [key for key, envelope in self._envelopes.items() if envelope.client == client]:
            self._cancel(key, CancelledRequestError("the process that asked is gone"))
        mailbox = self._mailboxes.pop(client, None)
        if mailbox is not None:
            self._let_go(mailbox.close())

    def _let_go(self, outcomes: Iterable[Outcome]) -> None:
        """Nobody will fetch the images of these outcomes."""
        for place in (outcome.place for outcome in outcomes):
            if place is not None:
                self._unwanted[place.worker].append(place.number)

    def _tidy(self) -> None:
        """Tell the workers which images to drop."""
        unwanted, self._unwanted = self._unwanted, defaultdict(list)
        for worker in self._workers:
            if worker.name in unwanted:
                worker.actor.drop.remote(unwanted[worker.name])

    async def _keep(self) -> None:
        """Probe what rests, forget clients that are gone, and give up when nothing has been healthy for too
        long.
        """
        while True:
            now = time.monotonic()
            for endpoint in self._dispatcher.probes(now):
                self._spawn(self._probe(endpoint))
            for client in [
                client
                for client, box in self._mailboxes.items()
                if box.silence(now) > self._policy.client_limit
            ]:
                self._forget(client)
            for request_id, url in self._orphans.unclaimed(now - self._policy.client_limit):
                self._cancel_orphans(url, request_id)
            reason = None if self._fatal else self._dispatcher.exhausted(now)
            if reason is not None:
                self._stop_all(reason)
            if now - self._tidied > _TIDY_SECONDS:
                self._tidied = now
                self._tidy()
            self._assign()
            self._changed.clear()
            due = self._dispatcher.next_event(now)
            sweep = min(_SWEEP_SECONDS, self._policy.client_limit)
            try:
                await asyncio.wait_for(self._changed.wait(), sweep if due is None else min(due, sweep))
            except TimeoutError:
                continue

    async def _probe(self, endpoint: Endpoint) -> None:
        home = self._home[endpoint.url]
        worker = self._workers[home]
        try:
            error: PixarisError | None = await worker.actor.probe.remote(endpoint)
        except RayError as failure:
            if isinstance(failure, RayActorError):
                self._replace(home, worker)
            error = UnreachableError(f"its worker failed: {failure}", endpoint=endpoint.url)
        if error is None and self._orphans.is_unknown(endpoint.url):
            await self._find_orphans(endpoint, worker)
        if self._dispatcher.probed(endpoint.url, error, time.monotonic()) and error is not None:
            self._stop_all(error)
        self._assign()

    # What processes that died have left on endpoints

    async def _find_orphans(self, endpoint: Endpoint, worker: Worker) -> None:
        try:
            found: tuple[str, ...] = await worker.actor.orphans.remote(endpoint)
        except RayError:
            return  # it died, and the next probe finds out
        self._orphans.found(endpoint.url, found)
        for key, envelope in self._envelopes.items():
            if envelope.request.id not in found:
                continue
            self._orphans.submitted(key, envelope.request.id)
            if self._dispatcher.lease(key) is not None:  # another endpoint has it by now
                self._abandon(key, envelope)

    def _abandon(self, key: str, envelope: Envelope) -> None:
        """Nobody will ask for the prompt that a request may have somewhere."""
        place = self._orphans.take(key)
        if place:
            self._cancel_orphans(place, envelope.request.id)

    def _cancel_orphans(self, url: str, request_id: str) -> None:
        endpoint = self._dispatcher.endpoint(url)
        if endpoint is not None:
            self._workers[self._home[url]].actor.cancel_orphans.remote(endpoint, [request_id])

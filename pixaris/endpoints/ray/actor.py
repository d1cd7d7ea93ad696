"""The actor that holds the pool's core."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any

import ray
from ray.exceptions import ActorUnavailableError, RayActorError, RayError

from pixaris.endpoints.actions import Answer, CancelOrphan, CancelRun, ProbeEndpoint, ReleaseEndpoint, Run
from pixaris.endpoints.base import Command, Emit, Endpoint, Join, PoolStatus, Submit
from pixaris.endpoints.connection import Probed
from pixaris.endpoints.core import PoolCore
from pixaris.endpoints.dispatch.policy import Policy
from pixaris.endpoints.ray.mailbox import Kept, Mailbox
from pixaris.endpoints.ray.mailboxes import Mailboxes
from pixaris.endpoints.ray.messages import Delivery, Envelope, Outcome, search_of
from pixaris.endpoints.ray.presence import Presence, ended_jobs
from pixaris.endpoints.ray.worker import Worker
from pixaris.endpoints.ray.workers import Workers, refs_of
from pixaris.exceptions import CancelledRequestError, NoEndpointError, UnreachableError

log = logging.getLogger(__name__)

_SWEEP_SECONDS = 5.0
_TIDY_SECONDS = 1.0
_ASK_AGAIN_SECONDS = 0.5


class PoolActor:
    """The core as an async actor. Its calls carry metadata only.

    Ray gives every concurrency group an event loop in a thread of its own. The state belongs to the default
    group's. There is one group besides and no more: where there are two and the machine is busy, Ray (2.60)
    may run both threads on the same loop, and the calls of the other group wait for ever.

    Args:
        endpoints: The endpoints to start with.
        policy: Limits of retries and quarantine.
        session: As for `EndpointApi.connect`.
    """

    def __init__(self, endpoints: Sequence[Endpoint], policy: Policy | None, session: str) -> None:
        self._policy = policy or Policy()
        succeeds = bool(ray.get_runtime_context().was_current_actor_reconstructed)
        self._died = succeeds
        self._core: PoolCore[Envelope] = PoolCore(self._policy, successor=succeeds, search_of=search_of)
        self._presence = Presence(self._policy.client_limit)
        self._workers = Workers(session, endpoints)
        self._mailboxes = Mailboxes()
        self._stopping = False
        self._tidied = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        for endpoint in endpoints:
            self._join(endpoint)
        if succeeds:
            self._core.perform(
                Emit("the endpoint pool's process ended and was started again; it counts from zero")
            )

    async def ready(self) -> None:
        """Return once the actor serves calls; starts its housekeeping."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._spawn(self._keep())

    async def perform(self, client: str, command: Command[Envelope], after: object = None) -> None:
        """Carry out a client's command, as `EndpointPool.perform`.

        A request that is queued already, or whose outcome waits to be collected, is not queued again.

        Args:
            client: Who asks.
            command: What to do.
            after: What an earlier call returned; Ray thereby makes this call after that one.
        """
        await self.ready()
        self._presence.hear(search_of(client))
        if isinstance(command, Join):
            if not self._stopping:
                self._join(command.endpoint)
        elif isinstance(command, Submit):
            self._submit(command, client, self._mailboxes.of(client))
        else:
            self._core.perform(command, client)
        self._carry_out()

    async def submit_early(self, client: str, command: Submit[Envelope]) -> None:
        """Queue requests for a client who may come much later."""
        await self.ready()
        self._presence.hear(search_of(client))
        self._submit(command, client, self._mailboxes.of(client, early=True))
        self._carry_out()

    async def submit_lost(self, client: str, command: Submit[Envelope]) -> None:
        """Queue requests again that were answered with images whose bytes are gone."""
        await self.ready()
        self._mailboxes.of(client)
        for _ in command.requests:
            self._core.lost(client)
        self._core.perform(command, client)
        self._carry_out()

    async def release(self, client: str, after: object) -> None:
        """Cancel all of a client's requests and keep nothing for it; `after` as for `perform`."""
        self._release(client)
        self._carry_out()

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
        mailbox = self._mailboxes.of(client)
        if token != mailbox.token:
            return Delivery(mailbox.token)
        self._mailboxes.acknowledge(client, seen)
        outcomes = await mailbox.take(self._policy.client_limit / 3)
        mailbox.hear(time.monotonic())
        return Delivery(token, outcomes)

    async def status(self, since_event: int, search: str = "", job: str = "") -> PoolStatus:
        """The pool as it is now.

        Args:
            since_event: As for `PoolCore.status`.
            search: Who asks, in a pool that several share; else "".
            job: Id of the Ray job that the search's driver is.
        """
        self._presence.hear(search, job)
        return self._core.status(since_event, search)

    async def stop(self, search: str = "") -> None:
        """Take no more requests and cancel those there are; whoever waits is answered at once.

        Args:
            search: Only this search's requests; "" means everybody's.
        """
        reason = CancelledRequestError("the search is stopping")
        if search:
            self._core.stop(reason, search)
        else:
            self._stopping = True
            self._core.stop(reason)
        self._carry_out()

    async def stopping(self, search: str = "") -> bool:
        """Whether `stop` was called, for a search or for everybody."""
        return self._stopping or self._core.searches.look(search).stopped is not None

    async def leave(self, search: str) -> None:
        """Cancel all requests of a search that is over, and keep nothing of it."""
        for client in self._mailboxes.clients:
            if search_of(client) == search:
                self._release(client)
        self._core.leave(search)
        self._presence.leave(search)
        self._carry_out()

    async def end(self, sentence: str) -> None:
        """Let no search go on that shares the pool: it is about to close.

        Args:
            sentence: Tells their users why.
        """
        self._core.end(NoEndpointError(sentence), set(self._core.searches.names))
        self._carry_out()

    async def searches(self) -> tuple[str, ...]:
        """Those that share the pool now."""
        return self._core.searches.names

    async def members(self) -> tuple[Endpoint, ...]:
        """The endpoints, with all that is needed to reach them."""
        found = (self._core.endpoint(one.url) for one in self._core.status().endpoints)
        return tuple(filter(None, found))

    async def pids(self) -> tuple[int, ...]:
        """Process ids of this actor and of its workers, on their nodes."""
        return (os.getpid(), *await self._workers.pids())

    async def close(self) -> bool:
        """`stop`, then close the workers' connections.

        Returns:
            Whether nothing can be left on an endpoint: all could be told, and no process died on the way.
        """
        await self.stop()
        await self._workers.close()
        return not self._died and not self._workers.deaths and not self._core.resting

    # Inside, in the control group's loop

    def _join(self, endpoint: Endpoint) -> None:
        self._workers.join(endpoint)
        self._core.perform(Join(endpoint))

    def _submit(self, command: Submit[Envelope], client: str, mailbox: Mailbox) -> None:
        fresh = [one for one in command.requests if not mailbox.holds(one.id)]
        made = {one.id: self._mailboxes.image_of(one.cache_key, client) for one in fresh}
        for one in fresh:
            outcome = made[one.id]
            if outcome is not None:
                self._spawn(self._share(outcome, one, client, command.priority))
        missing = tuple(one for one in fresh if made[one.id] is None)
        self._core.perform(replace(command, requests=missing), client)

    async def _share(self, outcome: Outcome, asked: Envelope, client: str, priority: int) -> None:
        if outcome.ref is not None:
            worker = self._workers.named(outcome.ref.worker)
        else:
            worker = None
        if worker is not None:
            (ref,) = await refs_of(worker, outcome, 1)
        else:
            ref = None
        if ref is None:
            self._core.perform(Submit((asked,), priority), client)
        else:
            self._mailboxes.put(Kept(outcome.answer_to(asked.request, ref)), client)
        self._carry_out()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _carry_out(self) -> None:
        """Begin what the core has decided."""
        for action in self._core.take_actions():
            match action:
                case Run():
                    self._spawn(self._run(action))
                case CancelRun(lease, endpoint):
                    self._workers.of(endpoint).actor.cancel.remote(endpoint, lease)
                case CancelOrphan(request_id, endpoint):
                    self._workers.of(endpoint).actor.cancel_orphans.remote(endpoint, [request_id])
                case ProbeEndpoint(endpoint):
                    self._spawn(self._probe(endpoint))
                case ReleaseEndpoint(endpoint):
                    self._workers.of(endpoint).actor.release.remote(endpoint)
                    self._workers.leave(endpoint.url)
                case Answer(owner, request, error):
                    # a client who is gone has no requests
                    self._mailboxes.put(Kept(Outcome(request.id, error=error)), owner)
        self._changed.set()

    async def _run(self, run: Run[Envelope]) -> None:
        if self._core.endpoint(run.endpoint.url) is None:
            return  # it has left before this began, and the request waits again
        worker, died = self._workers.of(run.endpoint), False
        try:
            outcome = await self._outcome(worker, run)
        except RayError as error:
            died = isinstance(error, RayActorError)
            failure = UnreachableError(f"its worker failed: {error}", endpoint=run.endpoint.url)
            outcome = Outcome(run.request.id, error=failure)
        if died:
            self._replace(worker)
        answered = self._core.settle(run, outcome.error, outcome.cost, died=died)
        if answered:
            # before anything is waited for: who asks for the same from now on has to find it
            self._mailboxes.put(Kept(outcome, run.request.cache_key), run.owner)
        elif outcome.ref is not None:
            self._workers.unwanted([outcome.ref])
        followers = answered[1:]
        refs = await refs_of(worker, outcome, len(followers))
        for asked, ref in zip(followers, refs, strict=True):
            self._mailboxes.put(Kept(outcome.answer_to(asked.request.request, ref)), asked.owner)
        self._carry_out()

    async def _outcome(self, worker: Worker, run: Run[Envelope]) -> Outcome:
        """What comes of a run. Where the connection to the worker is cut, the worker goes on: it is asked
        again, for as long as a client may be silent.
        """
        unknown_since: float | None = None
        while True:
            try:
                outcome: Outcome = await worker.actor.run.remote(
                    run.endpoint, run.request, run.lease, run.resume
                )
            except ActorUnavailableError:
                now = time.monotonic()
                unknown_since = unknown_since or now
                if self._stopping or now - unknown_since > self._policy.client_limit:
                    raise
                await asyncio.sleep(_ASK_AGAIN_SECONDS)
            else:
                return outcome

    def _replace(self, dead: Worker) -> None:
        if not self._stopping and self._workers.replace(dead):
            log.warning("an endpoint worker died; starting another")
            self._core.perform(Emit("an endpoint worker's process ended; another one takes over"))

    async def _leave_who_is_gone(self) -> None:
        """Let searches leave whose driver was killed, or has been silent for too long."""
        if self._presence.jobs:
            # beside the event loop: it asks the cluster's control service, and waits
            ended = await asyncio.to_thread(ended_jobs)
            for search in self._presence.gone(ended):
                self._core.perform(Emit(f"the search {search} is gone; its requests are cancelled"))
                await self.leave(search)

    def _release(self, client: str) -> None:
        self._core.release(client)
        self._mailboxes.remove(client)

    async def _keep(self) -> None:
        """Let the core do what is due, and keep nothing for clients that are gone."""
        while True:
            now = time.monotonic()
            limit = self._policy.client_limit
            for client in self._mailboxes.silent(limit):
                self._release(client)
            if now - self._tidied > _TIDY_SECONDS:
                self._tidied = now
                await self._leave_who_is_gone()
                self._workers.unwanted(self._mailboxes.take_unwanted())
                self._workers.tidy()
            due = self._core.keep()
            self._carry_out()
            self._changed.clear()
            sweep = min(_SWEEP_SECONDS, limit)
            try:
                await asyncio.wait_for(self._changed.wait(), sweep if due is None else min(due, sweep))
            except TimeoutError:
                continue

    async def _probe(self, endpoint: Endpoint) -> None:
        worker = self._workers.of(endpoint)
        try:
            probed: Probed = await worker.actor.probe.remote(endpoint)
        except RayError as failure:
            if isinstance(failure, RayActorError) and not isinstance(failure, ActorUnavailableError):
                self._replace(worker)
            probed = Probed(UnreachableError(f"its worker failed: {failure}", endpoint=endpoint.url))
        if probed.error is None and self._core.seeks_orphans(endpoint.url):
            await self._seek_orphans(endpoint, worker)
        self._core.probed(endpoint.url, probed.error, probed.memory)
        self._carry_out()

    async def _seek_orphans(self, endpoint: Endpoint, worker: Worker) -> None:
        try:
            found: tuple[str, ...] = await worker.actor.orphans.remote(endpoint)
        except RayError:
            return  # it died, and the next probe finds out
        self._core.found_orphans(endpoint.url, found)
        self._carry_out()

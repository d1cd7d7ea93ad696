"""The pool on threads, in this process."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from pixaris.endpoints.actions import (
    Answer,
    CancelOrphan,
    CancelRun,
    ProbeEndpoint,
    ReleaseEndpoint,
    Run,
)
from pixaris.endpoints.base import Command, Endpoint, EndpointClient, EndpointPool, Join, PoolStatus, Submit
from pixaris.endpoints.connection import Connection
from pixaris.endpoints.core import Clock, PoolCore
from pixaris.endpoints.dispatch.policy import Policy
from pixaris.endpoints.janitor import Janitor
from pixaris.exceptions import PixarisError
from pixaris.types import GeneratedImage, GenerationRequest

# they start as they are needed; a limit that is reached would let one endpoint that hangs hold up the others
_MAX_THREADS = 4096


class LocalPool(EndpointPool):
    """Runs requests on endpoints with threads: one for each slot, one for each probe, one for limits.

    Args:
        endpoints: The endpoints to start with.
        policy: Limits of retries and quarantine.
        connect: Makes the client of an endpoint; by default a real one, and a janitor takes its requests off
            the servers if this process is killed.
        clock: The time that limits are counted in.
    """

    def __init__(
        self,
        endpoints: Sequence[Endpoint] = (),
        *,
        policy: Policy | None = None,
        connect: Callable[[Endpoint], EndpointClient] | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        super().__init__()
        session = str(uuid.uuid4())
        self._connect = connect or (lambda endpoint: endpoint.connect(session))
        self._janitor = Janitor(session) if connect is None else None
        self._core: PoolCore[GenerationRequest] = PoolCore(policy, clock)
        self._connections: dict[str, Connection] = {}
        self._ended = False
        self._decided = threading.Condition()
        """Guards the core and the connections."""
        self._threads = ThreadPoolExecutor(max_workers=_MAX_THREADS, thread_name_prefix="pixaris-pool")
        for endpoint in endpoints:
            self.join(endpoint)
        self._keeper = threading.Thread(target=self._keep, name="pixaris-pool-keeper", daemon=True)
        self._keeper.start()

    def perform(self, command: Command[GenerationRequest]) -> None:
        with self._decided:
            if isinstance(command, Join):
                self._open(command.endpoint)
            elif isinstance(command, Submit) and self._janitor is not None:
                self._janitor.start()
            self._core.perform(command)
            self._carry_out()

    def status(self, since_event: int = 0) -> PoolStatus:
        with self._decided:
            return self._core.status(since_event)

    def _release(self) -> None:
        with self._decided:
            self._core.release("")
            self._carry_out()
            self._ended = True
            closing = [self._threads.submit(connection.close) for connection in self._connections.values()]
        for closed in closing:
            closed.result()
        self._threads.shutdown(wait=True)
        if self._janitor is not None:
            self._janitor.dismiss(sweep=self._core.resting)
        self._keeper.join()

    # The condition's lock is held

    def _open(self, endpoint: Endpoint) -> None:
        if endpoint.url not in self._connections:
            self._connections[endpoint.url] = Connection(endpoint.url, self._connect(endpoint))
            if self._janitor is not None:
                self._janitor.join(endpoint)

    def _carry_out(self) -> None:
        """Begin what the core decided, in threads of their own: an endpoint that hangs holds up nobody."""
        for action in self._core.take_actions():
            if self._ended:
                continue
            match action:
                case Run(_, endpoint):
                    self._threads.submit(self._run, action, self._connections[endpoint.url])
                case CancelRun(lease, endpoint):
                    self._threads.submit(self._connections[endpoint.url].cancel, lease)
                case CancelOrphan(request_id, endpoint):
                    self._threads.submit(self._connections[endpoint.url].cancel_orphans, [request_id])
                case ProbeEndpoint(endpoint):
                    self._probe_aside(endpoint)
                case ReleaseEndpoint(endpoint):
                    self._threads.submit(self._close, endpoint.url, self._connections.pop(endpoint.url))
                case Answer(_, request, error):
                    self._threads.submit(self._unanswered.answer, request.id, error)
        self._decided.notify()

    def _probe_aside(self, endpoint: Endpoint) -> None:
        """Not waited for by `close`, nor by the end of the program: a frozen server answers late or never."""
        connection = self._connections[endpoint.url]
        threading.Thread(
            target=self._probe, args=(endpoint.url, connection), name="pixaris-pool-probe", daemon=True
        ).start()

    # In threads of their own

    def _run(self, run: Run[GenerationRequest], connection: Connection) -> None:
        outcome: GeneratedImage | PixarisError
        error: PixarisError | None = None
        try:
            outcome = replace(
                connection.run(run.lease, run.request),
                attempts=run.lease.attempt,
            )
        except PixarisError as raised:
            outcome = error = raised
        with self._decided:
            answered = self._core.settle(run, error, outcome.cost)
            self._carry_out()
        for asked in answered:
            answer = outcome
            if isinstance(outcome, GeneratedImage) and asked.request.id != run.request.id:
                answer = outcome.as_answer_to(asked.request)
            self._unanswered.answer(asked.request.id, answer)

    def _probe(self, url: str, connection: Connection) -> None:
        probed = connection.probe()
        with self._decided:
            self._core.probed(url, probed.error, probed.memory)
            self._carry_out()

    def _keep(self) -> None:
        """Let the core do what is due."""
        with self._decided:
            while not self._ended:
                due = self._core.keep()
                self._carry_out()
                self._decided.wait(due)

    def _close(self, url: str, connection: Connection) -> None:
        connection.close()
        with self._decided:
            if self._janitor is not None and url not in self._connections:
                self._janitor.leave(url)

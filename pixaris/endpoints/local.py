"""The pool on threads, in this process."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from pixaris.endpoints import clients
from pixaris.endpoints.base import Endpoint, EndpointClient, EndpointPool, PoolStatus
from pixaris.endpoints.connection import Connection
from pixaris.endpoints.dispatcher import Dispatcher, Lease, Policy, is_fatal
from pixaris.endpoints.janitor import Janitor
from pixaris.exceptions import CancelledRequestError, PixarisError
from pixaris.types import GeneratedImage, GenerationRequest

# they start as they are needed; a limit that is reached would let one endpoint that hangs hold up the others
_MAX_THREADS = 4096


class LocalPool(EndpointPool):
    """Runs requests on endpoints with threads: one for each place, one for each probe, one for limits.

    Args:
        endpoints: The endpoints to start with.
        policy: Limits of retries and quarantine.
        connect: Makes the client of an endpoint; by default a real one, and a janitor takes its prompts off
            the servers if this process is killed.
    """

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        *,
        policy: Policy | None = None,
        connect: Callable[[Endpoint], EndpointClient] | None = None,
    ) -> None:
        session = str(uuid.uuid4())
        self._connect = connect or partial(clients.connect, session=session)
        self._janitor = Janitor(session) if connect is None else None
        self._dispatcher = Dispatcher(policy)
        self._connections: dict[str, Connection] = {}
        self._requests: dict[str, tuple[GenerationRequest, Future[GeneratedImage]]] = {}
        self._fatal: PixarisError | None = None
        self._closed = False
        self._changed = threading.Condition()
        self._threads = ThreadPoolExecutor(max_workers=_MAX_THREADS, thread_name_prefix="pixaris-pool")
        for endpoint in endpoints:
            self.join(endpoint)
        self._keeper = threading.Thread(target=self._keep, name="pixaris-pool-keeper", daemon=True)
        self._keeper.start()

    def join(self, endpoint: Endpoint) -> None:
        with self._changed:
            if endpoint.url not in self._connections and not self._closed:
                self._connections[endpoint.url] = Connection(endpoint.url, self._connect(endpoint))
                if self._janitor is not None:
                    self._janitor.join(endpoint)
                self._dispatcher.join(endpoint, time.monotonic())
                self._changed.notify()

    def leave(self, url: str) -> None:
        with self._changed:
            connection = None if self._closed else self._connections.pop(url, None)
            if connection is not None:
                self._dispatcher.leave(url, time.monotonic())
                self._threads.submit(self._let_go, url, connection)
                self._assign()
                self._changed.notify()

    def tell(self, sentence: str) -> None:
        with self._changed:
            self._dispatcher.tell(sentence)

    def submit(
        self, requests: Sequence[GenerationRequest], *, priority: int = 0
    ) -> list[Future[GeneratedImage]]:
        with self._changed:
            if self._closed:
                raise CancelledRequestError("the pool is closed")
            if self._janitor is not None:
                self._janitor.start()
            futures = [self._enter(request, priority) for request in requests]
            self._assign()
            self._changed.notify()
        return futures

    def _enter(self, request: GenerationRequest, priority: int) -> Future[GeneratedImage]:
        if request.id in self._requests:
            return self._requests[request.id][1]
        future: Future[GeneratedImage] = Future()
        # whoever holds it cannot cancel it, so setting its result cannot fail
        future.set_running_or_notify_cancel()
        if self._fatal is not None:
            future.set_exception(self._fatal)
            return future
        self._requests[request.id] = (request, future)
        self._dispatcher.submit(
            request.id, request.kind, priority, time.monotonic(), affinity=request.affinity_key
        )
        return future

    def promote(self, request_ids: Iterable[str], priority: int = 0) -> None:
        with self._changed:
            for request_id in request_ids:
                self._dispatcher.promote(request_id, priority)

    def cancel(self, request_ids: Iterable[str]) -> None:
        with self._changed:
            futures = self._withdraw(request_ids)
            self._assign()
        for future in futures:
            future.set_exception(CancelledRequestError("the request was cancelled"))

    def status(self, since_event: int = 0) -> PoolStatus:
        with self._changed:
            return self._dispatcher.pool_status(since_event, self._fatal)

    def close(self) -> None:
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify()
            futures = self._withdraw(self._dispatcher.unanswered())
            closing = [self._threads.submit(connection.close) for connection in self._connections.values()]
        for future in futures:
            future.set_exception(CancelledRequestError("the pool was closed"))
        for closed in closing:
            closed.result()
        self._threads.shutdown(wait=True)
        if self._janitor is not None:
            self._janitor.dismiss(sweep=self._dispatcher.resting)
        self._keeper.join()

    # Inside; the condition's lock is held

    def _assign(self) -> None:
        if self._closed:
            return
        for lease in self._dispatcher.assign(time.monotonic()):
            request, _ = self._requests[lease.request_id]
            self._threads.submit(self._run, lease, request, self._connections[lease.url])

    def _withdraw(self, request_ids: Iterable[str]) -> list[Future[GeneratedImage]]:
        """Forget requests, and stop those that run, in threads of their own: an endpoint that hangs holds up
        nobody.
        """
        futures = []
        for request_id in request_ids:
            known, lease = self._dispatcher.cancel(request_id)
            if known:
                futures.append(self._requests.pop(request_id)[1])
            if lease is not None:
                self._threads.submit(self._connections[lease.url].cancel, lease)
        return futures

    def _stop_all(self, reason: PixarisError) -> list[Future[GeneratedImage]]:
        self._fatal = self._fatal or reason
        return self._withdraw(self._dispatcher.ended_by(self._fatal))

    # In threads of their own

    def _run(self, lease: Lease, request: GenerationRequest, connection: Connection) -> None:
        error: PixarisError | None = None
        image: GeneratedImage | None = None
        try:
            image = connection.run(lease, request)
        except PixarisError as raised:
            error = raised
        self._settle(lease, image, error)

    def _settle(self, lease: Lease, image: GeneratedImage | None, error: PixarisError | None) -> None:
        settled: Future[GeneratedImage] | None = None
        stopped: list[Future[GeneratedImage]] = []
        outcome = image if image is not None else error
        with self._changed:
            self._dispatcher.charge(lease.url, outcome.cost if outcome is not None else None)
            now = time.monotonic()
            final = (
                self._dispatcher.succeeded(lease, now)
                if error is None
                else self._dispatcher.failed(lease, error, now)
            )
            if final:
                settled = self._requests.pop(lease.request_id)[1]
            fatal = error if error is not None and is_fatal(error) else self._fatal
            if fatal is not None:
                stopped = self._stop_all(fatal)
            self._assign()
            self._changed.notify()
        if settled is not None and image is not None:
            settled.set_result(replace(image, attempts=lease.attempt))
        elif settled is not None:
            settled.set_exception(error)
        for future in stopped:
            future.set_exception(self._fatal)

    def _keep(self) -> None:
        """Probe what rests, and give up when nothing has been healthy for too long."""
        while True:
            stopped: list[Future[GeneratedImage]] = []
            with self._changed:
                if self._closed:
                    return
                now = time.monotonic()
                for endpoint in self._dispatcher.probes(now):
                    # not waited for by `close`, nor by the end of the program: a frozen server answers late
                    # or never
                    threading.Thread(
                        target=self._probe, args=(endpoint.url,), name="pixaris-pool-probe", daemon=True
                    ).start()
                reason = None if self._fatal else self._dispatcher.exhausted(now)
                if reason is not None:
                    stopped = self._stop_all(reason)
                else:
                    self._assign()
                    self._changed.wait(self._dispatcher.next_event(now))
            for future in stopped:
                future.set_exception(self._fatal)

    def _probe(self, url: str) -> None:
        connection = self._connections.get(url)
        if connection is None:
            return  # it has left meanwhile
        error = connection.probe()
        stopped: list[Future[GeneratedImage]] = []
        with self._changed:
            if self._dispatcher.probed(url, error, time.monotonic()) and error is not None:
                stopped = self._stop_all(error)
            self._assign()
            self._changed.notify()
        for future in stopped:
            future.set_exception(error)

    def _let_go(self, url: str, connection: Connection) -> None:
        connection.close()
        with self._changed:
            if self._janitor is not None and url not in self._connections:
                self._janitor.leave(url)

"""The pool on threads, in this process."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from pixaris.endpoints.base import Endpoint, EndpointClient, EndpointPool, PoolStatus
from pixaris.endpoints.clients import connect
from pixaris.endpoints.dispatcher import Dispatcher, Lease, Policy, is_fatal
from pixaris.exceptions import CancelledRequestError, PixarisError, UnreachableError
from pixaris.types import GeneratedImage, GenerationRequest

log = logging.getLogger(__name__)


class LocalPool(EndpointPool):
    """Runs requests on endpoints with threads: one for each place, one for probes and limits.

    Args:
        endpoints: The endpoints to start with.
        policy: Limits of retries and quarantine.
        connect: Makes the client of an endpoint.
    """

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        *,
        policy: Policy | None = None,
        connect: Callable[[Endpoint], EndpointClient] = connect,
    ) -> None:
        self._connect = connect
        self._dispatcher = Dispatcher(policy)
        self._clients: dict[str, EndpointClient] = {}
        self._requests: dict[str, tuple[GenerationRequest, Future[GeneratedImage]]] = {}
        self._fatal: PixarisError | None = None
        self._closed = False
        self._changed = threading.Condition()
        self._threads = ThreadPoolExecutor(
            max_workers=max(8, 2 * sum(e.depth for e in endpoints) + 4), thread_name_prefix="pixaris-pool"
        )
        for endpoint in endpoints:
            self.join(endpoint)
        self._keeper = threading.Thread(target=self._keep, name="pixaris-pool-keeper", daemon=True)
        self._keeper.start()

    def join(self, endpoint: Endpoint) -> None:
        """Add an endpoint; it gets work once it answers a probe."""
        with self._changed:
            self._clients.setdefault(endpoint.url, self._connect(endpoint))
            self._dispatcher.join(endpoint, time.monotonic())
            self._changed.notify()

    def submit(self, requests: Sequence[GenerationRequest], *, priority: int = 0) -> list[Future[GeneratedImage]]:
        with self._changed:
            if self._closed:
                raise CancelledRequestError("the pool is closed")
            futures = [self._enter(request, priority) for request in requests]
            self._assign()
            self._changed.notify()
        return futures

    def _enter(self, request: GenerationRequest, priority: int) -> Future[GeneratedImage]:
        if request.id in self._requests:
            return self._requests[request.id][1]
        future: Future[GeneratedImage] = Future()
        if self._fatal is not None:
            future.set_exception(self._fatal)
            return future
        self._requests[request.id] = (request, future)
        self._dispatcher.submit(request.id, request.kind, priority, time.monotonic())
        return future

    def promote(self, request_ids: Iterable[str], priority: int = 0) -> None:
        with self._changed:
            for request_id in request_ids:
                self._dispatcher.promote(request_id, priority)

    def cancel(self, request_ids: Iterable[str]) -> None:
        stopped: list[tuple[EndpointClient, str]] = []
        with self._changed:
            futures = []
            for request_id in request_ids:
                known, lease = self._dispatcher.cancel(request_id)
                if known:
                    futures.append(self._requests.pop(request_id)[1])
                if lease is not None:
                    stopped.append((self._clients[lease.url], request_id))
            self._assign()
        for client, request_id in stopped:
            self._withdraw(client, request_id)
        for future in futures:
            future.set_exception(CancelledRequestError("the request was cancelled"))

    def status(self, since_event: int = 0) -> PoolStatus:
        with self._changed:
            return PoolStatus(
                endpoints=self._dispatcher.status(),
                waiting=self._dispatcher.waiting,
                done=self._dispatcher.images,
                failed=self._dispatcher.errors,
                fatal=self._fatal,
                events=self._dispatcher.events(since_event),
                first_event=since_event,
            )

    def close(self) -> None:
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify()
            unanswered = self._dispatcher.unanswered()
        self.cancel(unanswered)
        for client in self._clients.values():
            client.close()
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._keeper.join()

    # Inside; the condition's lock is held

    def _assign(self) -> None:
        if self._closed:
            return
        for lease in self._dispatcher.assign(time.monotonic()):
            request, _ = self._requests[lease.request_id]
            self._threads.submit(self._run, lease, request, self._clients[lease.url])

    def _stop_all(self, reason: PixarisError) -> list[Future[GeneratedImage]]:
        self._fatal = reason
        futures = []
        for request_id in self._dispatcher.unanswered():
            self._dispatcher.cancel(request_id)
            futures.append(self._requests.pop(request_id)[1])
        return futures

    # In threads of their own

    def _run(self, lease: Lease, request: GenerationRequest, client: EndpointClient) -> None:
        error: PixarisError | None = None
        image: GeneratedImage | None = None
        try:
            image = client.run(request)
        except PixarisError as raised:
            error = raised
        except Exception as raised:
            log.exception("the client of %s failed", lease.url)
            error = UnreachableError(f"{type(raised).__name__}: {raised}", endpoint=lease.url)
        self._settle(lease, image, error)

    def _settle(self, lease: Lease, image: GeneratedImage | None, error: PixarisError | None) -> None:
        settled: list[Future[GeneratedImage]] = []
        with self._changed:
            if error is None:
                if self._dispatcher.succeeded(lease):
                    settled = [self._requests.pop(lease.request_id)[1]]
            elif is_fatal(error):
                settled = self._stop_all(error)
            elif self._dispatcher.failed(lease, error, time.monotonic()):
                settled = [self._requests.pop(lease.request_id)[1]]
            self._assign()
            self._changed.notify()
        for future in settled:
            if image is not None:
                future.set_result(replace(image, attempts=lease.attempt))
            elif error is not None:
                future.set_exception(error)

    def _keep(self) -> None:
        """Probe what rests, and give up when nothing has been healthy for too long."""
        while True:
            stopped: list[Future[GeneratedImage]] = []
            with self._changed:
                if self._closed:
                    return
                now = time.monotonic()
                for endpoint in self._dispatcher.probes(now):
                    self._threads.submit(self._probe, endpoint.url)
                reason = None if self._fatal else self._dispatcher.exhausted(now)
                if reason is not None:
                    stopped = self._stop_all(reason)
                else:
                    self._assign()
                    self._changed.wait(self._dispatcher.next_event(now))
            for future in stopped:
                future.set_exception(self._fatal)

    def _probe(self, url: str) -> None:
        error: PixarisError | None = None
        try:
            self._clients[url].probe()
        except PixarisError as raised:
            error = raised
        with self._changed:
            self._dispatcher.probed(url, error, time.monotonic())
            self._assign()
            self._changed.notify()

    @staticmethod
    def _withdraw(client: EndpointClient, request_id: str) -> None:
        try:
            client.cancel(request_id)
        except PixarisError as error:
            log.debug("could not withdraw %s: %s", request_id, error)

"""The actor that holds the connections and does the I/O."""

from __future__ import annotations

import os
import threading
import uuid
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace

import ray
from ray.exceptions import RayError

from pixaris.endpoints.base import Endpoint
from pixaris.endpoints.connection import Connection, Probed
from pixaris.endpoints.dispatch.request import Lease
from pixaris.endpoints.ray.messages import NAMESPACE, ActorHandle, Envelope, ImageRef, Outcome
from pixaris.endpoints.ray.shelf import Shelf
from pixaris.exceptions import CancelledRequestError, PixarisError, RequestError
from pixaris.images import EncodedImage
from pixaris.types import GenerationRequest

SLOTS = 64
"""Slots of endpoints that one worker serves, unless there are more workers than processors then."""
_CONTROL_THREADS = 32
_FETCH_THREADS = 4
_REMEMBERED = 1000
"""Outcomes that can be asked for again."""
_IMAGE_MEMORY = 256 * 1024 * 1024


@dataclass(frozen=True)
class Worker:
    """A worker as the pool actor knows it.

    Attributes:
        name: Its actor's, in the namespace `NAMESPACE`.
        actor: The handle.
    """

    name: str
    actor: ActorHandle


def start_worker(session: str, slots: int = SLOTS) -> Worker:
    """Start a worker; it ends with the actor that started it.

    Args:
        session: As for `EndpointApi.connect`.
        slots: Slots of endpoints that it is to serve.
    """
    # More threads than slots: what was cancelled holds its thread until its endpoint is done with it. Others
    # have their own.
    groups = {"control": _CONTROL_THREADS, "fetch": _FETCH_THREADS}
    actor_class = ray.remote(num_cpus=0, max_concurrency=2 * slots, concurrency_groups=groups)(WorkerActor)
    name = f"worker-{uuid.uuid4()}"
    return Worker(name, actor_class.options(name=name, namespace=NAMESPACE).remote(name, session))


def _yield_seldom() -> None:
    """Let the threads of this process, and those it starts, not preempt each other where the system can do
    that.

    Hundreds of threads share one interpreter here. Each gives it up for every bit of I/O, and the one that is
    woken by that would take the processor from the one that needs it again a moment later: that costs a third
    of the worker's time.
    """
    if hasattr(os, "SCHED_BATCH"):
        for thread in os.listdir("/proc/self/task"):
            with suppress(OSError):  # it has ended, or the system does not allow it: then it is only slower
                os.sched_setscheduler(int(thread), os.SCHED_BATCH, os.sched_param(0))


class WorkerActor:
    """Serves many endpoints: holds their connections, runs requests in threads.

    Args:
        name: Its own.
        session: As for `EndpointApi.connect`.
    """

    def __init__(self, name: str, session: str) -> None:
        self._name = name
        self._session = session
        self._connections: dict[str, Connection] = {}
        self._images: OrderedDict[str, bytes] = OrderedDict()
        self._held = 0
        self._shelf = Shelf()
        self._outcomes: OrderedDict[Lease, Future[Outcome]] = OrderedDict()
        self._closed = False
        self._lock = threading.Lock()
        _yield_seldom()

    def run(self, endpoint: Endpoint, envelope: Envelope, lease: Lease, resume: bool) -> Outcome:
        """Run one request on one endpoint, as `Connection.run`; an error is an outcome, never raised.

        Called again with the same lease, because the answer did not arrive, it gives the same outcome.
        """
        with self._lock:
            # A future, put down before the run: a second call with the lease waits for the first one's
            # result.
            known = self._outcomes.get(lease)
            outcome = known or self._outcomes.setdefault(lease, Future())
            while len(self._outcomes) > _REMEMBERED:
                self._outcomes.popitem(last=False)
        if known is None:
            outcome.set_result(self._run(endpoint, envelope, lease, resume))
        return outcome.result()

    def _run(self, endpoint: Endpoint, envelope: Envelope, lease: Lease, resume: bool) -> Outcome:
        request_id = envelope.request.id
        try:
            request = self._with_bytes(envelope)
            image = self._connection(endpoint).run(lease, request, resume=resume)
        except PixarisError as error:
            return Outcome(request_id, error=error)
        bare = replace(image.bare, attempts=lease.attempt)
        return Outcome(request_id, image=bare, ref=ImageRef(self._name, self._shelf.put(image.data)))

    @ray.method(concurrency_group="fetch", max_task_retries=3)
    def fetch(self, numbers: Sequence[int]) -> list[bytes | None]:
        """Images that were made here, until they are released; None for one that is not here."""
        return [self._shelf.get(number) for number in numbers]

    @ray.method(concurrency_group="fetch")
    def share(self, number: int, count: int) -> list[int]:
        """Keep an image for so many more clients; the numbers under which they find it."""
        return [self._shelf.share(number) for _ in range(count)]

    @ray.method(concurrency_group="fetch", max_task_retries=3)
    def release_images(self, numbers: Sequence[int]) -> None:
        """Keep images no longer."""
        self._shelf.release(numbers)

    @ray.method(concurrency_group="control")
    def probe(self, endpoint: Endpoint) -> Probed:
        """Probe an endpoint."""
        try:
            return self._connection(endpoint).probe()
        except PixarisError as error:
            return Probed(error)

    @ray.method(concurrency_group="control")
    def cancel(self, endpoint: Endpoint, lease: Lease) -> None:
        """Cancel a request on its endpoint, even if `run` has not begun yet."""
        self._connection(endpoint).cancel(lease)

    @ray.method(concurrency_group="control")
    def orphans(self, endpoint: Endpoint) -> tuple[str, ...]:
        """Requests that an endpoint has for a worker that died."""
        return self._connection(endpoint).orphans()

    @ray.method(concurrency_group="control")
    def cancel_orphans(self, endpoint: Endpoint, request_ids: Sequence[str]) -> None:
        """Cancel such requests on an endpoint."""
        self._connection(endpoint).cancel_orphans(request_ids)

    @ray.method(concurrency_group="control")
    def release(self, endpoint: Endpoint) -> None:
        """Cancel what an endpoint has and close its connection."""
        with self._lock:
            # Closed outside of the lock: that waits for the server.
            connection = self._connections.pop(endpoint.url, None)
        if connection is not None:
            connection.close()

    @ray.method(concurrency_group="control")
    def pid(self) -> int:
        """This process."""
        return os.getpid()

    @ray.method(concurrency_group="control")
    def close(self) -> None:
        """Cancel what is left and close every connection; nothing runs here any more."""
        with self._lock:
            self._closed = True
            connections = list(self._connections.values())
        with ThreadPoolExecutor(max_workers=32) as threads:
            list(threads.map(Connection.close, connections))

    def _connection(self, endpoint: Endpoint) -> Connection:
        with self._lock:
            if self._closed:
                raise CancelledRequestError("the pool is closed")
            connection = self._connections.get(endpoint.url)
            if connection is None:
                connection = Connection(endpoint.url, endpoint.connect(self._session))
                self._connections[endpoint.url] = connection
            return connection

    def _with_bytes(self, envelope: Envelope) -> GenerationRequest:
        filled = tuple(
            replace(one, image=EncodedImage(self._bytes(one.image.digest, envelope), one.image.digest))
            for one in envelope.request.images
        )
        return replace(envelope.request, images=filled)

    def _bytes(self, digest: str, envelope: Envelope) -> bytes:
        with self._lock:
            if digest in self._images:
                self._images.move_to_end(digest)
                return self._images[digest]
        try:
            # Outside of the lock: it may take a while, and others have their images here already.
            data: bytes = ray.get(envelope.images[digest])
        except RayError as error:  # no endpoint is to blame: they went with the process that held them
            raise RequestError(f"its input images are gone from the object store: {error}") from None
        with self._lock:
            if digest not in self._images:
                self._images[digest] = data
                self._held += len(data)
            # One may be larger than the limit: it is needed now.
            while self._held > _IMAGE_MEMORY and len(self._images) > 1:
                self._held -= len(self._images.popitem(last=False)[1])
        return data

"""The pool as a Ray actor with endpoint workers: the same dispatcher, shared by every trial of a cluster.

Who does what:

- `PoolActor`, async, one per search, holds the dispatcher. Only metadata passes through it; its waiting and control calls run in
  separate concurrency groups, so that callers who wait can never lock out the answer they wait for.
- `WorkerActor`, threaded, a few per search, each serving many endpoints: it holds the connections and does the I/O. A generated
  image goes to the object store; its reference travels back.
- `RayPool` is what a trial (or the driver) holds: an `EndpointPool` whose recipe, the actor's name, travels in a pickle.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

import ray
from ray.exceptions import ObjectLostError, RayActorError, RayError

from pixaris.endpoints.base import Endpoint, EndpointClient, EndpointPool, PoolStatus
from pixaris.endpoints.clients import connect
from pixaris.endpoints.dispatcher import Dispatcher, Lease, Policy, is_fatal
from pixaris.exceptions import CancelledRequestError, NoEndpointError, PixarisError, UnreachableError
from pixaris.images import EncodedImage
from pixaris.types import GeneratedImage, GenerationRequest

log = logging.getLogger(__name__)

NAMESPACE = "pixaris"
_SLOTS_PER_WORKER = 64
_IMAGE_MEMORY = 256 * 1024 * 1024
_COLLECT_SECONDS = 10.0


@dataclass(frozen=True)
class Envelope:
    """A request on its way: its images' bytes stay in the object store until a worker lacks them.

    Attributes:
        request: The request, its images without bytes.
        images: Image digest to the reference of its bytes.
        client: Who asked, and is told.
    """

    request: GenerationRequest
    images: Mapping[str, ray.ObjectRef]
    client: str


@dataclass(frozen=True)
class Outcome:
    """What became of a request: an image (its bytes by reference) or an error."""

    request_id: str
    image: GeneratedImage | None = None
    data: ray.ObjectRef | None = None
    error: PixarisError | None = None


def _without_bytes(image: EncodedImage) -> EncodedImage:
    return EncodedImage(b"", image.digest)


class WorkerActor:
    """Serves many endpoints: holds their connections, runs requests in threads."""

    def __init__(self) -> None:
        self._clients: dict[str, EndpointClient] = {}
        self._images: OrderedDict[str, bytes] = OrderedDict()
        self._held = 0
        self._lock = threading.Lock()

    def run(self, endpoint: Endpoint, envelope: Envelope, attempt: int) -> Outcome:
        """Run one request on one endpoint; an error is an outcome, never raised."""
        request_id = envelope.request.id
        try:
            image = self._client(endpoint).run(self._with_bytes(envelope))
        except PixarisError as error:
            return Outcome(request_id, error=error)
        except (ObjectLostError, RayError) as error:
            return Outcome(request_id, error=UnreachableError(f"its input images are gone: {error}", endpoint=endpoint.url))
        except Exception as error:
            log.exception("the client of %s failed", endpoint.url)
            return Outcome(request_id, error=UnreachableError(f"{type(error).__name__}: {error}", endpoint=endpoint.url))
        bare = replace(image, image=_without_bytes(image.image), attempts=attempt)
        return Outcome(request_id, image=bare, data=ray.put(image.image.data))

    def probe(self, endpoint: Endpoint) -> PixarisError | None:
        """Probe an endpoint; the error it raised, or None."""
        try:
            self._client(endpoint).probe()
        except PixarisError as error:
            return error
        return None

    def cancel(self, endpoint: Endpoint, request_id: str) -> None:
        """Withdraw a request from its endpoint."""
        try:
            self._client(endpoint).cancel(request_id)
        except PixarisError as error:
            log.debug("could not withdraw %s: %s", request_id, error)

    def close(self) -> None:
        """Withdraw what is left and close every connection."""
        with self._lock:
            clients = list(self._clients.values())
            self._clients.clear()
        for client in clients:
            client.close()

    def _client(self, endpoint: Endpoint) -> EndpointClient:
        with self._lock:
            client = self._clients.get(endpoint.url)
            if client is None:
                client = self._clients[endpoint.url] = connect(endpoint)
            return client

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
        data: bytes = ray.get(envelope.images[digest])
        with self._lock:
            if digest not in self._images:
                self._images[digest] = data
                self._held += len(data)
            while self._held > _IMAGE_MEMORY and len(self._images) > 1:
                self._held -= len(self._images.popitem(last=False)[1])
        return data


class PoolActor:
    """The dispatcher as an async actor. Its calls carry metadata only.

    Args:
        endpoints: The endpoints to start with.
        policy: Limits of retries and quarantine.
    """

    def __init__(self, endpoints: Sequence[Endpoint], policy: Policy | None) -> None:
        self._dispatcher = Dispatcher(policy)
        self._envelopes: dict[str, Envelope] = {}
        self._outcomes: dict[str, list[Outcome]] = {}
        self._arrived: dict[str, asyncio.Event] = {}
        self._fatal: PixarisError | None = None
        self._stopping = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        slots = sum(endpoint.depth for endpoint in endpoints)
        self._workers = [_start_worker() for _ in range(max(1, -(-slots // _SLOTS_PER_WORKER)))]
        self._home: dict[str, int] = {}
        for endpoint in endpoints:
            self._join(endpoint)

    @ray.method(concurrency_group="control")
    async def ready(self) -> bool:
        """Return once the actor serves calls; starts its housekeeping."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._spawn(self._keep())
        return True

    @ray.method(concurrency_group="control")
    async def submit(self, envelopes: Sequence[Envelope], priority: int) -> None:
        """Queue requests. A request that is known already is not queued again."""
        await self.ready()
        for envelope in envelopes:
            refusal = self._fatal or (CancelledRequestError("the search is stopping") if self._stopping else None)
            if refusal is not None:
                self._deliver(envelope.client, Outcome(envelope.request.id, error=refusal))
            elif self._dispatcher.submit(envelope.request.id, envelope.request.kind, priority, time.monotonic()):
                self._envelopes[envelope.request.id] = envelope
        self._assign()

    @ray.method(concurrency_group="control")
    async def promote(self, request_ids: Sequence[str], priority: int) -> None:
        """Change the priority of waiting requests."""
        for request_id in request_ids:
            self._dispatcher.promote(request_id, priority)

    @ray.method(concurrency_group="control")
    async def cancel(self, request_ids: Sequence[str]) -> None:
        """Withdraw requests; their clients are told."""
        for request_id in request_ids:
            self._cancel(request_id, CancelledRequestError("the request was cancelled"))
        self._assign()

    @ray.method(concurrency_group="waiting")
    async def collect(self, client: str) -> list[Outcome]:
        """Wait for outcomes of a client's requests, at most some seconds; they are handed out once.

        Ray gives every concurrency group an event loop of its own; the actor's state belongs to the control group's.
        """
        while self._loop is None:
            await asyncio.sleep(0.01)  # nothing was submitted since the actor (re)started
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._take(client), self._loop))

    async def _take(self, client: str) -> list[Outcome]:
        arrived = self._arrived.setdefault(client, asyncio.Event())
        try:
            await asyncio.wait_for(arrived.wait(), _COLLECT_SECONDS)
        except TimeoutError:
            return []
        arrived.clear()
        return self._outcomes.pop(client, [])

    @ray.method(concurrency_group="control")
    async def status(self, since_event: int) -> PoolStatus:
        """The pool as it is now."""
        return PoolStatus(
            endpoints=self._dispatcher.status(),
            waiting=self._dispatcher.waiting,
            done=self._dispatcher.images,
            failed=self._dispatcher.errors,
            fatal=self._fatal,
            events=self._dispatcher.events(since_event),
            first_event=since_event,
        )

    @ray.method(concurrency_group="control")
    async def stop(self) -> None:
        """Take no more requests and withdraw those there are; the trials are told at once."""
        self._stopping = True
        for request_id in self._dispatcher.unanswered():
            self._cancel(request_id, CancelledRequestError("the search is stopping"))

    @ray.method(concurrency_group="control")
    async def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping

    @ray.method(concurrency_group="control")
    async def close(self) -> None:
        """`stop`, then close the workers' connections."""
        await self.stop()
        await asyncio.gather(*(worker.close.remote() for worker in self._workers), return_exceptions=True)

    # Inside

    def _join(self, endpoint: Endpoint) -> None:
        self._home.setdefault(endpoint.url, len(self._home) % len(self._workers))
        self._dispatcher.join(endpoint, time.monotonic())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _assign(self) -> None:
        for lease in self._dispatcher.assign(time.monotonic()):
            self._spawn(self._run(lease))
        self._changed.set()

    async def _run(self, lease: Lease) -> None:
        endpoint = self._dispatcher.endpoint(lease.url)
        envelope = self._envelopes.get(lease.request_id)
        if endpoint is None or envelope is None:
            return
        home = self._home[lease.url]
        worker = self._workers[home]
        try:
            outcome: Outcome = await worker.run.remote(endpoint, envelope, lease.attempt)
        except RayActorError:
            self._replace(home, worker)
            self._dispatcher.returned(lease)
        else:
            self._settle(lease, envelope, outcome)
        self._assign()

    def _settle(self, lease: Lease, envelope: Envelope, outcome: Outcome) -> None:
        if outcome.error is None:
            final = self._dispatcher.succeeded(lease)
        elif is_fatal(outcome.error):
            self._stop_all(outcome.error)
            return
        else:
            final = self._dispatcher.failed(lease, outcome.error, time.monotonic())
        if final:
            del self._envelopes[lease.request_id]
            self._deliver(envelope.client, outcome)

    def _replace(self, home: int, dead: Any) -> None:  # noqa: ANN401  (an actor handle)
        if self._workers[home] is dead:
            log.warning("an endpoint worker died; starting another")
            self._workers[home] = _start_worker()

    def _cancel(self, request_id: str, reason: PixarisError) -> None:
        known, lease = self._dispatcher.cancel(request_id)
        if not known:
            return
        envelope = self._envelopes.pop(request_id)
        self._deliver(envelope.client, Outcome(request_id, error=reason))
        endpoint = self._dispatcher.endpoint(lease.url) if lease else None
        if lease is not None and endpoint is not None:
            self._workers[self._home[lease.url]].cancel.remote(endpoint, request_id)

    def _stop_all(self, reason: PixarisError) -> None:
        self._fatal = reason
        for request_id in self._dispatcher.unanswered():
            self._cancel(request_id, reason)

    def _deliver(self, client: str, outcome: Outcome) -> None:
        self._outcomes.setdefault(client, []).append(outcome)
        self._arrived.setdefault(client, asyncio.Event()).set()

    async def _keep(self) -> None:
        """Probe what rests, and give up when nothing has been healthy for too long."""
        while True:
            now = time.monotonic()
            for endpoint in self._dispatcher.probes(now):
                self._spawn(self._probe(endpoint))
            reason = None if self._fatal else self._dispatcher.exhausted(now)
            if reason is not None:
                self._stop_all(reason)
            self._assign()
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), self._dispatcher.next_event(now))
            except TimeoutError:
                continue

    async def _probe(self, endpoint: Endpoint) -> None:
        home = self._home[endpoint.url]
        worker = self._workers[home]
        try:
            error = await worker.probe.remote(endpoint)
        except RayActorError as died:
            self._replace(home, worker)
            error = UnreachableError(f"its worker died: {died}", endpoint=endpoint.url)
        self._dispatcher.probed(endpoint.url, error, time.monotonic())
        self._assign()


def _start_worker() -> Any:  # noqa: ANN401  (an actor handle)
    actor = ray.remote(WorkerActor).options(num_cpus=0, max_concurrency=_SLOTS_PER_WORKER + 16)
    return actor.remote()


@dataclass(frozen=True)
class RayPoolRecipe:
    """How to reach a pool from any process of the cluster.

    Attributes:
        name: The pool actor's name in the namespace `NAMESPACE`.
        images: Digest to reference of images that the driver holds for everybody.
    """

    name: str
    images: Mapping[str, ray.ObjectRef]

    def connect(self) -> RayPool:
        """Reach the pool from this process."""
        return RayPool(ray.get_actor(self.name, namespace=NAMESPACE), self.images)


def start_pool(
    endpoints: Sequence[Endpoint], *, images: Iterable[EncodedImage] = (), policy: Policy | None = None
) -> tuple[RayPoolRecipe, RayPool]:
    """Start the pool actor. It ends with the job that started it.

    Args:
        endpoints: The endpoints to start with.
        images: Input images to put in the object store once, for every trial.
        policy: Limits of retries and quarantine.

    Returns:
        The recipe for trials, and the driver's own pool.
    """
    name = f"pool-{uuid.uuid4().hex[:12]}"
    actor_class = ray.remote(concurrency_groups={"waiting": 10_000, "control": 100}, num_cpus=0, max_restarts=-1)(PoolActor)
    actor = actor_class.options(name=name, namespace=NAMESPACE).remote(tuple(endpoints), policy)
    held = {image.digest: ray.put(image.data) for image in images}
    ray.get(actor.ready.remote())
    return RayPoolRecipe(name, held), RayPool(actor, held)


class RayPool(EndpointPool):
    """A process's view of the pool actor: sends batches, resolves futures in one collecting thread.

    Args:
        actor: The pool actor's handle.
        images: Digest to reference of images that are in the object store already.
    """

    def __init__(self, actor: Any, images: Mapping[str, ray.ObjectRef]) -> None:  # noqa: ANN401  (an actor handle)
        self._actor = actor
        self._images = dict(images)
        self._client = uuid.uuid4().hex
        self._lock = threading.Lock()
        self._waiting: dict[str, tuple[Envelope, int, Future[GeneratedImage]]] = {}
        self._wake = threading.Event()
        self._closed = False
        self._collector: threading.Thread | None = None

    def submit(self, requests: Sequence[GenerationRequest], *, priority: int = 0) -> list[Future[GeneratedImage]]:
        futures: list[Future[GeneratedImage]] = []
        fresh: list[Envelope] = []
        with self._lock:
            for request in requests:
                if request.id not in self._waiting:
                    self._waiting[request.id] = (self._envelope(request), priority, Future())
                    fresh.append(self._waiting[request.id][0])
                futures.append(self._waiting[request.id][2])
            if self._collector is None:
                self._collector = threading.Thread(target=self._collect, name="pixaris-pool-collector", daemon=True)
                self._collector.start()
        self._actor.submit.remote(fresh, priority)
        self._wake.set()
        return futures

    def promote(self, request_ids: Iterable[str], priority: int = 0) -> None:
        self._actor.promote.remote(list(request_ids), priority)

    def cancel(self, request_ids: Iterable[str]) -> None:
        self._actor.cancel.remote(list(request_ids))

    def status(self, since_event: int = 0) -> PoolStatus:
        try:
            status: PoolStatus = ray.get(self._actor.status.remote(since_event), timeout=30)
        except RayError as error:
            return PoolStatus((), fatal=NoEndpointError(f"the endpoint pool does not answer: {error}"))
        return status

    def stop(self) -> None:
        """Take no more requests from anybody and withdraw those there are."""
        ray.get(self._actor.stop.remote(), timeout=30)

    @property
    def stopping(self) -> bool:
        """Whether anybody has stopped the pool; True also when it is gone."""
        try:
            return bool(ray.get(self._actor.stopping.remote(), timeout=10))
        except RayError:
            return True

    def close(self) -> None:
        """Withdraw what this process waits for. The pool itself goes on for others."""
        with self._lock:
            self._closed = True
            ids = list(self._waiting)
        self._wake.set()
        if ids:
            self.cancel(ids)
        if self._collector is not None:
            self._collector.join(2.0)

    def shut_down(self) -> None:
        """End the pool for everybody: withdraw every request, close every connection, end the actors."""
        try:
            ray.get(self._actor.close.remote(), timeout=30)
        except RayError as error:
            log.warning("the endpoint pool did not close in order: %s", error)
        self.close()
        ray.kill(self._actor)

    def _envelope(self, request: GenerationRequest) -> Envelope:
        references = {}
        for one in request.images:
            digest = one.image.digest
            if digest not in self._images:
                self._images[digest] = ray.put(one.image.data)
            references[digest] = self._images[digest]
        bare = replace(request, images=tuple(replace(one, image=_without_bytes(one.image)) for one in request.images))
        return Envelope(bare, references, self._client)

    def _collect(self) -> None:
        while True:
            self._wake.wait()
            with self._lock:
                if self._closed and not self._waiting:
                    return
                if not self._waiting:
                    self._wake.clear()
                    continue
            try:
                outcomes: list[Outcome] = ray.get(self._actor.collect.remote(self._client))
            except RayActorError:
                if not self._send_again():
                    return
                continue
            self._resolve(outcomes)

    def _resolve(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            with self._lock:
                entry = self._waiting.pop(outcome.request_id, None)
            if entry is None:
                continue
            envelope, priority, future = entry
            if outcome.image is None or outcome.data is None:
                future.set_exception(outcome.error or CancelledRequestError("the request was cancelled"))
                continue
            try:
                data = ray.get(outcome.data)
            except RayError:  # its worker died with the bytes: the same request again
                with self._lock:
                    self._waiting[outcome.request_id] = entry
                self._actor.submit.remote([envelope], priority)
                continue
            image = outcome.image
            future.set_result(replace(image, image=EncodedImage(data, image.image.digest)))

    def _send_again(self) -> bool:
        """After the pool actor died: wait for its successor and give it everything unanswered. False if there is none."""
        time.sleep(0.2)
        with self._lock:
            entries = list(self._waiting.values())
        try:
            for envelope, priority, _ in entries:
                ray.get(self._actor.submit.remote([envelope], priority), timeout=60)
        except RayError as error:
            reason = NoEndpointError(f"the endpoint pool is gone: {error}")
            with self._lock:
                self._waiting.clear()
            for _, _, future in entries:
                future.set_exception(reason)
            return False
        return True

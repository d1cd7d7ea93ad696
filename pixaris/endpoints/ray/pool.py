"""What a trial or the driver holds of the pool."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

import ray
from ray.exceptions import ActorUnavailableError, GetTimeoutError, RayError

from pixaris.endpoints.base import Endpoint, EndpointPool, PoolStatus
from pixaris.endpoints.dispatcher import Policy
from pixaris.endpoints.janitor import Janitor
from pixaris.endpoints.ray.actor import PoolActor
from pixaris.endpoints.ray.messages import NAMESPACE, Delivery, Envelope, Outcome, without_bytes
from pixaris.exceptions import CancelledRequestError, NoEndpointError, PixarisError
from pixaris.images import EncodedImage
from pixaris.types import GeneratedImage, GenerationRequest

log = logging.getLogger(__name__)

_RESTART_SECONDS = 60.0
_RETRY_SECONDS = 0.2
_ANSWER_SECONDS = 30.0
_SILENCE_SECONDS = 300.0
"""How long an actor may take to answer: on a machine whose processes all start at once, it has little time of
its own.
"""
_FETCH_SECONDS = 8.0
"""How long a worker may take to hand over images; then the pool is told that somebody still waits, and it is
asked again.
"""
_FETCHED_AT_ONCE = 16
"""Images in one message of a worker."""


@dataclass(frozen=True)
class RayPoolRecipe:
    """How to reach a pool from any process of the cluster.

    Attributes:
        name: The pool actor's name in the namespace `NAMESPACE`.
        images: Digest to reference of images that the driver holds for everybody.
    """

    name: str
    images: Mapping[str, ray.ObjectRef]

    def connect(self, client: str = "") -> RayPool:
        """Reach the pool from this process.

        Args:
            client: Who asks, by default somebody new. Whoever connects under the name of somebody who is gone
                gets what that one asked for, if it asks for it again.
        """
        return RayPool(ray.get_actor(self.name, namespace=NAMESPACE), self.images, client=client)


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
    session = str(uuid.uuid4())
    name = f"pool-{session[:13]}"
    actor_class = ray.remote(
        concurrency_groups={"waiting": 10_000, "control": 100}, num_cpus=0, max_restarts=-1
    )(PoolActor)
    actor = actor_class.options(name=name, namespace=NAMESPACE).remote(tuple(endpoints), policy, session)
    held = {image.digest: ray.put(image.data) for image in images}
    ray.get(actor.ready.remote())
    janitor = Janitor(session)
    for endpoint in endpoints:
        janitor.join(endpoint)
    janitor.start()
    return RayPoolRecipe(name, held), RayPool(actor, held, janitor)


@dataclass
class _Entry:
    envelope: Envelope
    priority: int
    future: Future[GeneratedImage]


class RayPool(EndpointPool):
    """A process's view of the pool actor: sends batches, resolves futures in one collecting thread.

    Args:
        actor: The pool actor's handle.
        images: Digest to reference of images that are in the object store already.
        janitor: Takes the pool's prompts off the servers if this process, the driver, is killed.
        client: As for `RayPoolRecipe.connect`.
    """

    def __init__(
        self,
        actor: Any,  # noqa: ANN401  (an actor handle)
        images: Mapping[str, ray.ObjectRef],
        janitor: Janitor | None = None,
        client: str = "",
    ) -> None:
        self._actor = actor
        self._janitor = janitor
        self._images = dict(images)
        self._client = client or uuid.uuid4().hex
        self._changed = threading.Condition()
        self._waiting: dict[str, _Entry] = {}
        self._sent: ray.ObjectRef | None = None
        self._gone: PixarisError | None = None
        self._closed = False
        self._collector: threading.Thread | None = None
        self._members: dict[str, Endpoint | None] = {}
        self._workers: dict[str, Any] = {}

    def join(self, endpoint: Endpoint) -> None:
        with self._changed:
            self._members[endpoint.url] = endpoint
            if self._janitor is not None:
                self._janitor.join(endpoint)
            self._actor.add_endpoint.remote(endpoint)

    def leave(self, url: str) -> None:
        with self._changed:
            self._members[url] = None
            self._actor.remove_endpoint.remote(url)

    def tell(self, sentence: str) -> None:
        self._actor.tell.remote(sentence)

    def submit(
        self, requests: Sequence[GenerationRequest], *, priority: int = 0
    ) -> list[Future[GeneratedImage]]:
        envelopes = {
            request.id: self._envelope(request) for request in requests if request.id not in self._waiting
        }
        futures: list[Future[GeneratedImage]] = []
        fresh: list[Envelope] = []
        with self._changed:
            if self._closed:
                raise CancelledRequestError("the pool is closed")
            for request in requests:
                entry = self._waiting.get(request.id)
                if entry is None:
                    entry = _Entry(envelopes.get(request.id) or self._envelope(request), priority, Future())
                    # whoever holds it cannot cancel it, so setting it cannot fail
                    entry.future.set_running_or_notify_cancel()
                    self._waiting[request.id] = entry
                    fresh.append(entry.envelope)
                futures.append(entry.future)
            if fresh and self._gone is None:
                self._sent = self._actor.submit.remote(self._client, fresh, priority)
            if self._collector is None:
                self._collector = threading.Thread(
                    target=self._collect, name="pixaris-pool-collector", daemon=True
                )
                self._collector.start()
            self._changed.notify()
        if self._gone is not None:
            self._give_up(self._gone)
        return futures

    def send(self, requests: Sequence[GenerationRequest], *, priority: int = 0) -> None:
        """Queue requests for whoever connects under this client's name later, without waiting for them
        here.
        """
        self._actor.submit.remote(
            self._client, [self._envelope(request) for request in requests], priority, early=True
        )

    def wait_for_workers(self) -> None:
        """Return once the endpoint workers are up, or some time has passed."""
        ray.wait([self._actor.pids.remote()], timeout=_ANSWER_SECONDS)

    def expect(self, client: str) -> None:
        """Note that somebody is on its way who will share the pool under this name."""
        self._actor.expect.remote(client)

    def arrive(self, client: str) -> int:
        """Note that somebody is here; gives the number of those still on their way, 0 once the pool is
        stopping or gone.
        """
        try:
            return int(self._ask(self._actor.arrive, client))
        except RayError:
            return 0

    def promote(self, request_ids: Iterable[str], priority: int = 0) -> None:
        with self._changed:
            ids = [request_id for request_id in request_ids if request_id in self._waiting]
            for request_id in ids:
                self._waiting[request_id].priority = priority
            if ids:
                self._actor.promote.remote(self._client, ids, priority, self._sent)

    def cancel(self, request_ids: Iterable[str]) -> None:
        with self._changed:
            entries = {
                request_id: self._waiting.pop(request_id)
                for request_id in set(request_ids) & self._waiting.keys()
            }
            if entries:
                self._actor.cancel.remote(self._client, list(entries), self._sent)
        for entry in entries.values():
            entry.future.set_exception(CancelledRequestError("the request was cancelled"))

    def status(self, since_event: int = 0) -> PoolStatus:
        try:
            status: PoolStatus = self._ask(self._actor.status, since_event)
        except RayError as error:
            return PoolStatus(
                (),
                fatal=NoEndpointError(f"the endpoint pool does not answer: {error}"),
                first_event=since_event,
            )
        self._correct(status)
        return status

    def _correct(self, status: PoolStatus) -> None:
        """A pool actor that was started again knows the endpoints it began with; tell it who has joined and
        left since.
        """
        known = {one.url for one in status.endpoints}
        with self._changed:
            for url, endpoint in self._members.items():
                if endpoint is not None and url not in known:
                    self._actor.add_endpoint.remote(endpoint)
                elif endpoint is None and url in known:
                    self._actor.remove_endpoint.remote(url)

    def stop(self) -> None:
        """Take no more requests from anybody and withdraw those there are."""
        self._ask(self._actor.stop)

    @property
    def stopping(self) -> bool:
        """Whether anybody has stopped the pool; True also when it is gone."""
        try:
            return bool(self._ask(self._actor.stopping))
        except RayError:
            return True

    def pids(self) -> tuple[int, ...]:
        """Process ids of the pool actor (first) and of its workers, each on its node."""
        pids: tuple[int, ...] = self._ask(self._actor.pids)
        return pids

    def close(self) -> None:
        """Withdraw what this process waits for. The pool itself goes on for others."""
        with self._changed:
            if not self._closed:
                self._actor.leave.remote(self._client, self._sent)
            self._closed = True
            entries, self._waiting = self._waiting, {}
            self._changed.notify()
        for entry in entries.values():
            entry.future.set_exception(CancelledRequestError("the pool was closed"))
        if self._collector is not None:
            self._collector.join(2.0)

    def shut_down(self) -> None:
        """End the pool for everybody: withdraw every request, close every connection, end the actors."""
        clean = False
        try:
            clean = ray.get(self._actor.close.remote(), timeout=_ANSWER_SECONDS)
        except RayError as error:
            log.warning("the endpoint pool did not close in order: %s", error)
        self.close()
        ray.kill(self._actor)
        if self._janitor is not None:
            self._janitor.dismiss(sweep=not clean)

    def _ask(self, method: Any, *arguments: object) -> Any:  # noqa: ANN401  (an actor's method and its answer)
        """Call the actor; while it is being started again, try again. A slow answer is waited for."""
        deadline = time.monotonic() + _RESTART_SECONDS
        while True:
            try:
                return ray.get(method.remote(*arguments), timeout=_SILENCE_SECONDS)
            except ActorUnavailableError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(_RETRY_SECONDS)

    def _envelope(self, request: GenerationRequest) -> Envelope:
        references = {}
        for one in request.images:
            digest = one.image.digest
            if digest not in self._images:
                self._images[digest] = ray.put(one.image.data)
            references[digest] = self._images[digest]
        bare = replace(
            request, images=tuple(replace(one, image=without_bytes(one.image)) for one in request.images)
        )
        return Envelope(bare, references, self._client)

    # In the collecting thread

    def _collect(self) -> None:
        token, seen = "", 0
        while self._wait_for_work():
            try:
                delivery: Delivery = ray.get(self._actor.collect.remote(self._client, token, seen))
                if delivery.token != token:
                    token, seen = delivery.token, 0
                self._take(delivery.outcomes)
            except (
                ActorUnavailableError,
                GetTimeoutError,
            ):  # started again, busy, or the connection broke and took a batch along
                time.sleep(_RETRY_SECONDS)
                self._send_again()
                continue
            except Exception as error:  # noqa: BLE001  (whatever it is: nobody may wait for ever)
                self._give_up(NoEndpointError(f"the endpoint pool is gone: {error}"))
                continue
            seen += len(delivery.outcomes)
            if (
                not delivery.outcomes
            ):  # another mailbox, or nothing for so long that it is better to make sure
                self._send_again()

    def _wait_for_work(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or bool(self._waiting))
            return not self._closed

    def _take(self, outcomes: Sequence[Outcome]) -> None:
        """Answer who waits for these; their images are fetched, some at a time, from the workers that made
        them.

        Raises:
            ActorUnavailableError, GetTimeoutError: A worker did not hand over its images now; it still has
                them.
        """
        late: RayError | None = None
        made: defaultdict[str, list[Outcome]] = defaultdict(list)
        for outcome in outcomes:
            if outcome.place is None:
                self._resolve(outcome)
            elif outcome.request_id in self._waiting:
                made[outcome.place.worker].append(outcome)
        for worker, those in made.items():
            for first in range(0, len(those), _FETCHED_AT_ONCE):
                batch = those[first : first + _FETCHED_AT_ONCE]
                try:
                    images = self._fetch(
                        worker, [outcome.place.number for outcome in batch if outcome.place is not None]
                    )
                except (ActorUnavailableError, GetTimeoutError) as error:
                    late = error
                    break  # the other workers' images are not to wait for this one
                for outcome, data in zip(batch, images, strict=True):
                    if data is None:
                        self._send_lost(outcome.request_id)  # it is generated again
                    else:
                        self._resolve(outcome, data)
        if late is not None:
            raise late

    def _fetch(self, worker: str, numbers: Sequence[int]) -> Sequence[bytes | None]:
        """Get images from a worker; None for those that are gone, as all of them are with a worker that
        died.
        """
        try:
            if worker not in self._workers:
                self._workers[worker] = ray.get_actor(worker, namespace=NAMESPACE)
            images: Sequence[bytes | None] = ray.get(
                self._workers[worker].fetch.remote(numbers), timeout=_FETCH_SECONDS
            )
        except (ActorUnavailableError, GetTimeoutError):
            raise
        except (RayError, ValueError) as error:  # ValueError: there is no such actor any more
            log.info("images are lost with the worker that made them: %s", error)
            return [None] * len(numbers)
        return images

    def _resolve(self, outcome: Outcome, data: bytes = b"") -> None:
        with self._changed:
            entry = self._waiting.pop(outcome.request_id, None)
        if entry is None:
            return
        if outcome.image is not None:
            entry.future.set_result(outcome.image.with_data(data))
        else:
            entry.future.set_exception(outcome.error or CancelledRequestError("the request was cancelled"))

    def _send_again(self) -> None:
        """Send everything unanswered; what the pool knows already is not queued again."""
        sent = []
        with self._changed:
            for priority in sorted({entry.priority for entry in self._waiting.values()}):
                envelopes = [entry.envelope for entry in self._waiting.values() if entry.priority == priority]
                self._sent = self._actor.submit.remote(self._client, envelopes, priority)
                sent.append(self._sent)
        if sent:
            ray.wait(sent, num_returns=len(sent), timeout=_RETRY_SECONDS)

    def _send_lost(self, request_id: str) -> None:
        with self._changed:
            entry = self._waiting.get(request_id)
            if entry is not None:
                self._sent = self._actor.submit.remote(
                    self._client, [entry.envelope], entry.priority, lost=True
                )

    def _give_up(self, reason: PixarisError) -> None:
        with self._changed:
            self._gone = reason
            entries, self._waiting = self._waiting, {}
        for entry in entries.values():
            entry.future.set_exception(reason)

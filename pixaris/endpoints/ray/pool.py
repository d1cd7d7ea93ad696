"""What a trial or the driver holds of the pool."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import ray
from ray.exceptions import ActorUnavailableError, RayError

from pixaris.endpoints.base import (
    Cancel,
    Command,
    Endpoint,
    EndpointPool,
    Join,
    Leave,
    PoolStatus,
    Promote,
    Submit,
)
from pixaris.endpoints.dispatch.policy import Policy
from pixaris.endpoints.janitor import Janitor
from pixaris.endpoints.ray.actor import PoolActor
from pixaris.endpoints.ray.collector import Collector
from pixaris.endpoints.ray.messages import NAMESPACE, ActorHandle, Envelope, client_of, without_bytes
from pixaris.endpoints.ray.nodes import beside_this
from pixaris.exceptions import NoEndpointError, first_line
from pixaris.images import EncodedImage
from pixaris.types import GenerationRequest

log = logging.getLogger(__name__)

_RESTART_SECONDS = 60.0
_RETRY_SECONDS = 0.2
_ANSWER_SECONDS = 30.0
_SILENCE_SECONDS = 300.0
"""How long an actor may take to answer: on a machine whose processes all start at once, it has little time of
its own.
"""


@dataclass(frozen=True)
class RayPoolConfig:
    """How to reach a pool from any process of the cluster.

    Attributes:
        name: The pool actor's name in the namespace `NAMESPACE`.
        images: Digest to reference of images that the driver holds for everybody.
        search: Which of the searches asks that share the pool; "" where it is one's own.
    """

    name: str
    images: Mapping[str, ray.ObjectRef]
    search: str = ""

    def connect(self, client: str = "") -> RayPool:
        """Reach the pool from this process.

        Args:
            client: Who asks, by default somebody new. Whoever connects under the name of somebody who is gone
                gets what that one asked for, if it asks for it again.
        """
        actor = ray.get_actor(self.name, namespace=NAMESPACE)
        return RayPool(actor, self.images, client=client, search=self.search)


def start_pool(
    endpoints: Sequence[Endpoint],
    *,
    images: Iterable[EncodedImage] = (),
    policy: Policy | None = None,
    name: str = "",
) -> tuple[RayPoolConfig, RayPool]:
    """Start the pool actor. It ends with the process that started it.

    Args:
        endpoints: The endpoints to start with.
        images: Input images to put in the object store once, for every trial.
        policy: Limits of retries and quarantine.
        name: The pool actor's, by default one that nobody else has.

    Returns:
        The config for trials, and the driver's own pool.
    """
    session = str(uuid.uuid4())
    name = name or f"pool-{session[:13]}"
    # A call that waits counts against its group's limit: clients that wait for outcomes must not take the
    # places of the calls that bring these about.
    groups = {"waiting": 10_000}
    actor_class = ray.remote(concurrency_groups=groups, max_concurrency=100, num_cpus=0, max_restarts=-1)(
        PoolActor
    )
    placing = actor_class.options(name=name, namespace=NAMESPACE, scheduling_strategy=beside_this())
    actor = placing.remote(tuple(endpoints), policy, session)
    # Put here and not in the actor: objects go with the process that put them, and the actor may be
    # restarted.
    held = held_images(images)
    ray.get(actor.ready.remote())
    janitor = Janitor(session)
    for endpoint in endpoints:
        janitor.join(endpoint)
    janitor.start()
    return RayPoolConfig(name, held), RayPool(actor, held, janitor)


def held_images(images: Iterable[EncodedImage]) -> dict[str, ray.ObjectRef]:
    """Put images in the object store, for as long as this process lives; gives digest to reference."""
    return {image.digest: ray.put(image.data) for image in images}


class RayPool(EndpointPool):
    """A process's view of the pool actor: sends batches, is answered in one collecting thread.

    Args:
        actor: The pool actor's handle.
        images: Digest to reference of images that are in the object store already.
        janitor: Takes the pool's requests off the servers if this process, the driver, is killed.
        client: As for `RayPoolConfig.connect`.
        search: As `RayPoolConfig.search`.
        job: Id of the Ray job that this process is, where it is the driver of such a search: the pool lets
            the search leave when the job has ended.
    """

    def __init__(
        self,
        actor: ActorHandle,
        images: Mapping[str, ray.ObjectRef],
        janitor: Janitor | None = None,
        client: str = "",
        search: str = "",
        job: str = "",
    ) -> None:
        super().__init__()
        self._actor = actor
        self._janitor = janitor
        self._images = dict(images)
        self._search, self._job = search, job
        self._client = client_of(search, client or uuid.uuid4().hex)
        self._sent: ray.ObjectRef | None = None
        self._members: dict[str, Endpoint | None] = {}
        self._collector = Collector(actor, self._client, self._unanswered, self._send_again, self._send_lost)

    def perform(self, command: Command[GenerationRequest]) -> None:
        match command:
            case Submit(requests, priority):
                self._sent = self._send(Submit(tuple(map(self._envelope, requests)), priority))
                self._collector.start()
            case Promote() | Cancel():
                # After the submission that it speaks of: an async actor may begin a later call first.
                self._send(command, self._sent)
            case Join(endpoint):
                self._members[endpoint.url] = endpoint
                if self._janitor is not None:
                    self._janitor.join(endpoint)
                self._send(command)
            case Leave(url):
                # Kept as a name: an actor that is started again knows the endpoint from its beginning, and
                # must be told.
                self._members[url] = None
                self._send(command)
            case _:
                self._send(command)

    def status(self, since_event: int = 0) -> PoolStatus:
        try:
            status: PoolStatus = self._ask(self._actor.status, since_event, self._search, self._job)
        except RayError as error:
            gone = NoEndpointError(f"the endpoint pool does not answer: {first_line(str(error))}")
            return PoolStatus((), fatal=gone, first_event=since_event)
        # The driver asks for the status every moment, so this is where a restart is noticed.
        self._correct({one.url for one in status.endpoints})
        return status

    def send(self, requests: Sequence[GenerationRequest], *, priority: int = 0) -> None:
        """Queue requests for whoever connects under this client's name later, without waiting for them
        here.
        """
        command = Submit(tuple(map(self._envelope, requests)), priority)
        self._actor.submit_early.remote(self._client, command)

    def wait_for_workers(self) -> None:
        """Return once the endpoint workers are up, or some time has passed."""
        ray.wait([self._actor.pids.remote()], timeout=_ANSWER_SECONDS)

    def stop(self) -> None:
        """Take no more requests from anybody of this search and cancel those there are."""
        self._ask(self._actor.stop, self._search)

    @property
    def stopping(self) -> bool:
        """Whether anybody has stopped the pool; True also when it is gone."""
        try:
            return bool(self._ask(self._actor.stopping, self._search))
        except RayError:
            return True

    def pids(self) -> tuple[int, ...]:
        """Process ids of the pool actor (first) and of its workers, each on its node."""
        pids: tuple[int, ...] = self._ask(self._actor.pids)
        return pids

    def workers(self, pids: Sequence[int]) -> None:
        """These processes of this machine work for the pool, and have to end if this one is killed."""
        if self._janitor is not None:
            self._janitor.workers(pids)

    def shut_down(self) -> None:
        """End the pool for everybody: cancel every request, close every connection, end the actors. One that
        several searches share goes on for the others.
        """
        if self._search:
            self._leave()
            return
        clean = False
        try:
            clean = ray.get(self._actor.close.remote(), timeout=_ANSWER_SECONDS)
        except RayError as error:
            log.warning("the endpoint pool did not close in order: %s", first_line(str(error)))
        self.close()
        ray.kill(self._actor)
        if self._janitor is not None:
            self._janitor.dismiss(sweep=not clean)

    def searches(self) -> tuple[str, ...]:
        """The searches that share the pool now."""
        searches: tuple[str, ...] = self._ask(self._actor.searches)
        return searches

    def end(self, reason: str) -> None:
        """Let no search go on that shares the pool, which is about to be shut down.

        Args:
            reason: Tells their users why.
        """
        self._ask(self._actor.end, reason)

    def members(self) -> tuple[Endpoint, ...]:
        """The pool's endpoints, with all that is needed to reach them."""
        members: tuple[Endpoint, ...] = self._ask(self._actor.members)
        return members

    def _leave(self) -> None:
        """End this search's part in a pool that others share."""
        self.close()
        try:
            ray.get(self._actor.leave.remote(self._search), timeout=_ANSWER_SECONDS)
        except RayError as error:  # it is gone, or finds out by itself when this job ends
            log.debug("the shared pool was not told that the search is over: %s", first_line(str(error)))

    def _release(self) -> None:
        """Cancel what this process waits for. The pool itself goes on for others."""
        self._actor.release.remote(self._client, self._sent)
        self._collector.join(2.0)

    def _send(self, command: Command[Envelope], after: ray.ObjectRef | None = None) -> ray.ObjectRef:
        return self._actor.perform.remote(self._client, command, after)

    def _correct(self, known: set[str]) -> None:
        """A pool actor that was started again knows the endpoints it began with; correct it by who has joined
        and left since.
        """
        with self._order:
            for url, endpoint in self._members.items():
                if endpoint is not None and url not in known:
                    self._send(Join(endpoint))
                elif endpoint is None and url in known:
                    self._send(Leave(url))

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
        # The bytes stay in the object store: the actor would unpickle them for every request.
        bare = tuple(replace(one, image=without_bytes(one.image)) for one in request.images)
        return Envelope(replace(request, images=bare), references, self._search)

    # In the collector's thread

    def _send_again(self) -> None:
        """Send everything unanswered; what the pool knows already is not queued again."""
        sent = []
        with self._order:
            entries = self._unanswered.entries()
            for priority in sorted({entry.priority for entry in entries}):
                requests = [entry.request for entry in entries if entry.priority == priority]
                self._sent = self._send(Submit(tuple(map(self._envelope, requests)), priority))
                sent.append(self._sent)
        if sent:
            # Until they have arrived: the collector would ask again at once, and everything would be sent
            # again.
            ray.wait(sent, num_returns=len(sent), timeout=_RETRY_SECONDS)

    def _send_lost(self, request_id: str) -> None:
        with self._order:
            for entry in self._unanswered.entries():
                if entry.request.id == request_id:
                    command = Submit((self._envelope(entry.request),), entry.priority)
                    self._sent = self._actor.submit_lost.remote(self._client, command)

"""The thread in which a process gets what became of its requests."""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence

import ray
from ray.exceptions import ActorUnavailableError, GetTimeoutError, RayError

from pixaris.endpoints.ray.messages import NAMESPACE, ActorHandle, Delivery, Outcome
from pixaris.endpoints.unanswered import Unanswered
from pixaris.exceptions import CancelledRequestError, NoEndpointError

log = logging.getLogger(__name__)

_RETRY_SECONDS = 0.2
_FETCH_SECONDS = 8.0
"""How long a worker may take to hand over images; then the pool is told that somebody still waits, and it is
asked again.
"""
_FETCHED_AT_ONCE = 16
"""Images in one message of a worker."""


class Collector:
    """Collects outcomes from the pool actor, and their images, some at a time, from the workers that made
    them.

    Args:
        actor: The pool actor's handle.
        client: Whose outcomes.
        unanswered: What the client waits for.
        send_again: Asks the pool for everything unanswered once more.
        send_lost: Asks the pool for an image once more that is gone with the worker that made it.
    """

    def __init__(
        self,
        actor: ActorHandle,
        client: str,
        unanswered: Unanswered,
        send_again: Callable[[], None],
        send_lost: Callable[[str], None],
    ) -> None:
        self._actor = actor
        self._client = client
        self._unanswered = unanswered
        self._send_again = send_again
        self._send_lost = send_lost
        self._workers: dict[str, ActorHandle] = {}
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, unless it has begun."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="pixaris-pool-collector", daemon=True)
            self._thread.start()

    def join(self, seconds: float) -> None:
        """Wait for its end, which comes when nobody will ask any more."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self) -> None:
        token, seen = "", 0
        while self._unanswered.wait():
            try:
                delivery: Delivery = ray.get(self._actor.collect.remote(self._client, token, seen))
                # Another token is another process of the pool: its count of outcomes starts at 0.
                if delivery.token != token:
                    token, seen = delivery.token, 0
                self._take(delivery.outcomes)
            except (ActorUnavailableError, GetTimeoutError):
                # started again, busy, or the connection broke and took a batch along
                time.sleep(_RETRY_SECONDS)
                self._send_again()
                continue
            except Exception as error:  # noqa: BLE001  (whatever it is: nobody may wait for ever)
                self._unanswered.answer_all(NoEndpointError(f"the endpoint pool is gone: {error}"))
                continue
            seen += len(delivery.outcomes)
            if not delivery.outcomes:
                # another mailbox, or nothing for so long that it is better to make sure
                self._send_again()

    def _take(self, outcomes: Sequence[Outcome]) -> None:
        """Answer whoever waits for these.

        Raises:
            ActorUnavailableError, GetTimeoutError: A worker did not hand over its images now; it still has
                them.
        """
        late: RayError | None = None
        made: defaultdict[str, list[Outcome]] = defaultdict(list)
        for outcome in outcomes:
            if outcome.ref is None:
                self._answer(outcome)
            # What was cancelled meanwhile is not fetched.
            elif outcome.request_id in self._unanswered:
                made[outcome.ref.worker].append(outcome)
        for worker, those in made.items():
            try:
                # In batches: one call for all would hold a fetching thread of the worker for long, and
                # would have to be answered within one time-out.
                for first in range(0, len(those), _FETCHED_AT_ONCE):
                    self._take_images(worker, those[first : first + _FETCHED_AT_ONCE])
            except (ActorUnavailableError, GetTimeoutError) as error:
                late = error  # the other workers' images are not to wait for this one
        if late is not None:
            raise late

    def _take_images(self, worker: str, batch: Sequence[Outcome]) -> None:
        numbers = [outcome.ref.number for outcome in batch if outcome.ref is not None]
        for outcome, data in zip(batch, self._fetch(worker, numbers), strict=True):
            if data is None:
                self._send_lost(outcome.request_id)  # it is generated again
            else:
                self._answer(outcome, data)

    def _fetch(self, worker: str, numbers: Sequence[int]) -> Sequence[bytes | None]:
        """Get images from a worker; None for those that are gone, as all of them are with a worker that
        died.
        """
        try:
            if worker not in self._workers:
                # The look-up asks the cluster's control service: once for each worker, not for each image.
                self._workers[worker] = ray.get_actor(worker, namespace=NAMESPACE)
            ref = self._workers[worker].fetch.remote(numbers)
            images: Sequence[bytes | None] = ray.get(ref, timeout=_FETCH_SECONDS)
        except (ActorUnavailableError, GetTimeoutError):
            raise
        except (RayError, ValueError) as error:  # ValueError: there is no such actor any more
            log.info("images are lost with the worker that made them: %s", error)
            return [None] * len(numbers)
        return images

    def _answer(self, outcome: Outcome, data: bytes = b"") -> None:
        if outcome.image is not None:
            self._unanswered.answer(outcome.request_id, outcome.image.with_data(data))
        else:
            error = outcome.error or CancelledRequestError("the request was cancelled")
            self._unanswered.answer(outcome.request_id, error)

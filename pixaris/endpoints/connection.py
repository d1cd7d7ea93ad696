"""One endpoint's client as the pools use it: every failure has its type, and a cancellation is never too
early or too late.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from pixaris.endpoints.base import EndpointClient
from pixaris.endpoints.dispatch.request import Lease
from pixaris.exceptions import CancelledRequestError, InterruptedPromptError, PixarisError, UnreachableError
from pixaris.types import GeneratedImage, GenerationRequest

log = logging.getLogger(__name__)

_REMEMBERED = 1000
_PAUSES = (0.02, 0.1, 0.4, 1.0)
"""Seconds between two attempts to cancel: a run that has just begun may not have told its client yet."""


@dataclass(frozen=True)
class Probed:
    """The outcome of a probe.

    Attributes:
        error: What is wrong with the endpoint, or None.
        memory: As `EndpointClient.memory`.
    """

    error: PixarisError | None
    memory: int | None = None


class Connection:
    """Wraps a client. Thread-safe.

    Args:
        url: The endpoint.
        client: Talks to it.
    """

    def __init__(self, url: str, client: EndpointClient) -> None:
        self._url = url
        self._client = client
        self._changed = threading.Condition()
        self._running: dict[int, str] = {}
        self._cancelled: OrderedDict[int, None] = OrderedDict()

    def run(self, lease: Lease, request: GenerationRequest, *, resume: bool = False) -> GeneratedImage:
        """Run a request under a lease.

        Args:
            lease: The lease.
            request: The request.
            resume: Whether a process that died may have sent it to this endpoint already.

        Raises:
            CancelledRequestError: `cancel` was called with this lease, before or meanwhile.
            PixarisError: As `EndpointClient.run`; whatever else the client raises is an UnreachableError.
        """
        with self._changed:
            cancelled = lease.serial in self._cancelled
            if not cancelled:
                self._running[lease.serial] = request.id
        if cancelled:
            if resume:
                self.cancel_orphans([request.id])
            raise CancelledRequestError("the request was cancelled")
        try:
            if lease.free_memory and not resume:
                self._client.free_memory()
            if resume:
                image = self._client.resume(request)
            else:
                image = self._client.run(request)
        except CancelledRequestError:
            # The server tells one word for whoever cancelled it; somebody else's wish is not ours, and the
            # request is tried again.
            if lease.serial in self._cancelled:
                raise
            raise InterruptedPromptError("somebody else cancelled the request", endpoint=self._url) from None
        except PixarisError:
            raise
        except Exception as error:
            # the client may be a user's own class; the request goes to another endpoint
            log.exception("the client of %s failed", self._url)
            raise UnreachableError(f"{type(error).__name__}: {error}", endpoint=self._url) from error
        finally:
            with self._changed:
                del self._running[lease.serial]
                self._changed.notify_all()
        if (image.request_id, image.item) != (request.id, request.item):
            wrong = (
                f"gave the image of {image.item!r} ({image.request_id}) for {request.item!r} ({request.id})"
            )
            raise UnreachableError(wrong, endpoint=self._url)
        return image

    def probe(self) -> Probed:
        """Probe the endpoint."""
        try:
            self._client.probe()
        except PixarisError as error:
            return Probed(error)
        except Exception as error:
            # the client may be a user's own class; the endpoint counts as one that does not answer
            log.exception("the client of %s failed", self._url)
            return Probed(UnreachableError(f"{type(error).__name__}: {error}", endpoint=self._url))
        return Probed(None, self._client.memory)

    def cancel(self, lease: Lease) -> None:
        """End the run of a lease, whether it has begun or is about to."""
        with self._changed:
            self._cancelled[lease.serial] = None
            # A lease may be cancelled before its run reaches this process, so marks cannot be dropped when
            # nothing runs; the oldest are of runs that are long over.
            while len(self._cancelled) > _REMEMBERED:
                self._cancelled.popitem(last=False)
        for pause in _PAUSES:
            request_id = self._running.get(lease.serial)
            if request_id is None:
                return
            try:
                self._client.cancel(request_id)
            except Exception as error:
                # asked again below; an image that is made all the same is only dropped
                log.debug("could not cancel %s on %s: %s", request_id, self._url, error, exc_info=True)
            with self._changed:
                self._changed.wait_for(lambda: lease.serial not in self._running, timeout=pause)

    def orphans(self) -> tuple[str, ...]:
        """Requests of this pool that the endpoint has for a process that died; none, if it does not
        answer.
        """
        try:
            return self._client.orphans()
        except Exception as error:
            # the endpoint may be gone: what it had is then made again elsewhere
            log.debug("%s does not say what it has: %s", self._url, error, exc_info=True)
            return ()

    def cancel_orphans(self, request_ids: Iterable[str]) -> None:
        """Cancel such requests on the endpoint."""
        try:
            self._client.cancel_orphans(request_ids)
        except Exception as error:
            # nobody waits for these images any more; that some are still made is a loss of time, no fault
            log.debug("could not cancel orphans on %s: %s", self._url, error, exc_info=True)

    def close(self) -> None:
        """Cancel what runs and release the client's connections."""
        with self._changed:
            # Marked first: the client ends the runs while it closes, and they are to end as cancelled.
            self._cancelled.update(dict.fromkeys(self._running))
        try:
            self._client.close()
        except Exception:
            # a user's own close() must not keep the other endpoints from being closed
            log.exception("the client of %s did not close in order", self._url)

"""The client of one ComfyUI server: from a generation request to its image."""

from __future__ import annotations

import threading
import time
import uuid
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from pixaris.comfyui.address import Address, Timeouts
from pixaris.comfyui.api import ComfyApi
from pixaris.comfyui.messages import PromptRecord, QueueState
from pixaris.comfyui.object_info import ObjectInfo
from pixaris.comfyui.prompts import picking
from pixaris.comfyui.prompts.job import Job, Made, Server
from pixaris.comfyui.prompts.leftovers import Leftovers
from pixaris.comfyui.prompts.liveness import WorkerCheck
from pixaris.comfyui.transport import Transport
from pixaris.comfyui.uploads import Uploads
from pixaris.comfyui.websocket import Listener
from pixaris.exceptions import CancelledRequestError, EndpointError
from pixaris.files import JsonObject
from pixaris.images import EncodedImage
from pixaris.types import GeneratedImage, GenerationRequest

__all__ = ["ComfyClient", "Timeouts"]

_CLOSED = "the client was closed"
_CLOSE_SECONDS = 2.0


class ComfyClient:
    """Runs requests on one server. Thread-safe: calls of `run` in several threads share one websocket and one
    connection pool.

    Nothing is opened before it is used. It pickles as its description: URL, headers, time-outs, session.

    Every prompt carries a `Tag` in its ``extra_data``: the session and the request's id.

    Args:
        base_url: Like ``http://host:8188``, ``localhost:8188`` or ``https://host/comfy/``. ``user:password@``
            before the host becomes basic authentication and is not shown anywhere.
        headers: Sent with every request and with the websocket's.
        timeouts: How long the server is waited for.
        verify: Whether to check TLS certificates, or the path of the certificate or CA bundle to trust.
        session: What its prompts are tagged with; by default something unique. A client that succeeds another
            one on a server shares its session, to take over what that one left there.
        clock: Seconds, monotonic; it does not travel in a pickle.

    Raises:
        ConfigurationError: The URL or a header cannot be used.
    """

    def __init__(
        self,
        base_url: str = "http://localhost:8188",
        *,
        headers: Mapping[str, str] | None = None,
        timeouts: Timeouts = Timeouts(),  # noqa: B008  (frozen)
        verify: bool | str = True,
        session: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address = Address.parse(base_url, headers, verify)
        self._timeouts = timeouts
        self._session = session or str(uuid.uuid4())
        self._clock = clock
        self._transport = Transport(self._address, timeouts)
        self._api = ComfyApi(self._transport, clock)
        self._listener = Listener(self._address, timeouts, clock, self._transport.cookies)
        self._uploads = Uploads(self._api)
        self._worker = WorkerCheck(self._api, self._session, timeouts.dead_worker)
        self._leftovers = Leftovers(self._api)
        self._server = Server(
            self._api,
            self._listener,
            self._uploads,
            self._worker,
            timeouts,
            self._session,
            clock,
            self._leftovers,
        )
        self._changed = threading.Condition()
        self._jobs: list[Job] = []
        self._closed = False
        # A client that nobody closes is collected all the same: its listener knows nothing of it, and ends
        # then.
        weakref.finalize(self, self._listener.stop, 0.0)

    @property
    def url(self) -> str:
        """The server's base URL, without credentials."""
        return self._address.url

    def run(self, request: GenerationRequest) -> GeneratedImage:
        """Upload what the server lacks, submit the prompt, wait for its end, and fetch the image of
        ``request.output``.

        Raises:
            PromptRejectedError: The server refused the prompt.
            ExecutionError: A node failed.
            NoOutputError: The prompt ended well and the output node gave no image.
            OutOfMemoryError: The server had no memory for it.
            EndpointError: The server failed: unreachable, prompt lost or interrupted, image damaged, or it
                asks to wait.
            CancelledRequestError: `cancel` or `close` was called.
        """
        return self._run(request, Job.generate)

    def resume(self, request: GenerationRequest) -> GeneratedImage:
        """As `run`, for a request that a client of this session may have submitted before its process died.

        A prompt of it that is queued, runs, or has just ended well is waited for and fetched; otherwise it is
        submitted.

        Raises:
            PixarisError: As `run`.
        """
        return self._run(request, Job.take_over)

    def _run(self, request: GenerationRequest, make: Callable[[Job], Made]) -> GeneratedImage:
        with self._job(request) as job:
            started = self._clock()
            try:
                record, images = make(job)
            except EndpointError:
                job.raise_if_cancelled()  # what was cancelled has not failed
                raise
            job.raise_if_cancelled()
        if record.seconds is not None:
            seconds = record.seconds
        else:
            seconds = self._clock() - started
        return GeneratedImage(
            request.id,
            request.item,
            images[0],
            self.url,
            seconds,
            others=tuple(images[1:]),
            note=picking.note(request, record),
        )

    def probe(self) -> dict[str, object]:
        """Return if the server can take prompts.

        Prompts that this client had to leave there while it could not be reached are cancelled first.

        Returns:
            What `system_stats` gives.

        Raises:
            EndpointError: It cannot: unreachable, not a ComfyUI, or its worker thread is dead.
        """
        stats = self._api.system_stats()
        self._leftovers.cancel_all()
        # Last: where the thread was found dead before, it sends a prompt, which those that were left there
        # would hold up.
        self._worker.check()
        return stats

    def system_stats(self) -> JsonObject:
        """The server's versions, memory and devices.

        Raises:
            EndpointError: It does not answer as a ComfyUI does.
        """
        return self._api.system_stats()

    def object_info(self, classes: Iterable[str] | None = None) -> ObjectInfo:
        """The server's node classes.

        Args:
            classes: Only these (fast); those the server lacks are absent. None asks for all (half a megabyte
                and more).

        Raises:
            EndpointError: It does not answer as a ComfyUI does.
        """
        return self._api.object_info(classes)

    def model_files(self) -> dict[str, str]:
        """Model file to its size and time of change, which tell versions apart; {} of a server that does not
        tell.
        """
        try:
            return self._api.model_files()
        except EndpointError:
            return {}

    def queue(self) -> QueueState:
        """Prompt ids that run and wait on the server, whoever sent them.

        Raises:
            EndpointError: It does not answer as a ComfyUI does.
        """
        return self._api.queue()

    def history(self, prompt_id: str) -> PromptRecord | None:
        """How a prompt ended; None if it has not, or the server does not know it.

        Raises:
            EndpointError: It does not answer as a ComfyUI does.
        """
        return self._api.history(prompt_id)

    def upload(self, image: EncodedImage) -> str:
        """Make sure that the server has an image; it goes up once per client.

        Returns:
            The name under which LoadImage finds it: `upload_name`, unless that name was taken by another
                file.

        Raises:
            EndpointError: It could not be uploaded.
        """
        return self._uploads.ensure(image)

    def cancel(self, request_id: str) -> None:
        """Cancel a request that `run` has in another thread: its prompt leaves the server, no other does."""
        with self._changed:
            jobs = [job for job in self._jobs if job.request.id == request_id]
        self._leftovers.cancel(_cancelled(jobs, "the request was cancelled"))

    def orphans(self) -> tuple[str, ...]:
        """Requests of this session that the server has, or has just made, and that nobody waits for here.

        Raises:
            EndpointError: It does not answer as a ComfyUI does.
        """
        waiting = self._orphans().values()
        return tuple(dict.fromkeys((*waiting, *self._api.made(self._session))))

    def cancel_orphans(self, request_ids: Iterable[str]) -> None:
        """Cancel such requests, unless somebody waits for them here meanwhile.

        Raises:
            EndpointError: It does not answer as a ComfyUI does.
        """
        unwanted = set(request_ids)
        orphans = self._orphans().items()
        self._leftovers.cancel([prompt_id for prompt_id, request in orphans if request in unwanted])

    def _orphans(self) -> dict[str, str]:
        waiting = self._api.queue().of(self._session)
        with self._changed:
            # Under the lock, and after the queue was read: a job that has submitted its prompt meanwhile is
            # among the jobs.
            followed = {job.request.id for job in self._jobs}
        return {prompt_id: request for prompt_id, request in waiting.items() if request not in followed}

    def close(self) -> None:
        """Cancel this client's prompts on the server and release all connections. Calls of `run` end with an
        error.
        """
        with self._changed:
            self._closed = True
            jobs = list(self._jobs)
        self._leftovers.cancel_all(*_cancelled(jobs, _CLOSED))
        with self._changed:  # a prompt that is being submitted right now is cancelled by its own thread
            self._changed.wait_for(lambda: not self._jobs, timeout=_CLOSE_SECONDS)
        self._listener.stop()
        self._transport.close()

    def __enter__(self) -> ComfyClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self._address, self._timeouts, self._session)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    @contextmanager
    def _job(self, request: GenerationRequest) -> Iterator[Job]:
        job = Job(request, self._server)
        with self._changed:
            if self._closed:
                raise CancelledRequestError(_CLOSED)
            self._jobs.append(job)
        try:
            yield job
        finally:
            with self._changed:
                self._jobs.remove(job)
                self._changed.notify_all()


def _cancelled(jobs: Iterable[Job], reason: str) -> list[str]:
    """Let jobs end; the ids of the prompts to take off the server."""
    prompt_ids: list[str] = []
    for job in jobs:
        prompt_ids += job.cancel(reason)
    return prompt_ids


def _rebuild(cls: type[ComfyClient], address: Address, timeouts: Timeouts, session: str) -> ComfyClient:
    return cls(
        address.url, headers=address.headers, timeouts=timeouts, verify=address.verify, session=session
    )

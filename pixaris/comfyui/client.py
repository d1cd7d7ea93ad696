"""The client of one ComfyUI server: from a generation request to its image."""

from __future__ import annotations

import json
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from pixaris.comfyui import picking
from pixaris.comfyui.address import Address, Timeouts
from pixaris.comfyui.api import ComfyApi
from pixaris.comfyui.follow import Prompt
from pixaris.comfyui.liveness import WorkerCheck
from pixaris.comfyui.messages import (
    ImageRef,
    NodeNames,
    PromptRecord,
    QueueState,
    Tag,
    outcome_error,
)
from pixaris.comfyui.object_info import ObjectInfo
from pixaris.comfyui.transport import Transport, failure_kind
from pixaris.comfyui.uploads import Uploads, text_of
from pixaris.comfyui.websocket import Listener
from pixaris.exceptions import (
    BadImageError,
    CancelledRequestError,
    DamagedImageError,
    EndpointError,
    UnreachableError,
)
from pixaris.images import EncodedImage
from pixaris.types import GeneratedImage, GenerationRequest, upload_name

__all__ = ["ComfyClient", "Timeouts"]

_Made: TypeAlias = tuple[PromptRecord, list[EncodedImage]]

_CLOSED = "the client was closed"
_CLOSE_SECONDS = 2.0


class ComfyClient:
    """Runs requests on one server. Thread-safe: calls of `run` in several threads share one websocket and one
    connection pool.

    Nothing is opened before it is used. It pickles as its recipe: URL, headers, time-outs, session.

    Every prompt carries a `Tag` in its ``extra_data``: the session and the request's id.

    Args:
        base_url: Like ``http://host:8188``, ``localhost:8188`` or ``https://host/comfy/``. ``user:password@``
            before the host becomes basic authentication and is not shown anywhere.
        headers: Sent with every request and with the websocket's.
        timeouts: How long the server is waited for.
        verify: Whether to check TLS certificates, or the path of the certificate or CA bundle to trust.
        session: What its prompts are tagged with; by default something unique. A client that succeeds another
            one on a server shares its session, to take over what that one left there.

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
    ) -> None:
        self._address = Address.parse(base_url, headers, verify)
        self._timeouts = timeouts
        self._session = session or str(uuid.uuid4())
        self._transport = Transport(self._address, timeouts)
        self._api = ComfyApi(self._transport)
        self._listener = Listener(self._address, timeouts)
        self._uploads = Uploads(self._api)
        self._changed = threading.Condition()
        self._jobs: list[_Job] = []
        self._left_behind: list[str] = []
        self._worker = WorkerCheck(self._api, self._session, timeouts.dead_worker)
        self._closed = False
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
            EndpointError: The server failed: unreachable, prompt lost or interrupted, image damaged, out of
                memory, rate limit.
            CancelledRequestError: `cancel` or `close` withdrew it.
        """
        return self._run(request, self._generate)

    def resume(self, request: GenerationRequest) -> GeneratedImage:
        """As `run`, for a request that a client of this session may have submitted before its process died.

        A prompt of it that is queued, runs, or has just ended well is waited for and fetched; otherwise it is
        submitted.

        Raises:
            PixarisError: As `run`.
        """
        return self._run(request, self._take_over)

    def _run(self, request: GenerationRequest, way: Callable[[_Job], _Made]) -> GeneratedImage:
        with self._job(request) as job:
            started = time.monotonic()
            try:
                record, images = way(job)
            except EndpointError:
                job.go_on()  # what was withdrawn has not failed
                raise
            job.go_on()
        seconds = record.seconds if record.seconds is not None else time.monotonic() - started
        note = picking.note(request, record)
        others = tuple(images[1:])
        return GeneratedImage(
            request.id, request.item, images[0], self.url, seconds, others=others, note=note
        )

    def probe(self) -> None:
        """Return if the server can take prompts.

        Prompts that this client had to leave there while it could not be reached are withdrawn first.

        Raises:
            EndpointError: It cannot: unreachable, not a ComfyUI, or its worker thread is dead.
        """
        self._api.system_stats()
        with self._changed:
            left, self._left_behind = self._left_behind, []
        self._take_off(left)
        self._worker.check()

    def system_stats(self) -> dict[str, Any]:
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
        """Withdraw a request that `run` has in another thread: its prompt leaves the server, and no other
        does.
        """
        with self._changed:
            jobs = [job for job in self._jobs if job.request.id == request_id]
        self._withdraw(jobs, "the request was cancelled")

    def orphans(self) -> tuple[str, ...]:
        """Requests of this session that the server has, or has just made, and that nobody waits for here.

        Raises:
            EndpointError: It does not answer as a ComfyUI does.
        """
        waiting = self._orphans().values()
        return tuple(dict.fromkeys((*waiting, *self._api.made(self._session))))

    def withdraw_orphans(self, request_ids: Iterable[str]) -> None:
        """Take such requests off the server, unless somebody waits for them here meanwhile.

        Raises:
            EndpointError: It does not answer as a ComfyUI does.
        """
        unwanted = set(request_ids)
        self._take_off([prompt_id for prompt_id, request in self._orphans().items() if request in unwanted])

    def _orphans(self) -> dict[str, str]:
        waiting = self._api.queue().of(self._session)
        with self._changed:
            followed = {job.request.id for job in self._jobs}
        return {prompt_id: request for prompt_id, request in waiting.items() if request not in followed}

    def close(self) -> None:
        """Withdraw this client's prompts from the server and let go of all connections. Calls of `run` end
        with an error.
        """
        with self._changed:
            self._closed = True
            jobs = list(self._jobs)
            left, self._left_behind = self._left_behind, []
        self._withdraw(jobs, _CLOSED, left)
        with self._changed:  # a prompt that is being submitted right now is taken back by its own thread
            self._changed.wait_for(lambda: not self._jobs, timeout=_CLOSE_SECONDS)
        self._listener.stop()
        self._transport.close()

    def _withdraw(self, jobs: Iterable[_Job], reason: str, left_behind: Iterable[str] = ()) -> None:
        self._take_off([prompt_id for job in jobs for prompt_id in job.withdraw(reason)] + list(left_behind))

    def _take_off(self, prompt_ids: list[str]) -> None:
        """Withdraw prompts; if the server cannot be reached, the next probe does it."""
        if prompt_ids:
            try:
                self._api.withdraw(prompt_ids)
            except EndpointError:
                with self._changed:
                    self._left_behind.extend(prompt_ids)

    def __enter__(self) -> ComfyClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self._address, self._timeouts, self._session)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    @contextmanager
    def _job(self, request: GenerationRequest) -> Iterator[_Job]:
        job = _Job(request)
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

    def _take_over(self, job: _Job) -> _Made:
        asked = job.request.id
        found = [
            prompt_id
            for prompt_id, request in self._api.queue().of(self._session).items()
            if request == asked
        ]
        prompt_id = found[0] if found else self._api.made(self._session).get(asked)
        self._take_off(found[1:])
        if prompt_id is None:
            return self._generate(job)
        try:
            record = self._execute(job, job.request.payload, adopt=prompt_id)
        except CancelledRequestError:  # before it was taken over, too
            self._take_off([prompt_id])
            raise
        images = self._fetched(job.request, record)
        return self._generate(job) if images is None else (record, images)

    def _generate(self, job: _Job) -> _Made:
        request = job.request
        try:
            payload = self._with_uploads(job)
            record = self._execute(job, payload)
        except _FileMissingError as missing:  # the server was set up anew since the upload
            self._uploads.forget(each.image for each in request.images if each.sent_as == "file")
            payload = self._with_uploads(job)
            try:
                record = self._execute(job, payload)
            except _FileMissingError:
                raise missing.error from None
        images = self._fetched(request, record)
        if images is None:
            # A cached node names the file it saved long ago, which somebody has deleted: only another name
            # makes it save again.
            again = self._execute(job, _with_new_prefix(payload, request.output or next(iter(record.images))))
            images = self._fetched(request, again)
            record = replace(again, seconds=record.seconds if again.seconds is None else again.seconds)
        if images is None:
            raise BadImageError("the server names an image that it does not have", endpoint=self.url)
        return record, images

    def _with_uploads(self, job: _Job) -> str:
        """The payload, with images under the names the server gave them."""
        renamed = []
        for each in job.request.images:
            job.go_on()
            name = text_of(each) or self._uploads.ensure(each.image)
            if name != upload_name(each.image):
                renamed.append((each.node_id, each.input, name))
        if not renamed:
            return job.request.payload
        graph = json.loads(job.request.payload)
        for node_id, input_name, name in renamed:
            graph[node_id]["inputs"][input_name] = name
        return json.dumps(graph, sort_keys=True, separators=(",", ":"))

    def _execute(self, job: _Job, payload: str, adopt: str = "") -> PromptRecord:
        names = NodeNames(payload, job.request.titles)
        tag = Tag(self._session, job.request.id)
        prompt = Prompt(self._api, self._listener, self._timeouts, payload, tag, names)
        job.start(prompt)
        try:
            refusal = None
            if adopt:
                prompt.adopt(adopt)
            else:
                refusal = prompt.submit()
            if refusal is not None and refusal.missing_file and job.request.images:
                raise _FileMissingError(refusal.error)
            if refusal is not None:
                raise refusal.error
            record = prompt.wait()
        finally:
            prompt.forget()
            self._worker.died |= prompt.worker_died
            if prompt.left_behind:
                with self._changed:
                    self._left_behind.append(prompt.id)
        if record.status != "success":
            job.go_on()
            raise outcome_error(record, names, self.url)
        return record

    def _fetched(self, request: GenerationRequest, record: PromptRecord) -> list[EncodedImage] | None:
        """The images that are asked for; None if the server lacks the file of one."""
        images = [self._fetch(ref) for ref in picking.picked(request, record, self.url)]
        found = [image for image in images if image is not None]
        return found if len(found) == len(images) else None

    def _fetch(self, ref: ImageRef) -> EncodedImage | None:
        """Download and decode; a damaged image is fetched a second time. None if the server has no such
        file.
        """
        reason = ""
        for _ in range(2):
            try:
                data = self._api.view(ref)
                if data is None:
                    return None
                return picking.decoded(data, ref, self.url)
            except DamagedImageError as error:
                reason = str(error)
            except UnreachableError as error:
                if failure_kind(error) != "broken off":
                    raise
                reason = error.message
        raise BadImageError(f"the image arrived damaged twice: {reason}", endpoint=self.url)


@dataclass
class _Job:
    """One call of `run`, and the prompt it is at."""

    request: GenerationRequest
    prompt: Prompt | None = None
    reason: str = ""

    def start(self, prompt: Prompt) -> None:
        self.prompt = prompt
        self.go_on()

    def withdraw(self, reason: str) -> list[str]:
        self.reason = reason
        return self.prompt.withdraw(reason) if self.prompt is not None else []

    def go_on(self) -> None:
        if self.reason:
            raise CancelledRequestError(self.reason)


class _FileMissingError(Exception):
    """The server refused a prompt because a file it names is not there."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def _with_new_prefix(payload: str, node_id: str) -> str:
    graph = json.loads(payload)
    inputs = graph[node_id]["inputs"]
    prefix = inputs.get("filename_prefix", "ComfyUI")
    if isinstance(prefix, str):
        inputs["filename_prefix"] = f"{prefix}_{uuid.uuid4().hex[:8]}"
    return json.dumps(graph, sort_keys=True, separators=(",", ":"))


def _rebuild(cls: type[ComfyClient], address: Address, timeouts: Timeouts, session: str) -> ComfyClient:
    return cls(
        address.url, headers=address.headers, timeouts=timeouts, verify=address.verify, session=session
    )

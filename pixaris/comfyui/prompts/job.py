"""One request on one server: from its upload to its image."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from pixaris.comfyui.address import Timeouts
from pixaris.comfyui.api import ComfyApi
from pixaris.comfyui.messages import ImageRef, PromptRecord, Tag
from pixaris.comfyui.prompts import picking
from pixaris.comfyui.prompts.failures import NodeNames, outcome_error
from pixaris.comfyui.prompts.follow import Follower
from pixaris.comfyui.prompts.leftovers import Leftovers
from pixaris.comfyui.prompts.liveness import WorkerCheck
from pixaris.comfyui.prompts.pacing import Pacing
from pixaris.comfyui.prompts.submission import Submission
from pixaris.comfyui.transport import failure_kind
from pixaris.comfyui.uploads import Uploads, text_of
from pixaris.comfyui.websocket import Listener
from pixaris.exceptions import (
    BadImageError,
    CancelledRequestError,
    DamagedImageError,
    UnreachableError,
)
from pixaris.images import EncodedImage
from pixaris.types import GenerationRequest, upload_name

Made: TypeAlias = tuple[PromptRecord, list[EncodedImage]]


@dataclass(frozen=True)
class Server:
    """What the jobs of one client share.

    Attributes:
        api: The server.
        listener: Its websocket.
        uploads: What it has.
        worker: Whether its worker thread lives.
        timeouts: How long it is waited for.
        session: What its prompts are tagged with.
        clock: Seconds, monotonic.
        leftovers: Takes prompts off it that nobody waits for.
    """

    api: ComfyApi
    listener: Listener
    uploads: Uploads
    worker: WorkerCheck
    timeouts: Timeouts
    session: str
    clock: Callable[[], float]
    leftovers: Leftovers


class Job:
    """One call of `ComfyClient.run`, and the prompt it is at. `cancel` is called by any thread.

    Args:
        request: What to make.
        server: Where.
    """

    def __init__(self, request: GenerationRequest, server: Server) -> None:
        self.request = request
        self._server = server
        self._api = server.api
        self._submission: Submission | None = None
        self._reason = ""

    def cancel(self, reason: str) -> list[str]:
        """Let the call raise CancelledRequestError; gives the ids the caller must take off the server."""
        self._reason = reason
        if self._submission is not None:
            return self._submission.cancel(reason)
        return []

    def raise_if_cancelled(self) -> None:
        """Return unless it was cancelled.

        Raises:
            CancelledRequestError: It was.
        """
        if self._reason:
            raise CancelledRequestError(self._reason)

    def generate(self) -> Made:
        """Upload what the server lacks, submit the prompt, wait for its end, fetch its images."""
        request = self.request
        try:
            payload = self._with_uploads()
            record = self._execute(payload)
        except _FileMissingError as missing:  # the server was set up anew since the upload
            self._server.uploads.lost(each.image for each in request.images if each.sent_as == "file")
            payload = self._with_uploads()
            try:
                record = self._execute(payload)
            except _FileMissingError:
                raise missing.error from None
        images = self._fetched(record)
        if images is None:
            # A cached node names the file it saved long ago, which somebody has deleted: only another name
            # makes it save again.
            again = self._execute(_with_new_prefix(payload, request.output or next(iter(record.images))))
            images = self._fetched(again)
            record = replace(again, seconds=record.seconds if again.seconds is None else again.seconds)
        if images is None:
            raise BadImageError("the server names an image that it does not have", endpoint=self._api.url)
        return record, images

    def take_over(self) -> Made:
        """As `generate`, but a prompt of the request that is there already is followed instead."""
        session, asked = self._server.session, self.request.id
        queued = self._api.queue().of(session).items()
        found = [prompt_id for prompt_id, request_id in queued if request_id == asked]
        prompt_id = found[0] if found else self._api.made(session).get(asked)
        # The same request twice: the process that died had sent it a second time, not knowing that the
        # first had arrived.
        self._server.leftovers.cancel(found[1:])
        if prompt_id is None:
            return self.generate()
        try:
            record = self._execute(self.request.payload, adopt=prompt_id)
        except CancelledRequestError:  # before it was taken over, too
            self._server.leftovers.cancel([prompt_id])
            raise
        images = self._fetched(record)
        if images is None:
            return self.generate()
        return (record, images)

    def _with_uploads(self) -> str:
        """The payload, with images under the names the server gave them."""
        renamed = []
        for each in self.request.images:
            self.raise_if_cancelled()
            name = text_of(each) or self._server.uploads.ensure(each.image)
            if name != upload_name(each.image):
                renamed.append((each.node_id, each.input, name))
        # As it is, byte for byte: the server's cache and ours know it by its text.
        if not renamed:
            return self.request.payload
        graph = json.loads(self.request.payload)
        for node_id, input_name, name in renamed:
            graph[node_id]["inputs"][input_name] = name
        return json.dumps(graph, sort_keys=True, separators=(",", ":"))

    def _execute(self, payload: str, adopt: str = "") -> PromptRecord:
        server = self._server
        names = NodeNames(payload, self.request.titles)
        tag = Tag(server.session, self.request.id)
        submission = Submission(server.api, server.listener, payload, tag, names)
        self._submission = submission
        try:
            self.raise_if_cancelled()
            if adopt:
                submission.adopt(adopt)
            else:
                self._submit(submission)
            record = self._follow(submission)
        finally:
            # In this order: what is left behind is taken off later by whoever can reach the server.
            submission.release()
            if submission.left_behind:
                server.leftovers.add([submission.id])
        if record.status != "success":
            self.raise_if_cancelled()
            raise outcome_error(record, names, self._api.url)
        return record

    def _submit(self, submission: Submission) -> None:
        refusal = submission.submit()
        if refusal is None:
            return
        if refusal.missing_file and self.request.images:
            raise _FileMissingError(refusal.error)
        raise refusal.error

    def _follow(self, submission: Submission) -> PromptRecord:
        server = self._server
        pacing = Pacing(server.timeouts, server.clock(), at_once=submission.missed, deaf=submission.adopted)
        try:
            return Follower(server.api, server.listener, submission, pacing, server.clock).wait()
        finally:
            server.worker.died |= pacing.worker_died

    def _fetched(self, record: PromptRecord) -> list[EncodedImage] | None:
        """The images that are asked for; None if the server lacks the file of one."""
        images: list[EncodedImage] = []
        for ref in picking.picked(self.request, record, self._api.url):
            image = self._fetch(ref)
            if image is None:
                return None
            images.append(image)
        return images

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
                return picking.decoded(data, ref, self._api.url)
            except DamagedImageError as error:
                reason = str(error)
            except UnreachableError as error:
                if failure_kind(error) != "broken off":
                    raise
                reason = error.message
        raise BadImageError(f"the image arrived damaged twice: {reason}", endpoint=self._api.url)


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

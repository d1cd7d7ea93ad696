"""A ComfyUI server's routes as typed calls."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from http import HTTPStatus
from urllib.parse import quote

from pixaris.comfyui.messages import (
    ImageRef,
    PromptRecord,
    QueueState,
    Tag,
    parse_history,
    parse_made,
    parse_queue,
)
from pixaris.comfyui.object_info import ObjectInfo
from pixaris.comfyui.prompts.failures import NodeNames, Refusal, refusal
from pixaris.comfyui.transport import HttpRequest, Transport
from pixaris.exceptions import EndpointError, NoOutputError, UnreachableError
from pixaris.http import Failure
from pixaris.images import MAX_BYTES

_RECENT = 20  # rows of the history that may hold a prompt whose process has just died
_CANCEL_SECONDS = (
    3.0  # for calls made while giving up on a prompt: a frozen server must not hold up the caller
)


class ComfyApi:
    """The calls Pixaris makes. Thread-safe. All raise UnreachableError and RateLimitedError as
    `Transport.call` does.

    Args:
        transport: Connections to the server.
        clock: Seconds, monotonic: `queue_since` counts in them.
    """

    def __init__(self, transport: Transport, clock: Callable[[], float] = time.monotonic) -> None:
        self._http = transport
        self._clock = clock
        self._asking = threading.Lock()
        self._queue: tuple[float, QueueState | EndpointError] | None = None

    @property
    def url(self) -> str:
        """The server, without credentials."""
        return self._http.address.url

    def system_stats(self) -> dict[str, object]:
        """Versions, memory and devices."""
        stats = self._http.get("/system_stats")
        if not isinstance(stats, dict) or not isinstance(stats.get("system"), dict):
            raise self._http.nonsense(
                "answered GET /system_stats with JSON that is not ComfyUI's; is this a ComfyUI server?"
            )
        return stats

    def free_memory(self) -> None:
        """Have models unloaded and cached results forgotten, after the prompt that runs now."""
        self._http.post("/free", {"unload_models": True, "free_memory": True})

    def object_info(self, classes: Iterable[str] | None) -> ObjectInfo:
        """All node classes, or some; classes the server does not have are absent."""
        if classes is None:
            return ObjectInfo(
                self._object(
                    self._http.get("/object_info", seconds=self._http.timeouts.transfer), "GET /object_info"
                )
            )
        found: dict[str, object] = {}
        for name in dict.fromkeys(classes):
            found.update(
                self._object(self._http.get(f"/object_info/{quote(name, safe='')}"), "GET /object_info")
            )
        return ObjectInfo(found)

    def model_files(self) -> dict[str, str]:
        """Name of every model file to its size and its time of change; files of one name in several folders
        share an entry.

        Raises:
            EndpointError: No answer, or none with these facts: ComfyUI has them since 0.3, at a route that it
                calls experimental.
        """
        found: dict[str, set[str]] = {}
        folders = self._http.get("/experiment/models")
        if isinstance(folders, list):
            names = [entry.get("name") for entry in folders if isinstance(entry, dict)]
        else:
            names = []
        for folder in (name for name in names if isinstance(name, str)):
            files = self._http.get(f"/experiment/models/{quote(folder, safe='')}")
            for file in files if isinstance(files, list) else []:
                if isinstance(file, dict) and isinstance(file.get("name"), str):
                    found.setdefault(file["name"], set()).add(f"{file.get('size')}@{file.get('modified')}")
        return {name: " ".join(sorted(versions)) for name, versions in found.items()}

    def queue(self) -> QueueState:
        """What runs and what waits, whoever sent it."""
        try:
            return parse_queue(self._http.get("/queue"))
        except ValueError as error:
            raise self._http.nonsense(
                f"answered GET /queue with JSON that is not ComfyUI's: {error}"
            ) from Failure("broken off")

    def queue_since(self, moment: float) -> QueueState:
        """As `queue`; what another thread was answered serves too, if it asked after that moment.

        So does an error that came after it: a server that has just kept one thread waiting till its limit
        does not keep the next.
        """
        with self._asking:
            if self._queue is None or self._queue[0] < moment:
                asked = self._clock()
                try:
                    self._queue = asked, self.queue()
                except EndpointError as error:
                    self._queue = self._clock(), error
            answer = self._queue[1]
        if isinstance(answer, EndpointError):
            raise answer
        return answer

    def history(self, prompt_id: str) -> PromptRecord | None:
        """How a prompt ended, or None if it has not, or is not known."""
        try:
            return parse_history(self._http.get(f"/history/{quote(prompt_id, safe='')}"), prompt_id)
        except ValueError as error:
            raise self._no_history(error) from Failure("broken off")

    def made(self, session: str) -> dict[str, str]:
        """Request id to prompt id of a session's prompts that ended well, among the last few that ended."""
        try:
            return parse_made(self._http.get(f"/history?max_items={_RECENT}"), session)
        except ValueError as error:
            raise self._no_history(error) from Failure("broken off")

    def _no_history(self, error: ValueError) -> UnreachableError:
        return self._http.nonsense(f"answered GET /history with JSON that is not ComfyUI's: {error}")

    def submit(
        self, payload: str, client_id: str, prompt_id: str, tag: Tag, names: NodeNames
    ) -> str | Refusal:
        """Queue a prompt.

        Args:
            payload: The graph as JSON text.
            client_id: Whose websocket hears of it.
            prompt_id: A lowercase uuid of ours.
            tag: Whose it is.
            names: For the error, if it is refused.

        Returns:
            The id under which the server has it, or why it refused it.

        Raises:
            UnreachableError: With the `failure_kind` "broken off" or "timed out" the prompt may have been
                queued all the same.
        """
        head = json.dumps({"client_id": client_id, "prompt_id": prompt_id, "extra_data": tag.extra_data()})
        body = f'{head[:-1]}, "prompt": {payload}}}'.encode()
        # Once only: a prompt that is sent twice is made twice.
        reply = self._http.call(
            HttpRequest("POST", "/prompt", body=body, content_type="application/json", repeat=False)
        )
        if reply.status in (
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.INTERNAL_SERVER_ERROR,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        ):
            return refusal(_json_or_none(reply.body), reply.gist, names, self.url)
        if reply.status != HTTPStatus.OK:
            raise self._http.nonsense(f"answered POST /prompt with {reply.gist}; is this a ComfyUI server?")
        accepted = self._object(self._http.parsed(reply, "POST /prompt"), "POST /prompt")
        if accepted.get("node_errors"):  # part of the graph would not run
            with suppress(EndpointError):
                self.cancel([str(accepted.get("prompt_id", prompt_id))])
            return refusal(accepted, reply.gist, names, self.url)
        given = accepted.get("prompt_id")
        if not isinstance(given, str) or not given:
            raise self._http.nonsense(
                "accepted a prompt without giving its id; is this a ComfyUI server?"
            ) from Failure("broken off")
        return given

    def cancel(self, prompt_ids: list[str]) -> None:
        """Delete prompts that wait and interrupt those that run; other people's prompts are not touched.

        First delete, then interrupt: a prompt that starts in between is caught by the second.
        """
        self._http.post("/queue", {"delete": prompt_ids}, seconds=_CANCEL_SECONDS)
        for prompt_id in prompt_ids:
            self._http.post("/interrupt", {"prompt_id": prompt_id}, seconds=_CANCEL_SECONDS)

    def delete_pending(self, prompt_id: str) -> None:
        """Take one copy of a prompt out of the queue."""
        self._http.post("/queue", {"delete": [prompt_id]}, seconds=_CANCEL_SECONDS)

    def upload(self, data: bytes, subfolder: str, filename: str) -> str:
        """Store a PNG in the server's input folder, never over another file.

        Returns:
            The name under which LoadImage finds it; another one than asked for if that name has other bytes.
        """
        fields = [("image", (filename, data, "image/png")), ("type", "input"), ("subfolder", subfolder)]
        reply = self._http.send_form("/upload/image", fields)
        if reply.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            raise self._http.nonsense(
                f"takes no upload of {len(data):,} bytes ({reply.gist}); start it with a larger"
                " --max-upload-size"
            )
        if reply.status != HTTPStatus.OK:
            raise self._http.nonsense(f"answered POST /upload/image with {reply.gist}")
        stored = self._object(self._http.parsed(reply, "POST /upload/image"), "POST /upload/image")
        name, folder = stored.get("name"), stored.get("subfolder", "")
        if (
            not isinstance(name, str)
            or not name
            or not isinstance(folder, str)
            or stored.get("type", "input") != "input"
        ):
            raise self._http.nonsense("answered POST /upload/image with nonsense")
        if folder:
            return f"{folder}/{name}"
        return name

    def view(self, ref: ImageRef) -> bytes | None:
        """Download an image; None if the server does not have the file any more.

        Raises:
            NoOutputError: The server does not give out a file of this name.
            UnreachableError: With the `failure_kind` "broken off" it arrived cut short.
        """
        params = {"filename": ref.filename, "subfolder": ref.subfolder, "type": ref.type}
        seconds = self._http.timeouts.transfer
        reply = self._http.call(
            HttpRequest("GET", "/view", params, seconds=seconds, limit=MAX_BYTES, repeat=False)
        )
        if reply.status == HTTPStatus.NOT_FOUND:
            return None
        if reply.status == HTTPStatus.BAD_REQUEST:  # what `filename_prefix` made of the name is to blame
            raise NoOutputError(
                f"the server saved the image as {ref.filename!r:.200} and does not give out a file of this"
                " name; change filename_prefix",
                endpoint=self.url,
            )
        if reply.status != HTTPStatus.OK:
            raise self._http.nonsense(f"answered GET /view with {reply.gist}")
        return reply.body

    def _object(self, value: object, what: str) -> dict[str, object]:
        if not isinstance(value, dict):
            raise self._http.nonsense(
                f"answered {what} with JSON that is not ComfyUI's; is this a ComfyUI server?"
            )
        return value


def _json_or_none(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def device_memory(stats: Mapping[str, object]) -> tuple[int, int] | None:
    """Free and total bytes of a server's first device, as ``/system_stats`` has them; None where it does not
    say.
    """
    devices = stats.get("devices")
    if isinstance(devices, list) and devices:
        first = devices[0]
    else:
        first = None
    if not isinstance(first, dict):
        return None
    free, total = first.get("vram_free"), first.get("vram_total")
    if isinstance(free, int | float) and isinstance(total, int | float):
        return int(free), int(total)
    return None

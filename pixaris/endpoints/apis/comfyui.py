"""ComfyUI servers as endpoints."""

from __future__ import annotations

from pixaris.comfyui.address import Address, Timeouts
from pixaris.comfyui.api import ComfyApi, device_memory
from pixaris.comfyui.client import ComfyClient
from pixaris.comfyui.object_info import ObjectInfo
from pixaris.comfyui.transport import Transport, failure_kind
from pixaris.comfyui.workflow import Workflow
from pixaris.endpoints.apis.base import Access, EndpointApi, EndpointClient, failed_probe
from pixaris.endpoints.apis.probe import Prober, ProbeResult
from pixaris.exceptions import EndpointError, UnreachableError

_SHORT = Timeouts(connect=3.0, read=3.0)
_IMPATIENT = Timeouts(read=5.0)
_FREEING_SECONDS = 0.5
"""What a server's worker is given to wake up and free its memory before the next prompt comes."""


class ComfyEndpointClient(ComfyClient, EndpointClient):
    """ComfyUI's client as the pool's seam."""

    _memory: int | None = None

    @property
    def memory(self) -> int | None:
        return self._memory

    def probe(self) -> dict[str, object]:
        stats = super().probe()
        memory = device_memory(stats)
        if memory is not None:
            self._memory = memory[1]
        else:
            self._memory = None
        return stats

    def free_memory(self) -> None:
        """Have models unloaded and cached results forgotten; the server does that between two prompts."""
        self._api.free_memory()
        with self._changed:
            self._changed.wait_for(lambda: self._closed, _FREEING_SECONDS)


class ComfyUIApi(EndpointApi):
    """Prompts over ComfyUI's HTTP and websocket: they run one after the other, and stay in the server's queue
    when their client dies.
    """

    kind = "comfyui"
    label = "ComfyUI servers"
    example = "endpoints: {embedded: 2}"
    queues = True

    def connect(self, access: Access, session: str = "") -> EndpointClient:
        return ComfyEndpointClient(
            access.url, headers=dict(access.headers), timeouts=access.timeouts, session=session
        )

    def prober(self, access: Access) -> Prober:
        return _ServerProber(access)

    def object_info(self, access: Access, workflow: Workflow) -> ObjectInfo:
        client = ComfyClient(access.url, headers=dict(access.headers), timeouts=_IMPATIENT)
        try:
            _knock(client)
            info = client.object_info()
            if workflow.affinity_key(info):
                return info.with_files(client.model_files())
            return info
        finally:
            client.close()

    def cancel_session(self, access: Access, session: str) -> int:
        transport = Transport(Address.parse(access.url, dict(access.headers)), _SHORT)
        try:
            api = ComfyApi(transport)
            ours = list(api.queue().of(session))
            if ours:
                api.cancel(ours)
            return len(ours)
        finally:
            transport.close()


def _knock(client: ComfyClient) -> None:
    """Make a short call first: a frozen server is not waited for as long as half a megabyte may take.

    Raises:
        EndpointError: It does not answer.
    """
    try:
        client.system_stats()
    except UnreachableError as error:
        if failure_kind(error) is not None:
            raise
        # else it did answer, and what it says to the call that counts is told


class _ServerProber(Prober):
    """Asks one server for its state and its queue."""

    def __init__(self, access: Access) -> None:
        self._client = ComfyClient(access.url, headers=dict(access.headers), timeouts=_SHORT)

    def probe(self) -> ProbeResult:
        try:
            stats, queue = self._client.system_stats(), self._client.queue()
        except EndpointError as error:
            return failed_probe(error)
        devices = stats.get("devices")
        if isinstance(devices, list) and devices and isinstance(devices[0], dict):
            first = devices[0]
        else:
            first = {}

        def split(prompt_ids: tuple[str, ...]) -> tuple[int, int]:
            ours = sum(prompt_id in queue.tags for prompt_id in prompt_ids)
            return ours, len(prompt_ids) - ours

        return ProbeResult(
            running=split(queue.running),
            waiting=split(queue.pending),
            version=_line(stats["system"].get("comfyui_version")),
            device=_line(first.get("name")),
            memory=device_memory(stats),
        )

    def close(self) -> None:
        self._client.close()


def _line(value: object) -> str:
    if isinstance(value, str):
        text = " ".join(value.split())
    else:
        text = ""
    return "".join(letter for letter in text if letter.isprintable())[:60]

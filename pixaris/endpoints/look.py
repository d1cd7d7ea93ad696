"""One look at a server from outside: what anybody may ask, and what disturbs nobody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pixaris.comfyui.client import ComfyClient, Timeouts
from pixaris.endpoints.base import Endpoint
from pixaris.exceptions import AccountError, EndpointError, FarSideError
from pixaris.flux import client as flux
from pixaris.flux.client import FluxClient, key_of

_TIMEOUTS = Timeouts(connect=3.0, read=3.0)


@dataclass(frozen=True)
class Look:
    """What a server said.

    Attributes:
        url: The server.
        error: Why it did not answer, or "".
        running: Prompts of Pixaris that run on it, and prompts of others.
        waiting: The same of those that wait.
        version: Of ComfyUI.
        device: The first one's name.
        memory: Free and total bytes of that device.
        credits: The balance of a Flux account.
        refused: Whether the error is its answer.
    """

    url: str
    error: str = ""
    running: tuple[int, int] = (0, 0)
    waiting: tuple[int, int] = (0, 0)
    version: str = ""
    device: str = ""
    memory: tuple[int, int] | None = None
    credits: float | None = None
    refused: bool = False

    @property
    def busy(self) -> bool:
        """Whether a prompt runs or waits on it."""
        return any((*self.running, *self.waiting))


class AccountObserver:
    """Looks at one Flux account, over a connection that it keeps.

    Args:
        endpoint: The account.
    """

    pause = 10.0
    """Seconds between two looks."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._url = endpoint.url
        self._client = FluxClient(
            endpoint.url, key_of(dict(endpoint.headers)), timeouts=flux.Timeouts(connect=3.0, read=3.0)
        )

    def look(self) -> Look:
        """Ask for its balance."""
        try:
            return Look(self._url, credits=self._client.credits())
        except FarSideError as error:
            return Look(self._url, error=error.message, refused=isinstance(error, AccountError))

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()


def observer_of(endpoint: Endpoint) -> Observer | AccountObserver:
    """What looks at an endpoint of its kind."""
    return AccountObserver(endpoint) if endpoint.kind == "flux" else Observer(endpoint)


class Observer:
    """Looks at one ComfyUI server, over a connection that it keeps.

    Args:
        endpoint: The server.
    """

    pause = 1.0
    """Seconds between two looks."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._url = endpoint.url
        self._client = ComfyClient(endpoint.url, headers=dict(endpoint.headers), timeouts=_TIMEOUTS)

    def look(self) -> Look:
        """Ask for its state and its queue."""
        try:
            stats, queue = self._client.system_stats(), self._client.queue()
        except EndpointError as error:
            return Look(self._url, error=error.message)
        devices = stats.get("devices")
        first = devices[0] if isinstance(devices, list) and devices and isinstance(devices[0], dict) else {}

        def split(prompt_ids: tuple[str, ...]) -> tuple[int, int]:
            ours = sum(prompt_id in queue.tags for prompt_id in prompt_ids)
            return ours, len(prompt_ids) - ours

        return Look(
            url=self._url,
            running=split(queue.running),
            waiting=split(queue.pending),
            version=_line(stats["system"].get("comfyui_version")),
            device=_line(first.get("name")),
            memory=_memory(first),
        )

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()


def _line(value: object) -> str:
    text = " ".join(value.split()) if isinstance(value, str) else ""
    return "".join(letter for letter in text if letter.isprintable())[:60]


def _memory(device: Mapping[str, Any]) -> tuple[int, int] | None:
    free, total = device.get("vram_free"), device.get("vram_total")
    return (
        (int(free), int(total)) if isinstance(free, int | float) and isinstance(total, int | float) else None
    )

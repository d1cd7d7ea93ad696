"""Prompts that nobody waits for and that could not be taken off their server yet. Thread-safe."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from pixaris.comfyui.api import ComfyApi
from pixaris.exceptions import EndpointError


class Leftovers:
    """Takes prompts off a server, now or as soon as it can be reached again.

    Args:
        api: The server.
    """

    def __init__(self, api: ComfyApi) -> None:
        self._api = api
        self._lock = threading.Lock()
        self._prompt_ids: list[str] = []

    def add(self, prompt_ids: Sequence[str]) -> None:
        """Note prompts for `cancel_all`."""
        with self._lock:
            self._prompt_ids += prompt_ids

    def cancel(self, prompt_ids: Sequence[str]) -> None:
        """Take prompts off the server; where it cannot be reached, they are noted."""
        if prompt_ids:
            try:
                self._api.cancel(list(prompt_ids))
            except EndpointError:
                self.add(prompt_ids)

    def cancel_all(self, *others: str) -> None:
        """Take everything that is noted off the server, and others along with it."""
        with self._lock:
            noted, self._prompt_ids = self._prompt_ids, []
        self.cancel([*others, *noted])

"""Who hears the signals that ask this process to stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Handlers:
    """Hears the signals that ask this process to stop. Python lets only the main thread do so: in others it
    hears none.

    Args:
        handle: Called in the main thread for each of them.
    """

    def __init__(self, handle: Callable[[int, FrameType | None], None]) -> None:
        self._handle = handle
        # Functions, numbers, or None where somebody has set one outside Python.
        self._before: dict[signal.Signals, Any] = {}

    def take(self) -> None:
        """Hear the signals from now on."""
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.getsignal(number) for number in _STOPPING}
            self.install()

    @property
    def hears(self) -> bool:
        """Whether signals come here."""
        return bool(self._before)

    def install(self) -> None:
        """Take the signals, again where somebody else has taken them meanwhile."""
        for number in self._before:
            signal.signal(number, self._handle)

    def restore(self) -> None:
        """Give them to whom they were given before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

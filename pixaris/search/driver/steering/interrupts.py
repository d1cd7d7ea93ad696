"""Ctrl-C and the like while a search waits for people."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Ends a wait when this process is asked to stop, in the block; in other threads than the main one it
    only waits.
    """

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._before: dict[signal.Signals, Any] = {}
        self.reason = ""

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.getsignal(number) for number in _STOPPING}
            for number in _STOPPING:
                signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def wait(self, seconds: float) -> bool:
        """Wait, and tell whether the process was asked to stop."""
        return self._asked.wait(seconds)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.reason = f"it was interrupted ({signal.Signals(number).name}) while it waited for votes"
        self._asked.set()

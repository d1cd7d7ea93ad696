"""Ctrl-C and the like while a search waits for people."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType

from pixaris.search.driver.session.handlers import Handlers


class Interrupts:
    """Ends a wait when this process is asked to stop, in the block; in other threads than the main one it
    only waits.
    """

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._handlers = Handlers(self._handle)
        self.reason = ""

    def __enter__(self) -> Interrupts:
        self._handlers.take()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._handlers.restore()

    def wait(self, seconds: float) -> bool:
        """Wait, and tell whether the process was asked to stop."""
        return self._asked.wait(seconds)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.reason = f"it was interrupted ({signal.Signals(number).name}) while it waited for votes"
        self._asked.set()

"""Ctrl-C and the like: the first one stops a search in order, the second ends it at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType

from pixaris.exceptions import ClusterError
from pixaris.search.driver.session.handlers import Handlers
from pixaris.search.driver.tracker import SearchTracker


class Signals:
    """Stops a search when this process is asked to, in the block; in other threads than the main one it does
    nothing.

    While Ray Tune runs, trials are let report what they have (`orderly`). Before and after, whatever the main
    thread waits for is left, by a `KeyboardInterrupt`.

    Args:
        tracker: Is asked to stop the search.
    """

    def __init__(self, tracker: SearchTracker) -> None:
        self._tracker = tracker
        self._stop: Callable[[], object] | None = None
        self._handlers = Handlers(self._handle)

    def __enter__(self) -> Signals:
        self._handlers.take()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._handlers.restore()

    def install(self) -> None:
        """Take the signals; again after Ray has come up, which replaces handlers."""
        self._handlers.install()

    def orderly(self, stop: Callable[[], object]) -> None:
        """From now on, let the search come to its end by itself.

        Args:
            stop: Called once, in a thread of its own, to make that quick.
        """
        self._stop = stop

    def end_waiting(self) -> None:
        """Leave what the main thread waits for, because of an error that the tracker knows. From any
        thread.
        """
        if self._handlers.hears:
            signal.raise_signal(signal.SIGINT)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if isinstance(self._tracker.fatal, ClusterError):
            # no `Exception`: after one, Tune would wait for its processes, which nobody can end any more
            raise KeyboardInterrupt
        again = self._tracker.stopped
        self._tracker.interrupt(f"it was interrupted ({signal.Signals(number).name})")
        if again or self._stop is None:
            self._handlers.restore()  # the next one ends the process, as it would without us
            raise KeyboardInterrupt
        threading.Thread(target=self._stop, daemon=True).start()

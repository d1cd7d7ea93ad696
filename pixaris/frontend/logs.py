"""What was said of iterations, as this server knows it: only what is new is read from the store."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from pixaris.feedback_handlers.base import AnyEntry, FeedbackHandler, IterationKey


@dataclass
class _Log:
    """An iteration's.

    Attributes:
        lock: Held while the store is read.
        entries: By their ids, in the order in which they became known.
        until: Of the last answer, as `FeedbackHandler.read` takes it.
        looked: When the store was read last, in monotonic time.
    """

    lock: threading.Lock = field(default_factory=threading.Lock)
    entries: dict[str, AnyEntry] = field(default_factory=dict)
    until: int = 0
    looked: float | None = None


class Logs:
    """Reads and writes through a handler. Safe to be used by several threads.

    A store that is far away, or charges for a look, is looked at every `FeedbackHandler.look_seconds`; what
    is written here is known here at once.

    Args:
        feedback: Keeps what people say.
    """

    def __init__(self, feedback: FeedbackHandler) -> None:
        self._feedback = feedback
        self._logs: defaultdict[IterationKey, _Log] = defaultdict(_Log)
        self._lock = threading.Lock()

    def entries(self, key: IterationKey) -> Sequence[AnyEntry]:
        """All that was said of an iteration."""
        log = self._log(key)
        # One look for all that ask at once; other iterations have locks of their own.
        with log.lock:
            now = time.monotonic()
            if log.looked is None or now - log.looked >= self._feedback.look_seconds:
                fresh = self._feedback.read(key, log.until)
                log.looked, log.until = now, fresh.until
                log.entries.update({entry.id: entry for entry in fresh.entries})
            if not self._feedback.look_seconds:
                return list(log.entries.values())  # in the store's own order
            return sorted(log.entries.values(), key=lambda entry: entry.at)

    def write(self, key: IterationKey, entry: AnyEntry) -> None:
        """Keep what somebody said."""
        self._feedback.write(key, entry)
        if not self._feedback.look_seconds:
            return  # the next look has it, in its place among the others'
        log = self._log(key)
        with log.lock:
            log.entries.setdefault(entry.id, entry)

    def _log(self, key: IterationKey) -> _Log:
        with self._lock:
            return self._logs[key]

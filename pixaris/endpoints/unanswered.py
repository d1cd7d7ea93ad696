"""The requests that somebody waits for, and their futures. Thread-safe."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from pixaris.exceptions import PixarisError
from pixaris.types import GeneratedImage, GenerationRequest


@dataclass
class Entry:
    """A request that is unanswered.

    Attributes:
        request: What was asked for.
        priority: How urgent it is now.
        future: Where its answer goes.
    """

    request: GenerationRequest
    priority: int
    future: Future[GeneratedImage]


class Unanswered:
    """Request id to its entry. An answer is set with no lock held: whoever waits may go on in that thread."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._changed = threading.Condition()
        self._closed = False

    def enter(
        self, requests: Sequence[GenerationRequest], priority: int
    ) -> tuple[list[GenerationRequest], list[Future[GeneratedImage]]]:
        """Note that somebody waits for requests.

        Returns:
            Those that nobody waited for before, and the futures of all, in their order.
        """
        fresh = []
        with self._changed:
            for request in requests:
                if request.id not in self._entries:
                    future: Future[GeneratedImage] = Future()
                    # whoever holds it cannot cancel it, so setting its result cannot fail
                    future.set_running_or_notify_cancel()
                    self._entries[request.id] = Entry(request, priority, future)
                    fresh.append(request)
            futures = [self._entries[request.id].future for request in requests]
            self._changed.notify_all()
        return fresh, futures

    def promote(self, request_ids: Iterable[str], priority: int) -> tuple[str, ...]:
        """Note a new priority; the ids of those that somebody waits for."""
        with self._changed:
            known = tuple(request_id for request_id in request_ids if request_id in self._entries)
            for request_id in known:
                self._entries[request_id].priority = priority
        return known

    def take(self, request_ids: Iterable[str]) -> dict[str, Future[GeneratedImage]]:
        """Keep entries no longer, for the caller to answer; those that are not there are left out."""
        with self._changed:
            known = [request_id for request_id in dict.fromkeys(request_ids) if request_id in self._entries]
            return {request_id: self._entries.pop(request_id).future for request_id in known}

    def answer(self, request_id: str, outcome: GeneratedImage | PixarisError) -> None:
        """Answer a request; nothing happens where nobody waits for it any more."""
        for future in self.take([request_id]).values():
            if isinstance(outcome, PixarisError):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

    def answer_all(self, reason: PixarisError) -> None:
        """Answer every request with an error."""
        for future in self.take([entry.request.id for entry in self.entries()]).values():
            future.set_exception(reason)

    def entries(self) -> list[Entry]:
        """All of them, the oldest first."""
        with self._changed:
            return list(self._entries.values())

    def wait(self) -> bool:
        """Wait until any request is unanswered; False once nobody will ask any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or bool(self._entries))
            return not self._closed

    def close(self) -> None:
        """Let nobody wait for requests that come."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def __contains__(self, request_id: object) -> bool:
        return request_id in self._entries

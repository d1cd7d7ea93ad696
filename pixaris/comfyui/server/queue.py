"""The queue of prompts. Every method may be called from any thread."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from pixaris.comfyui.server.history import History
from pixaris.files import JsonObject


@dataclass(frozen=True, slots=True)
class Item:
    """A prompt that was accepted.

    Attributes:
        number: Its priority; lower runs first.
        prompt_id: Its id; not necessarily unique.
        prompt: The graph, literals converted to their inputs' types.
        extra_data: What came along, with ``client_id`` and ``create_time``.
        outputs: Ids of the output nodes to run.
    """

    number: float
    prompt_id: str
    prompt: JsonObject
    extra_data: JsonObject
    outputs: list[str]

    def row(self) -> list[object]:
        """Return the five values that ``/queue`` and ``/history`` show."""
        return [self.number, self.prompt_id, self.prompt, self.extra_data, self.outputs]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a prompt ended.

    Attributes:
        outputs: What output nodes showed, by node id.
        meta: Where these nodes are, by node id.
        succeeded: Whether it ran to its end.
        messages: Its ``execution_…`` messages, in order, as ``[event, data]``.
    """

    outputs: JsonObject = field(default_factory=dict)
    meta: JsonObject = field(default_factory=dict)
    succeeded: bool = True
    messages: list[list[object]] = field(default_factory=list)

    def row(self, item: Item) -> JsonObject:
        """Return the row of ``/history``."""
        status = {
            "status_str": "success" if self.succeeded else "error",
            "completed": self.succeeded,
            "messages": self.messages,
        }
        return {"prompt": item.row(), "outputs": self.outputs, "status": status, "meta": self.meta}


class PromptQueue:
    """Pending prompts in a heap by (number, prompt id), at most one running, and the history.

    Two pending prompts with equal number and id cannot be ordered: adding the second one raises, and the
    thread that takes prompts out ends, as in ComfyUI; from then on prompts are accepted and never run.

    Args:
        changed: Called, under the lock, with the number of running and pending prompts after every change.

    Attributes:
        history: The prompts that have ended.
        interrupted: Set while the running prompt is to be interrupted.
    """

    def __init__(self, changed: Callable[[int], None]) -> None:
        self._changed = changed
        # Reentrant, as `cancel` and `knows` ask other methods.
        self._lock = threading.RLock()
        self._wake = threading.Condition(self._lock)
        self._heap: list[tuple[float, str, Item]] = []
        self._running: Item | None = None
        self.history = History(self._lock)
        self._free_memory = False
        self._dead = False
        self._stopped = False
        self.interrupted = threading.Event()

    def remaining(self) -> int:
        """Count running and pending prompts."""
        with self._lock:
            return len(self._heap) + (self._running is not None)

    def put(self, item: Item) -> None:
        """Add a prompt.

        Raises:
            TypeError: A pending prompt has the same number and id; the worker is lost.
        """
        with self._lock:
            try:
                heapq.heappush(self._heap, (item.number, item.prompt_id, item))
            except TypeError:
                # As in ComfyUI: the heap may have taken the prompt in, and its order is undefined from now
                # on.
                self._dead = True
                raise
            self._changed(self.remaining())
            self._wake.notify()

    def get(self, dies: Callable[[], bool]) -> Item | None:
        """Wait for the next prompt and mark it running; None when the worker has to look at
        `take_free_memory`.

        Args:
            dies: Asked before a prompt is taken out; if true the worker is lost and the prompt stays.

        Raises:
            WorkerEndedError: The worker's thread must end.
        """
        with self._lock:
            while not (self._heap or self._free_memory or self._stopped):
                self._wake.wait()
            if self._stopped:
                raise WorkerEndedError("the server stops")
            if not self._heap:
                return None
            # Asked once something is to run: an injected death must leave the prompt pending.
            self._dead = self._dead or dies()
            if self._dead:
                raise WorkerEndedError(
                    "the queue's order is undefined, or a fault was injected; nothing runs any more"
                )
            self._running = heapq.heappop(self._heap)[2]
            # An interrupt that came between two prompts is none of the next one's.
            self.interrupted.clear()
            self._changed(self.remaining())
            return self._running

    def done(self, item: Item, ended: Ended) -> None:
        """Move the running prompt to the history."""
        with self._lock:
            self._running = None
            self.history.add(item.prompt_id, ended.row(item))
            self._changed(self.remaining())

    def lose(self) -> None:
        """Drop the running prompt without a trace (an injected fault)."""
        with self._lock:
            self._running = None
            self._changed(self.remaining())

    def stop(self) -> None:
        """Make the worker end at the next chance."""
        with self._lock:
            self._stopped = True
            self.interrupted.set()
            self._wake.notify_all()

    def free_memory(self) -> None:
        """Ask the worker to forget cached results once nothing runs."""
        with self._lock:
            self._free_memory = True
            self._wake.notify()

    def take_free_memory(self) -> bool:
        """Return whether that was asked, once."""
        with self._lock:
            asked, self._free_memory = self._free_memory, False
            return asked

    def interrupt(self, prompt_id: str | None = None) -> bool:
        """Interrupt the running prompt, if it has this id (or whatever runs); return whether that was so."""
        with self._lock:
            found = self._running is not None and prompt_id in (None, self._running.prompt_id)
            if found:
                self.interrupted.set()
            return found

    def delete(self, prompt_id: str) -> bool:
        """Remove one pending prompt with this id; return whether there was one."""
        with self._lock:
            for place, (_, known, _) in enumerate(self._heap):
                if known == prompt_id:
                    self._heap.pop(place)
                    # Taking one out of the middle leaves no heap.
                    heapq.heapify(self._heap)
                    self._changed(self.remaining())
                    return True
            return False

    def clear(self) -> None:
        """Remove all pending prompts."""
        with self._lock:
            self._heap.clear()
            self._changed(self.remaining())

    def cancel(self, prompt_id: str) -> bool:
        """Remove a pending prompt or interrupt a running one, whichever it is."""
        with self._lock:
            # Under one hold of the lock: between the two it could begin to run.
            return self.delete(prompt_id) or self.interrupt(prompt_id)

    def knows(self, prompt_id: str) -> bool:
        """Return whether the id is pending, running or in the history."""
        with self._lock:
            running, pending = self.current()
            queued = any(item.prompt_id == prompt_id for item in (*running, *pending))
            return queued or self.history.row(prompt_id) is not None

    def current(self) -> tuple[list[Item], list[Item]]:
        """Return the running and the pending prompts, the latter in the heap's order, not in that of
        execution.
        """
        with self._lock:
            return [self._running] if self._running else [], [entry[2] for entry in self._heap]


class WorkerEndedError(Exception):
    """The thread that runs prompts ends."""

"""The server without its routes: folders, queue, websockets, and the thread that runs prompts."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pixaris.comfyui.server.cache import Cache
from pixaris.comfyui.server.execution import Executor
from pixaris.comfyui.server.faults import Faults, Rule
from pixaris.comfyui.server.messages import Hub
from pixaris.comfyui.server.queue import PromptQueue, WorkerEndedError
from pixaris.comfyui.server.storage import Folders

_LOG = logging.getLogger("pixaris.comfyui.server")


@dataclass(frozen=True, slots=True)
class Options:
    """How a server behaves.

    Attributes:
        base_directory: Holds ``input``, ``output`` and ``temp``; None is a private temporary folder, removed
            at the end.
        cache_size: None keeps the last prompt's results, 0 none, N the N used last.
        max_upload_megabytes: Larger request bodies are refused with 413.
        keep_outputs: How many saved images to keep; None keeps all.
        faults: None has no fault injection at all; otherwise the rules in force at the start.
        argv: What ``/system_stats`` shows as the command line.
    """

    base_directory: Path | None = None
    cache_size: int | None = None
    max_upload_megabytes: float = 100
    keep_outputs: int | None = None
    faults: Sequence[Rule] | None = None
    argv: Sequence[str] = ()


class Worker:
    """Owns what the routes use, and runs prompts in one thread.

    Attributes:
        options: How the server behaves.
        folders: Its folders.
        hub: Its websockets.
        queue: Its queue and history.
        faults: Faults in force; without rules if the server has none.
        next_number: The number of the next prompt that brings none.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.folders = Folders(options.base_directory, options.keep_outputs)
        self.hub = Hub()
        self.queue = PromptQueue(self._queue_changed)
        self.faults = Faults(options.faults or ())
        self.next_number = 0
        cache = Cache(options.cache_size)
        self._executor = Executor(self.folders, self.hub, cache, self.queue.interrupted, self.faults)
        self._thread = threading.Thread(target=self._work, name="prompt-worker", daemon=True)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start to run prompts, sending messages from this loop."""
        self.hub.attach(loop)
        self._thread.start()

    def stop(self) -> None:
        """Stop running prompts, and remove what was temporary."""
        self.faults.thaw()
        self.queue.stop()
        self._thread.join(timeout=2)  # a node that takes longer is left behind: the thread is a daemon
        self.folders.close()

    def status(self) -> dict[str, dict[str, int]]:
        """Return what ``status`` messages and ``GET /prompt`` say."""
        return {"exec_info": {"queue_remaining": self.queue.remaining()}}

    def _queue_changed(self, remaining: int) -> None:
        self.hub.send("status", {"status": {"exec_info": {"queue_remaining": remaining}}})

    def _work(self) -> None:
        while True:
            try:
                item = self.queue.get(lambda: self.faults.strike("dead_worker") is not None)
            except WorkerEndedError as error:
                _LOG.info("worker ends: %s", error)
                return
            # asked for since the last prompt began: before the next one runs
            if self.queue.take_free_memory():
                self._executor.cache.clear()
            if item is not None and self.faults.strike("lose"):
                self.queue.lose()
            elif item is not None:
                ended = self._executor.run(item)
                self.queue.done(item, ended)
                if self.hub.client_id is not None:
                    self.hub.send(
                        "executing", {"node": None, "prompt_id": item.prompt_id}, self.hub.client_id
                    )
                _LOG.info(
                    "prompt %s %s", item.prompt_id, "done" if ended.succeeded else ended.messages[-1][0]
                )

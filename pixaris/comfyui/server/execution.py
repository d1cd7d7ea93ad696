"""Runs one prompt: node by node, cached results first, telling every step to the websockets."""

from __future__ import annotations

import os
import threading
import time
import traceback
from collections.abc import Mapping

import numpy as np

from pixaris.comfyui.server import dynamic
from pixaris.comfyui.server.cache import Cache, is_link, signatures
from pixaris.comfyui.server.faults import CRASH_EXIT_CODE, Faults
from pixaris.comfyui.server.messages import Hub
from pixaris.comfyui.server.nodes import registry
from pixaris.comfyui.server.nodes.files import RunContext
from pixaris.comfyui.server.nodes.registry import Outputs
from pixaris.comfyui.server.nodes.tensors import describe
from pixaris.comfyui.server.queue import Ended, Item
from pixaris.comfyui.server.storage import Folders
from pixaris.files import JsonObject

_OOM_TIPS = (
    "This error means you ran out of memory on your GPU.\n\nTIPS: If the workflow worked before you might"
    " have accidentally set the batch_size to a large number."
)
# Named like torch's, because clients tell it by its name.
_TorchOutOfMemoryError = type("OutOfMemoryError", (RuntimeError,), {"__module__": "torch"})


class _InterruptedError(Exception):
    """The prompt was interrupted."""


class Executor:
    """Runs prompts, one at a time, in the worker's thread.

    Args:
        folders: Where nodes read and save.
        hub: Where messages go.
        cache: Results of earlier prompts; used by the worker's thread only.
        interrupted: Set from outside; looked at between nodes.
        faults: Faults to inject.
    """

    def __init__(
        self, folders: Folders, hub: Hub, cache: Cache, interrupted: threading.Event, faults: Faults
    ) -> None:
        self.folders = folders
        self.hub = hub
        self.cache = cache
        self.interrupted = interrupted
        self.faults = faults

    def run(self, item: Item) -> Ended:
        """Run a prompt to its end, whatever that is."""
        self.hub.client_id = item.extra_data.get("client_id")
        try:
            return _Run(self, item).run()
        except Exception as error:  # noqa: BLE001  (a graph that cannot even be started must not end the worker)
            start = {"prompt_id": item.prompt_id, "timestamp": _now()}
            return Ended(
                succeeded=False,
                messages=[["execution_start", start], ["execution_error", {**start, **_exception(error)}]],
            )
        finally:
            self.hub.last_node_id = None


class _Run:
    def __init__(self, executor: Executor, item: Item) -> None:
        self._executor = executor
        self._hub = executor.hub
        self._cache = executor.cache
        self._item = item
        self._owner: str | None = self._hub.client_id
        extra_pnginfo = item.extra_data.get("extra_pnginfo") or {}
        self._context = RunContext(executor.folders, item.prompt, extra_pnginfo)
        self._signatures = signatures(item.prompt, executor.folders)
        self._results: dict[str, Outputs] = {}
        self._executed: list[str] = []
        self._progress: dict[str, JsonObject] = {}
        self._shown: JsonObject = {}
        self._messages: list[list[object]] = []
        self._spared = True  # no fault was offered its occasion yet

    def run(self) -> Ended:
        self._tell("execution_start", {})
        self._cache.start(set(self._signatures.values()))
        self._results = {
            node: found for node, key in self._signatures.items() if (found := self._cache.get(key))
        }
        self._tell("execution_cached", {"nodes": list(self._results)})
        succeeded = self._nodes()
        if succeeded:
            self._suffer()
            self._tell("execution_success", {})
        meta = {
            node: {"node_id": node, "display_node": node, "parent_node": None, "real_node_id": node}
            for node in self._shown
        }
        return Ended(self._shown, meta, succeeded, self._messages)

    def _nodes(self) -> bool:
        pending = self._plan()
        while pending:
            node = _next(pending, set(self._item.outputs))
            if not self._node(node):
                return False
            del pending[node]
            for needs in pending.values():
                needs.discard(node)
        return True

    def _plan(self) -> dict[str, set[str]]:
        """Map every node that has to be visited to the nodes it waits for: outputs, and what of their
        ancestors is not cached.
        """
        pending: dict[str, set[str]] = {}
        stack = list(reversed(self._item.outputs))
        while stack:
            node = stack.pop()
            if node in pending:
                continue
            if node in self._results:
                needs = []
            else:
                needs = self._sources(node)
            pending[node] = {source for source in needs if source not in self._results}
            stack += reversed([source for source in needs if source in pending[node]])
        return pending

    def _sources(self, node: str) -> list[str]:
        return [value[0] for name, value in self._inputs(node).items() if is_link(value)]

    def _inputs(self, node: str) -> JsonObject:
        entry = self._item.prompt[node]
        names = [name for name, _, _ in dynamic.declared(entry["class_type"], entry["inputs"])]
        return {name: entry["inputs"][name] for name in names if name in entry["inputs"]}

    def _node(self, node: str) -> bool:
        """Visit one node; return whether the prompt goes on."""
        cached = self._results.get(node) or self._cache.get(self._signatures[node])
        if cached:
            self._results[node] = cached
            # ComfyUI 0.27 shows a cached output only to owners who gave a client id, and drops it from the
            # history else.
            if self._owner is not None:
                self._show(node, cached.ui)
            self._step(node, 1, 1, "finished")
            return True
        class_type = self._item.prompt[node]["class_type"]
        self._step(node, 0.0, 1.0, "running")
        if self._owner is not None:
            self._hub.last_node_id = node
            self._send("executing", {"node": node, "display_node": node})
        inputs: JsonObject = {}
        try:
            self._check_interrupt()
            given = {}
            for name, value in self._inputs(node).items():
                if is_link(value):
                    given[name] = self._results[value[0]].values[value[1]]
                else:
                    given[name] = value
            inputs = given  # all of them or none: a failure tells them
            self._suffer(node)
            outputs = registry.run(class_type, self._context, inputs)
        except _InterruptedError:
            self._tell(
                "execution_interrupted",
                {"node_id": node, "node_type": class_type, "executed": self._executed},
                to_all=True,
            )
            return False
        except Exception as error:  # noqa: BLE001  (whatever a node raises is the prompt's outcome)
            self._tell("execution_error", self._failure(node, class_type, inputs, error))
            return False
        self._results[node] = outputs
        self._cache.put(self._signatures[node], outputs)
        self._executed.append(node)
        if outputs.ui is not None:
            self._show(node, outputs.ui, tell=self._owner is not None)
        self._step(node, 1.0, 1.0, "finished")
        return True

    def _check_interrupt(self) -> None:
        self._executor.faults.wait_while_frozen()
        if self._executor.interrupted.is_set():
            self._executor.interrupted.clear()
            raise _InterruptedError

    def _suffer(self, node: str | None = None) -> None:
        """Offer the faults their occasion, once per prompt."""
        if not self._spared:
            return
        self._spared = False
        faults, graph = self._executor.faults, self._item.prompt
        if rule := faults.strike("delay", graph=graph):
            self._executor.interrupted.wait(1.0 if rule.seconds is None else rule.seconds)
            if node is not None:
                self._check_interrupt()
        if rule := faults.strike("hang", graph=graph):
            faults.hold()
            self._hub.call(faults.freeze, rule.seconds)
            faults.wait_while_frozen()
        if faults.strike("drop_sockets", graph=graph):
            self._hub.call(self._hub.abort_all)
        if faults.strike("crash", graph=graph):
            os._exit(CRASH_EXIT_CODE)
        if node is not None and faults.strike("oom", graph=graph):
            raise _TorchOutOfMemoryError("Allocation on device ")

    def _failure(
        self, node: str, class_type: str, inputs: Mapping[str, object], error: Exception
    ) -> JsonObject:
        quoted = {
            key: [describe(value) if isinstance(value, np.ndarray) else value]
            for key, value in inputs.items()
        }
        return {
            "node_id": node,
            "node_type": class_type,
            "executed": list(self._executed),
            **_exception(error),
            "current_inputs": quoted,
            "current_outputs": list(self._item.prompt),
        }

    def _show(self, node: str, ui: JsonObject | None, *, tell: bool = True) -> None:
        if tell:
            self._send("executed", {"node": node, "display_node": node, "output": ui})
        if ui is not None:
            self._shown[node] = ui

    def _step(self, node: str, value: float, maximum: float, state: str) -> None:
        self._progress[node] = {
            "value": value,
            "max": maximum,
            "state": state,
            "node_id": node,
            "prompt_id": self._item.prompt_id,
            "display_node_id": node,
            "parent_node_id": None,
            "real_node_id": node,
        }
        self._hub.send(
            "progress_state", {"prompt_id": self._item.prompt_id, "nodes": dict(self._progress)}, self._owner
        )

    def _send(self, event: str, data: JsonObject) -> None:
        self._hub.send(event, {**data, "prompt_id": self._item.prompt_id}, self._owner)

    def _tell(self, event: str, data: JsonObject, *, to_all: bool = False) -> None:
        """Record a message in the history, and send it to the owner (without one: to nobody, or to all)."""
        data = {"prompt_id": self._item.prompt_id, **data, "timestamp": _now()}
        self._messages.append([event, data])
        if self._owner is not None or to_all:
            self._hub.send(event, data, self._owner)


def _now() -> int:
    return int(time.time() * 1000)


def _exception(error: Exception) -> JsonObject:
    kind = type(error)
    if kind.__module__ == "builtins":
        name = kind.__qualname__
    else:
        name = f"{kind.__module__}.{kind.__qualname__}"
    if kind is _TorchOutOfMemoryError:
        tips = _OOM_TIPS
    else:
        tips = ""
    return {
        "exception_message": f"{error}\n{tips}",
        "exception_type": name,
        "traceback": traceback.format_tb(error.__traceback__),
    }


def _next(pending: Mapping[str, set[str]], outputs: set[str]) -> str:
    """Choose a node that waits for none: an output first, then what lies one or two steps before an output,
    then the first.
    """
    ready = [node for node, needs in pending.items() if not needs]
    near = set(outputs)
    for _ in range(3):
        for node in ready:
            if node in near:
                return node
        near |= {source for node, needs in pending.items() if node in near for source in needs}
    return ready[0]

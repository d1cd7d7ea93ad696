"""Prompts: submit, queue, interrupt, history, free."""

from __future__ import annotations

import re
import time
import uuid
from typing import Any

from aiohttp import web

from pixaris.comfyui.server import validation
from pixaris.comfyui.server.queue import Item
from pixaris.comfyui.server.routes.context import json_object, worker_of
from pixaris.comfyui.server.validation import problem
from pixaris.comfyui.server.worker import Worker

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


async def submit(request: web.Request) -> web.Response:
    """``POST /prompt``: check a graph and queue it."""
    worker = worker_of(request)
    body: Any = await request.json()
    number = _number(worker, body)
    if "prompt" not in body:
        message = "No prompt provided"
        return _refusal(problem("no_prompt", message, message))
    prompt_id = body.get("prompt_id")
    if prompt_id is None:
        prompt_id = str(uuid.uuid4())
    elif not isinstance(prompt_id, str) or not _UUID.fullmatch(prompt_id):
        details = (
            "prompt_id must be a UUID string in canonical lowercase hyphenated form; omit it to let the"
            " server generate one"
        )
        return _refusal(problem("invalid_prompt_id", "prompt_id must be a valid UUID", details))
    prompt = body["prompt"]
    if not isinstance(prompt, dict):
        raise TypeError("prompt must be an object")
    verdict = validation.check(prompt, worker.folders, body.get("partial_execution_targets"))
    if verdict.error:
        return _refusal(verdict.error, verdict.node_errors)
    extra_data = body.get("extra_data", {})
    if not isinstance(extra_data, dict):
        raise TypeError("extra_data must be an object")
    if "client_id" in body:
        extra_data["client_id"] = body["client_id"]
    extra_data["create_time"] = int(time.time() * 1000)
    worker.queue.put(Item(number, prompt_id, prompt, extra_data, verdict.outputs))
    return web.json_response({"prompt_id": prompt_id, "number": number, "node_errors": verdict.node_errors})


def _number(worker: Worker, body: Any) -> float:  # noqa: ANN401  (any JSON value)
    """Return the prompt's priority; the server's counter advances even for prompts that are refused
    afterwards.
    """
    if "number" in body:
        return float(body["number"])
    number = worker.next_number
    worker.next_number += 1
    if isinstance(body, dict) and body.get("front"):
        return -number
    return number


def _refusal(error: dict[str, object], node_errors: dict[str, object] | None = None) -> web.Response:
    return web.json_response({"error": error, "node_errors": node_errors or {}}, status=400)


async def remaining(request: web.Request) -> web.Response:
    """``GET /prompt``: how many prompts run or wait."""
    return web.json_response(worker_of(request).status())


async def show_queue(request: web.Request) -> web.Response:
    """``GET /queue``."""
    running, pending = worker_of(request).queue.current()
    rows = {
        "queue_running": [item.row() for item in running],
        "queue_pending": [item.row() for item in pending],
    }
    return web.json_response(rows)


async def change_queue(request: web.Request) -> web.Response:
    """``POST /queue``: ``clear`` everything pending, or ``delete`` some."""
    queue = worker_of(request).queue
    body = await json_object(request)
    if body.get("clear"):
        queue.clear()
    for prompt_id in body.get("delete", ()):
        queue.delete(prompt_id)
    return web.Response()


async def interrupt(request: web.Request) -> web.Response:
    """``POST /interrupt``: the running prompt, or only the one named. Always 200."""
    try:
        body = await json_object(request)
    except (ValueError, TypeError):
        body = {}
    worker_of(request).queue.interrupt(body.get("prompt_id") or None)
    return web.Response()


async def free(request: web.Request) -> web.Response:
    """``POST /free``: forget cached results after the running prompt. There are no models to unload."""
    body = await json_object(request)
    if body.get("free_memory"):
        worker_of(request).queue.free_memory()
    return web.Response()


async def show_history(request: web.Request) -> web.Response:
    """``GET /history``, newest rows last; a ``max_items`` that is no number is a 500."""
    query = request.query
    if "max_items" in query:
        max_items = int(query["max_items"])
    else:
        max_items = None
    return web.json_response(worker_of(request).queue.history.rows(max_items, int(query.get("offset", -1))))


async def show_history_row(request: web.Request) -> web.Response:
    """``GET /history/{id}``: one row by its id, or ``{}``."""
    prompt_id = request.match_info["prompt_id"]
    row = worker_of(request).queue.history.row(prompt_id)
    return web.json_response({} if row is None else {prompt_id: row})


async def change_history(request: web.Request) -> web.Response:
    """``POST /history``: ``clear`` it, or ``delete`` some rows."""
    queue = worker_of(request).queue
    body = await json_object(request)
    if body.get("clear"):
        queue.history.clear()
    queue.history.delete(body.get("delete", ()))
    return web.Response()


ROUTES = (
    web.post("/prompt", submit),
    web.get("/prompt", remaining),
    web.get("/queue", show_queue),
    web.post("/queue", change_queue),
    web.post("/interrupt", interrupt),
    web.post("/free", free),
    web.get("/history", show_history),
    web.get("/history/{prompt_id}", show_history_row),
    web.post("/history", change_history),
)

"""What all routes share."""

from __future__ import annotations

from aiohttp import web

from pixaris.comfyui.server.worker import Worker
from pixaris.files import JsonObject

WORKER: web.AppKey[Worker] = web.AppKey("worker", Worker)


def worker_of(request: web.Request) -> Worker:
    """Return the worker of the application that answers this request."""
    return request.app[WORKER]


async def json_object(request: web.Request) -> JsonObject:
    """Read the body as a JSON object.

    Raises:
        ValueError: The body is no JSON.
        TypeError: It is not an object. (Both are answered with a 500, as ComfyUI does.)
    """
    value = await request.json()
    if not isinstance(value, dict):
        raise TypeError(f"the body must be a JSON object (got {type(value).__name__})")
    return value

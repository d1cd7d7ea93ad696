"""What the server tells about itself: nodes, version, features, and the websocket."""

from __future__ import annotations

import os
import platform
import sys

from aiohttp import web

from pixaris.comfyui.server import COMFYUI_VERSION
from pixaris.comfyui.server.nodes import registry
from pixaris.comfyui.server.routes.context import worker_of

_PAGE = """<!doctype html><meta charset="utf-8"><title>Pixaris' embedded endpoint</title>
<p>This is Pixaris' embedded endpoint: it speaks ComfyUI's API and runs its model-free core nodes.
It has no editor.</p>
<p><a href="/object_info">nodes</a> · <a href="/queue">queue</a> ·
<a href="/history?max_items=5">history</a> · <a href="/system_stats">system</a></p>
"""


async def index(request: web.Request) -> web.Response:
    """``GET /``: what this is."""
    return web.Response(text=_PAGE, content_type="text/html")


async def all_nodes(request: web.Request) -> web.Response:
    """``GET /object_info``."""
    return web.json_response(registry.object_info(worker_of(request).folders))


async def one_node(request: web.Request) -> web.Response:
    """``GET /object_info/{Class}``; an unknown class is ``{}``."""
    return web.json_response(
        registry.object_info(worker_of(request).folders, request.match_info["class_type"])
    )


async def system_stats(request: web.Request) -> web.Response:
    """``GET /system_stats``, in ComfyUI's shape; ``embedded_endpoint`` tells this server from a real one."""
    page = os.sysconf("SC_PAGE_SIZE")
    total, free = page * os.sysconf("SC_PHYS_PAGES"), page * os.sysconf("SC_AVPHYS_PAGES")
    system = {
        "os": sys.platform,
        "ram_total": total,
        "ram_free": free,
        "comfyui_version": COMFYUI_VERSION,
        "embedded_endpoint": "pixaris",
        "python_version": sys.version,
        "pytorch_version": "none",
        "embedded_python": False,
        "argv": list(worker_of(request).options.argv),
    }
    device = {
        "name": f"cpu {platform.machine()}",
        "type": "cpu",
        "index": None,
        "vram_total": total,
        "vram_free": free,
        "torch_vram_total": total,
        "torch_vram_free": free,
    }
    return web.json_response({"system": system, "devices": [device]})


def feature_flags(max_upload_megabytes: float) -> dict[str, object]:
    """Return what ``/features`` and the websocket's handshake say."""
    return {"supports_preview_metadata": True, "max_upload_size": int(max_upload_megabytes * 1024 * 1024)}


async def features(request: web.Request) -> web.Response:
    """``GET /features``."""
    return web.json_response(feature_flags(worker_of(request).options.max_upload_megabytes))


async def websocket(request: web.Request) -> web.WebSocketResponse:
    """``GET /ws?clientId=…``."""
    worker = worker_of(request)
    return await worker.hub.serve(request, worker.status, feature_flags(worker.options.max_upload_megabytes))


ROUTES = (
    web.get("/object_info", all_nodes),
    web.get("/object_info/{class_type}", one_node),
    web.get("/system_stats", system_stats),
    web.get("/features", features),
    web.get("/ws", websocket),
)

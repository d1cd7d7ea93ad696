"""Files: uploads and ``/view``."""

from __future__ import annotations

import asyncio
import io
import mimetypes
from pathlib import Path

import PIL.Image
from aiohttp import web

from pixaris import images
from pixaris.comfyui.server.faults import Rule
from pixaris.comfyui.server.routes.context import worker_of
from pixaris.comfyui.server.storage import FOLDER_TYPES, FolderType, OutsideFolderError

# Shown by a browser these could run scripts; they are offered as downloads instead.
_ACTIVE_TYPES = {
    "text/html",
    "text/html-sandboxed",
    "application/xhtml+xml",
    "text/javascript",
    "text/css",
    "image/svg+xml",
}


async def upload(request: web.Request) -> web.Response:
    """``POST /upload/image``: store a file, whatever its bytes are, and tell the name it got."""
    form = await request.post()
    image, subfolder, overwrite = form.get("image"), form.get("subfolder", ""), form.get("overwrite")
    kind = _folder_type(form.get("type", "input"))
    if image is None or (isinstance(image, web.FileField) and _is_absolute(image)):
        return web.Response(status=400)
    if kind is None or not isinstance(image, web.FileField) or not isinstance(subfolder, str):
        raise TypeError("the upload's fields have wrong types")
    data = image.file.read()
    folders = worker_of(request).folders
    try:
        name = await asyncio.to_thread(
            folders.store_upload, data, image.filename, subfolder, kind, overwrite=overwrite in ("true", "1")
        )
    except OutsideFolderError:
        return web.Response(status=400)
    return web.json_response({"name": name, "subfolder": subfolder, "type": kind})


def _is_absolute(field: web.FileField) -> bool:
    """Whether a file was sent under an absolute name; aiohttp takes the slash away."""
    return 'filename="/' in field.headers.get("Content-Disposition", "")


def _folder_type(value: object) -> FolderType | None:
    return next((kind for kind in FOLDER_TYPES if kind == value), None)


async def view(request: web.Request) -> web.StreamResponse:
    """``GET /view``: a stored file as it is, or re-encoded by ``preview`` and ``channel``."""
    worker, query = worker_of(request), request.query
    if "filename" not in query:
        return web.Response(status=404)
    filename, kind = worker.folders.annotated(query["filename"], None)
    kind = kind or _folder_type(query.get("type", "output"))
    if not filename or filename.startswith("/") or ".." in filename or kind is None:
        return web.Response(status=400)
    try:
        folder = worker.folders.inside(kind, query.get("subfolder", ""))
    except OutsideFolderError:
        return web.Response(status=403)
    path = folder / Path(filename).name
    if "\0" in filename or not path.is_file():
        return web.Response(status=404)
    headers = {"Content-Disposition": f'filename="{path.name}"'}
    if worker.options.faults is not None:
        rule = worker.faults.strike("truncate", "/view")
    else:
        rule = None
    if rule is not None:
        return await _truncated(request, path, rule)
    if "preview" in query or query.get("channel") in ("rgb", "a"):
        data, content_type = await asyncio.to_thread(
            _encode, path, query.get("preview"), query.get("channel", "")
        )
        return web.Response(body=data, content_type=content_type, headers=headers)
    content_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    if content_type in _ACTIVE_TYPES:
        headers["Content-Type"] = "application/octet-stream"
    else:
        headers["Content-Type"] = content_type
    return web.FileResponse(path, headers=headers)


def _encode(path: Path, preview: str | None, channel: str) -> tuple[bytes, str]:
    image = images.decode(images.read_image_file(path), path.name)
    if preview is None:
        return _png(image.convert("RGB") if channel == "rgb" else _only_alpha(image)), "image/png"
    kind, *rest = preview.split(";")
    if kind not in ("webp", "jpeg") or "a" in channel:
        kind = "webp"
    if rest and rest[-1].isdigit():
        quality = int(rest[-1])
    else:
        quality = 90
    if kind == "jpeg" or channel == "rgb":
        image = image.convert("RGB")
    buffer = io.BytesIO()
    image.save(buffer, kind, quality=quality)
    return buffer.getvalue(), f"image/{kind}"


def _only_alpha(image: PIL.Image.Image) -> PIL.Image.Image:
    alpha = PIL.Image.new("RGBA", image.size)
    alpha.putalpha(image.getchannel("A") if image.mode == "RGBA" else PIL.Image.new("L", image.size, 255))
    return alpha


def _png(image: PIL.Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


async def _truncated(request: web.Request, path: Path, rule: Rule) -> web.StreamResponse:
    """Send half of the file (an injected fault), as if that were all or with the connection cut."""
    data = path.read_bytes()
    half = data[: len(data) // 2]
    if rule.how == "short":
        return web.Response(body=half, content_type="image/png")
    response = web.StreamResponse(headers={"Content-Type": "image/png", "Content-Length": str(len(data))})
    await response.prepare(request)
    await response.write(half)
    await asyncio.sleep(0.05)  # lets the half arrive before the reset overtakes it
    if request.transport is not None:
        request.transport.abort()
    return response


ROUTES = (web.post("/upload/image", upload), web.get("/view", view, allow_head=True))

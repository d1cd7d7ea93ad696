"""A stand-in for Google Cloud Storage, as its Python client sees it: objects with generations and checksums,
preconditions, pages, multipart and resumable uploads, ranged reads, faults on demand.

``with BucketServer() as server:`` serves it on a thread; ``server.environment`` makes the real client use it.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from typing import Any
from urllib.parse import unquote

import google_crc32c
import pytest
from aiohttp import web
from stand_in import StandIn

PIECE = 256 * 1024


@dataclass
class StoredBlob:
    """An object in one generation."""

    data: bytes
    generation: int
    content_type: str = "application/octet-stream"
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def crc32c(self) -> str:
        return base64.b64encode(google_crc32c.Checksum(self.data).digest()).decode()

    @property
    def md5(self) -> str:
        return base64.b64encode(hashlib.md5(self.data).digest()).decode()


@dataclass
class Fault:
    """What goes wrong with the next requests.

    Attributes:
        match: Found in method and path, such as ``PUT /upload``.
        times: How often it strikes.
        status: Answered instead; 0: none is.
        cut: Bytes of the body after which the connection ends; -1: it does not.
        corrupt: Whether a byte of the body is another one.
        delay: Seconds before the answer.
    """

    match: str
    times: int = 1
    status: int = 0
    cut: int = -1
    corrupt: bool = False
    delay: float = 0.0


class BucketServer(StandIn):
    """Serves buckets on a port of this machine.

    Args:
        buckets: Their names.
        page: Objects in one page of a listing.

    Attributes:
        received: Bytes of all objects that were uploaded.
    """

    def __init__(self, *buckets: str, page: int = 1000) -> None:
        super().__init__()
        self.buckets: dict[str, dict[str, StoredBlob]] = {name: {} for name in buckets or ("bucket",)}
        self.page = page
        self.faults: list[Fault] = []
        self.denied: set[str] = set()
        self.received = 0
        self._uploads: dict[str, dict[str, Any]] = {}
        self._generation = int(time.time() * 1e6)

    @property
    def environment(self) -> dict[str, str]:
        """What makes the real client use it."""
        return {"STORAGE_EMULATOR_HOST": self.url}

    def put(self, name: str, data: bytes, bucket: str = "") -> StoredBlob:
        """Store an object, as somebody else would."""
        self._generation += 1
        blob = StoredBlob(data, self._generation)
        self.buckets[bucket or next(iter(self.buckets))][name] = blob
        return blob

    # The server

    async def answer(self, request: web.Request) -> web.StreamResponse:
        path = request.rel_url.raw_path
        words = f"{request.method} {path}?{request.query_string}"
        fault = next((one for one in self.faults if one.times > 0 and one.match in words), None)
        if fault is not None:
            fault.times -= 1
            await asyncio.sleep(fault.delay)
            if fault.status:
                await request.read()
                return _error(fault.status, "a fault was asked for")
            if fault.cut >= 0 and request.method != "GET":
                transport = request.transport
                assert transport is not None
                transport.abort()
        body = await request.read()
        parts = path.removeprefix("/download").removeprefix("/upload").split("/")
        if parts[:4] != ["", "storage", "v1", "b"]:
            return _error(404, "Not Found")
        bucket = unquote(parts[4]) if len(parts) > 4 else ""
        if bucket in self.denied:
            return _error(403, f"someone@example.com does not have storage.objects access to {bucket}.")
        if bucket not in self.buckets:
            return _error(404, "The specified bucket does not exist.")
        if len(parts) == 5:
            return web.json_response({"kind": "storage#bucket", "name": bucket, "id": bucket})
        if path.startswith("/upload"):
            return self._upload(request, bucket, body)
        if len(parts) == 6:
            return self._list(request, bucket)
        return await self._object(request, bucket, unquote(parts[6]), fault)

    def _list(self, request: web.Request, bucket: str) -> web.Response:
        prefix, delimiter = request.query.get("prefix", ""), request.query.get("delimiter", "")
        names = sorted(name for name in self.buckets[bucket] if name.startswith(prefix))
        prefixes: list[str] = []
        if delimiter:
            inside = [name for name in names if delimiter in name.removeprefix(prefix)]
            heads = (prefix + name.removeprefix(prefix).split(delimiter)[0] + delimiter for name in inside)
            prefixes = sorted(set(heads))
            names = [name for name in names if name not in inside]
        start = int(request.query.get("pageToken") or 0)
        end = start + self.page
        found = [self._resource(bucket, name) for name in names[start:end]]
        page: dict[str, Any] = {"kind": "storage#objects", "items": found, "prefixes": prefixes}
        if end < len(names):
            page["nextPageToken"] = str(end)
        return web.json_response(page)

    def _resource(self, bucket: str, name: str) -> dict[str, Any]:
        blob = self.buckets[bucket][name]
        return {
            "kind": "storage#object",
            "name": name,
            "bucket": bucket,
            "generation": str(blob.generation),
            "metageneration": "1",
            "size": str(len(blob.data)),
            "crc32c": blob.crc32c,
            "md5Hash": blob.md5,
            "contentType": blob.content_type,
            "metadata": blob.metadata,
            "updated": f"{datetime.fromtimestamp(blob.generation / 1e6, UTC):%Y-%m-%dT%H:%M:%S.%fZ}",
        }

    async def _object(
        self, request: web.Request, bucket: str, name: str, fault: Fault | None
    ) -> web.StreamResponse:
        blobs = self.buckets[bucket]
        blob = blobs.get(name)
        asked = request.query.get("generation")
        if blob is None or (asked is not None and int(asked) != blob.generation):
            return _error(404, f"No such object: {bucket}/{name}")
        if not self._meets(request, blob):
            return _error(412, "At least one of the pre-conditions you specified did not hold.")
        if request.method == "DELETE":
            del blobs[name]
            return web.Response(status=204)
        if request.query.get("alt") != "media":
            return web.json_response(self._resource(bucket, name))
        return await self._media(request, blob, fault)

    async def _media(self, request: web.Request, blob: StoredBlob, fault: Fault | None) -> web.StreamResponse:
        start, end, status = 0, len(blob.data), 200
        ranged = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", ""))
        if ranged is not None:
            start, status = int(ranged[1]), 206
            end = min(end, int(ranged[2]) + 1) if ranged[2] else end
        data = blob.data[start:end]
        headers = {
            "Content-Length": str(len(data)),
            "X-Goog-Hash": f"crc32c={blob.crc32c},md5={blob.md5}",
            "X-Goog-Generation": str(blob.generation),
        }
        if status == 206:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(blob.data)}"
        response = web.StreamResponse(status=status, headers=headers)
        await response.prepare(request)
        if fault is not None and fault.corrupt:
            data = bytes([data[0] ^ 1]) + data[1:]
        if fault is not None and fault.cut >= 0:
            await response.write(data[: fault.cut])
            assert request.transport is not None
            request.transport.abort()
            return response
        for at in range(0, len(data), PIECE):
            await response.write(data[at : at + PIECE])
        await response.write_eof()
        return response

    def _meets(self, request: web.Request, blob: StoredBlob | None) -> bool:
        wanted = request.query.get("ifGenerationMatch")
        return wanted is None or int(wanted) == (0 if blob is None else blob.generation)

    # Uploads

    def _upload(self, request: web.Request, bucket: str, body: bytes) -> web.Response:
        kind = request.query.get("uploadType")
        if kind == "multipart":
            about, data = _halves(request.headers["Content-Type"], body)
            return self._keep(request, bucket, about, data)
        key = request.query.get("upload_id")
        if key is None:
            key = uuid.uuid4().hex
            self._uploads[key] = {"request": request, "about": json.loads(body or b"{}"), "data": b""}
            self._uploads[key]["about"].setdefault("name", request.query.get("name", ""))
            where = f"{self.url}/upload/storage/v1/b/{bucket}/o?uploadType=resumable&upload_id={key}"
            return web.json_response({}, headers={"Location": where})
        upload = self._uploads.get(key)
        if upload is None:
            return _error(410, "The upload session is gone.")
        span = re.fullmatch(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)", request.headers.get("Content-Range", ""))
        if span is not None and span[1] is not None and int(span[1]) != len(upload["data"]):
            return self._incomplete(upload)
        upload["data"] += body
        total = None if span is None or span[3] == "*" else int(span[3])
        if total is not None and len(upload["data"]) < total:
            return self._incomplete(upload)
        del self._uploads[key]
        return self._keep(upload["request"], bucket, upload["about"], upload["data"])

    def _incomplete(self, upload: dict[str, Any]) -> web.Response:
        headers = {"Range": f"bytes=0-{len(upload['data']) - 1}"} if upload["data"] else {}
        return web.Response(status=308, headers=headers)

    def _keep(self, request: web.Request, bucket: str, about: dict[str, Any], data: bytes) -> web.Response:
        name = about["name"]
        if not self._meets(request, self.buckets[bucket].get(name)):
            return _error(412, "At least one of the pre-conditions you specified did not hold.")
        sent = about.get("crc32c")
        self._generation += 1
        blob = StoredBlob(data, self._generation, metadata=about.get("metadata") or {})
        if sent is not None and sent != blob.crc32c:
            return _error(400, "Provided CRC32C does not match.")
        self.buckets[bucket][name] = blob
        self.received += len(data)
        return web.json_response(self._resource(bucket, name))


def _halves(content_type: str, body: bytes) -> tuple[dict[str, Any], bytes]:
    """The facts and the data of a multipart upload."""
    message = message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    about = message.get_payload(0)
    assert not isinstance(about, str)
    boundary = message.get_boundary()
    assert boundary is not None
    edge = b"--" + boundary.encode()
    second = body.split(edge, 2)[2]
    data = second.split(b"\r\n\r\n", 1)[1]
    return json.loads(str(about.get_payload())), data[: data.rindex(b"\r\n" + edge + b"--")]


def _error(status: int, message: str) -> web.Response:
    reason = {403: "forbidden", 404: "notFound", 412: "conditionNotMet"}.get(status, "backendError")
    errors = [{"message": message, "domain": "global", "reason": reason}]
    return web.json_response({"error": {"code": status, "message": message, "errors": errors}}, status=status)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[BucketServer]:
    """The bucket ``pixels``, where the SDK of this process looks for it."""
    with BucketServer("pixels") as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server

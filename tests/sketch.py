"""A made-up service, from its server to its generator: all that a user writes who has an API of their own.

It paints a canvas of one colour, over real HTTP. Nothing of Pixaris knows of it.
"""

from __future__ import annotations

import io
import json
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import requests
from PIL import Image

from pixaris.endpoints.base import Access, Endpoint, EndpointApi, EndpointClient
from pixaris.endpoints.discovery import Discovery, Emitter, Up
from pixaris.endpoints.sources.base import EndpointSource
from pixaris.endpoints.sources.options import Whole
from pixaris.exceptions import PromptRejectedError, UnreachableError
from pixaris.generation.base import Fault, ImageGenerator, ItemArgs
from pixaris.images import EncodedImage
from pixaris.metrics.base import BaseMetric
from pixaris.types import EvalItem, GeneratedImage, GenerationParam, GenerationRequest, ParamValue

SIDE = 8


class SketchServer:
    """Answers ``POST /sketch {"colour": …}`` with a PNG.

    Attributes:
        painted: The colours it was asked for, in their order.
        most_at_once: Requests that it had at once, at the most.
    """

    def __init__(self) -> None:
        self.painted: list[int] = []
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @contextmanager
    def painting(self, colour: int) -> Iterator[None]:
        with self._lock:
            self.painted.append(colour)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        time.sleep(0.02)
        try:
            yield
        finally:
            with self._lock:
                self._at_once -= 1

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._reply(200, b"ready")

            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with server.painting(asked["colour"]):
                    data = picture(asked["colour"])
                self._reply(200 if data else 422, data or b"no such colour")

            def _reply(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler


def picture(colour: int) -> bytes:
    """A canvas as PNG; empty if there is no such colour."""
    if not 0 <= colour < 1 << 24:
        return b""
    data = io.BytesIO()
    Image.new("RGB", (SIDE, SIDE), (colour >> 16, colour >> 8 & 255, colour & 255)).save(data, "PNG")
    return data.getvalue()


class SketchClient(EndpointClient):
    """Talks to one server."""

    def __init__(self, url: str) -> None:
        self._url = url

    def run(self, request: GenerationRequest) -> GeneratedImage:
        try:
            reply = requests.post(f"{self._url}/sketch", data=request.payload, timeout=10)
        except requests.RequestException as error:
            raise UnreachableError(str(error), endpoint=self._url) from error
        if reply.status_code != 200:
            raise PromptRejectedError(reply.text, endpoint=self._url)
        image = EncodedImage.from_bytes(reply.content, "the sketch")
        return GeneratedImage(request.id, request.item, image, self._url, reply.elapsed.total_seconds())

    def probe(self) -> None:
        try:
            requests.get(self._url, timeout=5).raise_for_status()
        except requests.RequestException as error:
            raise UnreachableError("nobody paints there", endpoint=self._url) from error


class SketchApi(EndpointApi):
    """What differs from other kinds of endpoint."""

    kind = "sketch"
    label = "a sketching service"
    parallel = True
    has_nodes = False

    def connect(self, access: Access, session: str = "") -> EndpointClient:
        return SketchClient(access.url)


class SketchDiscovery(Discovery):
    """Starts servers in this process."""

    def __init__(self, source: SketchSource) -> None:
        self._source = source
        self.servers: list[SketchServer] = []

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"sketch-{number}" for number in range(self._source.replicas))

    def start(self, emit: Emitter) -> None:
        for name in self.names:
            server = SketchServer()
            self.servers.append(server)
            emit(Up(name, Endpoint(server.url, api=SketchApi(), depth=self._source.depth)))

    def stop(self) -> None:
        for server in self.servers:
            server.stop()


@dataclass(frozen=True)
class SketchSource(EndpointSource):
    """Servers that start with the search."""

    options = (Whole("replicas"), Whole("depth", most=9))
    api = SketchApi()
    starts = True

    replicas: int = 1
    depth: int = 2

    @property
    def label(self) -> str:
        return f"{self.replicas} sketching"

    @property
    def slots(self) -> int:
        return self.replicas * self.depth

    @property
    def count(self) -> int:
        return self.replicas

    def discovery(self, logs: Path) -> SketchDiscovery:
        return SketchDiscovery(self)


@dataclass(frozen=True)
class PlainSource(EndpointSource):
    """A server that runs already; it declares no options, so its own arguments are its keys."""

    api = SketchApi()

    url: str
    depth: int = 2

    @property
    def label(self) -> str:
        return self.url

    @property
    def slots(self) -> int:
        return self.depth

    def endpoints(self, environment: Mapping[str, str] | None = None) -> tuple[Endpoint, ...]:
        return (Endpoint(self.url, api=self.api, depth=self.depth),)


@dataclass
class SketchGenerator(ImageGenerator):
    """Asks for a canvas of one colour."""

    api = SketchApi()

    urls: tuple[str, ...] = field(default=())

    def endpoints(self) -> tuple[Endpoint, ...]:
        return tuple(Endpoint(url, api=self.api) for url in self.urls)

    def request(self, args: ItemArgs) -> GenerationRequest:
        values = {param.input: param.value for param in args.params}
        payload = json.dumps({"colour": int(values.get("colour", 0))})
        return GenerationRequest(uuid.uuid4().hex, args.item, self.kind, payload)

    def fault(self, param: GenerationParam) -> Fault | None:
        return None if param.input == "colour" else Fault("a sketch has a colour only", of_target=True)

    def own_value(self, node_name: str, input: str) -> ParamValue | None:
        return 0 if input == "colour" else None


def sketch_of(item: str, colour: int) -> GenerationRequest:
    """A request for a canvas of a colour."""
    args = ItemArgs({}, item=item, params=[GenerationParam("", "colour", colour)])
    return SketchGenerator().request(args)


class Redness(BaseMetric):
    """The red channel."""

    direction = "max"

    def score(self, image: Image.Image, item: EvalItem) -> float:
        pixel = image.convert("RGB").getpixel((0, 0))
        assert isinstance(pixel, tuple)
        return pixel[0] / 255

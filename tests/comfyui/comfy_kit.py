"""What the client's tests share: a server to break, and requests to send to it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from pixaris.comfyui.client import ComfyClient, Timeouts
from pixaris.comfyui.server.faults import parse_rules
from pixaris.comfyui.server.inprocess import Running
from pixaris.comfyui.workflow import Workflow
from pixaris.images import EncodedImage
from pixaris.types import GeneratedImage, GenerationRequest, InputImage, upload_name

QUICK = Timeouts(connect=2.0, read=5.0, transfer=10.0, lost_after=0.1, dead_worker=2.0, quiet=0.1, lively=0.3)
IMPATIENT = replace(QUICK, read=0.6, transfer=3.0, dead_worker=0.4)


class Server:
    """A running server, with its faults and folders at hand."""

    def __init__(self, running: Running) -> None:
        self.url = running.url
        self.worker = running.worker
        self.inputs = running.worker.folders.base / "input"
        self.outputs = running.worker.folders.base / "output"

    def fault(self, fault: str, **rule: Any) -> None:
        self.worker.faults.add(parse_rules({"fault": fault, **rule}))

    def reset(self) -> None:
        self.worker.faults.clear()
        self.worker.faults.thaw()


@contextmanager
def process(*arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A server in a process of its own, to be killed."""
    command = [sys.executable, "-m", "pixaris.comfyui.server", "--port", "0", *arguments]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert started.stdout is not None
        yield started.stdout.readline().split()[-1], started
    finally:
        started.kill()
        started.wait()


def picture(color: int) -> GenerationRequest:
    """An image of one colour, in no cache: the smallest workflow there is."""
    graph = {
        "1": {
            "class_type": "EmptyImage",
            "inputs": {"width": 16, "height": 8, "batch_size": 1, "color": color},
        },
        "2": {
            "class_type": "SaveImage",
            "inputs": {"images": ["1", 0], "filename_prefix": f"test/{uuid.uuid4().hex}"},
        },
    }
    return request(graph, "2")


def inverted(image: EncodedImage, **extra: Any) -> GenerationRequest:
    """The negative of an uploaded image."""
    graph = {
        "1": {
            "class_type": "LoadImage",
            "inputs": {"image": upload_name(image)},
            "_meta": {"title": "Load Input Image"},
        },
        "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}, "_meta": {"title": "Negative"}},
        "3": {
            "class_type": "SaveImage",
            "inputs": {"images": ["2", 0], "filename_prefix": f"test/{uuid.uuid4().hex}"},
            "_meta": {"title": "Save Image"},
        },
    }
    return request(graph, "3", images=(InputImage("1", "image", image),), **extra)


def request(graph: dict[str, Any], output: str, **more: Any) -> GenerationRequest:
    workflow = Workflow.load(graph)
    return GenerationRequest(
        id=str(uuid.uuid4()),
        item="item",
        kind="comfyui",
        payload=workflow.canonical_json(),
        output=output,
        titles=workflow.titles,
        **more,
    )


def slow(server: Server, seconds: float = 30.0) -> GenerationRequest:
    """A request whose first node takes a while, and can be interrupted."""
    server.fault("delay", seconds=seconds)
    return picture(0x102030)


def encoded(color: str, size: tuple[int, int] = (24, 16)) -> EncodedImage:
    return EncodedImage.of(Image.new("RGB", size, color))


def pixel(generated: GeneratedImage) -> tuple[int, ...]:
    found = generated.image.image.getpixel((3, 3))
    assert isinstance(found, tuple)
    return found


def in_thread(client: ComfyClient, asked: GenerationRequest) -> Future[GeneratedImage]:
    """Runs a request in another thread."""
    future: Future[GeneratedImage] = Future()

    def work() -> None:
        try:
            future.set_result(client.run(asked))
        except BaseException as error:  # noqa: BLE001  (handed to whoever asks for the result)
            future.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return future


def until(condition: Callable[[], Any], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def load(path: Path) -> Any:
    return json.loads(path.read_text())

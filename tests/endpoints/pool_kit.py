"""What the pool's tests share: requests whose result proves what was executed, and servers that tell what
they ran.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import requests
from PIL import Image

from pixaris.comfyui.client import Timeouts
from pixaris.comfyui.workflow import Workflow
from pixaris.endpoints.base import Endpoint, EndpointPool
from pixaris.endpoints.dispatch.dispatcher import Policy
from pixaris.generation.base import ItemArgs
from pixaris.generation.comfyui import ComfyGenerator
from pixaris.images import EncodedImage, digest
from pixaris.types import GeneratedImage, GenerationParam, GenerationRequest

OpenPool = Callable[..., EndpointPool]
Servers = Callable[[int], list[str]]

QUICK = Timeouts(connect=2.0, read=8.0, transfer=10.0, lost_after=0.1, dead_worker=1.0, quiet=0.2, lively=0.5)
HASTY = Timeouts(connect=1.0, read=0.6, transfer=2.0, lost_after=0.1, dead_worker=0.5, quiet=0.2, lively=0.5)
POLICY = Policy(first_quarantine=0.1, max_quarantine=0.4, memory_rest=0.1, rate_rest=0.2, wait_limit=30.0)


def node(class_type: str, title: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs, "_meta": {"title": title}}


COLOUR = Workflow.load(
    {
        "1": node("EmptyImage", "Colour", width=16, height=8, batch_size=1, color=0),
        "2": node("SaveImage", "Save Image", images=["1", 0], filename_prefix="test"),
    }
)
NEGATIVE = Workflow.load(
    {
        "1": node("LoadImage", "Load Input Image", image="none.png"),
        "2": node("ImageInvert", "Negative", image=["1", 0]),
        "3": node("SaveImage", "Save Image", images=["2", 0], filename_prefix="test"),
    }
)
BROKEN = Workflow.load(
    {
        "1": node("EmptyImage", "Colour", width=16, height=8, batch_size=1, color=0),
        "2": node("ImageToMask", "Transparency", image=["1", 0], channel="alpha"),  # there is none: it raises
        "3": node("MaskToImage", "Show It", mask=["2", 0]),
        "4": node("SaveImage", "Save Image", images=["3", 0], filename_prefix="test"),
    }
)


@dataclass(frozen=True)
class Asked:
    """A request, and the one colour that its image must have (each channel within `slack`)."""

    request: GenerationRequest
    colour: tuple[int, int, int]
    slack: int = 0

    @property
    def id(self) -> str:
        return self.request.id

    def check(self, generated: GeneratedImage) -> None:
        """The image is the one that was asked for, whole and under its own name."""
        assert (generated.request_id, generated.item) == (self.request.id, self.request.item)
        colours = [found for _, found in generated.image.image.getcolors() or ()]
        assert len(colours) == 1, f"{generated} shows {colours}"
        off = max(abs(found - wanted) for found, wanted in zip(colours[0], self.colour, strict=True))
        assert off <= self.slack, f"{generated} shows {colours}, not {self.colour}"
        assert digest(generated.image.image) == generated.image.digest


def colour(number: int) -> Asked:
    """An image of one colour."""
    params = [
        GenerationParam("Colour", "color", number),
        GenerationParam("Save Image", "filename_prefix", uuid.uuid4().hex),
    ]
    request = ComfyGenerator(COLOUR).request(ItemArgs({}, item=f"colour {number}", params=params))
    return Asked(request, (number >> 16, number >> 8 & 255, number & 255))


def negative(number: int, side: int = 12) -> Asked:
    """The negative of an uploaded picture."""
    seen = (number >> 16, number >> 8 & 255, number & 255)
    picture = EncodedImage.of(Image.new("RGB", (side, side), seen))
    args = ItemArgs(
        {},
        item=f"negative {number}",
        images={"Load Input Image": picture},
        params=[GenerationParam("Save Image", "filename_prefix", uuid.uuid4().hex)],
    )
    red, green, blue = seen
    return Asked(
        ComfyGenerator(NEGATIVE).request(args), (255 - red, 255 - green, 255 - blue), slack=1
    )  # floats are cut off


def broken() -> GenerationRequest:
    """A workflow of which a node raises."""
    return ComfyGenerator(BROKEN).request(ItemArgs({}, item="broken"))


def refused() -> GenerationRequest:
    """A workflow that servers refuse to queue."""
    params = [GenerationParam("Colour", "width", -5)]
    return ComfyGenerator(COLOUR).request(ItemArgs({}, item="refused", params=params))


def mixed(count: int, first: int = 1) -> list[Asked]:
    """Colours, and now and then an uploaded picture; no two the same."""
    return [
        negative(0x100 * number + 7) if number % 6 == 0 else colour(number)
        for number in range(first, first + count)
    ]


def answers(
    asked: Sequence[Asked], futures: Sequence[Future[GeneratedImage]], seconds: float = 40.0
) -> list[GeneratedImage]:
    """Wait for all, and check each."""
    deadline = time.monotonic() + seconds
    generated = [future.result(max(0.1, deadline - time.monotonic())) for future in futures]
    for one, image in zip(asked, generated, strict=True):
        one.check(image)
    return generated


def run(pool: EndpointPool, asked: Sequence[Asked], **options: Any) -> list[GeneratedImage]:
    return answers(asked, pool.submit([one.request for one in asked], **options))


def until(condition: Callable[[], Any], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


# Servers, seen from outside


def fault(url: str, name: str, **rule: Any) -> None:
    """Let something go wrong on a server."""
    requests.post(f"{url}/pixaris/faults", json={"fault": name, **rule}, timeout=5).raise_for_status()


def heal(url: str) -> None:
    requests.delete(f"{url}/pixaris/faults", timeout=5).raise_for_status()


def queued(url: str) -> int:
    """Prompts that run or wait on a server."""
    queue = requests.get(f"{url}/queue", timeout=5).json()
    return len(queue["queue_running"]) + len(queue["queue_pending"])


def ran(url: str) -> list[int]:
    """The colours that a server has made, in the order it made them."""
    rows = requests.get(f"{url}/history", timeout=5).json().values()
    graphs = [row["prompt"][2] for row in rows if row["status"]["status_str"] == "success"]
    return [graph["1"]["inputs"]["color"] for graph in graphs if graph["1"]["class_type"] == "EmptyImage"]


def endpoint(url: str, **options: Any) -> Endpoint:
    return Endpoint(url, **{"timeouts": QUICK, **options})


def healthy(pool: EndpointPool) -> int:
    """How many endpoints are."""
    return sum(one.state == "healthy" for one in pool.status().endpoints)


def idle(pool: EndpointPool) -> bool:
    """Whether nothing waits and nothing runs."""
    status = pool.status()
    return status.waiting == 0 and all(one.in_flight == 0 for one in status.endpoints)

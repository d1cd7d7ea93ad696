"""Requests for the Flux API, and a server that stands in for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pixaris.flux.client import FluxClient, Timeouts
from pixaris.flux.models import FILL, Model
from pixaris.flux.request import input_images, payload_of
from pixaris.flux.server.account import Options
from pixaris.flux.server.app import Server
from pixaris.flux.server.faults import Faults, parse_rules
from pixaris.flux.server.running import serve_in_thread
from pixaris.images import EncodedImage
from pixaris.testing import samples
from pixaris.types import GenerationRequest

KEY = "bfl-key-that-nobody-may-see"
QUICK = Timeouts(connect=5.0, read=10.0, transfer=20.0, generation=30.0, poll=0.01)


@contextmanager
def standing_in(*rules: dict[str, Any], **options: Any) -> Iterator[Server]:
    """The stand-in with faults, quick by default."""
    with serve_in_thread(
        Options(**{"seconds": 0.05, "key": KEY, **options, "faults": Faults(parse_rules(list(rules)))})
    ) as server:
        yield server


def request(item: str = "photo", seed: int = 1, model: Model = FILL, **fields: Any) -> GenerationRequest:
    """A request to fill an ellipse of a picture."""
    images = {"image": EncodedImage.of(samples.picture(seed)), "mask": EncodedImage.of(samples.mask(seed))}
    images = {name: image for name, image in images.items() if any(one.name == name for one in model.images)}
    values = {"prompt": "a boat", "output_format": "png", **fields}
    return GenerationRequest(
        f"request-{item}-{seed}", item, "flux", payload_of(model, values, images), images=input_images(images)
    )


def client(server: Server, *, session: str = "", timeouts: Timeouts = QUICK, key: str = KEY) -> FluxClient:
    """A client of the stand-in."""
    return FluxClient(server.places.api, key, session=session, timeouts=timeouts)

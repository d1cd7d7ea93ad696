"""Input images on one server: each goes up once, under a name made of its content, or goes along as text."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterable

from pixaris.comfyui.api import ComfyApi
from pixaris.images import EncodedImage
from pixaris.types import InputImage, upload_name


class Uploads:
    """Remembers what a server has. Thread-safe: an image that two threads need goes up once.

    Args:
        api: The server.
    """

    def __init__(self, api: ComfyApi) -> None:
        self._api = api
        self._lock = threading.Lock()
        self._turns: dict[str, threading.Lock] = {}
        self._names: dict[str, str] = {}

    def ensure(self, image: EncodedImage) -> str:
        """Upload an image unless it is there already; the name under which LoadImage finds it.

        Raises:
            UnreachableError: It could not be uploaded.
        """
        known = self._names.get(image.digest)
        if known is not None:
            return known
        with self._lock:
            turn = self._turns.setdefault(image.digest, threading.Lock())
        with turn:
            if image.digest not in self._names:
                folder, _, filename = upload_name(image).rpartition("/")
                self._names[image.digest] = self._api.upload(image.data, folder, filename)
            return self._names[image.digest]

    def lost(self, images: Iterable[EncodedImage]) -> None:
        """The server has lost these: upload them again when they are needed."""
        for image in images:
            self._names.pop(image.digest, None)


def text_of(given: InputImage) -> str:
    """The text as which a node is given an image; "" where it is given the name of a file."""
    if given.sent_as == "file":
        return ""
    if given.sent_as == "data url":
        head = "data:image/png;base64,"
    else:
        head = ""
    return head + base64.b64encode(given.image.data).decode("ascii")

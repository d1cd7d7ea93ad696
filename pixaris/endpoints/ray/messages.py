"""What travels between a trial, the pool actor and its workers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import ray

from pixaris.exceptions import PixarisError
from pixaris.images import EncodedImage
from pixaris.types import GeneratedImage, GenerationRequest

NAMESPACE = "pixaris"

_BEHIND_SEARCH = "|"
"""Stands in a client's name between its search's and its own."""

ActorHandle: TypeAlias = Any
"""A handle of an actor. It has the methods of the actor's class, each with ``.remote`` behind it: no type can
say that.
"""


@dataclass(frozen=True)
class Envelope:
    """A request on its way: its images' bytes stay in the object store until a worker lacks them.

    Attributes:
        request: The request, its images without bytes.
        images: Image digest to the reference of its bytes.
        search: Whose it is, in a pool that several share; else "".
    """

    request: GenerationRequest
    images: Mapping[str, ray.ObjectRef]
    search: str = ""

    @property
    def id(self) -> str:
        """The request's."""
        return self.request.id

    @property
    def kind(self) -> str:
        """The request's."""
        return self.request.kind

    @property
    def affinity_key(self) -> str:
        """The request's."""
        return self.request.affinity_key

    @property
    def cache_key(self) -> str:
        """The request's, among those of its search: no search is given what was made for another one."""
        if self.search:
            return f"{self.search}{_BEHIND_SEARCH}{self.request.cache_key}"
        return self.request.cache_key


@dataclass(frozen=True)
class ImageRef:
    """Where an image's bytes wait for their client.

    Attributes:
        worker: The worker's name.
        number: The image's on the worker's shelf.
    """

    worker: str
    number: int


@dataclass(frozen=True)
class Outcome:
    """What became of a request: an image (its bytes wait where `ref` says) or an error."""

    request_id: str
    image: GeneratedImage | None = None
    ref: ImageRef | None = None
    error: PixarisError | None = None

    def answer_to(self, request: GenerationRequest, ref: ImageRef | None) -> Outcome:
        """The same as the answer to a request for the same.

        Args:
            request: Whose answer it is.
            ref: Where the image's bytes wait for whoever asked.
        """
        if request.id == self.request_id:
            return self
        if self.image is not None:
            image = self.image.as_answer_to(request)
        else:
            image = None
        return replace(self, request_id=request.id, image=image, ref=ref)

    @property
    def cost(self) -> float | None:
        """What the endpoint's account was charged for it, as far as that is known."""
        made = self.image or self.error
        if made is not None:
            return made.cost
        return None


@dataclass(frozen=True)
class Delivery:
    """Outcomes handed to a client.

    Attributes:
        token: The mailbox they are from; "" if the pool cannot say yet. Another token than before: the pool
            knows nothing of what the client asked for earlier.
        outcomes: Those that the client has not acknowledged.
    """

    token: str
    outcomes: tuple[Outcome, ...] = ()


def client_of(search: str, name: str) -> str:
    """What a client is called in a pool.

    Args:
        search: Whose it is, in a pool that several share; else "".
        name: Its own.
    """
    if search:
        return f"{search}{_BEHIND_SEARCH}{name}"
    return name


def search_of(client: str) -> str:
    """The search of a client; "" in a pool that one has for itself."""
    return client.rpartition(_BEHIND_SEARCH)[0]


def without_bytes(image: EncodedImage) -> EncodedImage:
    """An image's digest, to travel in its place."""
    return EncodedImage(b"", image.digest)

"""The seam for caches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from pixaris.images import EncodedImage


@dataclass(frozen=True)
class CachedImage:
    """A generated image and what its making took.

    Attributes:
        image: The image.
        endpoint: Where it was made (URL without credentials).
        seconds: Time the server ran for it.
        cost: What the endpoint's account was charged, in that account's unit; None where nothing was.
        others: Further images of the same execution.
    """

    image: EncodedImage
    endpoint: str
    seconds: float
    cost: float | None = None
    others: tuple[EncodedImage, ...] = ()


class CacheStore(ABC):
    """Keeps images by key. Many processes use one store at the same time, and it travels to them by pickle.

    A store is a help and never a reason to fail: what cannot be read is missing, what cannot be kept is not
    kept.
    """

    @abstractmethod
    def get(self, key: str) -> CachedImage | None:
        """The image of a key, whole and as it was put; None if there is none.

        Args:
            key: ``GenerationRequest.cache_key``: 64 hexadecimal digits.
        """

    @abstractmethod
    def put(self, key: str, made: CachedImage) -> CachedImage | None:
        """Keep an image. It is there for every process when this returns, unless it could not be kept.

        Returns:
            The same image, knowing its file; None where it has none.
        """

    def trim(self) -> str:
        """Keep within the store's limit, where it has one that `put` does not keep. Called when a search has
        ended, in its driver.

        Returns:
            What was done, in a sentence for the user, or "".
        """
        return ""

"""Comparisons of which one half depends on the reference alone: it is computed once per item, and kept."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from PIL import Image

from pixaris.metrics.base import ReferenceMetric
from pixaris.types import EvalItem

KEPT_BYTES = 256 * 1024 * 1024
"""Memory that one metric's prepared references may take in one process."""


class SizedInMemory(Protocol):
    """Something that knows how much memory it takes, such as a numpy array."""

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""


P = TypeVar("P", bound=SizedInMemory)


class Kept(Generic[P]):
    """Values by key, up to a number of bytes; what comes later is made anew every time. Thread-safe.

    Every trial goes through the items in the same order. Dropping the value that was used longest ago would
    drop exactly the one that is needed next; so what is there stays.
    """

    def __init__(self, limit: int = KEPT_BYTES) -> None:
        self._limit = limit
        self._bytes = 0
        self._values: dict[Hashable, P] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], P]) -> P:
        """The value of a key: what is kept, or what is made now."""
        kept = self._values.get(key)
        if kept is not None:
            return kept
        made = make()
        with self._lock:
            if key not in self._values and self._bytes + made.nbytes <= self._limit:
                self._values[key] = made
                self._bytes += made.nbytes
        return made

    def __len__(self) -> int:
        return len(self._values)

    def __reduce__(self) -> tuple[type[Kept[P]], tuple[int]]:
        return type(self), (self._limit,)  # another process makes its own


class PreparedMetric(ReferenceMetric, Generic[P]):
    """A metric that compares with something computed from the reference; implement `prepare` and `measure`.

    Args:
        references: The references themselves, one per eval item in its order …
        reference: … or the eval set's folder that holds them.
    """

    def __init__(
        self, references: Sequence[Image.Image] | None = None, *, reference: str | None = None
    ) -> None:
        super().__init__(references, reference=reference)
        self._kept: Kept[P] = Kept()

    @abstractmethod
    def prepare(self, reference: Image.Image) -> P:
        """What an image is compared with, given the reference (8-bit RGB or RGBA, read-only)."""

    @abstractmethod
    def measure(self, image: Image.Image, prepared: P) -> float | Mapping[str, float]:
        """The value of an image (8-bit RGB or RGBA, read-only) against a prepared reference (read-only)."""

    def compare(self, image: Image.Image, reference: Image.Image) -> float | Mapping[str, float]:
        return self.measure(image, self.prepare(reference))

    def score(self, image: Image.Image, item: EvalItem) -> float | Mapping[str, float]:
        references = self._references
        prepared = self._kept.get(references.key(item), lambda: self.prepare(references.image_for(item)))
        return self.measure(image, prepared)

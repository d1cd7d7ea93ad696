"""One probe of an endpoint from outside, for a table: what anybody may ask, and what disturbs nobody."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass


@dataclass(frozen=True)
class ProbeResult:
    """What an endpoint said of itself.

    Attributes:
        error: Why it did not answer, or "".
        refused: Whether the error is its answer.
        running: Requests of Pixaris that run on it, and requests of others.
        waiting: The same of those that wait.
        version: Of its software.
        device: The first one's name.
        memory: Free and total bytes of that device.
        credits: The balance of its account.
    """

    error: str = ""
    refused: bool = False
    running: tuple[int, int] | None = None
    waiting: tuple[int, int] | None = None
    version: str = ""
    device: str = ""
    memory: tuple[int, int] | None = None
    credits: float | None = None

    @property
    def busy(self) -> bool:
        """Whether a request runs or waits on it."""
        return any((*(self.running or ()), *(self.waiting or ())))


class Prober(ABC):
    """Probes one endpoint again and again, over a connection that it keeps. Used by one thread."""

    pause: float = 1.0
    """Seconds between two probes."""

    @abstractmethod
    def probe(self) -> ProbeResult:
        """Ask the endpoint, quickly; what goes wrong is the result's error."""

    def close(self) -> None:  # noqa: B027  (optional to implement)
        """Release the connection."""

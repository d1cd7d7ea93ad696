"""What a pool's core decides: values that the pool carries out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeAlias, TypeVar

from pixaris.endpoints.base import Endpoint
from pixaris.endpoints.dispatch.request import Lease
from pixaris.exceptions import PixarisError


class Queued(Protocol):
    """What the core must know of a request; how it travels is the pool's business."""

    @property
    def id(self) -> str:
        """Unique among its owner's."""

    @property
    def kind(self) -> str:
        """The endpoints that can serve it."""

    @property
    def affinity_key(self) -> str:
        """Equal for requests that need the same models; "" if that makes no difference."""

    @property
    def cache_key(self) -> str:
        """Equal for requests whose images are equal."""


R = TypeVar("R", bound=Queued)


@dataclass(frozen=True)
class Run(Generic[R]):
    """Run a request on an endpoint, then call `PoolCore.settle`.

    Attributes:
        lease: The attempt.
        endpoint: Where.
        owner: Who asked.
        request: What.
        resume: Whether the endpoint has it already, for a process that died.
    """

    lease: Lease
    endpoint: Endpoint
    owner: str
    request: R
    resume: bool = False


@dataclass(frozen=True)
class CancelRun:
    """End the run of a lease: nobody waits for it any more."""

    lease: Lease
    endpoint: Endpoint


@dataclass(frozen=True)
class CancelOrphan:
    """Take a request off an endpoint that has it for a process that died."""

    request_id: str
    endpoint: Endpoint


@dataclass(frozen=True)
class ProbeEndpoint:
    """Probe an endpoint, then call `PoolCore.probed`."""

    endpoint: Endpoint


@dataclass(frozen=True)
class ReleaseEndpoint:
    """Close the client of an endpoint that has left."""

    endpoint: Endpoint


@dataclass(frozen=True)
class Answer(Generic[R]):
    """Answer a request with an error; what it was running on is told besides."""

    owner: str
    request: R
    error: PixarisError


Action: TypeAlias = Run[R] | CancelRun | CancelOrphan | ProbeEndpoint | ReleaseEndpoint | Answer[R]

"""The seam of a kind of endpoint: the facts that differ between kinds, and the client that talks to one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field

from pixaris.comfyui.address import Timeouts
from pixaris.comfyui.object_info import ObjectInfo
from pixaris.comfyui.workflow import Workflow
from pixaris.endpoints.apis.probe import Prober, ProbeResult
from pixaris.exceptions import AccountError, FarSideError, PixarisError
from pixaris.types import GeneratedImage, GenerationRequest


@dataclass(frozen=True)
class Access:
    """How an endpoint is reached.

    Attributes:
        url: Base URL, without credentials; also the endpoint's name everywhere.
        headers: HTTP headers for authentication; never shown.
        timeouts: How long it is waited for.
    """

    url: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    timeouts: Timeouts = field(default_factory=Timeouts)


class EndpointClient(ABC):
    """Talks to one endpoint. Thread-safe: the pool calls `run` from as many threads as the endpoint's depth.

    It is made in the process that uses it and never travels; nothing is opened before the first call.
    """

    @abstractmethod
    def run(self, request: GenerationRequest) -> GeneratedImage:
        """Generate one image and wait for it.

        Raises:
            RequestError: The request fails the same way everywhere.
            EndpointError: This endpoint failed; another may not.
            AccountError: The account cannot be used.
        """

    def resume(self, request: GenerationRequest) -> GeneratedImage:
        """As `run`, for a request that may be on the endpoint already: a client of the same pool that died
        may have sent it.

        What is found there is waited for rather than sent a second time.
        """
        return self.run(request)

    @abstractmethod
    def probe(self) -> object:
        """Return, whatever it be, if the endpoint can take requests, quickly.

        Raises:
            EndpointError: It cannot, with the reason.
        """

    @property
    def memory(self) -> int | None:
        """Bytes of memory that the endpoint generates in, as its last probe said; None where it does not
        say.
        """
        return None

    def free_memory(self) -> None:  # noqa: B027  (optional to implement)
        """Ask the endpoint to free the memory that it can do without, and wait until it may have.

        Raises:
            EndpointError: It does not answer.
        """

    def cancel(self, request_id: str) -> None:  # noqa: B027  (optional to implement)
        """Cancel a request that `run` has in another thread, and nobody else's; `run` then raises
        CancelledRequestError.
        """

    def orphans(self) -> tuple[str, ...]:
        """Requests of this pool that the endpoint has, or has just made, for a client that died.

        Raises:
            EndpointError: It does not answer.
        """
        return ()

    def cancel_orphans(self, request_ids: Iterable[str]) -> None:  # noqa: B027  (optional to implement)
        """Cancel such requests, unless `resume` has them meanwhile.

        Raises:
            EndpointError: It does not answer.
        """

    def close(self) -> None:  # noqa: B027  (optional to implement)
        """Cancel what runs and release every connection. Called once."""


class EndpointApi(ABC):
    """What one kind of endpoint is like.

    An `Endpoint` carries its API wherever it goes, so an API pickles, holds no connection, and two of one
    class with the same attributes are equal. A subclass sets `kind`, implements `connect`, and states what
    differs from the defaults. It is asked in every process that has to do with the endpoint.
    """

    kind: str
    """Names the requests that its endpoints serve: `GenerationRequest.kind`. Part of every cache key."""
    label: str = ""
    """What a user calls its endpoints: "the Flux API", "ComfyUI servers"."""
    example: str = ""
    """How a search file names some: "endpoints: {embedded: 2}"."""
    charges: bool = False
    """Whether a request that has begun is charged, also when nobody waits for it any more."""
    parallel: bool = False
    """Whether an endpoint works on several requests at once, so that ``max_parallel_jobs`` limits them. One
    that works on one after the other has a depth of its own.
    """
    has_nodes: bool = True
    """Whether its requests are workflows, whose inputs belong to nodes."""
    queues: bool = False
    """Whether requests stay on an endpoint when the process that asked is killed; then `cancel_session` is
    called, by a process that finds the class by its module and makes it without arguments.
    """

    @abstractmethod
    def connect(self, access: Access, session: str = "") -> EndpointClient:
        """Make the client of an endpoint. Nothing is opened until it is used.

        Args:
            access: How the endpoint is reached.
            session: What its requests are marked with, to be told from other people's.

        Raises:
            ConfigurationError: The URL cannot be one.
        """

    def shown(self, url: str) -> str:
        """How a user is shown the endpoint at a URL."""
        return url

    def prober(self, access: Access) -> Prober:
        """What probes an endpoint for a table."""
        return _ClientProber(self.connect(access))

    def object_info(self, access: Access, workflow: Workflow) -> ObjectInfo | None:
        """What an endpoint says of the nodes that a workflow may have; None if it runs no workflows.

        Raises:
            EndpointError: It does not answer.
        """
        return None

    def cancel_session(self, access: Access, session: str) -> int:
        """Cancel every request of a session whose process is gone. Called by the janitor, in a process of
        its own.

        Returns:
            How many there were.

        Raises:
            PixarisError: The endpoint cannot be asked.
        """
        return 0

    def __eq__(self, other: object) -> bool:
        # By value: an API that has travelled to another process is another object, and the same kind.
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        # Attributes may be mappings, which have no hash.
        return hash(type(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class _ClientProber(Prober):
    """Knows no more than what a client's probe tells.

    Args:
        client: The endpoint's.
    """

    def __init__(self, client: EndpointClient) -> None:
        self._client = client

    def probe(self) -> ProbeResult:
        try:
            self._client.probe()
        except PixarisError as error:
            return failed_probe(error)
        return ProbeResult()

    def close(self) -> None:
        self._client.close()


def failed_probe(error: PixarisError) -> ProbeResult:
    """The result of a probe that raised."""
    if isinstance(error, FarSideError):
        message = error.message
    else:
        message = str(error)
    return ProbeResult(message, refused=isinstance(error, AccountError))

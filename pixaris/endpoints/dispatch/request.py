"""A request without a result, and its attempts."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Lease:
    """One attempt at one request on one endpoint.

    Attributes:
        request_id: The request.
        url: The endpoint.
        attempt: Number of the attempt, from 1.
        serial: Unique in the dispatcher: a request that is cancelled and submitted again gets another lease.
        free_memory: Whether the endpoint is to free its memory first.
    """

    request_id: str
    url: str
    attempt: int
    serial: int
    free_memory: bool = False


@dataclass(slots=True)
class Tries:
    """What has become of a request so far.

    Attributes:
        attempts: Leases it has had.
        failures: How many of them ended in the fault of an endpoint …
        returns: … and how many in the death of a worker.
        tried: Endpoints it failed on.
        short_on: Where it ran out of memory; None if nowhere.
    """

    attempts: int = 0
    failures: int = 0
    returns: int = 0
    tried: set[str] = field(default_factory=set)
    short_on: str | None = None


@dataclass(slots=True)
class Request:
    """A request without a result.

    Attributes:
        id: Unique among them.
        kind: The endpoints that can serve it.
        priority: Smaller runs first.
        order: Its age: smaller is older.
        since: When it was submitted.
        owner: Whose it is: those who ask share the endpoints.
        search: The owner's search: searches share the endpoints evenly.
        affinity: The models it needs; "" if that makes no difference.
        tries: What has become of it so far.
        lease: The one it has, or None while it waits.
        leased: When it got it.
        loads: Whether its endpoint had to load its models.
    """

    id: str
    kind: str
    priority: int
    order: int
    since: float
    owner: str = ""
    search: str = ""
    affinity: str = ""
    tries: Tries = field(default_factory=Tries)
    lease: Lease | None = None
    leased: float = 0.0
    loads: bool = False

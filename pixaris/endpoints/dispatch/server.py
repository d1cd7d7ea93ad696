"""An endpoint as the dispatcher knows it: what it has, how fast it is, which models it holds."""

from __future__ import annotations

from dataclasses import dataclass, field

from pixaris.endpoints.base import Endpoint, EndpointState, EndpointStatus
from pixaris.endpoints.dispatch.request import Request

# About the last five images count: an endpoint may get slower within a search, when somebody else uses it
# too.
_WEIGHT = 0.2


class MovingAverage:
    """An exponential moving average; `value` is None before the first number."""

    def __init__(self) -> None:
        self.value: float | None = None

    def learn(self, number: float) -> None:
        """Take a number into account."""
        if self.value is None:
            self.value = number
        else:
            self.value = self.value + _WEIGHT * (number - self.value)


# With slots, all four of them: placement reads these fields for every endpoint again and again.
@dataclass(slots=True)
class Rest:
    """How long an endpoint that failed is left alone.

    Attributes:
        until: When it may be used, or probed, again.
        seconds: Of its last quarantine.
        relapses: Quarantines since its last image.
    """

    until: float = 0.0
    seconds: float = 0.0
    relapses: int = 0


@dataclass(slots=True)
class Tally:
    """What an endpoint has done.

    Attributes:
        done: Images it has made.
        failures: Attempts that failed on it.
        last_failure: Why the last one did.
        cost: What its account was charged, or None while nothing was.
    """

    done: int = 0
    failures: int = 0
    last_failure: str = ""
    cost: float | None = None


@dataclass(slots=True)
class Timing:
    """What was learnt of an endpoint's speed.

    Attributes:
        speed: Seconds per image.
        since: When it began its present image.
        cold: What its first image with other models took, until it is known how much of that was the load.
        disturbed: Its next image's time tells nothing about its speed.
    """

    speed: MovingAverage = field(default_factory=MovingAverage)
    since: float = 0.0
    cold: float | None = None
    disturbed: bool = False

    def learn(self, seconds: float, load: MovingAverage, *, loads: bool) -> None:
        """Take the time of an image into account.

        Args:
            seconds: What it took.
            load: Learns what loading models adds: the time of the first image with them, less that of an
                image without.
            loads: Whether models were loaded for it.
        """
        if loads:
            self.cold = seconds
            if self.speed.value is not None:
                self._learn_load(load, self.speed.value)
        else:
            self.speed.learn(seconds)
            self._learn_load(load, seconds)

    def _learn_load(self, load: MovingAverage, usual: float) -> None:
        if self.cold is not None:
            load.learn(max(0.0, self.cold - usual))
            self.cold = None

    def usual(self, typical: float, load: float | None) -> float:
        """Seconds per image, as far as anybody knows: its own; what its first image took beside a load; the
        typical ones.
        """
        if self.speed.value is not None:
            return self.speed.value
        if self.cold is not None and load is not None:
            # Not below the typical: the load was another endpoint's, and might be longer here.
            return max(typical, self.cold - load)
        return typical


@dataclass(slots=True)
class Server:
    """An endpoint, its leases and what was learnt about it.

    Attributes:
        endpoint: How it is described.
        state: Whether it works.
        rest: How long it is left alone.
        held: Whether somebody does not want it to be used.
        probing: Whether a probe is under way.
        doubted: Whether it failed and works on only if its next probe succeeds.
        blamed_by: Whose requests have failed on it since its last image.
        memory: Bytes of memory that it generates in; None where it does not say.
        leases: The requests it has, by id, in the order it got them.
        loading: How many of them need models that it must load first.
        models: Affinity keys of the models it holds, the latest first.
        turned: When it last took over other models.
        timing: What was learnt of its speed.
        pace: Seconds per image as they are reckoned with in one round of placement.
        tally: What it has done.
        kind: Its endpoint's; placement asks for it again and again.
    """

    endpoint: Endpoint
    state: EndpointState
    rest: Rest = field(default_factory=Rest)
    held: bool = False
    probing: bool = False
    doubted: bool = False
    blamed_by: set[str] = field(default_factory=set)
    memory: int | None = None
    leases: dict[str, Request] = field(default_factory=dict)
    loading: int = 0
    models: list[str] = field(default_factory=list)
    turned: float = float("-inf")
    timing: Timing = field(default_factory=Timing)
    pace: float = 1.0
    tally: Tally = field(default_factory=Tally)
    kind: str = field(init=False)

    def __post_init__(self) -> None:
        self.kind = self.endpoint.kind

    @property
    def free(self) -> bool:
        """Whether it has a slot for another request."""
        return len(self.leases) < self.endpoint.depth

    @property
    def awaits_probe(self) -> bool:
        """Whether a probe decides how it goes on."""
        return self.state != "healthy" or self.doubted

    def holds(self, affinity: str) -> bool:
        """Whether a request can run without loading models first."""
        return not affinity or affinity in self.models

    def take(self, request: Request, models_held: int, now: float) -> None:
        """Give it a request; the models it needs are then held, and the oldest of more than `models_held` no
        longer.
        """
        request.leased = now
        request.loads = not self.holds(request.affinity)
        if not self.leases:
            self.timing.since = now
        self.leases[request.id] = request
        if request.loads:
            self.loading += 1
            self.turned = now
        if request.affinity:
            self.models = [request.affinity, *(key for key in self.models if key != request.affinity)][
                : max(1, models_held)
            ]

    def release(self, request: Request, now: float | None = None) -> None:
        """Take a request away that has ended now, or nobody knows when: then the next image's time tells
        nothing.
        """
        del self.leases[request.id]
        self.loading -= request.loads
        self.timing.disturbed = now is None
        if now is not None:
            self.timing.since = now

    def answer(self, request: Request, load: MovingAverage, now: float) -> None:
        """Take an image for a request, and learn from the time it took.

        An endpoint works on its requests one after the other: an image took it the time since its image
        before, or since the request came if it was idle then. That is right at any depth, also for endpoints
        that work on several at once: it is what an image costs of the endpoint's time. Two requests on their
        way at once may reach it in either order: of those that need the same models, the one that is answered
        first has waited for them.

        Args:
            request: The request that the image is for.
            load: Learns what loading models adds.
            now: Seconds.
        """
        # Idle until the request came, or at work on the image before.
        seconds = now - max(request.leased, self.timing.since)
        disturbed = self.timing.disturbed
        # Before the lease is released: the other one must still be among them.
        if not request.loads:
            self._swap_load(request)
        self.release(request, now)
        if disturbed:
            self.timing.cold = None
        else:
            self.timing.learn(seconds, load, loads=request.loads)

    def _swap_load(self, request: Request) -> None:
        for other in self.leases.values():
            if other.loads and other.affinity == request.affinity:
                request.loads, other.loads = True, False
                return

    def reset(self) -> None:
        """It failed: it may come back as another process, with no models in its memory."""
        # The speed stays: it is the same machine.
        self.models.clear()
        self.timing.cold = None

    def status(self) -> EndpointStatus:
        """It as it stands."""
        return EndpointStatus(
            self.endpoint.url,
            "drained" if self.held else self.state,
            len(self.leases),
            self.tally.done,
            self.tally.failures,
            self.tally.last_failure,
            self.timing.speed.value,
            tuple(self.models),
            self.tally.cost,
        )

    def silence(self, now: float) -> float:
        """Seconds it has been working on its present image."""
        if self.leases:
            return now - self.timing.since
        return 0.0

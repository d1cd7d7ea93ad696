"""A pool played in thought: endpoints that take time, trials that ask for images, and a clock that jumps to
what comes next.
"""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from pixaris.endpoints.base import Endpoint
from pixaris.endpoints.dispatch.dispatcher import Dispatcher, Lease, Policy

AHEAD = 10


@dataclass
class Machine:
    """An endpoint: one request after the other, each `seconds` long, `load` more if it needs other models
    than the one before.
    """

    endpoint: Endpoint
    seconds: float
    load: float = 0.0
    busy: float = 0.0
    loads: int = 0
    images: int = 0
    model: str = ""
    queue: list[Lease] = field(default_factory=list)
    running: bool = False


@dataclass
class Trial:
    """So many images of one parameter set, some at a time.

    Attributes:
        images: In all.
        model: The models they need.
        step: Images between two decisions.
        factor: How much longer an image takes than the endpoint's own seconds.
    """

    images: int
    model: str = ""
    step: int = 8
    factor: float = 1.0


class Simulation:
    """Trials on machines, by the dispatcher's word.

    Args:
        machines: The endpoints.
        policy: The dispatcher's.
        think: Seconds between the end of a step and the next step's request.
        change: Seconds between the end of a trial and the next one's request.
    """

    def __init__(
        self,
        machines: Sequence[Machine],
        *,
        policy: Policy | None = None,
        think: float = 0.0,
        change: float = 0.0,
    ) -> None:
        self.machines = {machine.endpoint.url: machine for machine in machines}
        self.dispatcher = Dispatcher(policy)
        self.think, self.change = think, change
        self.now = 0.0
        self.ends: dict[str, list[float]] = {}
        self.worst_wait = 0.0
        self.calls = 0
        self.spent = 0.0
        self._needs: dict[str, tuple[str, str, float, float]] = {}
        self._leases: dict[str, Lease] = {}
        self._answers: dict[str, Callable[[], None]] = {}
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        for machine in machines:
            self.dispatcher.join(machine.endpoint, 0.0, healthy=True)

    def at(self, moment: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._events, (moment, next(self._numbers), action))

    def process(self, name: str, trials: Iterator[Trial], start: float = 0.0) -> None:
        """A trial process: one trial after the other, the next step asked for ahead."""
        self.ends[name] = []

        def begin() -> None:
            trial = next(trials, None)
            if trial is not None:
                step(trial, 0, {})

        def step(trial: Trial, first: int, ahead: dict[int, str]) -> None:
            batch = range(first, min(trial.images, first + trial.step))
            missing = set(batch)

            def answered(index: int) -> None:
                missing.discard(index)
                if missing:
                    return
                self.ends[name].append(self.now)
                if batch.stop < trial.images:
                    self.at(self.now + self.think, lambda: step(trial, batch.stop, later))
                else:
                    self.at(self.now + self.change, begin)

            for index in batch:
                if index not in ahead:
                    self.ask(name, trial, 0, lambda index=index: answered(index))  # type: ignore[misc]
                elif ahead[index] in self._answers:
                    self.dispatcher.promote(ahead[index], 0)
                    self._answers[ahead[index]] = lambda index=index: answered(index)  # type: ignore[misc]
            rest = range(batch.stop, min(trial.images, batch.stop + trial.step))
            later = {index: self.ask(name, trial, AHEAD, lambda: None) for index in rest}
            for index in batch:
                if index in ahead and ahead[index] not in self._answers:
                    answered(index)

        self.at(start, begin)

    def ask(self, owner: str, trial: Trial, priority: int, answered: Callable[[], None]) -> str:
        key = f"{owner}/{next(self._numbers)}"
        self._needs[key] = (owner, trial.model, trial.factor, self.now)
        self._answers[key] = answered
        assert self.dispatcher.submit(key, "comfyui", priority, self.now, owner=owner, affinity=trial.model)
        return key

    def run(self) -> float:
        """Until nothing is left to do; gives the time of the last image."""
        last = 0.0
        while True:
            self._assign()
            if not self._events:
                assert self.dispatcher.unanswered() == [], "work waits, and nothing will happen any more"
                return last
            due = self.dispatcher.next_event(self.now)
            if due is not None and self.now + due < self._events[0][0]:
                self.now += due
                continue
            while True:
                self.now, _, action = heapq.heappop(self._events)
                images = self.dispatcher.images
                action()
                last = self.now if self.dispatcher.images > images else last
                if not self._events or self._events[0][0] > self.now:
                    break

    def _assign(self) -> None:
        started = time.perf_counter()
        leases = self.dispatcher.assign(self.now)
        self.spent += time.perf_counter() - started
        self.calls += 1
        for lease in leases:
            self.worst_wait = max(self.worst_wait, self.now - self._needs[lease.request_id][3])
            machine = self.machines[lease.url]
            machine.queue.append(lease)
            assert len(machine.queue) <= machine.endpoint.depth
            if not machine.running:
                self._start(machine)
        if self.dispatcher.waiting:
            assert any(machine.running for machine in self.machines.values()), "all are idle while work waits"

    def _start(self, machine: Machine) -> None:
        lease = machine.queue[0]
        _, model, factor, _ = self._needs[lease.request_id]
        seconds = machine.seconds * factor
        machine.busy += seconds
        if model and model != machine.model:
            machine.model = model
            machine.loads += 1
            seconds += machine.load
        machine.running = True
        self.at(self.now + seconds, lambda: self._finish(machine))

    def _finish(self, machine: Machine) -> None:
        lease = machine.queue.pop(0)
        machine.running = False
        machine.images += 1
        assert self.dispatcher.succeeded(lease, self.now)
        if machine.queue:
            self._start(machine)
        self._answers.pop(lease.request_id)()

    @property
    def loads(self) -> int:
        return sum(machine.loads for machine in self.machines.values())

    def utilisation(self, seconds: float) -> float:
        return sum(machine.busy for machine in self.machines.values()) / seconds / len(self.machines)


def machines(*seconds: float, load: float = 0.0, depth: int = 2) -> list[Machine]:
    return [
        Machine(Endpoint(f"http://m{index}", depth=depth), each, load) for index, each in enumerate(seconds)
    ]

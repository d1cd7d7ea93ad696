"""What metrics lean on, kept in Ray actors: a model once per node, an account once per cluster.

- `KeeperActor`, one per search, starts the actors and owns them, so that they end with the search whoever
  dies.
- `ServiceActor`, one per service and node (or per service, for those of the cluster): a process of its own,
  whose host queues the requests of all trials together.
- `RayHost` is what a trial holds.

Ray stays here; a metric only knows `pixaris.metrics.hosts.base.Host`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pixaris.endpoints.ray.messages import ActorHandle
from pixaris.exceptions import ConfigurationError, MetricError, PixarisError, Problem
from pixaris.metrics.base import BaseMetric
from pixaris.metrics.hosts.base import A, Host, HostedMetric, Q, Service, this_process

log = logging.getLogger(__name__)

_CALLS = 256
"""Requests of trials that an actor may hold at once; how many it works on is the service's affair."""


_TRIES = 4
_AGAIN_SECONDS = 1.0
"""How often a request is sent whose process was lost on the way, and how long it waits between."""


class ServiceActor:
    """Keeps a service; errors are answers, because Ray would wrap them."""

    def answer(self, service: Service[Any, Any], request: object) -> object:
        """Answer one request."""
        try:
            return this_process().submit(service, request).result()
        except PixarisError as error:
            return error
        except Exception as error:
            # a service may run a user's code, and the trial may be unable to unpickle what that raises
            log.debug("%s failed", type(service).__name__, exc_info=True)
            return MetricError(f"{type(service).__name__}: {type(error).__name__}: {error}")


class KeeperActor:
    """Starts service actors, one for each service and place."""

    def __init__(self) -> None:
        self._actors: dict[tuple[str, str], ActorHandle] = {}

    def actor(self, service: Service[Any, Any], node: str) -> ActorHandle:
        """The actor that answers a service's requests from a node."""
        graphic = sorted(
            each["NodeID"] for each in ray.nodes() if each["Alive"] and each["Resources"].get("GPU", 0) > 0
        )
        if service.scope == "cluster":
            place = ray.get_runtime_context().get_node_id()
        else:
            place = nearest_gpu(node, graphic)
        if (service.key, place) not in self._actors:
            options: dict[str, Any] = {
                "num_cpus": 0,
                "max_concurrency": _CALLS,
                "max_restarts": -1,
                "max_task_retries": 3,
            }
            if place in graphic:
                # With no share reserved it still sees the GPU, which a ComfyUI server may have to itself in
                # Ray's books.
                options["num_gpus"] = service.num_gpus
                options["runtime_env"] = {"env_vars": {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}}
            strategy = NodeAffinitySchedulingStrategy(place, soft=service.scope == "cluster")
            self._actors[service.key, place] = (
                ray.remote(ServiceActor).options(scheduling_strategy=strategy, **options).remote()
            )
        return self._actors[service.key, place]

    def pid(self) -> int:
        """Its process."""
        return os.getpid()

    def count(self) -> int:
        """How many actors it has started."""
        return len(self._actors)


def nearest_gpu(node: str, graphic: Sequence[str]) -> str:
    """The node whose actor serves a node: itself, unless only others have a GPU; those are shared evenly."""
    if node in graphic or not graphic:
        return node
    # By the node's id, so that every process of a node comes to the same one without asking.
    return graphic[int(node[:12], 16) % len(graphic)]


@dataclass(frozen=True)
class RayHostConfig:
    """How to reach the hosts of a search from any of its processes.

    Attributes:
        keeper: Handle of the keeper actor.
    """

    keeper: ActorHandle

    def connect(self) -> RayHost:
        """Reach them from this process."""
        return RayHost(self.keeper)


class RayHost(Host):
    """Asks the service actor of its node.

    Args:
        keeper: Handle of the keeper actor.
    """

    def __init__(self, keeper: ActorHandle) -> None:
        self._keeper = keeper
        self._node = ray.get_runtime_context().get_node_id()
        self._actors: dict[str, ActorHandle] = {}
        self._lock = threading.Lock()

    def submit(self, service: Service[Q, A], request: Q) -> Future[A]:
        answer: Future[A] = Future()
        answer.set_running_or_notify_cancel()
        self._ask(service, request, answer, _TRIES)
        return answer

    def _ask(self, service: Service[Q, A], request: Q, answer: Future[A], tries: int) -> None:
        try:
            asked = self._actor(service).answer.remote(service, request).future()
        except ray.exceptions.RayError as error:
            self._lost(service, request, answer, tries, error)
            return
        asked.add_done_callback(lambda done: self._settle(service, request, answer, tries, done))

    def _actor(self, service: Service[Q, A]) -> ActorHandle:
        with self._lock:
            if service.key not in self._actors:
                self._actors[service.key] = ray.get(self._keeper.actor.remote(service, self._node))
            return self._actors[service.key]

    def _settle(
        self, service: Service[Q, A], request: Q, answer: Future[A], tries: int, done: Future[Any]
    ) -> None:
        error = done.exception()
        if error is not None:
            self._lost(service, request, answer, tries, error)
        elif isinstance(done.result(), PixarisError):
            answer.set_exception(done.result())
        else:
            answer.set_result(done.result())

    def _lost(
        self, service: Service[Q, A], request: Q, answer: Future[A], tries: int, error: BaseException
    ) -> None:
        """The actor is gone, and the keeper with it perhaps: ask for one again, which Ray or the keeper
        starts anew.
        """
        with self._lock:
            self._actors.pop(service.key, None)
        if tries > 1 and isinstance(error, ray.exceptions.RayError):
            # Not slept here: this thread is Ray's, and all other answers come in it.
            timer = threading.Timer(_AGAIN_SECONDS, self._ask, (service, request, answer, tries - 1))
            timer.daemon = True
            timer.start()
            return
        first = str(error).strip().partition("\n")[0]
        answer.set_exception(MetricError(f"the process that keeps {type(service).__name__} is gone: {first}"))


@contextlib.contextmanager
def metric_hosts(
    metrics: Sequence[BaseMetric], tell: Callable[[str], object] = log.warning
) -> Iterator[RayHostConfig | None]:
    """Keep what the metrics of a search lean on, for as long as it runs; None if they lean on nothing.

    Args:
        metrics: The metrics.
        tell: Is told what keeps them waiting.

    Raises:
        ConfigurationError: They reserve more of a GPU than any node has.
    """
    leaning = [metric for metric in metrics if isinstance(metric, HostedMetric)]
    if not leaning:
        yield None
        return
    largest = max((each["Resources"].get("GPU", 0.0) for each in ray.nodes() if each["Alive"]), default=0.0)
    if waits := waiting_for_gpus(leaning, largest, ray.available_resources().get("GPU", 0.0)):
        tell(waits)
    # where the verdicts are kept
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    keeper = (
        ray.remote(KeeperActor)
        .options(num_cpus=0, scheduling_strategy=here, max_restarts=-1, max_task_retries=-1)
        .remote()
    )
    try:
        yield RayHostConfig(keeper)
    finally:
        ray.kill(keeper)


def waiting_for_gpus(metrics: Sequence[HostedMetric], largest: float, free: float) -> str:
    """What metrics wait for whose services reserve more GPUs than are free, in words; "" if they wait for
    nothing.

    Args:
        metrics: The metrics.
        largest: GPUs of the node that has the most; with none, everything runs on CPUs.
        free: GPUs of the cluster that nobody has reserved.

    Raises:
        ConfigurationError: One reserves more than any node has.
    """
    wanted = {
        service.key: (metric.name, service.num_gpus) for metric in metrics for service in metric.services()
    }
    if not largest:
        return ""
    problems = []
    for name, gpus in wanted.values():
        if gpus > largest:
            rule = f"reserves {gpus:g} GPUs, and no node has more than {largest:g}; lower num_gpus"
            problems.append(Problem(f"metric {name!r}", rule))
    if problems:
        raise ConfigurationError(problems)
    total = sum(gpus for _, gpus in wanted.values())
    if total <= free:
        return ""
    return (
        f"metrics wait for GPUs: they reserve {total:g}, and {free:g} are free; num_gpus: 0 shares a GPU with"
        " whoever has it"
    )


def hosted(metrics: Sequence[BaseMetric], host: Host) -> tuple[BaseMetric, ...]:
    """The metrics, leaning on the host where they lean on one."""
    return tuple(metric.on(host) if isinstance(metric, HostedMetric) else metric for metric in metrics)

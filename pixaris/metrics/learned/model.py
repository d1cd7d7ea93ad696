"""A network as a service: loaded once where it runs, asked in batches."""

from __future__ import annotations

import logging
import os
from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from pixaris.exceptions import ConfigurationError, PixarisError, Problem
from pixaris.metrics.base import WAITING
from pixaris.metrics.extras import require
from pixaris.metrics.hosts.base import HostedMetric
from pixaris.metrics.hosts.service import A, Q, Service

log = logging.getLogger(__name__)

T = TypeVar("T")

DEVICES = ("auto", "cpu", "cuda", "mps")
_KNOWN = 4096
_LOADABLE: set[str] = set()
"""Keys of services whose models this process has loaded once, to see that they can be."""


@dataclass(frozen=True)
class Placement:
    """Where a network runs, and how many images at once.

    Attributes:
        device: ``auto`` for a GPU where there is one, or ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        batch: Most images at once.
        num_gpus: Share of a GPU that Ray reserves for it, where there is one; 0 runs beside what else is on
            it.
    """

    device: str = "auto"
    batch: int = 8
    num_gpus: float = 0.0

    def problems(self) -> list[Problem]:
        """What is wrong with it."""
        found = []
        if self.device.partition(":")[0] not in DEVICES:
            found.append(
                Problem(
                    "device",
                    f"must be one of {', '.join(DEVICES)}, or cuda:1 and so on (got {self.device!r})",
                )
            )
        if isinstance(self.batch, bool) or not isinstance(self.batch, int) or not 1 <= self.batch <= 1024:
            found.append(Problem("batch", f"must be a whole number from 1 to 1024 (got {self.batch!r})"))
        if (
            isinstance(self.num_gpus, bool)
            or not isinstance(self.num_gpus, int | float)
            or not 0 <= self.num_gpus <= 8
        ):
            found.append(Problem("num_gpus", f"must be a number from 0 to 8 (got {self.num_gpus!r})"))
        elif self.num_gpus > 1 and self.num_gpus % 1:
            found.append(
                Problem(
                    "num_gpus",
                    f"must be a whole number above 1 (got {self.num_gpus!r}); one GPU can be shared",
                )
            )
        return found


@dataclass(frozen=True)
class ModelService(Service[Q, A]):
    """A network; subclasses say how it is loaded.

    Attributes:
        model: Its name.
        weights: Its weights: a name, a file, or "" for the ones that belong to the model.
        placement: Where it runs.
    """

    model: str
    weights: str
    placement: Placement

    @property
    def key(self) -> str:
        return f"{type(self).__name__} {self.model} {self.weights} {self.placement}"

    @property
    def batch(self) -> int:
        return self.placement.batch

    @property
    def num_gpus(self) -> float:
        return self.placement.num_gpus

    def open(self) -> Callable[[Sequence[Q]], Sequence[A | PixarisError]]:
        import torch

        try:
            device = torch.device(
                _best_device(torch) if self.placement.device == "auto" else self.placement.device
            )
            if device.type == "cpu":
                torch.set_num_threads(os.cpu_count() or 1)  # Ray allows its processes one
            answer = self.load(device)
        except Exception as error:
            # torch and the models' libraries raise many kinds, and each means that the model cannot be used
            log.debug("%s could not be loaded", self.model, exc_info=True)
            first = str(error).strip().partition("\n")[0]
            what = f"the model {self.model!r} ({self.weights or 'its own weights'})"
            way_out = "give a file of weights, or put them where the library looks (docs/learned-metrics.md)"
            raise ConfigurationError(
                f"{what} cannot be loaded: {type(error).__name__}: {first}; {way_out}"
            ) from None

        def answered(requests: Sequence[Q]) -> Sequence[A | PixarisError]:
            with torch.inference_mode():
                return answer(requests)

        return answered

    def problem(self) -> str:
        """Why the model cannot be loaded, on the CPU of this process; "" if it can."""
        if self.key not in _LOADABLE:
            try:
                replace(self, placement=replace(self.placement, device="cpu")).open()
            except ConfigurationError as error:
                return error.problems[0].message
            _LOADABLE.add(self.key)
        return ""

    @abstractmethod
    def load(self, device: Any) -> Callable[[Sequence[Q]], Sequence[A | PixarisError]]:  # noqa: ANN401  (a torch.device)
        """Load the network onto a device; gives what answers a batch."""


def _best_device(torch: Any) -> str:  # noqa: ANN401  (the module)
    if torch.cuda.is_available():
        return "cuda"
    if torch.backends.mps.is_available():
        return "mps"
    return "cpu"


class Remembered:
    """Answers each request once and remembers the answers last used: references and prompts come back in
    every trial.

    Args:
        answer: Answers several requests.
        key: Equal for requests with equal answers.
    """

    def __init__(
        self, answer: Callable[[Sequence[Any]], Sequence[Any]], key: Callable[[Any], Hashable]
    ) -> None:
        self._answer = answer
        self._key = key
        self._known: OrderedDict[Hashable, Any] = OrderedDict()

    def __call__(self, requests: Sequence[Any]) -> list[Any]:
        new = {self._key(request): request for request in requests if self._key(request) not in self._known}
        if new:
            found = dict(zip(new, self._answer(list(new.values())), strict=True))
        else:
            found = {}
        answers = [
            found[key] if (key := self._key(request)) in found else self._known[key] for request in requests
        ]
        for request, answer in zip(requests, answers, strict=True):
            self._known[self._key(request)] = answer
            self._known.move_to_end(self._key(request))
        while len(self._known) > _KNOWN:
            self._known.popitem(last=False)
        return answers


def grouped(requests: Sequence[T], shape: Callable[[T], Hashable]) -> list[list[int]]:
    """Places of the requests that have one shape, for each shape: only those can be one tensor."""
    groups: dict[Hashable, list[int]] = {}
    for place, request in enumerate(requests):
        groups.setdefault(shape(request), []).append(place)
    return list(groups.values())


class LearnedMetric(HostedMetric):
    """A metric that asks a network.

    Attributes:
        modules: What must be installed.
    """

    extra = "learned"
    parallel = WAITING  # calls wait for the network, in one batch
    modules: tuple[str, ...] = ("torch",)

    def services(self) -> tuple[Service[Any, Any], ...]:
        return (vars(self)["_service"],)

    def problems(self) -> list[str]:
        """The model is loaded once before anything is generated: weights that are not there are told now."""
        service: ModelService[Any, Any] = vars(self)["_service"]
        problem = service.problem()
        if problem:
            return [problem]
        return []

    def placed(self, device: str, batch: int, num_gpus: float, weights: object = "") -> Placement:
        """Check what all networks have in common.

        Args:
            device: As in `Placement`.
            batch: As in `Placement`.
            num_gpus: As in `Placement`.
            weights: A file that must exist, if it is the path of one.

        Raises:
            ConfigurationError: All that is wrong.
        """
        placement = Placement(str(device), batch, num_gpus)
        problems = placement.problems()
        if not isinstance(weights, str):
            problems.append(
                Problem("weights", f"must be text, the path of a file or a name (got {weights!r})")
            )
        elif _is_path(weights) and not Path(weights).exists():
            problems.append(Problem("weights", f"{weights} does not exist"))
        try:
            require(type(self).__name__, self.extra, *self.modules)
        except ConfigurationError as error:
            problems += error.problems
        if problems:
            raise ConfigurationError(problems)
        return placement


def _is_path(weights: str) -> bool:
    return "/" in weights or weights.endswith((".pt", ".pth", ".bin", ".safetensors", ".ckpt"))

"""What a metric leans on, and who keeps it: services and hosts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import ClassVar, Generic, Literal, TypeAlias, TypeVar

from pixaris.exceptions import PixarisError

Q = TypeVar("Q")
A = TypeVar("A")
Scope: TypeAlias = Literal["node", "cluster"]


class Service(ABC, Generic[Q, A]):
    """The description of something costly that answers requests: immutable, picklable.

    A host opens it once for everybody with an equal `key`, in the process that it chooses, and asks it from
    its own threads.

    Attributes:
        scope: "node" for what each machine may have one of (a model), "cluster" for what there is one of (an
            account).
    """

    scope: ClassVar[Scope] = "node"

    @property
    @abstractmethod
    def key(self) -> str:
        """Names all that makes this service another one; holds no secret."""

    @property
    def batch(self) -> int:
        """Most requests that are answered together."""
        return 1

    @property
    def parallel(self) -> int:
        """Batches that are answered at once."""
        return 1

    @property
    def num_gpus(self) -> float:
        """Share of a GPU to reserve where there is one."""
        return 0.0

    @abstractmethod
    def open(self) -> Callable[[Sequence[Q]], Sequence[A | PixarisError]]:
        """Load the model, reach the account; called once, in the process that keeps it.

        Returns:
            Takes 1 to `batch` requests and gives as many answers; what it raises is every request's answer.
        """


class Host(ABC):
    """Keeps services and asks them. Thread-safe."""

    @abstractmethod
    def submit(self, service: Service[Q, A], request: Q) -> Future[A]:
        """Ask a service, which is opened if it is not yet; the future raises what the service did."""

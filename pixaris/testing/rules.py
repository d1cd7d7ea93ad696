"""How a contract is broken: what every suite of `contracts` says it with."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_CHECK_SECONDS = 0.02


class ContractError(AssertionError):
    """An implementation breaks the contract of its seam; the message says which rule."""


def require(holds: bool, rule: str) -> None:
    """Return if a rule holds.

    Raises:
        ContractError: It does not.
    """
    if not holds:
        raise ContractError(rule)


def eventually(holds: Callable[[], bool], rule: str, seconds: float) -> None:
    """Return once a rule holds.

    Raises:
        ContractError: It does not within so many seconds.
    """
    deadline = time.monotonic() + seconds
    while not holds():
        require(time.monotonic() < deadline, f"{rule} (waited {seconds:g} s)")
        time.sleep(_CHECK_SECONDS)


def copied(thing: T) -> T:
    """A thing as it comes out of another process.

    Raises:
        ContractError: It does not pickle.
    """
    try:
        copy: T = pickle.loads(pickle.dumps(thing))
    except Exception as error:  # pickling raises whatever the object's own methods raise
        raise ContractError(
            f"{type(thing).__name__} must pickle, because it travels to other processes: {error}"
        ) from error
    return copy

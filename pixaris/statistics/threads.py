"""Linear algebra of some hundred rows, by one thread."""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager
from typing import Any

from threadpoolctl import ThreadpoolController


@functools.cache
def _libraries() -> ThreadpoolController:
    """The linear algebra of this process: NumPy has its own, and SciPy another one, which is loaded late."""
    import scipy.linalg  # noqa: F401

    return ThreadpoolController()


def one_thread() -> AbstractContextManager[Any]:
    """Let one thread do the linear algebra in the block.

    Matrices of some hundred rows are too small to be shared: a search by a Gaussian process took four times
    the CPU with a thread for each of two processors, which spend it waiting for each other, and twice the
    time where others work on the machine too.
    """
    limit: AbstractContextManager[Any] = _libraries().limit(limits=1, user_api="blas")
    return limit

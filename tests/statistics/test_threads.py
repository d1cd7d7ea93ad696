"""Linear algebra by one thread, and by as many as before afterwards."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
from threadpoolctl import ThreadpoolController

from pixaris.statistics import gaussian_process
from pixaris.statistics.gaussian_process import Cells, GaussianProcess, Hyperparameters, Kernel


def blas() -> list[int]:
    return [one.num_threads for one in ThreadpoolController().select(user_api="blas").lib_controllers]


def test_a_process_is_asked_by_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    ThreadpoolController().select(user_api="blas").limit(limits=2)
    seen = []

    def cho_factor(*given: object, **options: object) -> object:
        seen.append(set(blas()))
        return scipy.linalg.cho_factor(*given, **options)

    monkeypatch.setattr(gaussian_process, "cho_factor", cho_factor)
    kernel = Kernel(np.array([False]), 2)
    cells = Cells(np.array([[0.0], [0.5], [1.0]]), np.array([0, 1, 0]))
    values = np.array([0.0, 1.0, 0.5])
    fitted = GaussianProcess.fit(kernel, cells, values, Hyperparameters.default(1))
    fitted.posterior(np.array([[0.25]]))
    assert seen
    assert set.union(*seen) == {1}
    assert set(blas()) == {2}

"""Sets that somebody rejects while their search runs, on Ray."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
import resume_kit
from resume_kit import GRID

from pixaris.results.evidence.rejected import reject
from pixaris.results.paths import SearchPaths
from pixaris.results.report import Stop

pytestmark = pytest.mark.usefixtures("ray_session")

REJECTED = (0, 2)
SECONDS = 120.0


def rejecting(results: Path) -> threading.Thread:
    """Reject the baseline and a set as soon as there is a search."""

    def wait() -> None:
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            for head in results.rglob(SearchPaths.HEAD):
                for number in REJECTED:
                    reject(SearchPaths(head.parent), number, "ann")
                return
            time.sleep(0.02)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


@pytest.mark.parametrize("scheduler", ["fifo", "race"])
def test_a_rejected_set_ends_with_its_first_report_and_the_baseline_does_not(
    scheduler: str, tmp_path: Path
) -> None:
    thread = rejecting(tmp_path)
    grid = {"space": GRID, "algorithm": "grid", "algorithm_options": {}, "num_samples": None}
    options = {"scheduler": scheduler, "step": None if scheduler == "race" else 1, "max_concurrent": 2}
    result = resume_kit.search(tmp_path, 0.0, **grid, **options).run()
    thread.join()
    assert result.status == "finished"
    stopped = result.trials[2]
    assert stopped.stop == Stop("user", stopped.items, note="rejected by ann")
    assert stopped.items < len(result.items)
    assert result.trials[0].status == "finished"
    assert result.best is not None
    assert result.best.number != 2

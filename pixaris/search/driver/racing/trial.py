"""A trial that may change its process after every item."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pixaris.experiment.snapshots import RunSnapshot, digests, with_images
from pixaris.images import EncodedImage
from pixaris.results.report import REPORT, TrialReport
from pixaris.search.algorithms.race import SNAPSHOT
from pixaris.search.driver.storage.own import own_key
from pixaris.search.driver.trial import ExperimentTrial
from pixaris.types import ItemResult, RunRecord

_HOPELESS = 0.25
"""A trial none of whose images comes is ended after this part of the items."""


def turn_of(run_id: str, items: int) -> str:
    """What the item after so many is called towards the endpoints: whoever asks for it asks for the same."""
    return f"{run_id}/{items}"


class RacedTrial(ExperimentTrial):
    """Runs one item of one set, then perhaps one of another.

    Its process keeps nothing of a set that it gives up: what it knows of it goes to the driver with the
    report, and comes back with the configuration. Images lie in the search's own store where that folder is
    shared, else they travel along. Each item is asked for under a name of its own, so that whoever runs it
    finds what the driver has asked for ahead. The driver ends the runs of sets that fell.
    """

    def _begin(self, config: Mapping[str, Any]) -> None:
        super()._begin(config)
        snapshot = config.get(SNAPSHOT)
        if snapshot is None:
            return
        before = RunSnapshot.unpack(snapshot)
        whole = {index: self._whole(result) for index, result in before.results.items()}
        there = {index: result for index, result in whole.items() if result is not None}
        self._run.go_on_from(RunSnapshot(there, before.started, before.seconds))
        # What is not there any more is made again, and does not count as new.
        self._reported = max(0, self._reported - len(there))

    def _whole(self, result: ItemResult) -> ItemResult | None:
        """A result with its images; None where the store does not have them, and the item is made again."""
        if not digests(result):
            return result
        images: list[EncodedImage] = []
        for repeat in range(self._setup.seeds):
            kept = self._config.services.store.get(own_key(self._run_id, result.name, repeat))
            images += [] if kept is None else [kept.image, *kept.others]
        return with_images(result, images)

    def step(self) -> dict[str, object]:
        """Generate and score the next item. That a run went through is the scheduler's to say to Tune, when
        its process is needed.
        """
        result = super().step()
        report: TrialReport = result[REPORT]
        # Done to Tune means that the process may go: only what ends the search says so by itself.
        result["done"] = report.state in ("interrupted", "broken")
        if report.state == "running":
            result[SNAPSHOT] = self._run.snapshot().pack(with_images=not self._has_store)
        return result

    def _advance(self) -> TrialReport:
        self._take_turn()
        report = super()._advance()
        if self._first:
            self._config.services.barrier.wait(self._run_id, lambda: self._pool.stopping)
            self._first = False
        return report

    def _take_turn(self) -> None:
        """Ask for the next item under its name."""
        if self._pooled is None:
            return
        # The last item is answered by now: nothing is cancelled by closing its name.
        self._give_back()
        turn = turn_of(self._run_id, len(self._run.snapshot().results) + self._reported)
        self._pooled.pool, self._pooled.run = self._config.services.pool.connect(turn), turn

    def _give_back(self) -> None:
        if self._pooled is not None and self._pooled.pool is not self._pool:
            self._pooled.pool.close()
            self._pooled.pool = self._pool

    def _hopeless(self, record: RunRecord) -> bool:
        enough = len(record.items) >= math.ceil(_HOPELESS * len(self._setup.eval_set))
        return enough and super()._hopeless(record)

    def _end(self) -> None:
        self._give_back()

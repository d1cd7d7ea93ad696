"""Ends the runs of sets that fell: their processes have gone on with other sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from pixaris.exceptions import PixarisError
from pixaris.experiment.scoring import Scorer
from pixaris.experiment.snapshots import RunSnapshot, digests, with_images
from pixaris.experiment.submitters import Submitter
from pixaris.files import storing
from pixaris.generation.base import ItemArgs
from pixaris.search.algorithms.race_book import Over
from pixaris.search.driver.storage.own import own_key
from pixaris.search.driver.trial import TrialConfig, experiment_run
from pixaris.types import GeneratedImage, ItemResult, ParamValue, RunStatus


class _Nothing(Submitter):
    """Starts nothing: the run is over."""

    def submit(self, items: Sequence[ItemArgs], priority: int) -> list[Future[GeneratedImage]]:
        raise AssertionError("a run that is only ended starts nothing")

    def promote(self, futures: Sequence[Future[GeneratedImage]]) -> None:
        pass

    def cancel(self, futures: Sequence[Future[GeneratedImage]]) -> None:
        pass


class RunCloser:
    """Stores how runs ended, in a thread of its own: Tune's loop is not to wait for a disk.

    Args:
        config: What trials are made from.
        failed: Called where that is not possible.
    """

    def __init__(self, config: TrialConfig, failed: Callable[[PixarisError], object]) -> None:
        self._config = config
        self._failed = failed
        self._scorer = Scorer(())
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pixaris-closing")

    def close_run(self, over: Over, values: Mapping[str, ParamValue], status: RunStatus) -> None:
        """Store that a trial's run is over."""
        if over.snapshot is not None:
            snapshot = RunSnapshot.unpack(over.snapshot)
            self._thread.submit(self._close_run, over.number, dict(values), snapshot, status)

    def _close_run(
        self, number: int, values: Mapping[str, ParamValue], snapshot: RunSnapshot, status: RunStatus
    ) -> None:
        config = self._config
        try:
            run = experiment_run(config, config.setup, number, values, _Nothing(), self._scorer)
            results = {index: self._whole(number, one) for index, one in snapshot.results.items()}
            # A trial's process keeps nothing of a set that it gave up: the run is made again from what it
            # told.
            run.go_on_from(RunSnapshot(results, snapshot.started, snapshot.seconds))
            with storing(config.log_file.parent.parent):
                run.finish(status)
        except PixarisError as error:
            self._failed(error)

    def _whole(self, number: int, result: ItemResult) -> ItemResult:
        """A result with its images where the store has them; a handler that has stored them needs none."""
        if not digests(result):
            return result
        store, run_id = self._config.services.store, self._config.run_id(number)
        kept = [store.get(own_key(run_id, result.name, repeat)) for repeat in range(self._config.setup.seeds)]
        images = [image for one in kept if one is not None for image in (one.image, *one.others)]
        return with_images(result, images) or result

    def close(self) -> None:
        """Return when all that was asked for is stored."""
        self._thread.shutdown(wait=True)

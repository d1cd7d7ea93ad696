"""Prefetch: images are asked for while the trials' processes are still coming up, or busy with
other trials.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future

from pixaris.endpoints.ray import RayPool
from pixaris.exceptions import PixarisError
from pixaris.experiment.scoring import Scorer
from pixaris.experiment.submitters import AHEAD, Submitter, request_of_run
from pixaris.generation.base import ItemArgs
from pixaris.search.driver.trial import TrialConfig, experiment_run
from pixaris.types import GeneratedImage, ParamValue

log = logging.getLogger(__name__)


class Prefetcher:
    """Queues for a trial what it will queue itself: same run, same requests, same name towards the pool.

    Args:
        config: What trials are made from, and for which of them images are prefetched.
        pool: Runs the requests.
        upcoming: As `BaselineFirst.upcoming`.
    """

    def __init__(
        self,
        config: TrialConfig,
        pool: RayPool,
        upcoming: Callable[[int], Sequence[Mapping[str, ParamValue]]],
    ) -> None:
        self._config = config
        self._pool = pool
        self._upcoming = upcoming
        self._begun = 0
        self._served = 0
        self._settled = False
        self._scorer = Scorer(())

    def prefetch(self, number: int, values: Mapping[str, ParamValue]) -> None:
        """Queue a new trial's first images, if they are prefetched, and those of the trials known to come
        after it.

        The first call returns when the endpoint workers are up: the trials' processes, which start next,
        would keep them from it.
        """
        if self._begun < self._config.pace.processes:
            self._begun += 1
            self._config.services.barrier.expect(self._config.run_id(number))
        if self._config.prefetch.covers(number):
            self._reach(number, values)
        if not self._settled:
            self._pool.wait_for_workers()
            self._settled = True

    def _reach(self, number: int, values: Mapping[str, ParamValue]) -> None:
        prefetch = self._config.prefetch
        end = max(prefetch.first, number + 1 + prefetch.beyond)
        for place, one in enumerate([values, *self._upcoming(end)], number):
            if place >= self._served:
                self._serve(place, one)
                self._served = place + 1

    def _serve(self, number: int, values: Mapping[str, ParamValue]) -> None:
        config = self._config
        try:
            sender = _Sender(config, config.run_id(number))
            experiment_run(config, config.setup, number, values, sender, self._scorer).start_ahead(
                config.pace.step + config.pace.ahead
            )
        except PixarisError:  # the trial itself will meet it, and tell
            log.debug("nothing is prefetched for trial %d", number, exc_info=True)


class _Sender(Submitter):
    """Sends a run's requests, and leaves it to the trial to collect the images; what is in the cache the
    trial takes itself.
    """

    def __init__(self, config: TrialConfig, run: str) -> None:
        self._config = config
        self._pool: RayPool = config.services.pool.connect(run)
        self._run = run

    def submit(self, items: Sequence[ItemArgs], priority: int) -> list[Future[GeneratedImage]]:
        generator, known = self._config.setup.generator, self._config.services.known
        requests = [request_of_run(generator.request(args), args, self._run) for args in items]
        missing = [request for request in requests if known.get(request.cache_key) is None]
        if missing:
            self._pool.send(missing, priority=AHEAD)
        return [Future() for _ in requests]

    def promote(self, futures: Sequence[Future[GeneratedImage]]) -> None:
        pass  # the trial does that when it waits

    def cancel(self, futures: Sequence[Future[GeneratedImage]]) -> None:
        pass  # the pool cancels what nobody collects

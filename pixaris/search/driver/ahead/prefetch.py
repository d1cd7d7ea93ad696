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
from pixaris.search.driver.storage.own import own_key
from pixaris.search.driver.trial import TrialConfig, experiment_run
from pixaris.types import GeneratedImage, GenerationRequest, ParamValue

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
            sender = Sender(config, config.run_id(number))
            experiment_run(config, config.setup, number, values, sender, self._scorer).start_ahead(
                config.pace.step + config.pace.ahead
            )
        except PixarisError:  # the trial itself will meet it, and tell
            log.debug("nothing is prefetched for trial %d", number, exc_info=True)


class Sender(Submitter):
    """Sends a run's requests, and leaves it to the trial to collect the images; what is kept already the
    trial takes itself.

    Args:
        config: What trials are made from.
        run_id: Of the run.
        name: Under which the trial will ask for them, by default the run's id.
        priority: Of the requests.
    """

    def __init__(self, config: TrialConfig, run_id: str, name: str = "", priority: int = AHEAD) -> None:
        self._config = config
        self._run_id = run_id
        self._name = name or run_id
        self._priority = priority
        self._pool: RayPool = config.services.pool.connect(self._name)

    def submit(self, items: Sequence[ItemArgs], priority: int) -> list[Future[GeneratedImage]]:
        generator = self._config.setup.generator
        missing = []
        for args in items:
            request = request_of_run(generator.request(args), args, self._name)
            if not self._is_kept(args, request):
                missing.append(request)
        if missing:
            self._pool.send(missing, priority=self._priority)
        # Nobody waits for these: the trial asks for the same under the same name, and is answered.
        return [Future() for _ in items]

    def _is_kept(self, args: ItemArgs, request: GenerationRequest) -> bool:
        services = self._config.services
        own = services.store.get(own_key(self._run_id, args.item, args.repeat))
        return own is not None or services.cache.get(request.cache_key) is not None

    def promote(self, futures: Sequence[Future[GeneratedImage]]) -> None:
        pass  # the trial does that when it waits

    def cancel(self, futures: Sequence[Future[GeneratedImage]]) -> None:
        pass  # the pool cancels what nobody collects

"""A trial: an experiment run as a Ray Tune `Trainable`, reused from one parameter set to the next."""

from __future__ import annotations

import contextlib
import errno
import math
import os
import pickle
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ray import tune

from pixaris.cache.base import CacheStore
from pixaris.endpoints.ray import RayPoolConfig
from pixaris.endpoints.ray.messages import ActorHandle
from pixaris.exceptions import (
    AccountError,
    CancelledRequestError,
    NoEndpointError,
    OutOfMemoryError,
    PixarisError,
    StorageError,
)
from pixaris.experiment.caching import CachingSubmitter, Layer
from pixaris.experiment.run import ExperimentRun
from pixaris.experiment.scoring import Scorer
from pixaris.experiment.setup import RunSetup
from pixaris.experiment.submitters import PoolSubmitter, Submitter, submitter_of
from pixaris.experiment_handlers.base import ExperimentHandler
from pixaris.files import append_text, storing
from pixaris.generation.base import ImageGenerator, ItemArgs, has_own_values
from pixaris.results.paths import trial_name
from pixaris.results.report import TrialReport, TrialState, Usage
from pixaris.search.driver.barrier import StartBarrier
from pixaris.search.driver.identity import run_id_of
from pixaris.search.driver.metric_hosts import RayHostConfig, hosted
from pixaris.search.driver.spending import BudgetedSubmitter
from pixaris.search.driver.storage.base import DriverStorage
from pixaris.search.driver.storage.own import own_key
from pixaris.search.driver.storage.remote import RemoteCache, RemoteHandler, RemoteStorage
from pixaris.search.driver.tune.reporting import as_result
from pixaris.search.space.space import Space
from pixaris.types import EvalItem, EvalSet, ParamValue, RunRecord

_CHECKPOINT = "results.pickle"
_OUT_OF_MEMORY_ITEMS = 2
"""Items of a trial that no endpoint has the memory for, after which the others are not tried."""


@dataclass(frozen=True)
class TrialPace:
    """How a trial goes on.

    Attributes:
        step: Items between two reports.
        ahead: Items to queue while Tune thinks; more where scoring takes longer than generating and nothing
            is stopped. 0: none.
        stops: Whether the scheduler may end a trial early: then what is queued beyond the next step is likely
            to be made in vain.
        slots: Images that all endpoints generate at once.
        parallel: Calls at once, for generators that make their images themselves.
        processes: How many processes the trials will have.
    """

    step: int
    ahead: int
    stops: bool
    slots: int
    parallel: int
    processes: int


@dataclass(frozen=True)
class Prefetch:
    """For which trials the driver queues the first images.

    Attributes:
        first: How many trials, from the first, before their processes are up.
        beyond: How many trials beyond those that run, all the time.
    """

    first: int
    beyond: int

    def covers(self, number: int) -> bool:
        """Whether the driver queues a trial's first images."""
        return self.beyond > 0 or number < self.first


@dataclass(frozen=True)
class Services:
    """What trials share while the search runs.

    Attributes:
        pool: How to reach the endpoints.
        barrier: Where the first trials wait for each other's processes.
        ledger: The actor that counts the search's budget, or None if it has none.
        hosts: How to reach what metrics lean on; None if they lean on nothing.
        store: Images that the search has made, for the process that goes on with it.
        cache: Images that need not be generated again.
        storage: How trials of other nodes reach what lies on the driver's machine; None where there are none.
    """

    pool: RayPoolConfig
    barrier: StartBarrier
    ledger: ActorHandle
    hosts: RayHostConfig | None
    store: CacheStore
    cache: CacheStore
    storage: DriverStorage | None = None


@dataclass(frozen=True)
class TrialConfig:
    """What every trial of a search is made from; it travels to the trial processes once.

    Attributes:
        search_id: Unique for the search; makes run ids.
        setup: Eval set, generator, metrics, and the items' order.
        handler: Keeps the results.
        space: Binds values to parameters.
        objectives: Names of the scores that are optimised, the leading one first.
        pace: How a trial goes on.
        prefetch: For which trials the driver queues the first images.
        services: What trials share.
        log_file: Where a trial's unexpected errors are written with their traceback.
    """

    search_id: str
    setup: RunSetup
    handler: ExperimentHandler
    space: Space
    objectives: tuple[str, ...]
    pace: TrialPace
    prefetch: Prefetch
    services: Services
    log_file: Path

    def run_id(self, number: int) -> str:
        """As `run_id_of`."""
        return run_id_of(self.search_id, number)


def experiment_run(
    config: TrialConfig,
    setup: RunSetup,
    number: int,
    values: Mapping[str, ParamValue],
    submitter: Submitter,
    scorer: Scorer,
) -> ExperimentRun:
    """A trial's experiment run.

    Args:
        config: What trials are made from.
        setup: As the config has it, or with the metrics of this process.
        number: The trial's.
        values: Its parameter set.
        submitter: Starts its items.
        scorer: Scores its images.
    """
    return ExperimentRun(
        setup=setup,
        submitter=submitter,
        handler=config.handler,
        name=trial_name(number),
        params=config.space.bind(values, partial=number == 0 and has_own_values(setup.generator)),
        images=config.space.bind_images(values),
        values=values,
        notes={"trial": number, "baseline": number == 0},
        id=config.run_id(number),
        scorer=scorer,
    )


class ExperimentTrial(tune.Trainable):
    """Runs one parameter set after another in one process.

    The process is reused (`reset_config`), because starting one costs more than many a trial. A trial that a
    scheduler stops gets no call of its own, so the old run is ended wherever the next thing happens: in
    `reset_config` or in `cleanup`.
    """

    def setup(self, config: dict[str, object], trials: TrialConfig) -> None:
        # on the driver's machine, or where folders are shared: a folder that is gone is not made anew
        self._search_folder = trials.log_file.parent.parent
        self._shares_folder = self._search_folder.is_dir()
        self._remote = _remote(trials.services.storage, self._search_folder)
        # A folder of this name on this node is another one: nobody looks into it.
        if self._remote is not None:
            self._shares_folder = False
            trials = kept_remotely(trials, self._remote)
        self._has_store = self._shares_folder or self._remote is not None
        services = trials.services
        self._config = trials
        self._pool = services.pool.connect()
        setup = trials.setup
        if services.hosts is not None:
            # Networks that metrics share are held once for each node, not in every trial's process.
            setup = replace(setup, metrics=hosted(setup.metrics, services.hosts.connect()))
        self._setup = setup
        self._pooled = PoolSubmitter(setup.generator, self._pool) if setup.generator.uses_endpoints else None
        self._submitter = submitter_of(setup.generator, self._pooled, trials.pace.parallel)
        self._scorer = Scorer(setup.metrics, setup.objectives)
        self._first = True  # of this process's trials
        self._budgeted: BudgetedSubmitter | None = None
        if services.ledger is not None:
            price = partial(_price, setup.generator) if setup.generator.charges else None
            self._submitter = self._budgeted = BudgetedSubmitter(self._submitter, services.ledger, price)
        # before the cache: what this search has made counts as made also when it is resumed, although the
        # cache has it, too
        own = Layer(self._own_key, services.store, own=True)
        layers = (own, Layer(setup.generator.cache_key, services.cache))
        self._submitter = CachingSubmitter(self._submitter, layers)
        self._begin(config)

    def _begin(self, config: Mapping[str, Any]) -> None:
        trials = self._config
        values: Mapping[str, ParamValue] = config["values"]
        number: int = config["number"]
        if self._budgeted is not None:
            self._budgeted.trial = number
        self._run_id = trials.run_id(number)
        self._taking_over = self._pooled is not None and trials.prefetch.covers(number)
        if self._pooled is not None:
            self._pooled.pool, self._pooled.run = self._pool, ""
        if self._pooled is not None and self._taking_over:
            # Under the run's own name: what the driver has queued for it is then answered here.
            self._pooled.pool, self._pooled.run = trials.services.pool.connect(self._run_id), self._run_id
        self._reported = int(config.get("reported", 0))
        self._stepped = False
        self._broken = False
        self._run = experiment_run(trials, self._setup, number, values, self._submitter, self._scorer)

    def _own_key(self, args: ItemArgs) -> str:
        """The key of an image in the search's own store: whose it is, whatever it was made of."""
        return own_key(self._run_id, args.item, args.repeat)

    def step(self) -> dict[str, Any]:
        """Generate and score the next items; called again until the result says ``done``."""
        self._stepped = True
        try:
            with storing(self._search_folder):
                report = self._advance()
        except (CancelledRequestError, NoEndpointError, AccountError) as error:
            report = self._report(self._run.finish("interrupted"), "interrupted", str(error))
        except Exception as error:  # noqa: BLE001  (it ends the search; its traceback goes to the log file)
            # Not an image's failure but the search's own (results that cannot be written, a bug): every trial
            # would fail so.
            self._broken = True
            if not isinstance(error, StorageError):
                self._log_failure()
            reason = str(error) if isinstance(error, PixarisError) else f"{type(error).__name__}: {error}"
            report = self._report(self._run.record("failed"), "broken", reason)
        return as_result(report)

    def _log_failure(self) -> None:
        """Write down the traceback of the exception that is being handled."""
        text = f"{self._run.name}\n{traceback.format_exc()}\n"
        if self._remote is not None:
            self._remote.log(text)
            return
        with contextlib.suppress(OSError):  # the disk may be what failed; the reason travels with the result
            append_text(self._config.log_file, text)

    def _advance(self) -> TrialReport:
        pace, barrier = self._config.pace, self._config.services.barrier
        if self._shares_folder and not self._search_folder.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self._search_folder))
        if self._first:
            barrier.arrive(self._run_id)
        if self._taking_over:  # ask for all that the driver has asked for, before any of it comes
            self._taking_over = False
            self._run.start_ahead(pace.step + pace.ahead)
        # what an earlier process of the search has reported already is not reported again
        count, self._reported = self._reported + pace.step, 0
        record = self._run.advance(count, ahead=self._ahead() if pace.ahead else 0)
        short = [item for item in record.items if isinstance(item.error, OutOfMemoryError)]
        if len(short) >= _OUT_OF_MEMORY_ITEMS:
            reason = f"its parameters need more memory than the endpoints have: {short[0].error}"
            return self._report(self._run.finish("failed"), "failed", reason)
        if not self._run.done and not self._hopeless(record):
            self._run.start_ahead(max(pace.ahead, self._ahead()) if pace.ahead else 0)
            return self._report(record, "running")
        scored = all(name in record.metrics for name in self._config.objectives)
        record = self._run.finish("finished" if scored else "failed")
        if self._first:
            # Only a process's first trial: see `StartBarrier` for what Tune would do with the process.
            barrier.wait(self._run_id, lambda: self._pool.stopping)
        self._first = False
        return self._report(record, "ended")

    def _hopeless(self, record: RunRecord) -> bool:
        """Whether nothing was made of any item."""
        return bool(record.items) and all(item.generated is None for item in record.items)

    def _ahead(self) -> int:
        """Items to generate while others are scored: where nothing is stopped, all of the next step at
        least.
        """
        pace = self._config.pace
        wanted = math.ceil(self._scorer.ahead(pace.slots) / self._setup.seeds)
        if pace.stops:
            return min(wanted, pace.ahead)
        return max(wanted, pace.ahead)

    def _report(self, record: RunRecord, state: TrialState, error: str = "") -> TrialReport:
        if not error and record.failures:
            error = str(record.failures[0].error)
        if not error:
            unscored: Mapping[str, str] = record.notes.get("metric_failures", {})
            error = "; ".join(f"{name}: {why}" for name, why in unscored.items())
        means = {name: summary.mean for name, summary in record.metrics.items()}
        return TrialReport(
            objectives=tuple(means.get(name) for name in self._config.objectives),
            items=len(record.items),
            failures=len(record.failures),
            scores=means,
            item_scores=record.item_scores,
            usage=Usage(
                seconds=record.seconds,
                cost=record.cost,
                unaccounted=record.unaccounted,
                cached=record.cached,
            ),
            state=state,
            error=error,
            remarks=tuple(record.notes.get("remarks", ())),
        )

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Keep the run for another process; only schedulers that pause trials ask for it."""
        (Path(checkpoint_dir) / _CHECKPOINT).write_bytes(pickle.dumps(self._run.snapshot()))

    def load_checkpoint(self, checkpoint_dir: str) -> None:
        """Go on with a run that was paused."""
        self._run.go_on_from(pickle.loads((Path(checkpoint_dir) / _CHECKPOINT).read_bytes()))

    def reset_config(self, new_config: dict[str, object]) -> bool:
        """Take the next parameter set in this process."""
        self._end()
        self._begin(new_config)
        return True

    def cleanup(self) -> None:
        """End with the process."""
        self._end()
        # The run first: it stores what has been scored.
        self._scorer.close()
        self._config.handler.close()
        self._pool.close()

    def _end(self) -> None:
        """End the run that a scheduler stopped, or that was interrupted; a finished one has ended itself.

        Tune sometimes makes a process for a trial and then gives the trial to another: a run without a step
        is not ours to end.
        """
        if self._broken or not self._stepped:
            return
        fatal = self._pool.status().fatal if self._setup.generator.charges else None
        # What had begun is charged all the same: its images are taken before the run is stored.
        if isinstance(fatal, AccountError):
            self._run.collect_started()
        self._run.finish("interrupted" if fatal is not None or self._pool.stopping else "stopped")
        if self._pooled is not None and self._pooled.pool is not self._pool:
            self._pooled.pool.close()


def _price(generator: ImageGenerator, args: ItemArgs) -> float | None:
    """What an item is expected to cost; its images are among the arguments."""
    return generator.cost(EvalSet("", (EvalItem(0, args.item),)), args)


def _remote(storage: DriverStorage | None, folder: Path) -> RemoteStorage | None:
    """How this process reaches the search's folder; None where it has the folder itself."""
    if storage is None or storage.is_shared(folder):
        return None
    return storage.connect()


def kept_remotely(trials: TrialConfig, remote: RemoteStorage) -> TrialConfig:
    """What trials are made from, on a node where all that is kept is sent to the driver's machine."""
    services = trials.services
    store, cache = RemoteCache(remote, "store"), RemoteCache(remote, "cache")
    services = replace(services, store=store, cache=cache)
    return replace(trials, handler=RemoteHandler(remote), services=services)

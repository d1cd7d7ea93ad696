"""A trial: an experiment run as a Ray Tune `Trainable`, reused from one parameter set to the next."""

from __future__ import annotations

import contextlib
import hashlib
import math
import pickle
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ray import tune

from pixaris.cache.base import CacheStore
from pixaris.endpoints.ray import RayPoolRecipe
from pixaris.exceptions import AccountError, CancelledRequestError, NoEndpointError, PixarisError
from pixaris.experiment.caching import CachingSubmitter
from pixaris.experiment.run import ExperimentRun, RunSetup
from pixaris.experiment.scoring import Scorer
from pixaris.experiment.submitters import PoolSubmitter, Submitter, ThreadSubmitter
from pixaris.experiment_handlers.base import ExperimentHandler
from pixaris.generation.base import ImageGenerator, ItemArgs
from pixaris.results.keys import TIME, objective_keys
from pixaris.results.records import trial_name
from pixaris.search.driver.metric_hosts import RayHostRecipe, hosted
from pixaris.search.driver.spending import BudgetedSubmitter
from pixaris.search.space.space import Space
from pixaris.types import EvalItem, EvalSet, ParamValue, RunRecord

_CHECKPOINT = "results.pickle"
_MEETING_SECONDS = 15.0
_LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class TrialRecipe:
    """What every trial of a search is made from; it travels to the trial processes once.

    Attributes:
        search_id: Unique for the search; makes run ids.
        setup: Eval set, generator, metrics.
        handler: Keeps the results.
        space: Binds values to parameters.
        objectives: Names of the scores that are optimised, the leading one first.
        step: Items between two reports.
        ahead: Items to queue while Tune thinks; more where scoring takes longer than generating and nothing
            is stopped. 0: none.
        stops: Whether the scheduler may end a trial early: then what is queued beyond the next step is likely
            to be made in vain.
        places: Images that all endpoints generate at once.
        parallel: Calls at once, for generators that make their images themselves.
        pool: How to reach the endpoints.
        store: Images that the search has made, for the process that goes on with it.
        cache: Images that need not be generated again, or None.
        ledger: The actor that counts the search's budget, or None if it has none.
        head_start: How many trials, from the first, have their first images queued by the driver before their
            processes are up.
        leads: How many trials beyond those that run have theirs queued by the driver all the time.
        processes: How many processes the trials will have.
        hosts: How to reach what metrics lean on; None if they lean on nothing.
        log_file: Where a trial's unexpected errors are written with their traceback.
    """

    search_id: str
    setup: RunSetup
    handler: ExperimentHandler
    space: Space
    objectives: tuple[str, ...]
    step: int
    ahead: int
    stops: bool
    places: int
    parallel: int
    pool: RayPoolRecipe
    store: CacheStore
    cache: CacheStore | None
    ledger: Any
    head_start: int
    leads: int
    processes: int
    hosts: RayHostRecipe | None
    log_file: Path

    def is_led(self, number: int) -> bool:
        """Whether the driver queues a trial's first images."""
        return self.leads > 0 or number < self.head_start

    def run_id(self, number: int) -> str:
        """Id of a trial's experiment run: whoever works for the trial uses it, also after its process
        died.
        """
        return f"{self.search_id}-{number}"


def experiment_run(
    recipe: TrialRecipe,
    setup: RunSetup,
    number: int,
    values: Mapping[str, ParamValue],
    submitter: Submitter,
    scorer: Scorer,
) -> ExperimentRun:
    """A trial's experiment run.

    Args:
        recipe: What trials are made from.
        setup: As the recipe has it, or with the metrics of this process.
        number: The trial's.
        values: Its parameter set.
        submitter: Starts its items.
        scorer: Scores its images.
    """
    return ExperimentRun(
        setup=setup,
        submitter=submitter,
        handler=recipe.handler,
        name=trial_name(number),
        params=recipe.space.bind(values, partial=number == 0 and setup.generator.workflow is not None),
        images=recipe.space.bind_images(values),
        values=values,
        notes={"trial": number, "baseline": number == 0},
        id=recipe.run_id(number),
        scorer=scorer,
    )


class ExperimentTrial(tune.Trainable):
    """Runs one parameter set after another in one process.

    The process is reused (`reset_config`), because starting one costs more than many a trial. A trial that a
    scheduler stops gets no call of its own, so the old run is ended wherever the next thing happens: in
    `reset_config` or in `cleanup`.
    """

    def setup(self, config: dict[str, Any], recipe: TrialRecipe) -> None:
        self._recipe = recipe
        self._pool = recipe.pool.connect()
        setup = recipe.setup
        if recipe.hosts is not None:
            setup = replace(setup, metrics=hosted(setup.metrics, recipe.hosts.connect()))
        self._setup = setup
        self._pooled = PoolSubmitter(setup.generator, self._pool) if setup.generator.uses_endpoints else None
        self._submitter: Submitter = self._pooled or ThreadSubmitter(setup.generator, recipe.parallel)
        self._scorer = Scorer(setup.metrics)
        self._alone = recipe.processes > 1
        self._budgeted: BudgetedSubmitter | None = None
        if recipe.ledger is not None:
            price = partial(_price, setup.generator) if setup.generator.charges else None
            self._submitter = self._budgeted = BudgetedSubmitter(self._submitter, recipe.ledger, price)
        if recipe.cache is not None:
            self._submitter = CachingSubmitter(setup.generator.cache_key, self._submitter, recipe.cache)
        # above the cache: what this search has made counts as made also when it is resumed, although the
        # cache has it, too
        self._submitter = CachingSubmitter(self._own_key, self._submitter, recipe.store, own=True)
        self._begin(config)

    def _begin(self, config: Mapping[str, Any]) -> None:
        recipe = self._recipe
        values: Mapping[str, ParamValue] = config["values"]
        number: int = config["number"]
        if self._budgeted is not None:
            self._budgeted.trial = number
        self._run_id = recipe.run_id(number)
        self._taking_over = self._pooled is not None and recipe.is_led(number)
        if self._pooled is not None:
            self._pooled.pool = recipe.pool.connect(self._run_id) if self._taking_over else self._pool
            self._pooled.run = self._run_id if self._taking_over else ""
        self._reported = int(config.get("reported", 0))
        self._started = time.monotonic()
        self._stepped = False
        self._broken = False
        self._run = experiment_run(recipe, self._setup, number, values, self._submitter, self._scorer)

    def _own_key(self, args: ItemArgs) -> str:
        """The key of an image in the search's own store: whose it is, whatever it was made of."""
        return hashlib.sha256("\0".join((self._run_id, args.item, str(args.repeat))).encode()).hexdigest()

    def step(self) -> dict[str, Any]:
        """Generate and score the next items; called again until the result says ``done``."""
        self._stepped = True
        try:
            return self._advance()
        except (CancelledRequestError, NoEndpointError, AccountError) as error:
            record = self._run.finish("interrupted")
            return self._result(record, done=True, interrupted=True, error=str(error))
        except Exception as error:  # noqa: BLE001  (it ends the search; its traceback goes to the log file)
            # Not an image's failure but the search's own (results that cannot be written, a bug): every trial
            # would fail so.
            self._broken = True
            log_failure(self._recipe.log_file, self._run.name)
            reason = str(error) if isinstance(error, PixarisError) else f"{type(error).__name__}: {error}"
            return {**self._result(self._run.record("failed"), done=True, error=reason), "broken": True}

    def _advance(self) -> dict[str, Any]:
        recipe = self._recipe
        if self._alone:
            self._pool.arrive(self._run_id)
        if self._taking_over:  # ask for all that the driver has asked for, before any of it comes
            self._taking_over = False
            self._run.start_ahead(recipe.step + recipe.ahead)
        # what an earlier process of the search has reported already is not reported again
        count, self._reported = self._reported + recipe.step, 0
        record = self._run.advance(count, ahead=self._ahead() if recipe.ahead else 0)
        hopeless = bool(record.items) and all(item.generated is None for item in record.items)
        done = self._run.done or hopeless
        if done:
            scored = all(name in record.metrics for name in recipe.objectives)
            record = self._run.finish("finished" if scored else "failed")
            self._meet_the_others()
        else:
            self._run.start_ahead(max(recipe.ahead, self._ahead()) if recipe.ahead else 0)
        return self._result(record, done=done)

    def _meet_the_others(self) -> None:
        """Do not end a trial before the first trials' processes are all at work, for some time.

        Tune gives the process of a trial that ends to one whose own process is still coming up, and kills
        that one. Trials that take less time than a process would never get a second one.
        """
        deadline = time.monotonic() + _MEETING_SECONDS
        while self._alone and self._pool.arrive(self._run_id):
            if time.monotonic() > deadline:
                break
            time.sleep(_LOOK_SECONDS)
        self._alone = False

    def _ahead(self) -> int:
        """Items to generate while others are scored: where nothing is stopped, all of the next step at
        least.
        """
        recipe = self._recipe
        wanted = -(-self._scorer.ahead(recipe.places) // recipe.setup.seeds)
        return min(wanted, recipe.ahead) if recipe.stops else max(wanted, recipe.ahead)

    def _result(
        self, record: RunRecord, *, done: bool, interrupted: bool = False, error: str = ""
    ) -> dict[str, Any]:
        names = self._recipe.objectives
        name = names[0]
        means = [record.metrics[each].mean if each in record.metrics else math.nan for each in names]
        by_index = {item.index: item.scores.get(name) for item in record.items}
        if not error and record.failures:
            error = str(record.failures[0].error)
        return {
            **dict(zip(objective_keys(len(names)), means, strict=True)),
            TIME: len(record.items),
            "scores": {key: value.mean for key, value in record.metrics.items()},
            "item_scores": [by_index.get(index) for index in range(len(record.eval_set))],
            "failures": len(record.failures),
            "cost": record.cost,
            "cached": record.cached,
            "unaccounted": record.unaccounted,
            "seconds": time.monotonic() - self._started,
            "remarks": record.notes.get("remarks", []),
            "interrupted": interrupted,
            "ended": done and not interrupted,
            "error": error,
            "broken": False,
            "done": done,
        }

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Keep the run for another process; only schedulers that pause trials ask for it."""
        (Path(checkpoint_dir) / _CHECKPOINT).write_bytes(pickle.dumps(self._run.snapshot()))

    def load_checkpoint(self, checkpoint_dir: str) -> None:
        """Go on with a run that was paused."""
        self._run.go_on_from(pickle.loads((Path(checkpoint_dir) / _CHECKPOINT).read_bytes()))

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next parameter set in this process."""
        self._end()
        self._begin(new_config)
        return True

    def cleanup(self) -> None:
        """End with the process."""
        self._end()
        self._scorer.close()
        self._recipe.handler.close()
        self._pool.close()

    def _end(self) -> None:
        """End the run that a scheduler stopped, or that was interrupted; a finished one has ended itself.

        Tune sometimes makes a process for a trial and then gives the trial to another: a run without a step
        is not ours to end.
        """
        if self._broken or not self._stepped:
            return
        fatal = self._pool.status().fatal if self._setup.generator.charges else None
        if isinstance(fatal, AccountError):
            self._run.collect_started()
        self._run.finish("interrupted" if fatal is not None or self._pool.stopping else "stopped")
        if self._pooled is not None and self._pooled.pool is not self._pool:
            self._pooled.pool.close()


def _price(generator: ImageGenerator, args: ItemArgs) -> float | None:
    """What an item is expected to cost; its images are among the arguments."""
    return generator.cost(EvalSet("", (EvalItem(0, args.item),)), args)


def log_failure(path: Path, name: str) -> None:
    """Append the traceback of the exception that is being handled."""
    with contextlib.suppress(
        OSError
    ):  # the disk may be what failed; the reason itself travels with the result
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{name}\n{traceback.format_exc()}\n")

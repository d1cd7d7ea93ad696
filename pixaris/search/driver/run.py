"""Runs a search: starts Ray, the pool and Tune, keeps the books, ends everything it started."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import threading
import uuid
from collections.abc import Iterator
from dataclasses import replace
from types import FrameType
from typing import Any

import ray
from ray import tune
from ray.tune.search import Searcher

from pixaris.cache.local import LocalCache
from pixaris.endpoints.dispatcher import Policy
from pixaris.endpoints.ray import ManagedServers, RayPool, start_pool
from pixaris.endpoints.roster import Roster
from pixaris.exceptions import NoEndpointError, PixarisError, SearchFailedError
from pixaris.experiment_handlers.base import RUN_FILE
from pixaris.files import read_json, write_json
from pixaris.results.journal import Journal
from pixaris.results.progress import ProgressListener, Silent
from pixaris.results.records import SearchResult, trial_name
from pixaris.search import servers
from pixaris.search.algorithms import schedulers, searchers
from pixaris.search.algorithms.searchers import ListSearcher, Proposals
from pixaris.search.driver.metric_hosts import RayHostRecipe, metric_hosts
from pixaris.search.driver.plan import SearchPlan
from pixaris.search.driver.prefetch import HeadStart
from pixaris.search.driver.replay import JournaledScheduler, Replay
from pixaris.search.driver.session import RaySession
from pixaris.search.driver.spending import Account
from pixaris.search.driver.tracker import Bookkeeper
from pixaris.search.driver.trial import ExperimentTrial, TrialRecipe

log = logging.getLogger(__name__)

_NO_LIMIT = 2**62


def run_search(
    plan: SearchPlan, session: RaySession, listener: ProgressListener | None = None
) -> SearchResult:
    """Run a search to its end, or until it is interrupted.

    Ctrl-C (SIGINT) and SIGTERM stop it in order when it runs in the main thread: what is done is kept,
    prompts are withdrawn.

    Args:
        plan: What to run.
        session: Ray, which may be coming up yet.
        listener: Is told how it goes.

    Returns:
        What was found. Its status says how it ended; what ended it before its end is its ``error``:
        `SearchFailedError` (no trial has a score), `NoEndpointError`, `AccountError`; before its first trial
        `ConfigurationError`. Everything that was done is kept in the folder.
    """
    books = Bookkeeper(plan, listener or Silent())
    try:
        with _roster(plan, session) as roster:
            session.wait()
            with _managed(plan, session, roster), _pool(plan, roster, books) as pool, books.watching(pool[1]):
                with _account(plan, books, pool[1]), metric_hosts(plan.setup.metrics, pool[1].tell) as hosts:
                    _tune(_admitted(plan, roster, books), pool, hosts, books)
    except NoEndpointError as error:
        return replace(books.close("interrupted", str(error)), error=error)
    except PixarisError as error:
        return replace(books.close("failed", str(error)), error=error)
    except BaseException as error:
        books.close("interrupted", f"the program was ended ({type(error).__name__})")
        raise
    if books.fatal is not None:
        return replace(books.close("interrupted", str(books.fatal)), error=books.fatal)
    if books.stopped:
        return books.close("interrupted", books.reason)
    result = books.result("finished")
    spent = books.account.reason if books.account is not None else ""
    if result.best is not None:
        if not spent:
            shutil.rmtree(
                plan.store, ignore_errors=True
            )  # nobody goes on with it; its images are in the trials' folders
        return books.close("stopped" if spent else "finished", spent)
    reason = next((trial.error for trial in result.trials if trial.error), spent or "no trial was run")
    failure = SearchFailedError(f"no trial has a score: {reason}")
    return replace(books.close("failed", str(failure)), error=failure)


def _tune(
    plan: SearchPlan, pool: tuple[Any, RayPool], hosts: RayHostRecipe | None, books: Bookkeeper
) -> None:
    recipe_of_pool, driver_pool = pool
    cpus = float(ray.cluster_resources().get("CPU", 1.0))
    plan = replace(plan, endpoints_found=len(driver_pool.status().endpoints), processors=int(cpus))
    scheduler = plan.tune_scheduler()
    searcher = Proposals(
        _inner(plan),
        plan.space,
        plan.baseline,
        limit=plan.trials,
        directions=[objective.direction for objective in plan.objectives],
        stopped=lambda: books.stopped,
        affords=books.affords,
    )
    pauses = schedulers.pauses(scheduler)
    journal = Journal(plan.folder)
    journaled = JournaledScheduler(scheduler, journal, plan.proposal_seed)
    recipe = TrialRecipe(
        search_id=plan.id,
        setup=replace(plan.setup, order=plan.order),
        handler=plan.handler,
        space=plan.space,
        objectives=tuple(objective.metric for objective in plan.objectives),
        step=plan.items_per_step,
        ahead=plan.items_ahead,
        stops=plan.stops,
        places=plan.places,
        parallel=plan.parallel,
        pool=recipe_of_pool,
        store=LocalCache(plan.store, _NO_LIMIT),
        cache=plan.cache,
        ledger=books.account.actor if books.account is not None else None,
        head_start=plan.head_start,
        leads=plan.leads,
        processes=1 if pauses else plan.concurrent,
        hosts=hosts,
        log_file=plan.folder.resolve() / "logs" / "trials.log",
    )
    trials = Replay(
        searcher,
        journaled,
        journal,
        plan.history,
        at_once=None if pauses else plan.concurrent,
        rerun=pauses,
        told=HeadStart(recipe, driver_pool, searcher.upcoming).give,
    )
    share = cpus / (plan.concurrent + 0.01)
    if (
        pauses
    ):  # then the trials under way are more than those that run, and it is their CPUs that limit how many run
        share = min(
            share, max(float(node["Resources"].get("CPU", 0.0)) for node in ray.nodes() if node["Alive"])
        )
    else:
        share = min(share, 1.0)
    trainable = tune.with_resources(tune.with_parameters(ExperimentTrial, recipe=recipe), {"cpu": share})
    tuner = tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=trials,
            scheduler=journaled,
            num_samples=plan.trials or -1,
            reuse_actors=True,
            trial_dirname_creator=lambda trial: trial_name(trial.config.get("number", 0)),
        ),
        run_config=tune.RunConfig(
            name=f"tune-{uuid.uuid4().hex[:8]}",  # one for each process of a search that is resumed
            storage_path=str((plan.folder / ".tune").resolve()),
            stop=books.stopper(),
            callbacks=[books.callback()],
            verbose=0,
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            failure_config=tune.FailureConfig(max_failures=2),
        ),
    )
    _settle(plan)
    books.phase(f"searching, {plan.at_once}")
    with _signals(books, driver_pool), _processes_at_once(1 if pauses else plan.concurrent):
        tuner.fit()


@contextlib.contextmanager
def _processes_at_once(count: int) -> Iterator[None]:
    """Let Tune start so many processes side by side; else it waits for each before it starts the next."""
    name, before = "TUNE_MAX_PENDING_TRIALS_PG", os.environ.get("TUNE_MAX_PENDING_TRIALS_PG")
    os.environ[name] = before or str(count)
    try:
        yield
    finally:
        os.environ.pop(name)
        if before is not None:
            os.environ[name] = before


def _settle(plan: SearchPlan) -> None:
    """End the runs of trials that an earlier process was killed before it could end: the scheduler had
    stopped them.
    """
    for number, event in plan.history.ended.items():
        file = plan.folder / trial_name(number) / RUN_FILE
        record = read_json(file)
        if record is not None and record.get("status") not in ("finished", "stopped", "failed"):
            write_json(file, {**record, "status": "finished" if event.result.get("ended") else "stopped"})


def _inner(plan: SearchPlan) -> Searcher:
    searcher = plan.searcher()
    return _by_models(plan, searcher) if isinstance(searcher, ListSearcher) else searcher


def _by_models(plan: SearchPlan, searcher: ListSearcher) -> Searcher:
    names = searchers.neutral(plan.space)
    fixed, free = searcher.sets[: searcher.fixed], searcher.sets[searcher.fixed :]
    order = plan.by_models([{names[key]: value for key, value in found.items()} for found in free])
    return searcher.of([*fixed, *(free[index] for index in order)])


@contextlib.contextmanager
def _account(plan: SearchPlan, books: Bookkeeper, pool: RayPool) -> Iterator[None]:
    """What counts a search's budget, if it has one."""
    if not plan.budget:
        yield
        return
    books.account = Account(
        plan.budget, plan.folder, items=plan.images, elapsed=books.seconds, made=plan.images_before
    )
    try:
        yield
    finally:
        status = pool.status()
        books.account.look(status.done, status.cost or 0.0)
        books.account.close()


@contextlib.contextmanager
def _roster(plan: SearchPlan, session: RaySession) -> Iterator[Roster]:
    """The endpoints that need no Ray, on their way: what takes long is begun first."""
    roster = Roster(servers.static(plan.sources))
    local = [] if session.on_cluster else servers.embedded(plan.sources)
    with contextlib.ExitStack() as stack:
        for feed in servers.feeds(plan.sources, local, plan.folder / "logs"):
            stack.enter_context(roster.fed_by(feed))
        yield roster


@contextlib.contextmanager
def _managed(plan: SearchPlan, session: RaySession, roster: Roster) -> Iterator[None]:
    """The servers that Ray places."""
    on_cluster = session.on_cluster
    wanted = servers.managed(plan.sources) + (servers.embedded(plan.sources) if on_cluster else [])
    if not wanted:
        yield
        return
    with roster.fed_by(ManagedServers(wanted, plan.folder / "logs", on_cluster=on_cluster)):
        yield


def _admitted(plan: SearchPlan, roster: Roster, books: Bookkeeper) -> SearchPlan:
    """The plan, made for the first servers that answer."""
    if not roster.awaits:
        return plan
    books.phase("waiting for the first endpoint")
    roster.wait()
    return replace(plan, setup=plan.admit(roster.started))


@contextlib.contextmanager
def _pool(plan: SearchPlan, roster: Roster, books: Bookkeeper) -> Iterator[tuple[Any, RayPool]]:
    books.phase("starting the endpoints' workers")
    images = [image for item in plan.setup.eval_set.items for image in item.inputs.values()]
    images += [*plan.setup.args.images.values(), *plan.space.images]
    # where all sets are known, the order of trials keeps as many models under way
    policy = replace(plan.policy or Policy(), models_at_once=plan.models_at_once if plan.listed else 1)
    recipe, pool = start_pool(servers.static(plan.sources), images=images, policy=policy)
    try:
        with roster.feeding(pool):
            yield recipe, pool
    finally:
        pool.shut_down()


@contextlib.contextmanager
def _signals(books: Bookkeeper, pool: RayPool) -> Iterator[None]:
    """Turn the first Ctrl-C or SIGTERM into an orderly stop, the second into the usual end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop(number: int, frame: FrameType | None) -> None:
        for each, handler in before.items():
            signal.signal(each, handler)
        books.interrupt(f"it was interrupted ({signal.Signals(number).name})")
        threading.Thread(target=pool.stop, daemon=True).start()

    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

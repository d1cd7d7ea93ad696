"""Runs a search: starts Ray, the pool and Tune, tracks how it goes, ends everything it started."""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace

import ray
from ray import tune
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from pixaris.endpoints.ray import RayPool, RayPoolConfig
from pixaris.exceptions import ClusterError, NoEndpointError, PixarisError, SearchFailedError, StorageError
from pixaris.files import read_json, write_json
from pixaris.results.budget import Answer
from pixaris.results.evidence.rejected import Rejected
from pixaris.results.journal import Journal
from pixaris.results.paths import SearchPaths
from pixaris.results.progress import ProgressListener, Silent
from pixaris.results.records import SearchResult
from pixaris.search.algorithms import schedulers, searchers
from pixaris.search.algorithms.guided import algorithm_of, guides
from pixaris.search.algorithms.race import RaceScheduler
from pixaris.search.algorithms.raced import guided_searcher
from pixaris.search.algorithms.racing import races
from pixaris.search.algorithms.searchers import BaselineFirst, ListSearcher
from pixaris.search.driver.ahead.first_images import FirstImages
from pixaris.search.driver.ahead.prefetch import Prefetcher
from pixaris.search.driver.barrier import StartBarrier
from pixaris.search.driver.metric_hosts import RayHostConfig, metric_hosts
from pixaris.search.driver.plan import SearchPlan
from pixaris.search.driver.processes import following_processes
from pixaris.search.driver.racing.course import Course
from pixaris.search.driver.session.endpoints import admitted, bringing_up, placing, pooled
from pixaris.search.driver.session.imports import raise_missing
from pixaris.search.driver.session.nodes import one_node, telling_nodes, telling_what_it_waits_for
from pixaris.search.driver.session.session import RaySession
from pixaris.search.driver.signals import Signals
from pixaris.search.driver.spending import Account
from pixaris.search.driver.storage.actor import Kept
from pixaris.search.driver.storage.base import DriverStorage, driver_storage
from pixaris.search.driver.storage.own import known_images, own_images
from pixaris.search.driver.tracker import SearchTracker
from pixaris.search.driver.trial import Prefetch, Services, TrialConfig, TrialPace
from pixaris.search.driver.tune.callbacks import TrackerCallback
from pixaris.search.driver.tune.journaled import JournaledScheduler
from pixaris.search.driver.tune.options import processes_at_once, run_config, tune_config
from pixaris.search.driver.tune.replay import Replay
from pixaris.search.driver.watching import watching

log = logging.getLogger(__name__)


def run_search(
    plan: SearchPlan,
    session: RaySession,
    listener: ProgressListener | None = None,
    first: FirstImages | None = None,
) -> SearchResult:
    """Run a search to its end, or until it is interrupted.

    Ctrl-C (SIGINT) and SIGTERM stop it in order when it runs in the main thread: what is done is kept,
    prompts are withdrawn.

    Args:
        plan: What to run.
        session: Ray, which may be coming up yet.
        listener: Called with how it goes.
        first: The baseline's first images, which are made meanwhile, or None.

    Returns:
        What was found. Its status says how it ended; what ended it before its end is its ``error``:
        `SearchFailedError` (no trial has a score), `NoEndpointError`, `AccountError`; before its first trial
        `ConfigurationError`. Everything that was done is kept in the folder.
    """
    tracker = SearchTracker(plan, listener or Silent(), first)
    try:
        with Signals(tracker) as signals:
            tracker.begin()
            _search(plan, session, tracker, signals, first)
    except KeyboardInterrupt:
        if tracker.fatal is not None:
            return replace(tracker.close("interrupted", str(tracker.fatal)), error=tracker.fatal)
        return tracker.close("interrupted", tracker.reason or "it was interrupted")
    except (NoEndpointError, StorageError, ClusterError) as error:
        return replace(tracker.close("interrupted", str(error)), error=error)
    except PixarisError as error:
        return replace(tracker.close("failed", str(error)), error=error)
    except BaseException as error:
        # Ray that is gone shows in many ways (Tune's own errors, assertions, a thread's exit): ask first what
        # became of it.
        lost = session.fault()
        if lost:
            log.debug("%s ended the search", type(error).__name__, exc_info=True)
            return replace(tracker.close("interrupted", lost), error=ClusterError(lost))
        tracker.close("interrupted", f"the program was ended ({type(error).__name__})")
        raise
    if tracker.fatal is not None:
        return replace(tracker.close("interrupted", str(tracker.fatal)), error=tracker.fatal)
    if tracker.stopped:
        return tracker.close("interrupted", tracker.reason)
    return _finished(plan, tracker)


def _search(
    plan: SearchPlan,
    session: RaySession,
    tracker: SearchTracker,
    signals: Signals,
    first: FirstImages | None,
) -> None:
    """Start everything, and let Tune run."""
    with bringing_up(plan, session) as registry:
        session.wait()
        signals.install()
        if session.on_cluster:
            raise_missing(plan.checked)
        with placing(plan, session, registry), pooled(plan, registry, tracker) as (config, pool):
            nodes = telling_nodes(tracker.emit) if session.on_cluster else contextlib.nullcontext()
            hosting = metric_hosts(plan.setup.metrics, pool.emit)
            processes = following_processes(tracker.emit, pool.workers)
            with watching(tracker, pool, session.fault, signals.end_waiting, plan):
                if first is not None:
                    first.hand_over()
                    tracker.emit(*first.status.events)
                with nodes, processes, _account(plan, tracker, pool, first), hosting as hosts:
                    plan = admitted(plan, registry, pool, tracker)
                    with driver_storage(plan.paths, _kept(plan), on_cluster=session.on_cluster) as storage:
                        _tune(plan, (config, pool), hosts, storage, tracker, signals)


def _finished(plan: SearchPlan, tracker: SearchTracker) -> SearchResult:
    """Close a search that went through, or whose budget is spent."""
    result = tracker.result("finished")
    spent = tracker.account.reason if tracker.account is not None else ""
    if result.best is None:
        reason = next((trial.error for trial in result.trials if trial.error), spent or "no trial was run")
        failure = SearchFailedError(f"no trial has a score: {reason}")
        return replace(tracker.close("failed", str(failure)), error=failure)
    if plan.goes_on and not spent:
        return tracker.close("running", "")
    if not spent:
        # nobody goes on with it; its images are in the trials' folders
        shutil.rmtree(plan.paths.store, ignore_errors=True)
    return tracker.close("stopped" if spent else "finished", spent)


def _tune(
    plan: SearchPlan,
    pool: tuple[RayPoolConfig, RayPool],
    hosts: RayHostConfig | None,
    storage: DriverStorage | None,
    tracker: SearchTracker,
    signals: Signals,
) -> None:
    pool_config, driver_pool = pool
    cpus = float(ray.cluster_resources().get("CPU", 1.0))
    plan = replace(plan, endpoints=len(driver_pool.status().endpoints), processors=int(cpus))
    scheduler = plan.scheduler()
    pausing = schedulers.pauses(scheduler)
    searcher = _searcher(plan, scheduler, tracker)
    journal = Journal(plan.paths, plan.before.history, tracker.fail)
    journaled = _journaled(plan, scheduler, journal)
    if pausing:
        # How many trials are under way is the scheduler's affair: it pauses those that wait for others.
        processes, at_once = 1, None
    else:
        processes = at_once = plan.pace.concurrent
    barrier = StartBarrier.start(processes)
    services = _services(plan, pool_config, barrier, hosts, storage, tracker)
    config = _trial_config(plan, services, processes=processes)
    trials = Replay(searcher, journaled, journal, plan.before.history, at_once=at_once, rerun=pausing)
    course = Course(plan, config, journaled, trials, tracker, searcher)
    trials.on_handed_out = course.handed_out(Prefetcher(config, driver_pool, searcher.upcoming))
    share = _share(plan, cpus, pausing=pausing or races(plan.settings))
    if pausing and storage:
        resources = one_node(share)
    else:
        resources = {"cpu": share}
    callback = TrackerCallback(tracker, journaled.stops, trials.run_again, journaled.over, course.reported)
    trainable = tune.with_parameters(course.trainable, trials=config)
    tuner = tune.Tuner(
        tune.with_resources(trainable, resources),
        tune_config=tune_config(plan, trials, journaled),
        run_config=run_config(plan, tracker, callback),
    )
    _settle(plan)
    chosen = algorithm_of(plan.settings)
    tracker.phase(f"searching by {chosen}, {plan.pace.describe()}")
    signals.orderly(driver_pool.stop)
    with contextlib.closing(barrier), contextlib.closing(course), processes_at_once(processes):
        with telling_what_it_waits_for(tracker, share):
            tuner.fit()


def _searcher(plan: SearchPlan, scheduler: TrialScheduler, tracker: SearchTracker) -> BaselineFirst:
    return BaselineFirst(
        _inner(plan, scheduler),
        plan.space,
        plan.baseline,
        limit=plan.size.trials,
        directions=[objective.direction for objective in plan.objectives],
        stopped=lambda: tracker.stopped,
        affords=_affords(plan, tracker, scheduler),
    )


def _journaled(plan: SearchPlan, scheduler: TrialScheduler, journal: Journal) -> JournaledScheduler:
    name = plan.settings.strategy.scheduler.name
    seed = plan.identity.proposal_seed
    journaled = JournaledScheduler(scheduler, journal, seed, name, plan.before.history.over)
    journaled.rejected = Rejected(plan.paths).by
    return journaled


def _services(
    plan: SearchPlan,
    pool_config: RayPoolConfig,
    barrier: StartBarrier,
    hosts: RayHostConfig | None,
    storage: DriverStorage | None,
    tracker: SearchTracker,
) -> Services:
    """What the processes of trials reach outside themselves."""
    ledger = None
    if tracker.account is not None:
        ledger = tracker.account.actor
    store = own_images(plan.paths)
    cache = known_images(plan.paths, plan.settings.keeping.cache)
    return Services(pool_config, barrier, ledger, hosts, store, cache, storage)


def _kept(plan: SearchPlan) -> Kept:
    return Kept(
        handler=plan.handler,
        store=own_images(plan.paths),
        cache=known_images(plan.paths, plan.settings.keeping.cache),
        paths=SearchPaths(plan.paths.folder.resolve()),
        eval_set=plan.setup.eval_set,
        workflow_image=plan.setup.workflow_image,
    )


def _affords(plan: SearchPlan, tracker: SearchTracker, scheduler: TrialScheduler) -> Callable[[int], Answer]:
    """Whether the budget pays for another trial, given how many were proposed."""
    if guides(plan.settings):
        return lambda proposed: "go"  # it counts its images itself
    if not isinstance(scheduler, RaceScheduler):
        return tracker.affords
    book, seeds = scheduler.book, plan.setup.seeds
    return lambda proposed: tracker.affords(proposed, seeds * book.needed())


def _trial_config(plan: SearchPlan, services: Services, *, processes: int) -> TrialConfig:
    pace = plan.pace
    return TrialConfig(
        search_id=plan.identity.id,
        setup=replace(plan.setup, order=plan.order),
        handler=plan.handler,
        space=plan.space,
        objectives=tuple(objective.metric for objective in plan.objectives),
        pace=TrialPace(pace.step, pace.ahead, pace.stops, pace.slots, plan.checked.parallel, processes),
        prefetch=Prefetch(pace.first, pace.beyond),
        services=services,
        log_file=plan.paths.trial_log.resolve(),
    )


def _share(plan: SearchPlan, cpus: float, *, pausing: bool) -> float:
    """CPUs that Tune counts for each trial, so that no more run than are meant to.

    Args:
        plan: The search.
        cpus: Of the whole cluster.
        pausing: Whether the scheduler pauses trials. Then the trials under way are more than those that run,
            and it is their CPUs that limit how many run.
    """
    share = cpus / (plan.pace.concurrent + 0.01)
    if not pausing:
        return min(share, 1.0)
    largest = max(float(node["Resources"].get("CPU", 0.0)) for node in ray.nodes() if node["Alive"])
    return min(share, largest)


def _settle(plan: SearchPlan) -> None:
    """End the runs of trials that an earlier process was killed before it could end: the scheduler had
    stopped them.
    """
    for number, report in plan.before.history.over.items():
        file = plan.paths.trial(number).record
        record = read_json(file)
        if record is not None and record.get("status") not in ("finished", "stopped", "failed"):
            status = {"ended": "finished", "failed": "failed"}.get(report.state, "stopped")
            write_json(file, {**record, "status": status})


def _inner(plan: SearchPlan, scheduler: TrialScheduler) -> Searcher:
    searcher = guided_searcher(plan.settings, scheduler) or plan.searcher()
    if isinstance(searcher, ListSearcher):
        return _by_models(plan, searcher)
    return searcher


def _by_models(plan: SearchPlan, searcher: ListSearcher) -> Searcher:
    names = searchers.neutral(plan.space)
    fixed, free = searcher.sets[: searcher.fixed], searcher.sets[searcher.fixed :]
    sets = []
    for found in free:
        sets.append({names[key]: value for key, value in found.items()})
    order = plan.by_models(sets)
    return searcher.of([*fixed, *(free[index] for index in order)])


@contextlib.contextmanager
def _account(
    plan: SearchPlan, tracker: SearchTracker, pool: RayPool, first: FirstImages | None
) -> Iterator[None]:
    """What counts a search's budget, if it has one."""
    budget = plan.settings.limits.budget
    if not budget:
        yield
        return
    made = plan.before.images
    if first is not None:
        made += first.made
    tracker.account = Account(
        budget,
        plan.paths.spent,
        items=plan.setup.images,
        elapsed=tracker.seconds,
        made=made,
    )
    try:
        yield
    finally:
        status = pool.status()
        tracker.account.look(status.done, status.cost or 0.0)
        tracker.account.close()

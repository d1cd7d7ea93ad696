"""Starts a checked search: makes its folder, or goes on in an earlier one.

What needs Ray is imported where it is used: the first images are asked for before that.
"""

from __future__ import annotations

import contextlib
import platform
import re
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from pixaris.cache.base import CacheStore
from pixaris.data_loaders.base import changed
from pixaris.exceptions import BucketError, ConfigurationError, PixarisError, SearchFailedError
from pixaris.experiment.setup import directions
from pixaris.files import safe_name, storing, write_bytes
from pixaris.report.listener import ReportWriter
from pixaris.results.bucket.mirror import Mirror
from pixaris.results.folders import holding, new_folder
from pixaris.results.manifest import write_manifest
from pixaris.results.paths import SearchPaths
from pixaris.results.progress import Planned, ProgressListener, SearchProgress, Silent
from pixaris.results.records import SearchResult
from pixaris.search.check import CheckedSearch, strategies_may_fail, try_strategies
from pixaris.search.driver.ahead.first_images import FirstImages, can_be_made
from pixaris.search.driver.identity import Identity
from pixaris.search.driver.session.session import RaySession
from pixaris.search.driver.steering.rounds import Place, Rounds, on_the_page
from pixaris.search.driver.storage.bucket import fetch_earlier, forget, kept_whole, mirrored, taken_names
from pixaris.search.driver.travel import raise_immovable, raise_pool_out_of_reach
from pixaris.search.manifest import manifest_of
from pixaris.search.recheck import is_due, recheck_of
from pixaris.search.resume import Earlier, earlier_of
from pixaris.search.steering.putting_up import Stage
from pixaris.search.steering.settings import voting_of
from pixaris.search.steering.steering import Steering, of_round

if TYPE_CHECKING:
    from pixaris.search.driver.plan import SearchPlan


def run(
    checked: CheckedSearch,
    listener: ProgressListener | None = None,
    *,
    resume: bool = False,
    place: Place = on_the_page,
) -> SearchResult:
    """Start the endpoints, search, stop the endpoints; then re-check what was found, if that is wished. An
    error that ends either is in the result, with what was done.

    Args:
        checked: The search.
        listener: Called with how it goes.
        resume: Go on with the newest search of this name, if there is one.
        place: Says where people vote, in a search that votes steer.

    Raises:
        ConfigurationError: All that is wrong with it; or the earlier search is another one, or is still
            running.
    """
    checked.raise_problems()
    steering = Steering.of(checked)
    if steering is not None:
        return _steered(checked, steering, listener or Silent(), resume=resume, place=place)
    result = _run(checked.without_recheck(), listener, resume=resume)
    if is_due(checked, result):
        return rechecked(checked, result, listener)
    return result


def rechecked(
    checked: CheckedSearch, result: SearchResult, listener: ProgressListener | None = None
) -> SearchResult:
    """Re-check what a search found, or go on with a re-check that was stopped; one that is done stands.

    Args:
        checked: The search, with a re-check or with items that are held out.
        result: What it found.
        listener: Called with how the re-check goes.

    Returns:
        What the search found, with the error that ended the re-check.

    Raises:
        ConfigurationError: Votes steer the search: nobody has voted on new images.
    """
    if voting_of(checked.settings) is not None:
        words = "votes are no score that a re-check could measure; go on (--resume) with more votes"
        raise ConfigurationError(words, checked.settings.source_name)
    wanted = recheck_of(checked, result)
    fetch_earlier(wanted.settings.home)
    earlier = earlier_of(wanted)
    same = earlier is not None and not earlier.differences
    return replace(result, error=_run(wanted, listener, resume=same).error)


def _run(checked: CheckedSearch, listener: ProgressListener | None, *, resume: bool) -> SearchResult:
    checked.raise_problems()
    raise_pool_out_of_reach(checked)
    raise_immovable(checked)
    home, tell = checked.settings.home, (listener or Silent()).event
    if resume:
        fetch_earlier(home)
    if resume:
        earlier = earlier_of(checked)
    else:
        earlier = None
    if earlier is not None:
        with holding(earlier.folder), mirrored(home, earlier.folder, tell) as mirror:
            earlier.raise_problems(checked.settings.source_name)
            with RaySession() as session:
                # read again: it may have gone on until it was held
                return _go_on(checked, session, earlier_of(checked) or earlier, listener, mirror)
    with RaySession() as session:  # it comes up while the rest is imported
        if strategies_may_fail(checked):  # what cannot be made is told before anything is left behind
            session.wait_for_import()
            try_strategies(checked)
        folder = new_folder(home.project_folder, safe_name(home.name), taken_names(home))
        try:
            with holding(folder), mirrored(home, folder, tell) as mirror:
                with _first_images(checked, folder) as (identity, first):
                    _announce(checked, folder, listener)
                    session.wait_for_import()
                    plan = _plan(checked, folder, mirror, identity)
                    result = _search(plan, session, listener, first)
        except (PixarisError, KeyboardInterrupt):  # it is in use or unreachable; while Ray was imported
            _remove_unbegun(folder)
            raise
    if result.status == "interrupted" and not result.trials and _remove_unbegun(folder):
        with contextlib.suppress(BucketError):  # what is left there only takes the name
            forget(home, folder)
    return result


def _announce(checked: CheckedSearch, folder: Path, listener: ProgressListener | None) -> None:
    """Say that Ray comes up: the first time, its import alone may take many seconds."""
    if listener is None:
        return
    items = tuple(item.name for item in checked.setup.eval_set.items)
    nothing = SearchResult(folder.name, folder, "running", checked.objectives, (), items)
    planned = Planned(checked.size.trials, checked.size.images)
    listener.update(SearchProgress("starting Ray", nothing, planned))


def _remove_unbegun(folder: Path) -> bool:
    """Remove a search's folder, if nothing has begun that could be gone on with; tells whether that is so."""
    if SearchPaths(folder).journal.exists():
        return False
    shutil.rmtree(folder, ignore_errors=True)
    return True


@contextlib.contextmanager
def _first_images(checked: CheckedSearch, folder: Path) -> Iterator[tuple[Identity, FirstImages | None]]:
    """The identity of a new search, and its first images on their way, where they can be made here and
    now.
    """
    seed = checked.settings.strategy.seed
    identity = Identity(proposal_seed=secrets.randbelow(2**31) if seed is None else seed)
    if not can_be_made(checked):
        yield identity, None
        return
    first = FirstImages(checked, SearchPaths(folder), identity.id)
    first.start()
    try:
        yield identity, first
    finally:
        first.close()


def _steered(
    checked: CheckedSearch, steering: Steering, listener: ProgressListener, *, resume: bool, place: Place
) -> SearchResult:
    """Run a search that votes steer, its rounds one after the other in one folder."""
    raise_pool_out_of_reach(checked)
    raise_immovable(checked)
    home = checked.settings.home
    earlier = None
    if resume:
        fetch_earlier(home)
        earlier = earlier_of(checked)
    if earlier is not None:
        with holding(earlier.folder), mirrored(home, earlier.folder, listener.event) as mirror:
            earlier.raise_problems(checked.settings.source_name)
            rounds = _rounds(checked, steering, earlier.folder, listener, place, mirror)
            return kept_whole(mirror, rounds.run(), listener.event)
    try_strategies(checked)
    folder = new_folder(home.project_folder, safe_name(home.name), taken_names(home))
    try:
        with holding(folder), mirrored(home, folder, listener.event) as mirror:
            rounds = _rounds(checked, steering, folder, listener, place, mirror)
            return kept_whole(mirror, rounds.run(), listener.event)
    finally:
        if _remove_unbegun(folder):
            with contextlib.suppress(BucketError):  # what is left there only takes the name
                forget(home, folder)


def _rounds(
    checked: CheckedSearch,
    steering: Steering,
    folder: Path,
    listener: ProgressListener,
    place: Place,
    mirror: Mirror | None,
) -> Rounds:
    """What is left of a search that votes steer, in its folder."""

    def run_round(sets: int) -> SearchResult:
        part = of_round(checked, sets)
        before = earlier_of(part, folder)
        with RaySession() as session:
            if before is not None:
                session.wait_for_import()
                plan = replace(_plan(part, folder, mirror), goes_on=True).going_on(before)
                return _search(plan, session, listener)
            with _first_images(part, folder) as (identity, first):
                session.wait_for_import()
                plan = replace(_plan(part, folder, mirror, identity), goes_on=True)
                return _search(plan, session, listener, first)

    eval_set = checked.setup.eval_set
    stage = Stage(steering, folder.name, eval_set.name, directions(checked.settings.metrics))
    stage.present()  # an iteration of somebody else's is told of before anything is made
    return Rounds(checked, stage, SearchPaths(folder), run_round, listener, place, mirror)


def _go_on(
    checked: CheckedSearch,
    session: RaySession,
    earlier: Earlier,
    listener: ProgressListener | None,
    mirror: Mirror | None,
) -> SearchResult:
    """Go on with an earlier search, if anything is left of it."""
    _announce(checked, earlier.folder, listener)
    session.wait_for_import()
    plan = _plan(checked, earlier.folder, mirror)
    if not earlier.left(checked.size.trials):
        result = kept_whole(mirror, earlier.result, (listener or Silent()).event)
        if result.status == "failed":
            return replace(result, error=SearchFailedError(result.reason))
        return result
    return _search(plan.going_on(earlier), session, listener)


def _search(
    plan: SearchPlan,
    session: RaySession,
    listener: ProgressListener | None,
    first: FirstImages | None = None,
) -> SearchResult:
    from pixaris.search.driver.run import run_search

    with storing(plan.paths.folder):
        _keep(plan)
    plan.handler.search_started(plan.paths.folder)
    with ReportWriter(listener or Silent(), plan.setup.eval_set) as reporting:
        result = run_search(plan, session, reporting, first)
        reporting.finish(result)
        interrupted = result.status == "interrupted"
        told = [plan.handler.search_ended(in_haste=interrupted)]
        if not interrupted:
            told.append(changed(plan.settings.data_loader))
            told.append(_trimmed(plan.settings.keeping.cache))
        for sentence in filter(None, told):
            reporting.event(sentence)
        if plan.goes_on:
            return result
        return kept_whole(plan.mirror, result, reporting.event)


def _trimmed(cache: CacheStore | None) -> str:
    """Keep the cache within its limit; gives what was done, in a sentence, or ""."""
    if cache is None:
        return ""
    return cache.trim()


def _plan(
    checked: CheckedSearch, folder: Path, mirror: Mirror | None, identity: Identity | None = None
) -> SearchPlan:
    from pixaris.search.driver.plan import SearchPlan

    return SearchPlan(
        checked=checked,
        setup=checked.setup_in(folder.name),
        paths=SearchPaths(folder),
        handler=checked.settings.keeping.handler_in(folder),
        identity=identity or Identity(),
        mirror=mirror,
    )


def _keep(plan: SearchPlan) -> None:
    """Keep what the search was made from beside what it finds, without the credentials of URLs."""
    source = plan.settings.keeping.source
    if source is not None:
        text = re.sub(rb"(?<=://)[^/\s]*@", b"***@", source.read_bytes())
        write_bytes(plan.paths.source(source.suffix), text)
    identity = {"id": plan.identity.id, "proposal_seed": plan.identity.proposal_seed}
    write_manifest(plan.paths, {**manifest_of(plan.checked), **identity, "versions": _versions()})


def _versions() -> dict[str, str]:
    """What the search was made with."""
    known = {name: version(name.lower()) for name in ("Pixaris", "Ray", "Pillow", "NumPy")}
    return {**known, "Python": platform.python_version()}

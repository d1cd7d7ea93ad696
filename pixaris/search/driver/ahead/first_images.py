"""The baseline's first images, made by threads of this process while Ray comes up. No Ray.

Ray takes seconds to start, and whatever the search is, the baseline is run first, and whole. What is made
here lies in the search's own store, where the baseline's trial finds it, as it finds what was made by an
earlier process of a search that was killed.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import replace

from pixaris.endpoints.base import EndpointStatus, PoolStatus
from pixaris.endpoints.local import LocalPool
from pixaris.endpoints.sources.several import static
from pixaris.experiment.caching import CachingSubmitter, Layer
from pixaris.experiment.submitters import AHEAD, PoolSubmitter
from pixaris.generation.base import ItemArgs, has_own_values, makes_itself
from pixaris.results.paths import SearchPaths
from pixaris.search.algorithms.racing import order_of
from pixaris.search.check import CheckedSearch
from pixaris.search.driver.identity import run_id_of
from pixaris.search.driver.storage.own import known_images, own_images, own_key
from pixaris.types import GeneratedImage

_GRACE_SECONDS = 5.0
"""How long is waited for images on their way while other endpoints have nothing to do."""

_LOOK_SECONDS = 0.05


def can_be_made(checked: CheckedSearch) -> bool:
    """Whether a search's first images can be made before Ray is there: on endpoints that are up and that
    charge nothing, so that an image on its way may be given up; and within a budget that counts nothing but
    images, as what counts the rest is an actor.
    """
    generator, budget = checked.generator, checked.settings.limits.budget
    if makes_itself(generator) or generator.charges or budget.as_dict().keys() - {"images"}:
        return False
    return bool(static(checked.sources)) and not checked.survey.others


class FirstImages:
    """Makes the baseline's images in the order in which its trial wants them, as many at once as the
    endpoints take.

    Args:
        checked: The search, whose first images `can_be_made`.
        paths: Of its folder.
        search_id: As `Identity.id`.
    """

    def __init__(self, checked: CheckedSearch, paths: SearchPaths, search_id: str) -> None:
        self._endpoints = static(checked.sources)
        self._asked = _baseline_items(checked, paths.folder.name)
        self._pool = LocalPool(self._endpoints)
        generator = checked.setup_in(paths.folder.name).generator
        run_id = run_id_of(search_id, 0)
        own = Layer(lambda args: own_key(run_id, args.item, args.repeat), own_images(paths), own=True)
        known = Layer(generator.cache_key, known_images(paths, checked.settings.keeping.cache))
        self._submitter = CachingSubmitter(PoolSubmitter(generator, self._pool), [own, known])
        self._under_way: set[Future[GeneratedImage]] = set()
        self._enough = threading.Event()
        self._asking = threading.Thread(target=self._ask, name="pixaris-first-images", daemon=True)
        self._closing: threading.Thread | None = None

    @property
    def status(self) -> PoolStatus:
        """What the endpoints have done here."""
        return self._pool.status()

    @property
    def made(self) -> int:
        """How many images were made."""
        return self.status.done

    def added_to(self, later: PoolStatus) -> PoolStatus:
        """How a later pool of the same endpoints stands, with what each of them has made and makes here."""
        here = {endpoint.url: endpoint for endpoint in self.status.endpoints}
        endpoints = [_together(here.get(one.url), one) for one in later.endpoints]
        return replace(later, endpoints=tuple(endpoints))

    def start(self) -> None:
        """Begin to make them."""
        self._asking.start()

    def hand_over(self) -> None:
        """Ask for no more, and return when what is under way has come.

        While every endpoint is at work, nothing is lost by waiting. Once one has nothing to do, the others'
        images are given up after some seconds: the baseline's trial asks for them again.
        """
        self._enough.set()
        self._asking.join()
        idle_since = None
        while self._under_way:
            _, self._under_way = wait(self._under_way, _LOOK_SECONDS, FIRST_COMPLETED)
            now = time.monotonic()
            if len(self._under_way) >= len(self._endpoints):
                idle_since = None
            elif idle_since is None:
                idle_since = now
            elif now - idle_since > _GRACE_SECONDS:
                break
        self.close()

    def close(self) -> None:
        """Give up what has not come; beside this thread, as an endpoint may be slow to answer."""
        self._enough.set()
        if self._closing is None:
            self._closing = threading.Thread(
                target=self._pool.close, name="pixaris-first-images", daemon=True
            )
            self._closing.start()

    def _ask(self) -> None:
        """Keep as many images under way as the endpoints take."""
        most = sum(endpoint.depth for endpoint in self._endpoints)
        for args in self._asked:
            while len(self._under_way) >= most and not self._enough.is_set():
                _, self._under_way = wait(self._under_way, _LOOK_SECONDS, FIRST_COMPLETED)
            if self._enough.is_set():
                return
            (future,) = self._submitter.submit([args], AHEAD)
            if future.done():  # a cache has it, and most likely the others: the trial reads them itself
                return
            self._under_way.add(future)


def _together(earlier: EndpointStatus | None, later: EndpointStatus) -> EndpointStatus:
    """How an endpoint stands that two pools use, the one after the other."""
    if earlier is None:
        return later
    if later.state == "starting":
        state = earlier.state
    else:
        state = later.state
    return replace(
        later,
        state=state,
        in_flight=earlier.in_flight + later.in_flight,
        done=earlier.done + later.done,
        failures=earlier.failures + later.failures,
        last_failure=later.last_failure or earlier.last_failure,
        speed=earlier.speed if later.speed is None else later.speed,
        models=later.models or earlier.models,
    )


def _baseline_items(checked: CheckedSearch, search: str) -> list[ItemArgs]:
    """What the images of the baseline's trial are made of, as that trial makes them, as far as the budget
    pays for them.
    """
    setup = checked.setup_in(search)
    values = checked.baseline()
    params = checked.space.bind(values, partial=has_own_values(setup.generator))
    args = setup.args.with_params(params).with_images(checked.space.bind_images(values))
    items = [setup.eval_set.items[index] for index in order_of(checked.settings, setup.eval_set)]
    asked = [args.for_item(item, repeat) for item in items for repeat in setup.repeats]
    return asked[: checked.settings.limits.budget.images]

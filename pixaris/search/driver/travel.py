"""What cannot be sent to the trials' processes, or is out of a search's reach, told before anything runs."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Iterator

from pixaris.endpoints.sources.several import pool_of
from pixaris.exceptions import ConfigurationError, Problem
from pixaris.experiment_handlers.base import ExperimentHandler
from pixaris.generation.base import ImageGenerator, each
from pixaris.search.check import CheckedSearch
from pixaris.search.driver.session.session import begins_here

HAVING_MODULES = (
    "send its folder with the search (pixaris submit --working-dir FOLDER), install its package on every"
    " node, or name its folder in PYTHONPATH where the nodes are started"
)
"""The way out where a node lacks a module."""

_EVERYWHERE = frozenset(("pixaris", "__main__", "builtins"))
"""Packages that every node has, and what travels by value."""

WAY_OUT = (
    "open files, connections and models where they are first used, not when it is made, and keep its class in"
    " a module that can be imported"
)

_POOL = "endpoints.pool"

log = logging.getLogger(__name__)


def raise_immovable(checked: CheckedSearch) -> None:
    """Refuse components that do not pickle.

    Raises:
        ConfigurationError: Some do not; each with what it holds that cannot be sent.
    """
    problems = []
    for path, thing in _travellers(checked):
        reason = why_not(thing)
        if reason:
            rule = f"{type(thing).__name__} cannot be sent to the processes of trials: {reason}"
            problems.append(Problem("", f"{rule}; {WAY_OUT}", path))
    if problems:
        raise ConfigurationError(problems, checked.settings.source_name)


def raise_pool_out_of_reach(checked: CheckedSearch) -> None:
    """Refuse a shared pool where a search begins a Ray of its own: that has no pools, and ends with it.

    Raises:
        ConfigurationError: There is no cluster.
    """
    pool = pool_of(checked.sources)
    if pool and begins_here():
        ways_out = (
            "submit the search (pixaris submit FILE --address URL), or name the cluster (--address host:port,"
            " or auto on one of its nodes), or write the endpoints themselves (endpoints: [http://...])"
        )
        rule = f"the pool {pool} is on a Ray cluster, and none is named here"
        raise ConfigurationError([Problem("", f"{rule}; {ways_out}", _POOL)], checked.settings.source_name)


def own_modules(checked: CheckedSearch) -> dict[str, str]:
    """Modules of the user's own that the processes of trials must import, each with the setting that names
    it first. What a script of the user's defines travels itself.
    """
    found: dict[str, str] = {}
    for path, thing in _travellers(checked):
        parts: list[object] = [thing]
        if isinstance(thing, ImageGenerator):
            parts = list(each(thing).values())
        for part in parts:
            module = type(part).__module__
            if module.partition(".")[0] not in _EVERYWHERE:
                found.setdefault(module, path)
    return found


def _travellers(checked: CheckedSearch) -> Iterator[tuple[str, object]]:
    settings = checked.settings
    yield "image_generator", settings.generator
    yield from (("metrics", metric) for metric in settings.metrics)
    if isinstance(settings.keeping.handler, ExperimentHandler):
        yield "experiment_handler", getattr(settings.keeping.handler, "handler", settings.keeping.handler)
    yield from ((f"args.{key}", value) for key, value in settings.images.args.items())


def why_not(thing: object) -> str:
    """Why a thing does not pickle, and which of its attributes; "" if it does."""
    reason = _fault(thing)
    if not reason:
        return ""
    for name, value in getattr(thing, "__dict__", {}).items():
        if inner := _fault(value):
            return f"its attribute {name!r}: {inner}"
    return reason


def _fault(thing: object) -> str:
    if type(thing).__module__.startswith("pixaris.") and _is_plain(thing):
        return ""
    from ray import cloudpickle  # takes a second to import

    try:
        cloudpickle.dumps(thing)
    except Exception as error:  # noqa: BLE001  (pickling raises whatever the object's own methods raise)
        if str(error):
            return str(error).splitlines()[0]
        return type(error).__name__
    return ""


def _is_plain(thing: object) -> bool:
    """Whether Python's own pickle takes it, which sends less than Ray's."""
    try:
        pickle.dumps(thing)
    except Exception:
        # the object's own methods may raise anything; Ray's pickle is tried next, and says why where it fails
        log.debug("%s does not pickle", type(thing).__name__, exc_info=True)
        return False
    return True

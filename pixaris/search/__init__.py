"""Hyperparameter search: Ray Tune proposes and schedules, Ray actors call the endpoints.

From Python::

    from ray import tune
    from pixaris.search import Search

    result = Search(data_loader, image_generator, space={"cfg": ("KSampler", "cfg", tune.uniform(1, 12))}, …).run()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pixaris.search.prepare import Search
    from pixaris.search.results import SearchResult, TrialResult
    from pixaris.search.searchers import OBJECTIVE
    from pixaris.search.space import Domain, Parameter, Space, Target

_HOMES = {
    "Search": "prepare",
    "SearchResult": "results",
    "TrialResult": "results",
    "OBJECTIVE": "searchers",
    "Domain": "space",
    "Parameter": "space",
    "Space": "space",
    "Target": "space",
}

__all__ = ["OBJECTIVE", "Domain", "Parameter", "Search", "SearchResult", "Space", "Target", "TrialResult"]


def __getattr__(name: str) -> Any:  # noqa: ANN401  (a module's attributes are of any type)
    """Load a public name when it is first used: reading a search file needs no Ray."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

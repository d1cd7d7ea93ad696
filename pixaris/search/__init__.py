"""Hyperparameter search: Ray Tune proposes and schedules, Ray actors call the endpoints.

From Python::

    from ray import tune
    from pixaris.search import Search

    space = {"cfg": ("KSampler", "cfg", tune.uniform(1, 12))}
    result = Search(data_loader, image_generator, space=space, …).run()
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pixaris.endpoints.sources.credentials import Variable
    from pixaris.endpoints.sources.dns import DnsSource as Dns
    from pixaris.endpoints.sources.managed import EmbeddedSource as Embedded
    from pixaris.endpoints.sources.managed import ManagedSource as Managed
    from pixaris.endpoints.sources.static import StaticSource as Static
    from pixaris.endpoints.sources.tunnel import TunnelSource as Tunnel
    from pixaris.results.records import SearchResult
    from pixaris.results.report import OBJECTIVE
    from pixaris.results.trial import TrialResult
    from pixaris.search.search import Search
    from pixaris.search.space.space import Domain, Parameter, Space, Target

_HOMES = {
    "Dns": "pixaris.endpoints.sources.dns:DnsSource",
    "Embedded": "pixaris.endpoints.sources.managed:EmbeddedSource",
    "Managed": "pixaris.endpoints.sources.managed:ManagedSource",
    "Static": "pixaris.endpoints.sources.static:StaticSource",
    "Tunnel": "pixaris.endpoints.sources.tunnel:TunnelSource",
    "Variable": "pixaris.endpoints.sources.credentials:Variable",
    "Recheck": "pixaris.search.settings:Recheck",
    "Search": "pixaris.search.search:Search",
    "SearchResult": "pixaris.results.records:SearchResult",
    "TrialResult": "pixaris.results.trial:TrialResult",
    "OBJECTIVE": "pixaris.results.report:OBJECTIVE",
    "Domain": "pixaris.search.space.space:Domain",
    "Parameter": "pixaris.search.space.space:Parameter",
    "Space": "pixaris.search.space.space:Space",
    "Target": "pixaris.search.space.space:Target",
}

__all__ = [
    "OBJECTIVE",
    "Dns",
    "Domain",
    "Embedded",
    "Managed",
    "Parameter",
    "Recheck",
    "Search",
    "SearchResult",
    "Space",
    "Static",
    "Target",
    "TrialResult",
    "Tunnel",
    "Variable",
]


def __getattr__(name: str) -> object:
    """Load a public name when it is first used: reading a search file needs no Ray."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module, _, attribute = _HOMES[name].partition(":")
    return getattr(import_module(module), attribute)

"""``pixaris pool start|list|end``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from pixaris.cli import searches
from pixaris.cli.endpoints import read_targets
from pixaris.endpoints.sources.pool import pool_name
from pixaris.exceptions import ConfigurationError
from pixaris.terminal import say

if TYPE_CHECKING:
    from pixaris.endpoints.base import EndpointStatus
    from pixaris.search.driver.session.pools import PoolFacts


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    start = actions.add_parser("start", help="start a pool; it stays until somebody ends it")
    start.add_argument("name", metavar="NAME", help="what searches call it: endpoints: {pool: NAME}")
    start.add_argument(
        "targets",
        metavar="FILE|URL",
        nargs="+",
        help="its endpoints: servers' URLs, or search files, of which only the endpoints count",
    )
    start.add_argument(
        "--trust",
        action="store_true",
        help="also take sources of your own that a file names: that runs their code",
    )
    listing = actions.add_parser("list", help="list the pools: endpoints, and the searches that use them")
    searches.json_argument(listing)
    end = actions.add_parser("end", help="end a pool, and the servers that it has started")
    end.add_argument("name", metavar="NAME", help="the pool")
    end.add_argument(
        "--force",
        action="store_true",
        help="although searches use it: they are interrupted, and can be resumed",
    )
    for action in (start, listing, end):
        action.add_argument(
            "--address",
            metavar="ADDRESS",
            help="the Ray cluster: host:port, or auto on one of its nodes (default: RAY_ADDRESS)",
        )


def main(options: argparse.Namespace) -> int:
    """Look after the pools of a cluster."""
    if options.action == "start":
        return _start(options)
    if options.action == "end":
        return _end(options)
    return _list(options)


def _start(options: argparse.Namespace) -> int:
    from pixaris.search.driver.session import pools  # needs Ray

    name = _named(options.name)
    _, sources = read_targets(options.targets, trust=options.trust)
    with pools.on_cluster(options.address):
        say(f"starting    the pool {name}: {', '.join(source.label for source in sources)}")
        facts = pools.start(name, sources)
        say(_described(facts))
    say(f"searches use it with endpoints: {{pool: {name}}}; it stays until pixaris pool end {name}")
    return 0


def _list(options: argparse.Namespace) -> int:
    from pixaris.search.driver.session import pools  # needs Ray

    with pools.on_cluster(options.address):
        found = pools.facts()
    if options.json:
        searches.print_json({"pools": [_facts(one) for one in found]})
        return 0
    for one in found:
        say(_described(one))
    if not found:
        say("this cluster has no pool; pixaris pool start NAME FILE|URL ... starts one")
    return 0


def _end(options: argparse.Namespace) -> int:
    from pixaris.search.driver.session import pools  # needs Ray

    name = _named(options.name)
    with pools.on_cluster(options.address):
        interrupted = pools.end(name, force=options.force)
    for search in interrupted:
        say(f"interrupted {search}")
    say(f"ended       the pool {name}")
    return 0


def _named(name: str) -> str:
    try:
        return pool_name(name)
    except ConfigurationError as error:
        raise ConfigurationError([f"NAME {problem.message}" for problem in error.problems]) from None


def _described(facts: PoolFacts) -> str:
    """A pool in a few lines."""
    lines = [f"{facts.name}: {', '.join(facts.sources)}; up for {facts.seconds / 60:.0f} min"]
    lines += [f"  {_endpoint(one)}" for one in facts.status.endpoints]
    lines += [f"  used by {search}" for search in facts.searches] or ["  no search uses it now"]
    return "\n".join(lines)


def _endpoint(one: EndpointStatus) -> str:
    told = f"{one.url}  {one.state}, {one.in_flight} under way, {one.done} images"
    if one.state == "quarantined" and one.last_failure:
        return f"{told} ({one.last_failure})"
    return told


def _facts(facts: PoolFacts) -> dict[str, object]:
    endpoints = [
        {"endpoint": one.url, "state": one.state, "under_way": one.in_flight, "images": one.done}
        for one in facts.status.endpoints
    ]
    return {
        "name": facts.name,
        "sources": list(facts.sources),
        "endpoints": endpoints,
        "searches": list(facts.searches),
        "seconds": facts.seconds,
        "logs": facts.logs,
    }

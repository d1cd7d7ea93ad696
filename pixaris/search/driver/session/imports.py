"""Whether every node of a cluster can import the user's own classes, asked before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pixaris.exceptions import ConfigurationError, Problem
from pixaris.search.check import CheckedSearch
from pixaris.search.driver.session.nodes import called
from pixaris.search.driver.travel import HAVING_MODULES, own_modules

_PATIENCE_SECONDS = 60.0
"""How long a node may take to answer: it starts a process for that. What has not answered by then is not
known to lack anything.
"""


def raise_missing(checked: CheckedSearch) -> None:
    """Refuse a search whose own classes some node cannot import.

    Args:
        checked: The search; Ray is up.

    Raises:
        ConfigurationError: A module is missing somewhere; it names the node, the module and the way out.
    """
    modules = own_modules(checked)
    if not modules:
        return
    rows = {str(row["NodeID"]): row for row in ray.nodes() if row["Alive"]}
    problems: list[Problem] = []
    for node, reasons in _asked(list(rows), list(modules)).items():
        for module, reason in reasons.items():
            rule = f"the node {called(rows[node])} cannot import the module {module!r} ({reason})"
            problems.append(Problem("", f"{rule}; {HAVING_MODULES}", modules[module]))
    if problems:
        raise ConfigurationError(problems, checked.settings.source_name)


def _asked(nodes: Sequence[str], modules: Sequence[str]) -> dict[str, Mapping[str, str]]:
    """Node to what it cannot import and why."""
    remote = ray.remote(num_cpus=0, max_retries=0)(unimportable)
    answers = {}
    for node in nodes:
        there = NodeAffinitySchedulingStrategy(node, soft=False)
        answers[node] = remote.options(scheduling_strategy=there).remote(list(modules))
    found: dict[str, Mapping[str, str]] = {}
    waiting = list(answers.values())
    done, _ = ray.wait(waiting, num_returns=len(waiting), timeout=_PATIENCE_SECONDS)
    for node, answer in answers.items():
        if answer not in done:
            continue
        try:
            found[node] = ray.get(answer, timeout=_PATIENCE_SECONDS)
        except (GetTimeoutError, RayError):  # it is lost or busy: trials tell of it
            continue
    return found


def unimportable(modules: Sequence[str]) -> dict[str, str]:
    """Of some modules those that cannot be imported here, and why."""
    found = {}
    for name in modules:
        try:
            import_module(name)
        except Exception as error:  # noqa: BLE001  (whatever somebody's module raises)
            found[name] = f"{type(error).__name__}: {error}"
    return found

"""Faults on demand: what real servers and networks do to a client, made to happen at a chosen moment.

Only a server started with ``--faults`` has them. ``POST /pixaris/faults`` with a list of rules adds them,
``GET`` shows them with what they have done so far, ``DELETE`` removes them. A rule::

    {"fault": "delay", "seconds": 2.0, "times": 1, "after": 0, "route": "/view"}

``prompt`` limits a fault of prompts to those whose graph has this text in its JSON.
``after`` lets so many occasions pass, ``times`` is on how many it then strikes (null: on all). Occasions are:

============  ==========================================================================================
fault         occasion, and what happens
============  ==========================================================================================
delay         a prompt runs its first node (if all is cached: its end): that node takes ``seconds`` more;
              it can be interrupted
crash         the same: the process ends at once (exit code 70)
oom           a prompt runs its first node: it raises ``torch.OutOfMemoryError``
drop_sockets  as delay: every websocket is cut without a closing frame
hang          as delay, or with ``route`` a request to it: the whole server stops answering
              for ``seconds`` (default: for ever)
lose          the worker takes a prompt: it vanishes without a trace
dead_worker   the worker would take a prompt: its thread ends; prompts are accepted, and none runs any more
truncate      ``/view``: half the file is sent; ``how`` is "short" (as if that were all) or
              "cut" (the connection breaks)
slow          a request (to ``route``, default any): answered ``seconds`` later
error500      a request to ``route`` (default ``/prompt``): ``status`` (default 500) instead of an answer
refuse        a request (to ``route``, default any): the connection is reset without an answer
============  ==========================================================================================
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields

KINDS = (
    "delay",
    "crash",
    "oom",
    "drop_sockets",
    "hang",
    "lose",
    "dead_worker",
    "truncate",
    "slow",
    "error500",
    "refuse",
)
_DEFAULT_ROUTES = {"error500": "/prompt", "truncate": "/view", "slow": "/", "refuse": "/"}

CRASH_EXIT_CODE = 70


@dataclass(slots=True)
class Rule:
    """One fault to happen; see the module's text.

    Attributes:
        fault: One of `KINDS`.
        seconds: For delay, slow and hang; None is 1 second, for hang: for ever.
        times: On how many occasions it strikes; None is on all.
        after: How many occasions pass first.
        route: Beginning of the path of requests it concerns, without ``/api``; empty: as the fault's default.
        prompt: Text of the graph's JSON that prompts have which it concerns; empty: all.
        how: For truncate: "short" or "cut".
        status: For error500.
        seen: Occasions so far.
        struck: How often it struck.
    """

    fault: str
    seconds: float | None = None
    times: int | None = 1
    after: int = 0
    route: str = ""
    prompt: str = ""
    how: str = "short"
    status: int = 500
    seen: int = 0
    struck: int = 0


def parse_rules(value: object) -> list[Rule]:
    """Read rules from JSON: one object or a list of them.

    Raises:
        ValueError: Not that shape, an unknown key or fault; the message says which are known.
    """
    known = [entry.name for entry in fields(Rule) if entry.name not in ("seen", "struck")]
    rules = []
    for entry in value if isinstance(value, list) else [value]:
        if not isinstance(entry, dict):
            raise ValueError(f"a rule is an object with the keys {', '.join(known)} (got {entry!r})")
        unknown = sorted(set(entry) - set(known))
        if unknown:
            raise ValueError(f"a rule has no key {unknown[0]!r}; its keys are {', '.join(known)}")
        if entry.get("fault") not in KINDS:
            raise ValueError(f"there is no fault {entry.get('fault')!r}; known are {', '.join(KINDS)}")
        if entry.get("how", "short") not in ("short", "cut"):
            raise ValueError(f"'how' is short or cut (got {entry['how']!r})")
        rule = Rule(**entry)
        rule.route = rule.route or _DEFAULT_ROUTES.get(rule.fault, "")
        rules.append(rule)
    return rules


class Faults:
    """The rules in force. Every method may be called from any thread."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self._lock = threading.Lock()
        self._rules = list(rules)
        self._thawed = threading.Event()
        self._thawed.set()

    def add(self, rules: Iterable[Rule]) -> None:
        """Add rules to those in force."""
        with self._lock:
            self._rules.extend(rules)

    def clear(self) -> None:
        """Remove all rules."""
        with self._lock:
            self._rules.clear()

    def rows(self) -> list[dict[str, object]]:
        """Return the rules with their counts, as JSON."""
        with self._lock:
            return [asdict(rule) for rule in self._rules]

    def strike(
        self, fault: str, route: str | None = None, graph: Mapping[str, object] | None = None
    ) -> Rule | None:
        """Tell of an occasion for a fault; return the rule that strikes now, if one does.

        Args:
            fault: One of `KINDS`.
            route: The path of the request, for faults of requests; rules with a route concern only such
                occasions.
            graph: The prompt, for faults of prompts.
        """
        with self._lock:
            for rule in self._rules:
                if rule.fault != fault or not _concerns(rule, route, graph):
                    continue
                # Under the lock, so that "the third request" is one even when four come at once.
                rule.seen += 1
                if rule.seen > rule.after and (rule.times is None or rule.struck < rule.times):
                    rule.struck += 1
                    return rule
        return None

    def hold(self) -> None:
        """Let `wait_while_frozen` block from now on, until a `freeze` ends."""
        self._thawed.clear()

    def freeze(self, seconds: float | None) -> None:
        """Block the calling thread, and everyone who asks `wait_while_frozen`."""
        self._thawed.clear()
        self._thawed.wait(seconds)
        self._thawed.set()

    def wait_while_frozen(self) -> None:
        """Block while the server hangs."""
        self._thawed.wait()

    def thaw(self) -> None:
        """End a hang."""
        self._thawed.set()


def _concerns(rule: Rule, route: str | None, graph: Mapping[str, object] | None) -> bool:
    if rule.prompt and rule.prompt not in json.dumps(graph):
        return False
    if route is None:
        return not rule.route
    return bool(rule.route) and route.startswith(rule.route)

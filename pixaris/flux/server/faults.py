"""Faults on demand, as rules that strike on some occasions.

A rule is ``{"fault": "busy", "times": 2, "after": 1, "seconds": 3.0}``: ``after`` lets so many occasions
pass, ``times`` is on how many it then strikes (null: on all). An occasion is a request to submit, also for
what concerns a task; for the last three it is a download.

===============  ========================================================================================
fault            what happens
===============  ========================================================================================
busy             429, with ``Retry-After`` if ``seconds`` is given
no_credits       402
bad_key          403
error500         500, with a page that is no JSON
gateway          502: the task is accepted all the same
lose             the task is accepted, and the connection cut without an answer
hang             the task is accepted, and the answer comes ``seconds`` later
redirect         307 to another host
garbage          200 with a page; the task is accepted all the same
no_polling_url   the answer has no polling_url
no_cost          the answer has no cost
request          the task ends with "Request Moderated" …
content          … with "Content Moderated"
error            … with "Error"
failed           … with "Failed"
unavailable      … with "Error", as HTTP 503
stuttering       its polls are answered with HTTP 503 and the normal body while it is pending
unknown          it is never known: "Task not found"
late             its first two polls say "Task not found"
strange          its status is one that nobody knows
elsewhere        its polls are redirected to another host
stranger         its polling_url is on another host
poll_busy        its first two polls are answered with 429
truncate         half the image, as if that were all
cut              half the image, then the connection breaks
expire           403 with XML, as an expired signature gets
===============  ========================================================================================
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields

DELIVERY = ("truncate", "cut", "expire")
TASK = (
    *("request", "content", "error", "failed", "unavailable", "stuttering", "unknown", "late", "strange"),
    *("elsewhere", "stranger", "poll_busy"),
)
SUBMIT = (
    *("busy", "no_credits", "bad_key", "error500", "gateway", "lose", "hang", "redirect", "garbage"),
    *("no_polling_url", "no_cost"),
)


@dataclass
class Rule:
    """One fault to happen; see the module's text."""

    fault: str
    times: int | None = 1
    after: int = 0
    seconds: float | None = None
    seen: int = field(default=0, init=False)
    struck: int = field(default=0, init=False)


def parse_rules(value: object) -> list[Rule]:
    """Read rules from JSON: one object or a list of them.

    Raises:
        ValueError: Not that shape, an unknown key or fault.
    """
    keys = [each.name for each in fields(Rule) if each.init]
    rules = []
    for entry in value if isinstance(value, list) else [value]:
        if not isinstance(entry, dict) or set(entry) - set(keys):
            raise ValueError(f"a rule is an object with the keys {', '.join(keys)} (got {entry!r})")
        if entry.get("fault") not in (*SUBMIT, *TASK, *DELIVERY):
            raise ValueError(
                f"there is no fault {entry.get('fault')!r}; known are"
                f" {', '.join((*SUBMIT, *TASK, *DELIVERY))}"
            )
        rules.append(Rule(**entry))
    return rules


class Faults:
    """The rules in force."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self.rules = list(rules)

    def strike(self, *faults: str) -> dict[str, Rule]:
        """Tell of an occasion for some faults; return those that strike now."""
        struck = {}
        for rule in self.rules:
            if rule.fault in faults:
                rule.seen += 1
                if rule.seen > rule.after and (rule.times is None or rule.struck < rule.times):
                    rule.struck += 1
                    struck[rule.fault] = rule
        return struck

    def as_rows(self) -> list[dict[str, object]]:
        """The rules with what they have done, as JSON."""
        return [vars(rule) for rule in self.rules]

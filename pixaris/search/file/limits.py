"""The search file's ``limits`` and ``budget``: what the pool works by, and what the search may spend; and
``recheck`` and ``holdout``: what it spends in the end for a surer answer.
"""

from __future__ import annotations

from collections.abc import Mapping

from pixaris.endpoints.dispatch.policy import Policy
from pixaris.results.budget import Budget
from pixaris.search.file.reader import Reader
from pixaris.search.file.schema.keys import (
    BUDGET,
    FEWEST_HELD_OUT,
    FILE,
    LIMIT,
    RECHECK,
    key_of,
    names,
    read_values,
)
from pixaris.search.settings import EvidenceSettings, Recheck


def read_limits(reader: Reader, path: str, value: object) -> Policy:
    """The section ``limits``; what is left out has its default."""
    given = read_values(reader, path, reader.section(path, value, names(LIMIT)), LIMIT)
    policy = Policy()
    wait = float(given.get("wait", policy.wait_limit))
    return Policy(wait_limit=wait, max_attempts=given.get("attempts", policy.max_attempts))


def read_budget(reader: Reader, path: str, value: object) -> Budget:
    """The section ``budget``."""
    return Budget(**read_values(reader, path, reader.section(path, value, names(BUDGET)), BUDGET))


def read_evidence(reader: Reader, fields: Mapping[str, object]) -> EvidenceSettings:
    """The keys ``recheck`` and ``holdout``."""
    holdout = read_values(reader, "", fields, [key_of(FILE, "holdout")]).get("holdout", 0)
    if 0 < holdout < FEWEST_HELD_OUT:
        reader.add_problem(
            "holdout",
            f"must be at least {FEWEST_HELD_OUT} items (got {holdout}): over fewer, the interval is so wide"
            " that it tells next to nothing, and the search lacks them; leave it out, or add images",
        )
    return EvidenceSettings(_recheck(reader, fields["recheck"]) if "recheck" in fields else None, holdout)


def _recheck(reader: Reader, value: object) -> Recheck | None:
    if isinstance(value, bool):
        if value:
            return Recheck()
        return None
    fields = reader.section("recheck", value, names(RECHECK))
    return Recheck(**read_values(reader, "recheck", fields, RECHECK))

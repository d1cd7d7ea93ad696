"""The search file's ``limits`` and ``budget``: what the pool works by, and what the search may spend; and
``recheck`` and ``holdout``: what it spends in the end for a surer answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from pixaris.endpoints.dispatch.policy import Policy
from pixaris.experiment.setup import MOST_SEEDS
from pixaris.results.budget import Budget
from pixaris.search.file.reader import Reader
from pixaris.search.file.yaml_file import join
from pixaris.search.settings import EvidenceSettings, Recheck

_KEYS = ("wait", "attempts")
_MAX_SECONDS = 30 * 86_400
_MOST_SETS = 100
FEWEST_HELD_OUT = 8


def read_limits(reader: Reader, path: str, value: object) -> Policy:
    """The section ``limits``; what is left out has its default."""
    given = reader.section(path, value, _KEYS)
    policy = Policy()
    wait = reader.whole(
        f"{path}.wait", given.get("wait", int(policy.wait_limit)), at_least=1, at_most=_MAX_SECONDS
    )
    attempts = reader.whole(
        f"{path}.attempts", given.get("attempts", policy.max_attempts), at_least=1, at_most=1000
    )
    return Policy(wait_limit=float(wait or policy.wait_limit), max_attempts=attempts or policy.max_attempts)


def read_budget(reader: Reader, path: str, value: object) -> Budget:
    """The section ``budget``."""
    given = reader.section(path, value, tuple(field.name for field in fields(Budget)))
    return Budget(
        images=reader.whole(join(path, "images"), given["images"], at_least=1) if "images" in given else None,
        **{
            name: reader.above(join(path, name), given[name], 0)
            for name in ("seconds", "endpoint_seconds", "credits")
            if name in given
        },
    )


def read_evidence(reader: Reader, fields: Mapping[str, Any]) -> EvidenceSettings:
    """The keys ``recheck`` and ``holdout``."""
    holdout = reader.whole("holdout", fields.get("holdout", 0)) or 0
    if 0 < holdout < FEWEST_HELD_OUT:
        reader.add_problem(
            "holdout",
            f"must be at least {FEWEST_HELD_OUT} items (got {holdout}): over fewer, the interval is so wide"
            " that it tells next to nothing, and the search lacks them; leave it out, or add images",
        )
    return EvidenceSettings(_recheck(reader, fields["recheck"]) if "recheck" in fields else None, holdout)


def _recheck(reader: Reader, value: object) -> Recheck | None:
    if isinstance(value, bool):
        return Recheck() if value else None
    given = reader.section("recheck", value, ("top", "seeds"))
    usual = Recheck()
    top = reader.whole("recheck.top", given.get("top", usual.top), at_least=1, at_most=_MOST_SETS)
    seeds = reader.whole("recheck.seeds", given.get("seeds", usual.seeds), at_least=1, at_most=MOST_SEEDS)
    return Recheck(top or usual.top, seeds or usual.seeds)

"""The search file's ``limits`` and ``budget``: what the pool works by, and what the search may spend."""

from __future__ import annotations

from dataclasses import fields

from pixaris.endpoints.dispatch.policy import Policy
from pixaris.results.budget import Budget
from pixaris.search.file.reader import Reader
from pixaris.search.file.yaml_file import join

_KEYS = ("wait", "attempts")
_MAX_SECONDS = 30 * 86_400


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

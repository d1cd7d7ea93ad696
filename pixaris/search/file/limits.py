"""The search file's ``limits``: what the pool works by."""

from __future__ import annotations

from pixaris.endpoints.policy import Policy
from pixaris.search.file.reader import Reader

_KEYS = ("wait", "attempts")
_MAX_SECONDS = 30 * 86_400


def read_limits(reader: Reader, path: str, value: object) -> Policy:
    """The section ``limits``; what is left out has its default."""
    fields = reader.section(path, value, _KEYS)
    policy = Policy()
    wait = reader.whole(
        f"{path}.wait", fields.get("wait", int(policy.wait_limit)), at_least=1, at_most=_MAX_SECONDS
    )
    attempts = reader.whole(
        f"{path}.attempts", fields.get("attempts", policy.max_attempts), at_least=1, at_most=1000
    )
    return Policy(wait_limit=float(wait or policy.wait_limit), max_attempts=attempts or policy.max_attempts)

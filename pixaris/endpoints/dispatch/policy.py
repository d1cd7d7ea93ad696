"""The limits that the pool works by."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Policy:
    """Limits, in attempts and seconds.

    Attributes:
        max_attempts: Endpoint failures a request survives; the last one is its result.
        first_quarantine: How long a failed endpoint rests before its first probe; doubled for each failed
            probe, and for each quarantine since its last image …
        max_quarantine: … up to this.
        memory_rest: How long an endpoint rests that ran out of memory for what another one could make.
        rate_rest: How long an endpoint rests after HTTP 429 without a time of its own …
        max_rate_rest: … and at most, whatever time it asks for.
        wait_limit: How long requests wait while no endpoint of their kind is healthy, before the pool gives
            up.
        client_limit: How long a process that shares the pool may be silent before its requests are cancelled.
        patience: How long a request waits before it goes before all of its priority (at least as long as 20
            images take).
        models_held: Affinity keys whose models an endpoint is taken to hold at once.
        models_at_once: Affinity keys that will be asked for at the same time: the first one leaves endpoints
            to the others …
        head_start: … for so long at most, counted from the first request.
    """

    max_attempts: int = 6
    first_quarantine: float = 1.0
    max_quarantine: float = 30.0
    memory_rest: float = 2.0
    rate_rest: float = 5.0
    max_rate_rest: float = 300.0
    wait_limit: float = 120.0
    client_limit: float = 30.0
    patience: float = 30.0
    models_held: int = 1
    models_at_once: int = 1
    head_start: float = 10.0

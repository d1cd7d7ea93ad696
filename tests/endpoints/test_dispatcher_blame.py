"""Whose fault a failure is: the endpoint's, or the parameter set's."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixaris.endpoints.base import Endpoint
from pixaris.endpoints.dispatch.dispatcher import Dispatcher, Lease, Policy
from pixaris.exceptions import (
    BadImageError,
    ExecutionError,
    OutOfMemoryError,
    PixarisError,
    PromptLostError,
    UnreachableError,
)

SMALL, LARGE, EQUAL = (Endpoint(f"http://{name}", depth=1) for name in ("small", "large", "equal"))
MEMORY = {SMALL.url: 8, LARGE.url: 24, EQUAL.url: 8}
SHORT = OutOfMemoryError("torch.OutOfMemoryError: Allocation on device")


def pool(*endpoints: Endpoint, memory: bool = True) -> Dispatcher:
    dispatcher = Dispatcher(Policy())
    for endpoint in endpoints:
        dispatcher.join(endpoint, 0.0, healthy=True)
        server = dispatcher.health.server(endpoint.url)
        assert server is not None
        server.memory = MEMORY[endpoint.url] if memory else None
    return dispatcher


def placed(dispatcher: Dispatcher, request_id: str, owner: str = "set") -> Lease:
    dispatcher.submit(request_id, "comfyui", 0, 0.0, owner=owner)
    (lease,) = dispatcher.assign(0.0)
    return lease


def states(dispatcher: Dispatcher) -> dict[str, str]:
    return {one.url: one.state for one in dispatcher.health.status()}


def answer_probes(dispatcher: Dispatcher, error: PixarisError | None, now: float) -> None:
    for endpoint in dispatcher.health.probes(now):
        dispatcher.health.probed(endpoint.url, error, now)


def test_out_of_memory_is_tried_once_more_on_freed_memory_and_rests_nobody() -> None:
    dispatcher = pool(SMALL)
    first = placed(dispatcher, "1")
    assert not first.free_memory
    assert not dispatcher.failed(first, SHORT, 0.0), "it has another try"
    (second,) = dispatcher.assign(0.0)
    assert (second.url, second.free_memory) == (SMALL.url, True)
    assert dispatcher.failed(second, SHORT, 0.0), "and no third"
    assert states(dispatcher) == {SMALL.url: "healthy"}
    assert dispatcher.errors == 1


@pytest.mark.parametrize(
    ("endpoints", "second"),
    [((SMALL, LARGE), LARGE), ((SMALL, EQUAL), EQUAL), ((LARGE, SMALL), LARGE), ((LARGE, EQUAL), LARGE)],
    ids=["more memory", "as much elsewhere", "less elsewhere", "less elsewhere, again"],
)
def test_the_second_try_goes_where_there_is_no_less_memory(
    endpoints: tuple[Endpoint, Endpoint], second: Endpoint
) -> None:
    dispatcher = pool(*endpoints)
    first = placed(dispatcher, "1")
    assert first.url == endpoints[0].url
    dispatcher.failed(first, SHORT, 0.0)
    (lease,) = dispatcher.assign(0.0)
    assert lease.url in (second.url, first.url if MEMORY[first.url] == MEMORY[second.url] else second.url)


def test_an_endpoint_that_has_no_memory_for_what_another_one_makes_rests() -> None:
    dispatcher = pool(SMALL, EQUAL, memory=False)
    first = placed(dispatcher, "1")
    dispatcher.failed(first, SHORT, 0.0)
    (second,) = dispatcher.assign(0.0)
    assert second.url != first.url
    assert dispatcher.succeeded(second, 1.0)
    assert states(dispatcher) == {first.url: "quarantined", second.url: "healthy"}
    assert "another endpoint could make" in dispatcher.health.events[-1]


def test_the_last_endpoint_is_doubted_for_one_sets_failures_and_its_probe_decides() -> None:
    dispatcher = pool(SMALL)
    lease = placed(dispatcher, "bad")
    dispatcher.submit("good", "comfyui", 0, 0.0, owner="another set")
    dispatcher.failed(lease, BadImageError("cut"), 0.0)
    assert states(dispatcher) == {SMALL.url: "healthy"}
    assert dispatcher.assign(0.0) == [], "it gets nothing until it was probed"
    assert dispatcher.next_event(0.0) == 0.0
    answer_probes(dispatcher, None, 0.0)
    assert len(dispatcher.assign(0.0)) == 1

    (lease,) = [one for one in (dispatcher.lease("bad"), dispatcher.lease("good")) if one is not None]
    dispatcher.failed(lease, BadImageError("cut"), 0.0)
    answer_probes(dispatcher, UnreachableError("refused"), 0.0)
    assert states(dispatcher) == {SMALL.url: "quarantined"}


def test_failures_of_two_sets_quarantine_the_last_endpoint_too() -> None:
    dispatcher = pool(SMALL)
    first = placed(dispatcher, "1", "one")
    dispatcher.submit("2", "comfyui", 0, 0.0, owner="two")
    dispatcher.failed(first, PromptLostError("lost"), 0.0)
    answer_probes(dispatcher, None, 0.0)
    dispatcher.cancel("1")
    (second,) = dispatcher.assign(0.0)
    dispatcher.failed(second, PromptLostError("lost"), 0.0)
    assert states(dispatcher) == {SMALL.url: "quarantined"}


def test_who_comes_later_does_not_wait_for_the_rest_that_another_set_has_caused() -> None:
    dispatcher = pool(SMALL)
    lease = placed(dispatcher, "1", "one")
    dispatcher.failed(lease, PromptLostError("lost"), 0.0)
    assert states(dispatcher) == {SMALL.url: "quarantined"}, "nobody else waits: it may rest"
    assert dispatcher.health.probes(0.5) == []
    dispatcher.submit("2", "comfyui", 0, 0.5, owner="two")
    answer_probes(dispatcher, None, 0.5)
    assert states(dispatcher) == {SMALL.url: "healthy"}


def test_a_reason_is_told_once_and_then_counted() -> None:
    dispatcher = pool(SMALL)
    words = "CUDA error: device lost\n" + "at some place\n" * 50
    for number in range(3):
        moment = 100.0 * number
        answer_probes(dispatcher, None, moment)
        dispatcher.submit(str(number), "comfyui", 0, moment)
        (lease,) = dispatcher.assign(moment)
        dispatcher.failed(lease, PromptLostError(words), moment)
        dispatcher.cancel(lease.request_id)
    told = [event for event in dispatcher.health.events if "is quarantined" in event]
    assert told[0] == f"{SMALL.url} is quarantined: CUDA error: device lost"
    assert told[1:] == [
        f"{SMALL.url} is quarantined again, for the same reason ({n} times so far)" for n in (2, 3)
    ]


FAULTS = st.sampled_from(
    [UnreachableError("reset"), PromptLostError("lost"), BadImageError("cut"), SHORT, ExecutionError("no")]
)


@given(
    endpoints=st.integers(1, 4),
    faults=st.lists(FAULTS, min_size=1, max_size=40),
    order=st.randoms(use_true_random=False),
    settled=st.booleans(),
)
def test_no_fault_of_one_set_keeps_every_endpoint_from_the_others(
    endpoints: int, faults: list[PixarisError], order: random.Random, settled: bool
) -> None:
    """One set's requests fail whenever and however they are tried; probes succeed. The other set's go on."""
    dispatcher = Dispatcher(Policy())
    for number in range(endpoints):
        dispatcher.join(Endpoint(f"http://{number}", depth=2), 0.0, healthy=True)
    if not settled:  # the bad one is alone at first
        dispatcher.submit("bad", "comfyui", 0, 0.0, owner="bad set")
        for lease in dispatcher.assign(0.0):
            dispatcher.failed(lease, faults[0], 0.0)
    for number, _ in enumerate(faults):
        dispatcher.submit(f"bad {number}", "comfyui", 0, 0.0, owner="bad set")
        dispatcher.submit(f"good {number}", "comfyui", 0, 0.0, owner="good set")
    made = 0
    leases = list(dispatcher.assign(0.0))
    errors = itertools.cycle(faults)
    while "good set" in dispatcher.health._waiting.owners("comfyui"):
        answer_probes(dispatcher, None, 0.0)
        assert "healthy" in states(dispatcher).values(), "without waiting for any rest"
        leases += dispatcher.assign(0.0)
        lease = leases.pop(order.randrange(len(leases)))
        if lease.request_id.startswith("good"):
            made += dispatcher.succeeded(lease, 0.0)
        else:
            dispatcher.failed(lease, next(errors), 0.0)
    assert made == len(faults)

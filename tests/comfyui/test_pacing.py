"""When a prompt is looked for over HTTP, and what it means that it is not found: the clock is a number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixaris.comfyui.address import Timeouts
from pixaris.comfyui.prompts.pacing import Pacing

LIMITS = Timeouts(generation=60.0, lost_after=0.5, dead_worker=5.0, quiet=2.0, lively=5.0)
SECONDS = st.floats(0.0, 20.0)


def test_a_socket_that_brings_messages_makes_probes_seldom() -> None:
    pacing = Pacing(LIMITS, 100.0)
    assert pacing.next_probe(100.0, connected=True) == 102.0
    assert pacing.next_probe(101.5, connected=True) == 103.5, "so long after the last message"
    assert pacing.next_probe(104.9, connected=True) == 105.0, "but at least so often"


def test_silence_doubles_the_time_between_probes() -> None:
    pacing, now = Pacing(LIMITS, 0.0), 0.0
    pauses = []
    for _ in range(4):
        due = pacing.next_probe(-1.0, connected=True)
        pauses.append(due - now)
        now = due
        pacing.answered(now, -1.0)
    assert pauses == [2.0, 4.0, 5.0, 5.0]


@pytest.mark.parametrize(("deaf", "connected"), [(True, True), (False, False)])
def test_without_messages_probes_begin_fast_and_slow_down_to_one_a_second(
    deaf: bool, connected: bool
) -> None:
    pacing, now, pauses = Pacing(LIMITS, 0.0, deaf=deaf), 0.0, []
    for _ in range(5):
        due = pacing.next_probe(0.0, connected=connected)
        pauses.append(due - now)
        now = due
        pacing.answered(now, 0.0)
    assert pauses == [0.25, 0.5, 1.0, 1.0, 1.0]


def test_what_may_have_been_missed_is_looked_for_at_once() -> None:
    assert Pacing(LIMITS, 100.0, at_once=True).next_probe(0.0, connected=True) <= 100.0
    pacing = Pacing(LIMITS, 100.0)
    pacing.missed()
    assert pacing.next_probe(100.0, connected=False) <= 100.0


def test_an_answer_that_is_older_than_the_prompt_says_nothing_about_it() -> None:
    pacing = Pacing(LIMITS, 100.0, at_once=True)
    assert pacing.asked == 100.0
    pacing.answered(103.0, 0.0)
    assert pacing.asked == 103.0


def test_a_prompt_is_lost_once_it_is_nowhere_for_so_long() -> None:
    pacing = Pacing(LIMITS, 0.0)
    assert not pacing.absent(10.0)
    assert pacing.next_probe(0.0, connected=True) == 0.5, "the next probe comes soon"
    assert not pacing.absent(10.4)
    assert pacing.absent(10.5)


def test_a_prompt_that_turns_up_again_is_not_lost() -> None:
    pacing = Pacing(LIMITS, 0.0)
    pacing.absent(10.0)
    pacing.queued(10.3, stands_still=False)
    assert not pacing.absent(10.6)


def test_a_worker_is_dead_once_prompts_wait_and_none_runs_for_so_long() -> None:
    pacing = Pacing(LIMITS, 0.0)
    assert pacing.queued(1.0, stands_still=True) == 0.0
    assert pacing.queued(5.9, stands_still=True) == 0.0
    assert not pacing.worker_died
    assert pacing.queued(6.0, stands_still=True) == 5.0
    assert pacing.worker_died


@pytest.mark.parametrize("meanwhile", ["runs", "absent"])
def test_a_queue_that_moved_meanwhile_is_not_standing_still(meanwhile: str) -> None:
    pacing = Pacing(LIMITS, 0.0)
    pacing.queued(1.0, stands_still=True)
    if meanwhile == "runs":
        pacing.queued(3.0, stands_still=False)
    else:
        pacing.absent(3.0)
    assert pacing.queued(6.5, stands_still=True) == 0.0


def test_one_broken_connection_is_forgiven_until_a_probe_succeeds_two_in_a_row_are_not() -> None:
    pacing = Pacing(LIMITS, 0.0)
    assert pacing.broken_off(1.0)
    assert pacing.next_probe(0.0, connected=True) == 1.5
    assert not pacing.broken_off(1.5)
    pacing.answered(2.0, 0.0)
    assert pacing.broken_off(3.0)


@pytest.mark.parametrize(
    ("asked", "pause"), [(None, 1.0), (0.0, 1.0), (0.01, 0.1), (7.0, 7.0), (900.0, 30.0)]
)
def test_a_server_that_asks_to_wait_is_given_what_it_asks_within_bounds(
    asked: float | None, pause: float
) -> None:
    pacing = Pacing(LIMITS, 0.0)
    pacing.put_off(10.0, asked)
    assert pacing.next_probe(0.0, connected=True) == 10.0 + pause


def test_a_row_that_is_late_is_looked_for_in_a_moment() -> None:
    pacing = Pacing(LIMITS, 0.0)
    pacing.no_row(10.0)
    assert 10.0 < pacing.next_probe(10.0, connected=True) <= 10.1


def test_only_the_time_that_a_prompt_runs_counts() -> None:
    pacing = Pacing(LIMITS, 0.0)
    assert pacing.deadline(None) == float("inf")
    assert pacing.deadline(1000.0) == 1060.0


@given(st.lists(st.tuples(SECONDS, SECONDS, st.booleans()), max_size=30), st.booleans())
def test_after_an_answer_the_next_probe_is_neither_at_once_nor_far_off(
    steps: list[tuple[float, float, bool]], deaf: bool
) -> None:
    pacing, now = Pacing(LIMITS, 0.0, deaf=deaf), 0.0
    for passed, heard_ago, connected in steps:
        now += passed
        heard = now - heard_ago
        pacing.answered(now, heard)
        due = pacing.next_probe(heard, connected=connected)
        assert now < due <= now + max(LIMITS.lively, LIMITS.quiet)

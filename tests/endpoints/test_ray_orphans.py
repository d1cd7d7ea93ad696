"""What a process of the Ray pool had on a server when it was killed is not run a second time, and not left
there either.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Sequence

import pytest
from pool_kit import HASTY, Asked, OpenPool, Servers, answers, colour, endpoint, fault, queued, ran, until

from pixaris.endpoints.dispatch.orphans import Orphans
from pixaris.endpoints.ray import RayPool


def numbers(asked: Sequence[Asked]) -> list[int]:
    return [(one.colour[0] << 16) + (one.colour[1] << 8) + one.colour[2] for one in asked]


def opened(ray_pool: OpenPool, seconds: dict[str, float]) -> RayPool:
    """A pool on servers of which every prompt takes so many seconds."""
    for url, delay in seconds.items():
        fault(url, "delay", seconds=delay, times=None)
    pool = ray_pool(*(endpoint(url, timeouts=HASTY) for url in seconds))
    assert isinstance(pool, RayPool)
    return pool


@pytest.mark.parametrize("who", ["pool actor", "worker"])
def test_prompts_of_a_killed_process_are_taken_over_not_run_twice(
    ray_pool: OpenPool, servers: Servers, who: str
) -> None:
    urls = servers(2)
    pool = opened(ray_pool, dict.fromkeys(urls, 0.8))
    asked = [colour(number) for number in range(10, 16)]
    futures = pool.submit([one.request for one in asked])
    until(lambda: all(queued(url) == 2 for url in urls))
    os.kill(pool.pids()[0 if who == "pool actor" else 1], signal.SIGKILL)
    answers(asked, futures)
    assert Counter(number for url in urls for number in ran(url)) == Counter(numbers(asked))
    assert sum(map(queued, urls)) == 0


def test_what_is_given_elsewhere_because_its_server_is_frozen_is_withdrawn_when_that_thaws(
    ray_pool: OpenPool, servers: Servers
) -> None:
    frozen, other = servers(2)
    pool = opened(ray_pool, {frozen: 60.0, other: 0.5})
    asked = [colour(number) for number in range(20, 24)]
    futures = pool.submit([one.request for one in asked])
    until(lambda: queued(frozen) == queued(other) == 2)
    fault(frozen, "hang", route="/queue", seconds=4.0)
    os.kill(pool.pids()[1], signal.SIGKILL)
    answers(asked, futures)
    until(lambda: queued(frozen) == 0)
    assert ran(frozen) == []
    assert Counter(ran(other)) == Counter(numbers(asked))


def test_orphans_of_a_process_that_is_gone_are_known_by_key_once_they_are_submitted_again() -> None:
    orphans = Orphans(0.0)
    assert not orphans.is_unknown("a")
    orphans.expect()
    assert orphans.is_unknown("a")
    orphans.found("a", ["1", "2"])
    assert not orphans.is_unknown("a")
    orphans.submitted("me/1", "1")
    orphans.submitted("me/3", "3")
    assert orphans.known() == [("me/1", "a")]
    assert (orphans.release("me/1"), orphans.release("me/1")) == ("a", "")
    assert orphans.unclaimed(before=-1.0) == []
    assert orphans.unclaimed(before=1.0) == [("2", "a")]
    assert orphans.unclaimed(before=1.0) == []
    orphans.suspect("a")
    assert orphans.is_unknown("a")

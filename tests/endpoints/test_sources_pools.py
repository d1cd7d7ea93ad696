"""Endpoints join and leave a pool at work, whichever kind of pool it is."""

from __future__ import annotations

import os
import signal

from pool_kit import (
    OpenPool,
    Servers,
    answers,
    colour,
    endpoint,
    fault,
    heal,
    healthy,
    mixed,
    queued,
    run,
    until,
)

from pixaris.endpoints.ray import RayPool


def test_an_endpoint_that_joins_gets_what_waits(open_pool: OpenPool, servers: Servers) -> None:
    pool = open_pool()
    first, second = servers(2)
    asked = mixed(4)
    futures = pool.submit([one.request for one in asked])
    assert pool.status().endpoints == ()
    pool.join(endpoint(first))
    pool.join(endpoint(first))
    answers(asked, futures)
    pool.join(endpoint(second))
    until(lambda: healthy(pool) == 2)
    assert {image.endpoint for image in run(pool, mixed(20))} == {first, second}


def test_what_an_endpoint_had_when_it_left_goes_to_others_and_is_withdrawn(
    open_pool: OpenPool, servers: Servers
) -> None:
    slow, other = servers(2)
    fault(slow, "delay", seconds=30, times=None)
    pool = open_pool(slow)
    asked = [colour(number) for number in range(1, 7)]
    futures = pool.submit([one.request for one in asked])
    until(lambda: queued(slow) == 2)
    pool.leave(slow)
    pool.leave("http://127.0.0.1:9")
    pool.join(endpoint(other))
    assert {image.endpoint for image in answers(asked, futures)} == {other}
    assert [(one.url, one.failures) for one in pool.status().endpoints] == [(other, 0)]
    until(lambda: queued(slow) == 0)
    heal(slow)
    pool.join(endpoint(slow))
    until(lambda: healthy(pool) == 2)
    assert {image.endpoint for image in run(pool, mixed(20))} == {slow, other}


def test_sentences_become_events(open_pool: OpenPool) -> None:
    pool = open_pool()
    pool.emit("a tunnel dropped")
    until(lambda: len(pool.status().events) == 1)
    pool.emit("a tunnel is open")
    until(lambda: len(pool.status().events) == 2)
    assert pool.status(1).events == ("a tunnel is open",)


def test_a_pool_actor_that_is_started_again_hears_who_joined_and_left(
    ray_pool: OpenPool, servers: Servers
) -> None:
    first, stays, joins = servers(3)
    pool = ray_pool(first, stays)
    assert isinstance(pool, RayPool)
    pool.join(endpoint(joins))
    pool.leave(first)
    expected = {stays, joins}
    until(lambda: {one.url for one in pool.status().endpoints if one.state == "healthy"} == expected)
    os.kill(pool.pids()[0], signal.SIGKILL)
    until(lambda: any("was started again" in event for event in pool.status().events))
    until(lambda: {one.url for one in pool.status().endpoints if one.state == "healthy"} == expected)
    assert {image.endpoint for image in run(pool, mixed(20))} == expected

"""The pool on Ray when its own processes die: a worker, the pool actor, a process that asked."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import ray
from pool_kit import (
    POLICY,
    Asked,
    answers,
    colour,
    endpoint,
    fault,
    heal,
    healthy,
    idle,
    mixed,
    negative,
    queued,
    ran,
    run,
    until,
)

from pixaris.comfyui.server.inprocess import serve_in_thread
from pixaris.comfyui.server.worker import Options
from pixaris.endpoints.base import Submit
from pixaris.endpoints.ray import RayPool, RayPoolConfig, recent, start_pool
from pixaris.endpoints.ray.actor import PoolActor
from pixaris.endpoints.ray.messages import Delivery, Envelope, ImageRef
from pixaris.exceptions import RequestError

Started = tuple[RayPoolConfig, RayPool, list[str]]


@pytest.fixture(scope="module")
def shared(ray_session: None) -> Iterator[Started]:
    """One pool on two servers, for all tests here."""
    with serve_in_thread(Options(faults=[])) as one, serve_in_thread(Options(faults=[])) as other:
        urls = [one.url, other.url]
        config, pool = start_pool([endpoint(url) for url in urls], policy=replace(POLICY, client_limit=1.5))
        yield config, pool, urls
        pool.shut_down()


@pytest.fixture
def started(shared: Started) -> Started:
    """The shared pool, idle, on servers without faults."""
    for url in shared[2]:
        heal(url)
    until(lambda: idle(shared[1]) and healthy(shared[1]) == 2)
    return shared


def slow_down(urls: list[str]) -> None:
    for url in urls:
        fault(url, "delay", seconds=0.1, times=None)


def collect(actor: Any, client: str) -> Delivery:
    """The first outcomes of a client, by the pool actor's own protocol."""
    delivery = Delivery("")
    while not delivery.outcomes:
        delivery = ray.get(actor.collect.remote(client, delivery.token, 0))
    return delivery


def test_images_wait_where_they_were_made_until_they_are_acknowledged(started: Started) -> None:
    config, pool, _ = started
    asked = negative(0x123456, side=64)
    actor: Any = ray.get_actor(config.name, namespace="pixaris")
    one = asked.request.images[0]
    ray.get(actor.perform.remote("somebody", Submit((envelope(asked, ray.put(one.image.data)),))))
    delivery = collect(actor, "somebody")
    (outcome,) = delivery.outcomes
    assert outcome.image is not None
    assert outcome.image.image.data == b""
    assert outcome.ref is not None
    data = fetched(outcome.ref)
    assert data is not None
    asked.check(replace(outcome.image, image=replace(outcome.image.image, data=data)))
    (again,) = collect(actor, "somebody").outcomes
    assert (again.request_id, again.ref) == (asked.id, outcome.ref), "until they are acknowledged"
    assert fetched(outcome.ref) == data
    assert ray.get(actor.collect.remote("somebody", delivery.token, 1)).outcomes == ()
    until(lambda: outcome.ref is not None and fetched(outcome.ref) is None, seconds=3 * recent.SECONDS)
    assert pool.status().failed == 0


def test_images_of_a_client_that_is_gone_are_released(started: Started) -> None:
    config, pool, _ = started
    actor: Any = ray.get_actor(config.name, namespace="pixaris")
    asked = mixed(3, 700)
    config.connect("gone").send([one.request for one in asked])
    until(lambda: idle(pool))
    refs = [outcome.ref for outcome in collect(actor, "gone").outcomes]  # and is never heard of again
    until(lambda: all(ref is not None and fetched(ref) is None for ref in refs), seconds=3 * recent.SECONDS)


def test_who_asks_for_what_another_client_has_just_got_is_given_the_same_image(started: Started) -> None:
    config, pool, urls = started
    asked = colour(0x51D5)
    one, other, late = config.connect(), config.connect(), config.connect()
    (made,) = run(one, [asked])
    until(lambda: idle(pool))
    for client in (other, late):
        same = Asked(replace(asked.request, id=uuid.uuid4().hex), asked.colour)
        (given,) = run(client, [same])
        assert (given.cached, given.image) == (True, made.image)
    (twice,) = run(one, [Asked(replace(asked.request, id=uuid.uuid4().hex), asked.colour)])
    assert not twice.cached, "who asks twice wants two images"
    assert sum(ran(url).count(0x51D5) for url in urls) == 2
    for client in (one, other, late):
        client.close()


def envelope(asked: Asked, data: ray.ObjectRef) -> Envelope:
    """A request as it travels, with a reference to its image's bytes."""
    one = asked.request.images[0]
    bare = replace(asked.request, images=(replace(one, image=replace(one.image, data=b"")),))
    return Envelope(bare, {one.image.digest: data})


def fetched(ref: ImageRef) -> bytes | None:
    actor: Any = ray.get_actor(ref.worker, namespace="pixaris")
    (data,) = ray.get(actor.fetch.remote([ref.number]))
    return data if data is None else bytes(data)


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="the system has no such scheduling")
def test_the_threads_of_a_worker_do_not_preempt_each_other(started: Started) -> None:
    _, pool, _ = started
    run(pool, mixed(4, 500))
    threads = os.listdir(f"/proc/{pool.pids()[1]}/task")
    assert {os.sched_getscheduler(int(thread)) for thread in threads} == {os.SCHED_BATCH}


def test_a_worker_that_is_killed_is_replaced_and_every_request_answered_once(started: Started) -> None:
    _, pool, urls = started
    slow_down(urls)
    before = pool.status()
    asked = mixed(24)
    futures = pool.submit([one.request for one in asked])
    until(lambda: pool.status().done > before.done + 3)
    worker = pool.pids()[1]
    os.kill(worker, signal.SIGKILL)
    answers(asked, futures)
    status = pool.status(before.first_event + len(before.events))
    assert (status.done - before.done, status.failed, status.waiting) == (24, 0, 0)
    assert any("another one takes over" in event for event in status.events)
    assert [one.state for one in status.endpoints] == ["healthy", "healthy"], "no endpoint is to blame"
    assert pool.pids()[1] != worker


def test_images_of_a_worker_that_is_stopped_for_a_while_are_waited_for(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pixaris.endpoints.ray.collector._FETCH_SECONDS", 0.5)
    config, pool, _ = started
    asked = mixed(8, 770)
    config.connect("patient").send([one.request for one in asked])
    until(lambda: idle(pool))
    before, worker = pool.status(), pool.pids()[1]
    os.kill(worker, signal.SIGSTOP)
    try:
        patient = config.connect("patient")
        futures = patient.submit([one.request for one in asked])
        time.sleep(4.0)  # longer than a client may be silent
    finally:
        os.kill(worker, signal.SIGCONT)
    answers(asked, futures)
    assert pool.status().done == before.done, "none was made twice"
    patient.close()


def test_images_that_are_gone_with_their_worker_are_made_again(started: Started) -> None:
    config, pool, _ = started
    asked = mixed(40, 720)
    config.connect("slow").send([one.request for one in asked])
    until(lambda: idle(pool))
    before = pool.status()
    os.kill(pool.pids()[1], signal.SIGKILL)
    slow = config.connect("slow")
    answers(asked, slow.submit([one.request for one in asked]))
    status = pool.status()
    assert (status.done, status.failed) == (before.done, before.failed), "each counts once"
    slow.close()


def test_a_pool_actor_that_is_killed_comes_back_and_every_request_is_answered_once(started: Started) -> None:
    config, pool, urls = started
    slow_down(urls)
    other = config.connect()
    mine, theirs = mixed(20, 200), mixed(8, 300)
    futures = pool.submit([one.request for one in mine[:12]])
    ahead = pool.submit([one.request for one in mine[12:]], priority=10)
    their_futures = other.submit([one.request for one in theirs])
    until(lambda: any(future.done() for future in futures))
    old = pool.pids()
    os.kill(old[0], signal.SIGKILL)
    assert pool.status().fatal is None, "asking meanwhile waits for its return"
    answers(mine, [*futures, *ahead])
    answers(theirs, their_futures)
    assert "was started again" in pool.status().events[0]
    assert not set(pool.pids()) & set(old)
    other.close()


def test_a_pool_actor_that_is_killed_while_nobody_waits_is_not_missed(started: Started) -> None:
    _, pool, _ = started
    os.kill(pool.pids()[0], signal.SIGKILL)
    asked = mixed(6, 400)
    first = pool.submit([one.request for one in asked])  # into the hole
    answers(asked, first)
    run(pool, mixed(6, 410))


def test_what_was_asked_for_early_waits_for_its_client(started: Started) -> None:
    config, pool, urls = started
    asked = mixed(6, 420)
    config.connect("late").send([one.request for one in asked])
    until(lambda: idle(pool) and sum(len(ran(url)) for url in urls) >= 5)
    time.sleep(2.5)  # longer than a client may be silent
    before = pool.status().done
    late = config.connect("late")
    answers(asked, late.submit([one.request for one in asked]))
    assert pool.status().done == before, "they were there"
    late.close()


class Client:
    """A process that asks for images and waits, as a trial does."""

    def __init__(self, config: RayPoolConfig) -> None:
        self._pool = config.connect()

    def ask(self, numbers: list[int]) -> int:
        self._futures = self._pool.submit(
            [*(colour(n).request for n in numbers), *(negative(n).request for n in numbers)]
        )
        return os.getpid()


def test_a_process_that_dies_has_its_requests_withdrawn(started: Started) -> None:
    config, pool, urls = started
    until(lambda: idle(pool))
    for url in urls:
        fault(url, "delay", seconds=60.0)
    client = ray.remote(num_cpus=0)(Client).remote(config)
    pid = ray.get(client.ask.remote(list(range(500, 510))))
    until(lambda: [queued(url) for url in urls] == [2, 2])
    assert pool.status().waiting == 16
    os.kill(pid, signal.SIGKILL)
    mine = [colour(600), colour(601)]
    futures = pool.submit([one.request for one in mine])
    until(lambda: pool.status().waiting < 16)
    for url in urls:
        heal(url)
    answers(mine, futures)
    until(lambda: idle(pool) and sum(map(queued, urls)) == 0)
    made = {number for url in urls for number in ran(url) if 500 <= number < 510}
    assert len(made) <= 4, "only what was on a server already can have been made"
    assert [one.state for one in pool.status().endpoints] == ["healthy", "healthy"]


def test_one_client_neither_sees_nor_cancels_what_another_asked_for(started: Started) -> None:
    config, pool, urls = started
    other = config.connect()
    slow_down(urls)
    asked = colour(700)
    (mine,), (theirs,) = pool.submit([asked.request]), other.submit([asked.request])
    assert mine is not theirs
    other.close()
    answers([asked], [mine])


def lost() -> bytes:
    """Stands for an object that cannot be had any more: getting it raises, as it does when its node is
    gone.
    """
    raise OSError("gone")


def test_input_images_that_are_gone_are_no_endpoints_fault(started: Started) -> None:
    config, pool, _ = started
    actor: Any = ray.get_actor(config.name, namespace="pixaris")
    asked = negative(0x654321)
    gone = ray.remote(num_cpus=0)(lost).remote()
    ray.get(actor.perform.remote("loser", Submit((envelope(asked, gone),))))
    (outcome,) = collect(actor, "loser").outcomes
    assert type(outcome.error) is RequestError
    assert [one.state for one in pool.status().endpoints] == ["healthy", "healthy"]


def cut_connections(pid: int, other: int) -> int:
    """Break the TCP connections between two processes of this machine; gives how many there were."""
    rows = subprocess.run(["ss", "-tnpH"], capture_output=True, text=True, check=True).stdout
    ends: dict[int, set[tuple[str, str]]] = {pid: set(), other: set()}
    for row in rows.replace("[::ffff:", "").replace("]", "").splitlines():
        fields = row.split()
        for process, found in ends.items():
            if f"pid={process}," in row:
                found.add((fields[3], fields[4]))
    shared = [(here, there) for here, there in ends[pid] if (there, here) in ends[other]]
    for here, there in shared:
        subprocess.run(["ss", "-K", "src", here, "dst", there], capture_output=True, check=True)
    return len(shared)


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("ss") is None, reason="only root may cut connections")
def test_a_cut_connection_to_a_worker_is_no_death_and_nothing_is_made_twice(started: Started) -> None:
    _, pool, urls = started
    for url in urls:
        fault(url, "delay", seconds=1.0, times=None)
    before = [len(ran(url)) for url in urls]
    actor, *workers = pool.pids()
    asked = [colour(number) for number in range(4000, 4008)]
    futures = pool.submit([one.request for one in asked])
    time.sleep(1.5)
    assert sum(cut_connections(actor, worker) for worker in workers) > 0
    for one, future in zip(asked, futures, strict=True):
        one.check(future.result(60))
    assert pool.pids() == (actor, *workers), "nobody was replaced"
    assert sum(len(ran(url)) for url in urls) - sum(before) == len(asked)
    assert not [event for event in pool.status().events if "another one takes over" in event]


def test_the_pool_s_calls_have_no_more_than_one_group_of_their_own() -> None:
    """With two, Ray may run both groups' threads on one event loop, and calls of the other never return."""
    groups = {getattr(method, "__ray_concurrency_group__", None) for method in vars(PoolActor).values()}
    assert groups - {None} == {"waiting"}

"""What every endpoint pool does, on threads and on Ray, with real servers over real sockets, whatever goes
wrong with them.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from kit import start_servers
from pool_kit import (
    HASTY,
    POLICY,
    Asked,
    answers,
    broken,
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
    refused,
    run,
    until,
)

from pixaris.endpoints.base import EndpointPool
from pixaris.endpoints.local import LocalPool
from pixaris.endpoints.sources.process import ServerProcess
from pixaris.exceptions import CancelledRequestError, ExecutionError, NoEndpointError, PromptRejectedError
from pixaris.types import GeneratedImage

OpenPool = Callable[..., EndpointPool]
Servers = Callable[[int], list[str]]

NOBODY = "http://127.0.0.1:9"  # the discard port: nothing listens


def events(pool: EndpointPool) -> str:
    return "\n".join(pool.status().events)


# What is asked for is what comes


def test_every_result_is_the_one_that_was_asked_for(open_pool: OpenPool, servers: Servers) -> None:
    urls = servers(3)
    pool = open_pool(*urls)
    asked = mixed(108)
    batches = [asked[start::4] for start in range(4)]

    def submit(batch: list[Asked]) -> list[tuple[Asked, Future[GeneratedImage]]]:
        pieces = [batch[start : start + 9] for start in range(0, len(batch), 9)]
        return [
            pair
            for piece in pieces
            for pair in zip(piece, pool.submit([one.request for one in piece]), strict=True)
        ]

    with ThreadPoolExecutor(4) as threads:
        pairs = [pair for found in threads.map(submit, batches) for pair in found]
    generated = answers([one for one, _ in pairs], [future for _, future in pairs])

    status = pool.status()
    assert (status.done, status.failed, status.waiting, status.fatal) == (108, 0, 0, None)
    assert Counter(image.endpoint for image in generated) == {one.url: one.done for one in status.endpoints}
    assert [one.in_flight for one in status.endpoints] == [0, 0, 0]
    assert all(one.done > 10 for one in status.endpoints), "every endpoint has its share"
    executed = Counter(number for url in urls for number in ran(url))
    assert executed == Counter(number for number in range(1, 109) if number % 6), (
        "each was executed exactly once"
    )


def test_urgent_requests_go_first_and_the_same_one_is_executed_once(
    open_pool: OpenPool, servers: Servers
) -> None:
    (url,) = servers(1)
    pool = open_pool(endpoint(url, depth=1))
    # All that follows is asked for meanwhile, however busy the machine is; between processes that takes its
    # time.
    fault(url, "delay", seconds=4 if isinstance(pool, LocalPool) else 15)
    block = colour(1)
    first, same = pool.submit([block.request, block.request])
    until(lambda: queued(url))
    (again,) = pool.submit([block.request])
    assert first is same is again
    ahead = [colour(number) for number in (10, 11, 12)]
    later = pool.submit([one.request for one in ahead], priority=10)
    until(lambda: pool.status().waiting == 3)  # asked for at once, what follows could overtake them
    urgent = pool.submit([colour(20).request])
    until(lambda: pool.status().waiting == 4)
    pool.promote([ahead[2].id], 0)
    for future in (first, *later, *urgent):
        future.result(40)
    assert ran(url) == [1, 12, 20, 10, 11]
    assert pool.status().done == 5


# What cannot be made


def test_a_workflow_that_fails_fails_alone_and_at_once(open_pool: OpenPool, servers: Servers) -> None:
    urls = servers(2)
    pool = open_pool(*urls)
    good = mixed(8)
    failing, rejected = pool.submit([broken(), refused()])
    answers(good, pool.submit([one.request for one in good]))

    error = failing.exception(20)
    assert isinstance(error, ExecutionError)
    assert error.endpoint in urls
    assert error.node == "Transparency"
    assert "out of bounds" in error.message
    error = rejected.exception(20)
    assert isinstance(error, PromptRejectedError)
    assert error.endpoint in urls
    assert "width" in error.message

    status = pool.status()
    assert (status.done, status.failed) == (8, 2)
    assert [(one.state, one.failures) for one in status.endpoints] == [("healthy", 0)] * 2
    assert status.events == ()

    for url in urls:
        fault(url, "error500", times=None)
    for future in pool.submit([colour(50).request, colour(51).request]):
        assert isinstance(future.exception(20), PromptRejectedError)
    for url in urls:
        heal(url)
    run(pool, [colour(52)])


# What nobody wants any more


def test_cancelled_requests_leave_the_pool_and_the_server(open_pool: OpenPool, servers: Servers) -> None:
    (url,) = servers(1)
    pool = open_pool(url)
    fault(url, "delay", seconds=30.0)
    asked = [colour(number) for number in (1, 2, 3, 4)]
    futures = pool.submit([one.request for one in asked])
    until(lambda: queued(url) == 2)  # one runs, one waits there, two wait in the pool
    pool.cancel([one.id for one in asked[:3]])
    for future in futures[:3]:
        with pytest.raises(CancelledRequestError):
            future.result(5)
    answers(asked[3:], futures[3:])
    until(lambda: queued(url) == 0 and idle(pool))
    made = ran(url)
    assert 4 in made
    assert 3 not in made, "it never got to a server"
    assert len(made) <= 2, "what ran was interrupted; what waited behind it may have slipped through"
    status = pool.status()
    assert (status.done, status.failed, status.endpoints[0].failures) == (1, 0, 0)

    fault(url, "delay", seconds=30.0, times=None)  # of whatever gets there, however late
    for number in range(10, 18):  # at any moment between the pool and the server
        asked = [colour(number)]
        futures = pool.submit([asked[0].request])
        time.sleep(0.004 * (number - 10))
        pool.cancel([asked[0].id])
        assert isinstance(futures[0].exception(5), CancelledRequestError)
        until(lambda: queued(url) == 0 and idle(pool))
    assert not set(range(10, 18)) & set(ran(url))


def test_an_endpoint_is_switched_off_and_on_while_images_are_made(
    open_pool: OpenPool, servers: Servers
) -> None:
    one, other = servers(2)
    pool = open_pool(one, other)
    fault(one, "delay", seconds=30.0)
    asked = [colour(number) for number in range(1, 7)]
    futures = pool.submit([each.request for each in asked])
    until(lambda: queued(one) == 2)
    pool.switch(one, "disable")
    made = answers(asked, futures)
    assert {image.endpoint for image in made} == {other}
    until(lambda: queued(one) == 0)
    until(lambda: "drained" in [each.state for each in pool.status().endpoints])
    pool.switch(one, "enable")
    pool.switch(other, "drain")
    more = run(pool, [colour(number) for number in range(10, 14)])
    assert {image.endpoint for image in more} == {one}
    pool.switch(other, "enable")
    assert "is drained" in events(pool)


def test_close_leaves_nothing_behind(open_pool: OpenPool, servers: Servers) -> None:
    urls = servers(2)
    threads = set(threading.enumerate())
    pool = open_pool(*urls)
    run(pool, mixed(6))
    pids = getattr(pool, "pids", tuple)()
    for url in urls:
        fault(url, "delay", seconds=30.0)
    futures = pool.submit([colour(number).request for number in range(10, 16)])
    until(lambda: [queued(url) for url in urls] == [2, 2])
    getattr(pool, "shut_down", pool.close)()
    for future in futures:
        assert isinstance(future.exception(5), CancelledRequestError)
    until(lambda: sum(map(queued, urls)) == 0, 3)
    ours = "pixaris"
    until(
        lambda: (
            not [thread for thread in set(threading.enumerate()) - threads if thread.name.startswith(ours)]
        ),
        3,
    )
    until(lambda: not [pid for pid in pids if alive(pid)], 5)
    with pytest.raises(CancelledRequestError, match="closed"):
        pool.submit([colour(20).request])
    pool.close()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()


# Servers that fail


def test_a_server_that_is_not_there_costs_only_the_time_to_find_out(
    local_pool: OpenPool, servers: Servers
) -> None:
    pool = local_pool(NOBODY, *servers(2))
    images = run(pool, mixed(20))
    assert {image.attempts for image in images} == {1}
    status = pool.status()
    assert (status.done, status.failed, status.endpoints[0].done) == (20, 0, 0)
    assert status.endpoints[0].state == "quarantined"
    assert status.events[0] == f"{NOBODY} does not answer yet: cannot be reached: Connection refused"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[ServerProcess]]:
    """Servers in processes of their own, which come back when they are killed."""
    with start_servers(tmp_path_factory.mktemp("fleet"), 2, "--faults") as started:
        yield started.processes


def test_a_server_that_is_killed_costs_nothing_and_works_again_when_it_is_back(
    open_pool: OpenPool, fleet: list[ServerProcess]
) -> None:
    urls = [process.url for process in fleet]
    for url in urls:
        heal(url)
        fault(url, "delay", seconds=0.05, times=None)
    pool = open_pool(*urls)
    asked = mixed(40)
    futures = pool.submit([one.request for one in asked])
    until(lambda: pool.status().done > 5)
    victim = fleet[0].pid
    assert victim is not None
    os.kill(victim, signal.SIGKILL)
    answers(asked, futures)
    status = pool.status()
    assert (status.done, status.failed, status.waiting) == (40, 0, 0)
    assert f"{urls[0]} is quarantined" in events(pool)
    until(lambda: healthy(pool) == 2)
    assert f"{urls[0]} is back" in events(pool)
    before = pool.status().endpoints[0].done
    run(pool, mixed(12, 100))
    assert pool.status().endpoints[0].done > before


WRONG = [
    ("hang", {"seconds": 1.5}),
    ("lose", {}),
    ("truncate", {"times": 4}),
    ("truncate", {"times": 4, "how": "cut"}),
    ("error500", {"route": "/view"}),
    ("refuse", {"route": "/history", "times": 12}),
    ("oom", {}),
    ("dead_worker", {}),
]


@pytest.mark.parametrize(
    ("name", "rule"), WRONG, ids=lambda value: value if isinstance(value, str) else "-".join(value)
)
def test_what_goes_wrong_on_one_server_is_made_on_another(
    local_pool: OpenPool, servers: Servers, name: str, rule: dict[str, object]
) -> None:
    bad, good = servers(2)
    fault(bad, name, **rule)
    pool = local_pool(*(endpoint(url, timeouts=HASTY) for url in (bad, good)))
    images = run(pool, mixed(16))
    status = pool.status()
    assert (status.done, status.failed, status.waiting) == (16, 0, 0)
    assert f"{bad} is quarantined" in events(pool)
    assert max(image.attempts for image in images) == 2
    if name != "dead_worker":
        until(lambda: healthy(pool) == 2)
        assert f"{bad} is back" in events(pool)


def test_when_everything_goes_wrong_at_once_every_image_is_right(
    open_pool: OpenPool, servers: Servers
) -> None:
    urls = servers(len(WRONG) + 1)
    for url, (name, rule) in zip(urls, WRONG, strict=False):
        fault(url, name, after=1, **rule)
    pool = open_pool(NOBODY, *(endpoint(url, timeouts=HASTY) for url in urls))
    run(pool, mixed(72))
    status = pool.status()
    assert (status.done, status.failed, status.waiting) == (72, 0, 0)
    assert sum(one.done for one in status.endpoints) == 72


def test_with_no_server_at_all_it_gives_up_after_the_limit(open_pool: OpenPool) -> None:
    pool = open_pool(NOBODY, "http://127.0.0.1:11", policy=replace(POLICY, wait_limit=5.0))
    started = time.monotonic()
    futures = pool.submit([colour(1).request, negative(2).request])
    for future in futures:
        error = future.exception(30)
        assert isinstance(error, NoEndpointError)
        assert "refused" in str(error)
        assert NOBODY in str(error)
    assert 4.9 < time.monotonic() - started < 25
    assert isinstance(pool.status().fatal, NoEndpointError)
    (late,) = pool.submit([colour(3).request])
    assert isinstance(late.exception(5), NoEndpointError)
    assert pool.status().waiting == 0

    pid = getattr(pool, "pids", lambda: (os.getpid(),))()[0]
    before = cpu_seconds(pid)
    time.sleep(0.5)
    assert cpu_seconds(pid) - before < 0.2, "a pool that has given up is idle"


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

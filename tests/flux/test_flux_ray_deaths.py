"""What a process of the Ray pool had sent to Flux when it was killed is followed by its successor, and never
paid twice.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest
from flux_kit import KEY, request, standing_in

from pixaris.endpoints.apis.flux import flux_endpoint
from pixaris.endpoints.dispatch.policy import Policy
from pixaris.endpoints.ray import RayPool, start_pool
from pixaris.flux.server.app import Server

pytestmark = pytest.mark.usefixtures("ray_session")


def until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


@pytest.fixture
def server() -> Iterator[Server]:
    with standing_in(seconds=5.0) as server:
        yield server


@pytest.fixture
def pool(server: Server) -> Iterator[RayPool]:
    policy = Policy(first_quarantine=0.1, max_quarantine=0.5, client_limit=10.0)
    _, pool = start_pool([flux_endpoint(KEY, server.places.api, depth=4)], policy=policy)
    try:
        yield pool
    finally:
        pool.shut_down()


@pytest.mark.parametrize("who", ["pool actor", "worker"])
def test_tasks_of_a_killed_process_are_taken_over_and_none_is_paid_twice(
    server: Server, pool: RayPool, who: str
) -> None:
    futures = pool.submit([request(str(number)) for number in range(6)])
    until(lambda: sum(asked.place == "region" for asked in server.account.asked) >= 4)
    os.kill(pool.pids()[0 if who == "pool actor" else 1], signal.SIGKILL)
    made = [future.result(120) for future in futures]
    assert [image.item for image in made] == [str(number) for number in range(6)]
    assert {image.cost for image in made} == {5.0}
    assert server.account.submitted == 6

"""Pools of both kinds, and servers of a test's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from pool_kit import POLICY, OpenPool, Servers, endpoint

from pixaris.comfyui.server.inprocess import serve_in_thread
from pixaris.comfyui.server.worker import Options
from pixaris.endpoints.base import Endpoint
from pixaris.endpoints.dispatch.dispatcher import Policy
from pixaris.endpoints.local import LocalPool


@pytest.fixture
def servers() -> Iterator[Servers]:
    """Starts so many servers with fault injection, in this process; gives their URLs."""
    with ExitStack() as stack:
        yield lambda count: [
            stack.enter_context(serve_in_thread(Options(faults=[]))).url for _ in range(count)
        ]


@pytest.fixture
def local_pool() -> Iterator[OpenPool]:
    """Opens thread pools, closed after the test."""
    with ExitStack() as stack:

        def open_pool(*endpoints: str | Endpoint, policy: Policy = POLICY, **options: object) -> LocalPool:
            pool = LocalPool(
                [endpoint(e) if isinstance(e, str) else e for e in endpoints], policy=policy, **options
            )  # type: ignore[arg-type]
            stack.callback(pool.close)
            return pool

        yield open_pool


@pytest.fixture
def ray_pool(ray_session: None) -> Iterator[OpenPool]:
    """Opens Ray pools, shut down after the test."""
    from pixaris.endpoints.ray import RayPool, start_pool

    with ExitStack() as stack:

        def open_pool(*endpoints: str | Endpoint, policy: Policy = POLICY) -> RayPool:
            _, pool = start_pool([endpoint(e) if isinstance(e, str) else e for e in endpoints], policy=policy)
            stack.callback(pool.shut_down)
            return pool

        yield open_pool


@pytest.fixture(params=["local", "ray"])
def open_pool(request: pytest.FixtureRequest) -> OpenPool:
    """Opens pools of one kind and then of the other: what holds for one holds for both."""
    opener: OpenPool = request.getfixturevalue(f"{request.param}_pool")
    return opener

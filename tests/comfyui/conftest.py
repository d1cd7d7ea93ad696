"""Embedded servers over real sockets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from comfy_kit import QUICK, Server

from pixaris.comfyui.client import ComfyClient
from pixaris.comfyui.server.inprocess import serve_in_thread
from pixaris.comfyui.server.worker import Options


@pytest.fixture(scope="session")
def shared_server() -> Iterator[Server]:
    with serve_in_thread(Options(faults=[])) as running:
        yield Server(running)


@pytest.fixture
def server(shared_server: Server) -> Iterator[Server]:
    """A server that all tests share: idle, without faults."""
    shared_server.reset()
    yield shared_server
    shared_server.reset()


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server of the test's own, to be broken."""
    with serve_in_thread(Options(faults=[])) as running:
        yield Server(running)


@pytest.fixture
def connect() -> Iterator[Callable[..., ComfyClient]]:
    """Makes clients that are closed after the test, and keep that short."""
    with ExitStack() as stack:

        def make(url: str, **options: Any) -> ComfyClient:
            return stack.enter_context(ComfyClient(url, **{"timeouts": QUICK, **options}))

        yield make

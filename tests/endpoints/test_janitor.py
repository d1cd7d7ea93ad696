"""However a pool's process ends: its prompts leave the servers, its janitor goes, and nobody else is
touched.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from pool_kit import HASTY, POLICY, colour, endpoint, fault, queued, until

from pixaris.comfyui.server.inprocess import serve_in_thread
from pixaris.comfyui.server.worker import Options
from pixaris.endpoints.base import Endpoint
from pixaris.endpoints.janitor import Janitor, sweep
from pixaris.endpoints.local import LocalPool

# Submits what it is given, one line of JSON per request's number, until it is ended.
DRIVER = """
import sys
from pool_kit import colour, endpoint
from pixaris.endpoints.local import LocalPool

pool = LocalPool([endpoint(url) for url in sys.argv[1:]])
futures = pool.submit([colour(number).request for number in range(8)])
print(pool._janitor.pid, flush=True)
try:
    futures[0].result()
except KeyboardInterrupt:
    pool.close()
"""


@contextmanager
def driver(*urls: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process with a pool that has submitted eight requests; and its janitor."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, *urls],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        yield process, int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def alive(pid: int) -> bool:
    """Whether a process runs (one that has ended and waits for its parent does not)."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def strangers(url: str) -> list[str]:
    """Prompts of others that wait on a server."""
    waiting = requests.get(f"{url}/queue", timeout=5).json()["queue_pending"]
    return [row[1] for row in waiting if "pixaris" not in row[3]]


def stranger(url: str) -> str:
    """Submit a prompt as somebody else does."""
    prompt_id = str(uuid.uuid4())
    body = {
        "prompt": json.loads(colour(1).request.payload),
        "prompt_id": prompt_id,
        "client_id": "somebody else",
    }
    requests.post(f"{url}/prompt", json=body, timeout=5).raise_for_status()
    return prompt_id


def ours(url: str) -> int:
    return queued(url) - len(strangers(url))


@contextmanager
def slow_servers(count: int = 2) -> Iterator[list[str]]:
    """Servers on which every prompt takes half a minute."""
    with serve_in_thread(Options(faults=[])) as one, serve_in_thread(Options(faults=[])) as other:
        urls = [one.url, other.url][:count]
        for url in urls:
            fault(url, "delay", seconds=30.0, times=None)
        yield urls


def test_a_killed_process_leaves_no_prompt_and_no_janitor_and_nobody_else_is_touched() -> None:
    with slow_servers() as urls, driver(*urls) as (process, janitor):
        until(lambda: all(ours(url) == 2 for url in urls))
        theirs = {url: stranger(url) for url in urls}
        os.kill(process.pid, signal.SIGKILL)
        killed = time.monotonic()
        for url in urls:
            requests.delete(f"{url}/pixaris/faults", timeout=5)
        until(lambda: all(ours(url) == 0 for url in urls))
        assert time.monotonic() - killed < 5
        until(lambda: all(requests.get(f"{url}/history/{theirs[url]}", timeout=5).json() for url in urls))
        until(lambda: not alive(janitor), 20)


@pytest.mark.parametrize("group", [True, False], ids=["ctrl-c", "closed"])
def test_an_orderly_end_withdraws_the_prompts_and_dismisses_the_janitor(group: bool) -> None:
    with slow_servers(1) as (url,), driver(url) as (process, janitor):
        until(lambda: ours(url) == 2)
        os.killpg(process.pid, signal.SIGINT) if group else process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        assert ours(url) == 0
        assert not alive(janitor)


def test_a_server_that_is_frozen_when_the_process_is_killed_is_cleaned_when_it_thaws() -> None:
    with slow_servers(1) as (url,), driver(url) as (process, _):
        until(lambda: ours(url) == 2)
        fault(url, "hang", route="/queue", seconds=5)
        process.kill()
        time.sleep(1)
        until(lambda: ours(url) == 0, 20)


def test_an_endpoint_that_could_not_be_told_at_the_end_is_cleaned_after_it() -> None:
    with slow_servers(1) as (url,):
        pool = LocalPool([endpoint(url, timeouts=HASTY)], policy=POLICY)
        pool.submit([colour(number).request for number in range(3)])
        until(lambda: ours(url) == 2)
        fault(url, "hang", route="/queue", seconds=3)
        until(lambda: pool.status().endpoints[0].state == "quarantined")
        pool.close()
        until(lambda: ours(url) == 0)
        assert pool._janitor is not None
        until(lambda: not alive(pool._janitor.pid or 0), 10)  # type: ignore[union-attr]


def test_a_pool_that_is_never_asked_for_anything_has_no_janitor(endpoints: list[str]) -> None:
    pool = LocalPool([endpoint(endpoints[0])])
    assert pool._janitor is not None
    assert pool._janitor.pid is None
    pool.close()


def test_a_janitor_knows_who_has_left_and_keeps_credentials_from_the_command_line() -> None:
    janitor = Janitor("session")
    janitor.join(Endpoint("http://127.0.0.1:1", headers=(("Authorization", "Bearer secret"),)))
    janitor.start()
    assert janitor.pid is not None
    until(lambda: b"janitor" in Path(f"/proc/{janitor.pid}/cmdline").read_bytes())
    for kind in ("cmdline", "environ"):
        assert b"secret" not in Path(f"/proc/{janitor.pid}/{kind}").read_bytes()
    janitor.leave("http://127.0.0.1:1")
    started = time.monotonic()
    janitor.dismiss(sweep=True)
    until(lambda: not alive(janitor.pid or 0))
    assert time.monotonic() - started < 4  # there is no endpoint left to look at


def test_a_janitor_that_is_killed_is_no_trouble(endpoints: list[str]) -> None:
    pool = LocalPool([endpoint(endpoints[0])])
    asked = colour(3)
    asked.check(pool.submit([asked.request])[0].result(10))
    assert pool._janitor is not None
    assert pool._janitor.pid is not None
    os.kill(pool._janitor.pid, signal.SIGKILL)
    pool._janitor.join(endpoint("http://127.0.0.1:1"))
    pool.close()


def test_a_sweep_ends_in_time_where_no_server_answers() -> None:
    started = time.monotonic()
    sweep("session", [Endpoint("http://192.0.2.1:1")], quiet=9.0, seconds=1.0)
    assert time.monotonic() - started < 3

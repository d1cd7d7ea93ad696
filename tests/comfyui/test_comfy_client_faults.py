"""Lost prompts, dead and frozen servers, broken sockets, cancelling: nothing waits for ever, nobody else's
prompt is touched.
"""

from __future__ import annotations

import dataclasses
import threading
import time
import uuid
from collections.abc import Callable

import pytest
import requests
from comfy_kit import IMPATIENT, QUICK, Server, in_thread, picture, pixel, process, slow, until
from gateway import gateway

from pixaris.comfyui.client import ComfyClient
from pixaris.exceptions import (
    CancelledRequestError,
    ConfigurationError,
    InterruptedPromptError,
    PromptLostError,
    UnreachableError,
)

Connect = Callable[..., ComfyClient]


def foreign(server: Server) -> str:
    """A prompt that somebody else sends, without a websocket."""
    prompt_id = str(uuid.uuid4())
    body = (
        f'{{"prompt": {picture(0x333333).payload}, "prompt_id": "{prompt_id}", "client_id": "somebody else"}}'
    )
    assert requests.post(f"{server.url}/prompt", data=body, timeout=5).status_code == 200
    return prompt_id


# Prompts that vanish, servers that die


def test_a_prompt_that_vanishes_when_it_starts_is_lost(server: Server, connect: Connect) -> None:
    server.fault("lose")
    with pytest.raises(PromptLostError, match="neither queued nor in the history"):
        connect(server.url).run(picture(1))


def test_prompts_of_a_cleared_queue_are_lost(server: Server, connect: Connect) -> None:
    client, other = connect(server.url), connect(server.url)
    in_thread(other, slow(server))
    until(lambda: other.queue().running)
    waiting = in_thread(client, picture(2))
    until(lambda: client.queue().pending)
    requests.post(f"{server.url}/queue", json={"clear": True}, timeout=5)
    with pytest.raises(PromptLostError):
        waiting.result(5)


def test_a_dead_worker_is_told_from_a_busy_one_and_its_server_stays_unfit(
    own_server: Server, connect: Connect
) -> None:
    client = connect(own_server.url, timeouts=IMPATIENT)
    client.probe()
    own_server.fault("dead_worker")
    with pytest.raises(PromptLostError, match="worker thread is dead"):
        client.run(picture(1))
    assert client.queue().pending == ()  # our prompt is withdrawn, so the queue alone would not show it
    with pytest.raises(UnreachableError, match="worker thread is dead"):
        client.probe()
    assert client.queue().pending == ()


def test_a_probe_that_finds_prompts_waiting_for_a_dead_worker_says_so(
    own_server: Server, connect: Connect
) -> None:
    own_server.fault("dead_worker")
    foreign(own_server)
    with pytest.raises(UnreachableError, match="worker thread is dead"):
        connect(own_server.url, timeouts=IMPATIENT).probe()


def test_a_server_that_was_found_dead_and_is_replaced_passes_the_probe(
    own_server: Server, server: Server, connect: Connect
) -> None:
    with gateway(own_server.url) as front:
        client = connect(front.url, timeouts=IMPATIENT)
        own_server.fault("dead_worker")
        with pytest.raises(PromptLostError):
            client.run(picture(1))
        front.target = server.url
        client.probe()
        assert pixel(client.run(picture(2))) == (0, 0, 2)


def test_a_server_that_dies_is_unreachable_at_once_and_usable_when_it_is_back(connect: Connect) -> None:
    with process("--faults", '[{"fault": "crash", "after": 1}]') as (url, _):
        client = connect(url, timeouts=dataclasses.replace(QUICK, read=10.0, quiet=5.0, lively=10.0))
        client.run(picture(1))
        started = time.monotonic()
        with pytest.raises(UnreachableError):
            client.run(picture(2))
        assert time.monotonic() - started < 3
        with pytest.raises(UnreachableError, match="refused"):
            client.probe()
        with process("--port", url.rpartition(":")[2]):
            client.probe()
            assert pixel(client.run(picture(3))) == (0, 0, 3)


def test_a_frozen_server_is_unreachable_and_its_prompt_is_withdrawn_when_it_thaws(
    server: Server, connect: Connect
) -> None:
    client = connect(server.url, timeouts=IMPATIENT)
    client.run(picture(1))
    slow(server)
    server.fault("hang", route="/queue")
    with pytest.raises(UnreachableError, match="did not answer within"):
        client.run(picture(2))
    server.worker.faults.thaw()
    client.probe()
    until(lambda: client.queue().running == client.queue().pending == ())


def test_a_prompt_that_runs_too_long_is_withdrawn(server: Server, connect: Connect) -> None:
    client = connect(server.url, timeouts=dataclasses.replace(QUICK, generation=0.3))
    first = in_thread(connect(server.url), slow(server, 0.5))
    until(lambda: client.queue().running)
    assert pixel(client.run(picture(5))) == (0, 0, 5)  # half a second in the queue does not count
    first.result(5)
    with pytest.raises(UnreachableError, match=r"longer than 0\.3 s"):
        client.run(slow(server))
    until(lambda: not client.queue().running)


@pytest.mark.parametrize(
    "wrong", [{"read": 0.0}, {"connect": -1}, {"generation": float("nan")}, {"quiet": True}]
)
def test_time_outs_must_be_positive(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        dataclasses.replace(QUICK, **wrong)


# Websockets that break


def test_a_socket_that_breaks_as_a_prompt_ends_costs_nothing(server: Server, connect: Connect) -> None:
    client = connect(server.url)
    server.fault("drop_sockets")
    assert pixel(client.run(picture(0x0A0B0C))) == (10, 11, 12)
    assert pixel(client.run(picture(0x0A0B0D))) == (10, 11, 13)


def test_a_socket_that_breaks_while_a_prompt_runs_reconnects_under_the_same_id(
    server: Server, connect: Connect
) -> None:
    with gateway(server.url) as front:
        client = connect(front.url, timeouts=dataclasses.replace(QUICK, quiet=5.0, lively=5.0))
        running = in_thread(client, slow(server, 0.8))
        until(lambda: client.queue().running)
        front.cut_sockets()
        until(lambda: len(front.opened) == 2)
        assert pixel(running.result(3)) == (0x10, 0x20, 0x30)  # in time: the new socket tells of the end
        assert front.opened[0] == front.opened[1]
        front.cut_sockets()
        until(lambda: not client._listener.connected)
        until(lambda: pixel(client.run(picture(1))) == (0, 0, 1) and len(front.opened) == 3)
        assert front.opened[2] != front.opened[1]  # nobody waited for the old one


# Cancelling


def test_cancel_takes_a_running_prompt_off_the_server_and_leaves_the_others(
    server: Server, connect: Connect
) -> None:
    client = connect(server.url)
    asked = slow(server)
    running = in_thread(client, asked)
    until(lambda: client.queue().running)
    other = foreign(server)
    client.cancel("of no request")
    client.cancel(asked.id)
    with pytest.raises(CancelledRequestError):
        running.result(5)
    until(lambda: client.history(other) is not None)
    record = client.history(other)
    assert record is not None
    assert record.status == "success"


def test_cancel_takes_a_waiting_prompt_out_of_the_queue_and_leaves_what_runs(
    server: Server, connect: Connect
) -> None:
    client, other = connect(server.url), connect(server.url)
    first = in_thread(other, slow(server, 0.5))
    until(lambda: other.queue().running)
    asked, also = picture(1), picture(2)
    waiting, staying = in_thread(client, asked), in_thread(client, also)
    until(lambda: len(client.queue().pending) == 2)
    client.cancel(asked.id)
    with pytest.raises(CancelledRequestError):
        waiting.result(5)
    assert len(client.queue().pending) == 1
    assert pixel(first.result(5)) == (0x10, 0x20, 0x30)
    assert pixel(staying.result(5)) == (0, 0, 2)


def test_cancel_while_the_prompt_is_being_submitted_takes_it_back(server: Server, connect: Connect) -> None:
    client, other = connect(server.url), connect(server.url)
    in_thread(other, slow(server))
    until(lambda: other.queue().running)
    server.fault("slow", route="/prompt", seconds=0.3)
    asked = picture(1)
    waiting = in_thread(client, asked)
    time.sleep(0.1)
    client.cancel(asked.id)
    with pytest.raises(CancelledRequestError):
        waiting.result(5)
    assert client.queue().pending == ()


def test_close_takes_this_clients_prompts_off_the_server_and_no_others(
    server: Server, connect: Connect
) -> None:
    client, other = connect(server.url), connect(server.url)
    ours = [in_thread(client, slow(server)), in_thread(client, picture(1))]
    until(lambda: client.queue().running and client.queue().pending)
    stranger = foreign(server)
    theirs = in_thread(other, picture(2))
    until(lambda: len(other.queue().pending) == 3)
    client.close()
    for future in ours:
        with pytest.raises(CancelledRequestError, match="closed"):
            future.result(5)
    assert pixel(theirs.result(5)) == (0, 0, 2)
    assert other.history(stranger) is not None
    with pytest.raises(CancelledRequestError, match="closed"):
        client.run(picture(3))


def test_close_ends_the_reader_thread(server: Server) -> None:
    before = set(threading.enumerate())
    client = ComfyClient(server.url)
    client.run(picture(1))
    started = {
        thread
        for thread in set(threading.enumerate()) - before
        if thread.name.startswith("pixaris-websocket")
    }
    assert len(started) == 1
    client.close()
    until(lambda: not any(thread.is_alive() for thread in started), 2)


def test_close_of_a_frozen_server_does_not_hang(server: Server) -> None:
    client = ComfyClient(server.url, timeouts=IMPATIENT)
    running = in_thread(client, slow(server))
    until(lambda: client.queue().running)
    server.fault("hang", route="/queue", seconds=8)
    started = time.monotonic()
    client.close()
    assert time.monotonic() - started < 7
    server.worker.faults.thaw()
    with pytest.raises(CancelledRequestError):
        running.result(5)
    requests.post(f"{server.url}/interrupt", timeout=5)


def test_an_interrupt_by_somebody_else_is_told_from_our_own(server: Server, connect: Connect) -> None:
    client = connect(server.url)
    running = in_thread(client, slow(server))
    until(lambda: client.queue().running)
    requests.post(f"{server.url}/interrupt", timeout=5)
    with pytest.raises(InterruptedPromptError, match="somebody else"):
        running.result(5)

"""Prompts say whose they are, and a client takes over what its predecessor left on a server."""

from __future__ import annotations

import io
import pickle
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from comfy_kit import Server, in_thread, picture, pixel, slow, until
from PIL import Image

from pixaris.comfyui.client import ComfyClient
from pixaris.exceptions import CancelledRequestError
from pixaris.types import GenerationRequest

Connect = Callable[..., ComfyClient]


@pytest.fixture
def mine() -> str:
    """A session that nobody else has."""
    return str(uuid.uuid4())


def get(server: Server, path: str) -> Any:
    return requests.get(server.url + path, timeout=5).json()


def leave(server: Server, asked: GenerationRequest, session: str) -> str:
    """Submit a request as a client that dies right afterwards."""
    prompt_id = str(uuid.uuid4())
    tag = f'{{"pixaris": {{"session": "{session}", "request": "{asked.id}"}}}}'
    body = (
        f'{{"prompt": {asked.payload}, "prompt_id": "{prompt_id}", "client_id": "it is gone", "extra_data":'
        f" {tag}}}"
    )
    assert requests.post(f"{server.url}/prompt", data=body, timeout=5).status_code == 200
    return prompt_id


def runs(server: Server, asked: GenerationRequest) -> int:
    """How often a request was executed."""
    rows = get(server, "/history").values()
    return sum(row["prompt"][3].get("pixaris", {}).get("request") == asked.id for row in rows)


def test_a_prompt_says_in_queue_and_history_whose_it_is_and_its_png_does_not(
    server: Server, connect: Connect
) -> None:
    client = connect(server.url, session="the search")
    asked = slow(server, 0.5)
    running = in_thread(client, asked)
    until(lambda: client.queue().running)
    tag = {"session": "the search", "request": asked.id}
    queued = get(server, "/queue")["queue_running"][0][3]
    assert queued["pixaris"] == tag
    assert "extra_pnginfo" not in queued
    running.result(5)
    row = get(server, "/history?max_items=1").popitem()[1]
    assert row["prompt"][3]["pixaris"] == tag
    saved = next(output["images"][0] for output in row["outputs"].values())
    png = requests.get(f"{server.url}/view?{urlencode(saved)}", timeout=5).content
    with Image.open(io.BytesIO(png)) as image:
        assert set(image.info) == {"prompt"}


def test_a_client_without_a_session_has_one_of_its_own_that_travels_with_its_description(
    server: Server, connect: Connect
) -> None:
    sessions = set()
    client = connect(server.url)
    for each in (client, pickle.loads(pickle.dumps(client)), connect(server.url)):
        with each:
            each.run(picture(1))
        sessions.add(get(server, "/history?max_items=1").popitem()[1]["prompt"][3]["pixaris"]["session"])
    assert len(sessions) == 2


@pytest.mark.parametrize("moment", ["waits", "runs", "has ended"])
def test_what_a_predecessor_submitted_is_taken_over_not_run_again(
    server: Server, connect: Connect, moment: str, mine: str
) -> None:
    if moment == "waits":
        leave(server, slow(server, 0.5), "another session")
    asked = slow(server, 0.5) if moment == "runs" else picture(0x102030)
    prompt_id = leave(server, asked, mine)
    client = connect(server.url, session=mine)
    until(
        lambda: (
            getattr(client.queue(), "pending" if moment == "waits" else "running")
            or client.history(prompt_id)
        )
    )
    if moment == "has ended":
        until(lambda: client.history(prompt_id))
    result = client.resume(asked)
    assert pixel(result) == (0x10, 0x20, 0x30)
    assert result.request_id == asked.id
    assert runs(server, asked) == 1


@pytest.mark.parametrize("same", [True, False], ids=["same session", "another session"])
def test_what_no_predecessor_submitted_is_submitted(
    server: Server, connect: Connect, same: bool, mine: str
) -> None:
    asked = picture(0x102030)
    leave(server, picture(1) if same else asked, mine if same else "another session")
    assert pixel(connect(server.url, session=mine).resume(asked)) == (0x10, 0x20, 0x30)
    assert runs(server, asked) == (1 if same else 2)


def test_a_prompt_that_was_interrupted_is_submitted_anew(server: Server, connect: Connect, mine: str) -> None:
    client = connect(server.url, session=mine)
    asked = slow(server)
    prompt_id = leave(server, asked, mine)
    until(lambda: client.queue().running)
    requests.post(f"{server.url}/interrupt", timeout=5)
    until(lambda: client.history(prompt_id))
    assert pixel(client.resume(asked)) == (0x10, 0x20, 0x30)


def test_of_several_copies_one_is_taken_over_and_the_others_are_withdrawn(
    server: Server, connect: Connect, mine: str
) -> None:
    asked = slow(server, 0.5)
    for _ in range(3):
        leave(server, asked, mine)
    client = connect(server.url, session=mine)
    assert pixel(client.resume(asked)) == (0x10, 0x20, 0x30)
    assert client.queue().pending == ()
    assert runs(server, asked) == 1


def test_a_prompt_that_was_taken_over_is_withdrawn_with_its_request(
    server: Server, connect: Connect, mine: str
) -> None:
    asked = slow(server)
    leave(server, asked, mine)
    client = connect(server.url, session=mine)
    until(lambda: client.queue().running)
    with ThreadPoolExecutor() as threads:
        resumed = threads.submit(client.resume, asked)
        until(lambda: client.orphans() == ())  # it is followed
        client.cancel(asked.id)
        with pytest.raises(CancelledRequestError):
            resumed.result(5)
    until(lambda: not client.queue().running)


def test_orphans_are_what_the_session_left_and_only_they_are_withdrawn(
    server: Server, connect: Connect, mine: str
) -> None:
    client, other = connect(server.url, session=mine), connect(server.url)
    theirs = in_thread(other, slow(server, 0.7))
    until(lambda: other.queue().running)
    followed, orphans = picture(1), [picture(2), picture(3)]
    ours = in_thread(client, followed)
    for each in orphans:
        leave(server, each, mine)
    strange = leave(server, picture(4), "not mine")
    until(lambda: len(client.queue().pending) == 4)
    assert set(client.orphans()) == {each.id for each in orphans}
    client.cancel_orphans([orphans[0].id, followed.id, "unknown"])
    assert client.orphans() == (orphans[1].id,)
    until(lambda: client.history(strange))
    assert orphans[1].id in client.orphans(), "it has just been made"
    assert pixel(theirs.result(5)) == (0x10, 0x20, 0x30)
    assert pixel(ours.result(5)) == (0, 0, 1)
    assert runs(server, orphans[0]) == 0

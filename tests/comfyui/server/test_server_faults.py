"""Every injectable fault does what it says, and nothing else."""

from __future__ import annotations

import io
import json
import threading
import time
from typing import Any

import pytest
import requests
import websocket
from PIL import Image

from pixaris.comfyui.server.faults import KINDS, Faults, parse_rules


def add(client: Any, **rule: Any) -> None:
    reply = client.post("/pixaris/faults", json=[rule])
    assert reply.status_code == 200, reply.text


def view(client: Any, recorded: Any) -> dict[str, str]:
    return client.run(recorded.seg())["outputs"]["8"]["images"][0]


def test_rules_are_shown_with_their_counts_and_cleared(faulty: Any, recorded: Any) -> None:
    add(faulty, fault="delay", seconds=0.01, after=1)
    for value in (0.1, 0.2, 0.3):
        faulty.run(recorded.seg(_4_value=value))
    (rule,) = faulty.get("/pixaris/faults").json()["rules"]
    assert (rule["seen"], rule["struck"]) == (3, 1)
    assert faulty.session.delete(faulty.url + "/pixaris/faults").json() == {"rules": []}


@pytest.mark.parametrize(
    ("rule", "word"),
    [
        ({"fault": "flood"}, "delay"),
        ({"fault": "delay", "second": 1}, "seconds"),
        ("delay", "fault"),
        ({"fault": "truncate", "how": "x"}, "cut"),
    ],
)
def test_wrong_rules_are_refused_with_the_known_words(faulty: Any, rule: Any, word: str) -> None:
    reply = faulty.post("/pixaris/faults", json=[rule])
    assert reply.status_code == 400
    assert word in reply.json()["error"]


def test_delay_lengthens_the_first_node_and_can_be_interrupted(faulty: Any, recorded: Any) -> None:
    add(faulty, fault="delay", seconds=30)
    with faulty.listen() as listener:
        prompt_id = faulty.submit(recorded.seg())
        listener.until_node("1")
        start = time.monotonic()
        faulty.post("/interrupt", json={"prompt_id": prompt_id})
        listener.until_end()
    assert time.monotonic() - start < 5
    message, data = faulty.wait(prompt_id)["status"]["messages"][-1]
    assert (message, data["node_id"]) == ("execution_interrupted", "1")


def test_delay_strikes_fully_cached_prompts_too(faulty: Any, recorded: Any) -> None:
    faulty.run(recorded.seg())
    add(faulty, fault="delay", seconds=0.2)
    start = time.monotonic()
    assert faulty.run(recorded.seg())["status"]["completed"]
    assert time.monotonic() - start >= 0.2


def test_lost_prompt_is_neither_queued_nor_in_the_history(faulty: Any, recorded: Any) -> None:
    add(faulty, fault="lose")
    lost = faulty.submit(recorded.seg())
    faulty.run(recorded.seg())
    assert faulty.get(f"/history/{lost}").json() == {}
    assert faulty.get("/queue").json() == {"queue_running": [], "queue_pending": []}
    assert faulty.get(f"/api/jobs/{lost}").status_code == 404


def test_dead_worker_accepts_prompts_and_runs_none(faulty: Any, recorded: Any) -> None:
    add(faulty, fault="dead_worker", after=1)
    faulty.run(recorded.seg())
    faulty.submit(recorded.seg())
    faulty.submit(recorded.seg())
    time.sleep(0.05)
    rows = faulty.get("/queue").json()
    assert (len(rows["queue_running"]), len(rows["queue_pending"])) == (0, 2)


def test_oom_looks_like_torchs(faulty: Any, recorded: Any) -> None:
    add(faulty, fault="oom")
    error = faulty.run(recorded.seg())["status"]["messages"][-1][1]
    assert error["exception_type"] == "torch.OutOfMemoryError"
    assert error["exception_message"].startswith("Allocation on device")
    assert faulty.run(recorded.seg())["status"]["completed"]


def test_short_truncation_gives_a_whole_answer_that_does_not_decode(faulty: Any, recorded: Any) -> None:
    file = view(faulty, recorded)
    add(faulty, fault="truncate")
    reply = faulty.get("/view", params=file)
    assert int(reply.headers["Content-Length"]) == len(reply.content)
    with pytest.raises(OSError):
        Image.open(io.BytesIO(reply.content)).load()
    assert len(faulty.get("/view", params=file).content) // 2 == len(reply.content)


def test_cut_truncation_breaks_the_connection(faulty: Any, recorded: Any) -> None:
    file = view(faulty, recorded)
    add(faulty, fault="truncate", how="cut")
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        requests.get(faulty.url + "/view", params=file, timeout=5)
    assert faulty.get("/view", params=file).status_code == 200


def test_error500_concerns_its_route(faulty: Any, recorded: Any) -> None:
    add(faulty, fault="error500")
    assert faulty.get("/queue").status_code == 200
    assert faulty.prompt(recorded.seg()).status_code == 500
    assert faulty.prompt(recorded.seg()).status_code == 200
    add(faulty, fault="error500", route="/upload", status=503)
    assert faulty.upload(recorded.asset("cells_00.png")).status_code == 503


def test_refused_connection(faulty: Any) -> None:
    add(faulty, fault="refuse", route="/queue")
    with pytest.raises(requests.ConnectionError):
        requests.get(faulty.url + "/api/queue", timeout=5)
    assert requests.get(faulty.url + "/queue", timeout=5).status_code == 200


def test_slow_answers_later(faulty: Any) -> None:
    add(faulty, fault="slow", seconds=0.2, route="/queue")
    start = time.monotonic()
    faulty.get("/prompt")
    assert time.monotonic() - start < 0.2
    faulty.get("/queue")
    assert time.monotonic() - start >= 0.2


def test_dropped_sockets_do_not_stop_the_prompt(faulty: Any, recorded: Any) -> None:
    add(faulty, fault="drop_sockets")
    with faulty.listen() as listener:
        prompt_id = faulty.submit(recorded.seg())
        with pytest.raises((websocket.WebSocketConnectionClosedException, ConnectionError)):
            listener.until_end()
    assert faulty.wait(prompt_id)["status"]["completed"]


@pytest.mark.parametrize("route", ["", "/history"])
def test_hang_stops_every_answer_for_a_while(faulty: Any, recorded: Any, route: str) -> None:
    faulty.run(recorded.seg())
    add(faulty, fault="hang", seconds=0.8, **({"route": route} if route else {}))
    call = (
        (lambda: faulty.get("/history/x")) if route else (lambda: faulty.submit(recorded.seg(_4_value=0.1)))
    )
    threading.Thread(target=call, daemon=True).start()
    time.sleep(0.2)
    with pytest.raises(requests.Timeout):
        requests.get(faulty.url + "/prompt", timeout=0.15)
    assert requests.get(faulty.url + "/prompt", timeout=5).status_code == 200
    assert faulty.run(recorded.seg(_4_value=0.2))["status"]["completed"]


def test_rules_count_occasions() -> None:
    faults = Faults(
        parse_rules(
            [{"fault": "oom", "after": 2, "times": 2}, {"fault": "slow", "times": None, "route": "/view"}]
        )
    )
    assert [faults.strike("oom") is not None for _ in range(6)] == [False, False, True, True, False, False]
    assert [faults.strike("slow", path) is not None for path in ("/view", "/prompt", "/view")] == [
        True,
        False,
        True,
    ]
    assert faults.strike("oom", "/prompt") is None


def test_every_fault_is_described() -> None:
    from pixaris.comfyui.server import faults

    assert all(f"\n{kind}" in str(faults.__doc__) for kind in KINDS)
    json.dumps(Faults(parse_rules({"fault": "delay"})).rows())

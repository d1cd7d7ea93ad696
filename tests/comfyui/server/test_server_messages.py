"""The order and the content of websocket messages, against recorded sessions with ComfyUI 0.27.0."""

from __future__ import annotations

import re
import time
import uuid
from typing import Any


def _normalised(messages: list[dict[str, Any]]) -> list[Any]:
    """Put the same text for what differs from run to run: ids, times, numbers in file names, set orders,
    tracebacks.
    """
    return [(message["type"], _plain(message["data"], "")) for message in messages]


def _plain(value: Any, key: str) -> Any:
    if key in ("prompt_id", "sid", "timestamp", "traceback"):
        return key
    if key == "filename":
        return re.sub(r"\d+", "N", value)
    if key in ("executed", "current_outputs") and isinstance(value, list):
        return sorted(value)
    if key == "current_inputs":
        return sorted(value)
    if isinstance(value, dict):
        return {name: _plain(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner, "") for inner in value]
    return value


def _recorded(messages: list[Any]) -> list[dict[str, Any]]:
    return [message for _, message in messages if "type" in message]


def test_success_sends_the_recorded_messages_in_order(client: Any, recorded: Any) -> None:
    session = recorded.transcript("ws-success")
    with client.listen() as listener:
        listener.until(lambda m: m["type"] == "status")
        prompt_id = client.submit(recorded.seg())
        messages = listener.until_end()
        row = client.get(f"/history/{prompt_id}").json()[prompt_id]
    assert _normalised(messages) == _normalised(_recorded(session["ws"]))
    assert row["status"]["messages"][-1][0] == "execution_success"
    assert row.keys() == session["history"].keys()
    assert row["meta"] == session["history"]["meta"]
    assert _plain(row["status"], "") == _plain(session["history"]["status"], "")


def test_fully_cached_prompt_sends_the_recorded_messages(client: Any, recorded: Any) -> None:
    client.run(recorded.seg())
    session = recorded.transcript("ws-cached")
    with client.listen() as listener:
        prompt_id = client.submit(recorded.seg())
        messages = listener.until_end()[1:]
    assert _normalised(messages) == _normalised(_recorded(session["ws"]))
    row = client.wait(prompt_id)
    assert row["outputs"] == {
        "8": {"images": [{"filename": "seg_00001_.png", "subfolder": "", "type": "output"}]}
    }
    assert row["meta"] == session["history"]["meta"]


def test_partly_cached_prompt_sends_the_recorded_messages(client: Any, recorded: Any) -> None:
    client.run(recorded.seg())
    with client.listen() as listener:
        client.submit(recorded.seg(_4_value=0.3))
        messages = listener.until_end()[1:]
    assert _normalised(messages) == _normalised(_recorded(recorded.transcript("ws-partial-cache")["ws"]))


def test_execution_error_sends_the_recorded_messages(client: Any, recorded: Any) -> None:
    client.run(recorded.seg())
    session = recorded.transcript("ws-execution-error")
    with client.listen() as listener:
        prompt_id = client.submit(recorded.seg(_3_channel="alpha"))
        messages = listener.until_end()[1:]
    assert _normalised(messages) == _normalised(_recorded(session["ws"]))
    error = next(message["data"] for message in messages if message["type"] == "execution_error")
    assert error["exception_message"] == "index 3 is out of bounds for dimension 3 with size 3\n"
    assert error["current_inputs"]["channel"] == ["alpha"]
    assert error["current_inputs"]["image"][0].startswith("tensor([[[[0.")
    row = client.wait(prompt_id)
    assert row["status"]["status_str"] == "error"
    assert row["status"]["completed"] is False
    assert (row["outputs"], row["meta"]) == ({}, {})


def test_interrupt_is_honoured_at_the_next_node_with_the_recorded_messages(
    client: Any, recorded: Any
) -> None:
    session = recorded.transcript("ws-interrupt")
    with client.listen() as listener:
        prompt_id = client.submit(session["history"]["prompt"][2])
        listener.until_node("3")
        time.sleep(0.05)  # the node has passed its own look at the interrupt
        assert client.post("/interrupt", json={"prompt_id": prompt_id}).status_code == 200
        messages = listener.until_end()[1:]
    assert _normalised(messages) == _normalised(_recorded(session["ws"]))
    row = client.wait(prompt_id)
    assert row["status"]["status_str"] == "error"
    assert row["status"]["messages"][-1][0] == "execution_interrupted"


def test_finished_nodes_stay_cached_after_an_interrupt(faulty: Any, recorded: Any) -> None:
    graph = recorded.workflow("06_slow_interruptible")
    with faulty.listen() as listener:
        faulty.submit(graph)
        listener.until_node("3")
        faulty.post("/interrupt")
        listener.until_end()
    again = faulty.run(graph)
    cached = dict(again["status"]["messages"])["execution_cached"]["nodes"]
    assert cached[:2] == ["1", "2"]
    assert again["status"]["completed"]


def test_cached_prompt_without_a_client_id_has_no_outputs(client: Any, recorded: Any) -> None:
    client.run(recorded.seg())
    session = recorded.transcript("cached-no-client")
    with client.listen() as listener:
        listener.until(lambda m: m["type"] == "status")
        reply = client.post("/prompt", json={"prompt": recorded.seg()})
        row = client.wait(reply.json()["prompt_id"])
        messages = listener.pending()[1:]
    assert _normalised(messages) == _normalised(_recorded(session["ws_of_other_client"]))
    assert (row["outputs"], row["meta"]) == ({}, {})
    assert row["status"]["status_str"] == "success"
    assert list(row["prompt"][3]) == ["create_time"]


def test_uncached_prompt_without_a_client_id_has_outputs_and_tells_progress_to_all(
    client: Any, recorded: Any
) -> None:
    with client.listen() as listener:
        listener.until(lambda m: m["type"] == "status")
        reply = client.post("/prompt", json={"prompt": recorded.seg()})
        row = client.wait(reply.json()["prompt_id"])
        kinds = {message["type"] for message in listener.pending()}
    assert row["outputs"]["8"]["images"][0]["filename"] == "seg_00001_.png"
    assert kinds == {"status", "progress_state"}


def test_reconnecting_owner_hears_the_running_node_and_then_the_rest(faulty: Any, recorded: Any) -> None:
    graph = recorded.workflow("06_slow_interruptible")
    graph["8"]["inputs"]["filename_prefix"] = "slow"
    prefix = {node: graph[node] for node in ("1", "2", "3")}
    prefix["8"] = {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "p"}}
    faulty.run(prefix)  # so that node 4 is the first to run, and suffers the delay
    faulty.post("/pixaris/faults", json=[{"fault": "delay", "seconds": 0.4}])
    with faulty.listen() as listener:
        faulty.submit(graph)
        listener.until_node("4")
    with faulty.listen() as listener:
        messages = listener.until_end()
    session = _recorded(recorded.transcript("ws-reconnect")["ws"])
    start = next(place for place, message in enumerate(session) if "sid" in message["data"])
    expected = session[start:]
    assert messages[1] == expected[1] == {"type": "executing", "data": {"node": "4"}}
    for message in expected:  # the recorded run had executed the first three nodes too
        for cached in ("1", "2", "3"):
            message["data"].get("nodes", {}).pop(cached, None)
    assert _normalised(messages) == _normalised(expected)


def test_messages_go_to_the_owner_only(client: Any, recorded: Any) -> None:
    with client.listen(str(uuid.uuid4())) as stranger, client.listen() as owner:
        client.submit(recorded.seg())
        owner.until_end()
        assert {message["type"] for message in stranger.pending()} == {"status"}


def test_newer_socket_takes_over_and_goes_deaf_when_the_older_closes(client: Any, recorded: Any) -> None:
    with client.listen() as newer_later:
        newer_later.until(lambda m: m["type"] == "status")
        with client.listen() as newer:
            client.submit(recorded.seg())
            newer.until_end()
            assert len(newer_later.pending()) == 1
            newer_later.socket.close()
            heard = len(newer.pending())
            client.run(recorded.seg(_4_value=0.2))
            assert len(newer.pending()) == heard


def test_handshake_and_junk(client: Any) -> None:
    import json

    import websocket

    socket = websocket.create_connection(client.url.replace("http", "ws") + "/ws", timeout=5)
    sid = json.loads(socket.recv())["data"]["sid"]
    assert re.fullmatch(r"[0-9a-f]{32}", sid)
    socket.send(json.dumps({"type": "feature_flags", "data": {"supports_preview_metadata": True}}))
    assert json.loads(socket.recv()) == {"type": "feature_flags", "data": client.get("/features").json()}
    socket.send("junk")
    socket.ping()
    assert socket.recv_data(control_frame=True)[0] == websocket.ABNF.OPCODE_PONG
    socket.close()
    assert client.get("/ws").status_code == 400

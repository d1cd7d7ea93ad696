"""Queue, history, jobs, cache, access rules."""

from __future__ import annotations

import ast
import json
import time
import uuid
from pathlib import Path
from typing import Any

import pytest


def tiny(color: int, prefix: str = "t") -> dict[str, Any]:
    return {
        "1": {
            "class_type": "EmptyImage",
            "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": color},
        },
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": prefix}},
    }


def busy(client: Any) -> str:
    """Start a prompt that runs until it is interrupted, and wait until it does."""
    client.post("/pixaris/faults", json={"fault": "delay", "seconds": 60})
    with client.listen() as listener:
        prompt_id = client.submit(tiny(0xABCDEF))
        listener.until_node("1")
    return prompt_id


def test_queue_runs_in_the_recorded_order(faulty: Any, recorded: Any) -> None:
    session = recorded.transcript("queue")
    first = busy(faulty)
    posted = {}
    for name in list(session["names"].values())[1:]:  # "p3d {'front': True} num=-59"
        options = ast.literal_eval(name[name.index("{") : name.index("}") + 1])
        posted[name[:2]] = faulty.submit(tiny(len(posted)), **options)
    rows = faulty.get("/queue").json()
    assert [row[1] for row in rows["queue_running"]] == [first]
    heap = [session["names"][row[1]][:2] for row in session["queue"]["queue_pending"]]
    labels = {prompt_id: label for label, prompt_id in posted.items()}
    assert [labels[row[1]] for row in rows["queue_pending"]] == heap
    assert all(len(row) == 5 and row[4] == ["2"] for row in rows["queue_pending"])
    assert faulty.get("/prompt").json() == {"exec_info": {"queue_remaining": 8}}
    faulty.post("/interrupt")
    for prompt_id in posted.values():
        faulty.wait(prompt_id)
    order = [labels[prompt_id] for prompt_id in faulty.get("/history").json() if prompt_id in labels]
    assert order == ["p5", "p6", "p3", "p4", "p1", "p2", "p7"]


def test_status_counts_up_and_down_for_every_socket(client: Any, recorded: Any) -> None:
    with client.listen("somebody") as listener:
        listener.until(lambda m: m["type"] == "status")
        client.run(tiny(1))
        counts = [m["data"]["status"]["exec_info"]["queue_remaining"] for m in listener.pending()[1:]]
    assert counts == [1, 1, 0]


def test_deleted_prompts_leave_no_trace(faulty: Any) -> None:
    running = busy(faulty)
    one, two, three = (faulty.submit(tiny(color)) for color in (1, 2, 3))
    assert faulty.post("/queue", json={"delete": [one, running, "unknown"]}).text == ""
    assert [row[1] for row in faulty.get("/queue").json()["queue_pending"]] == [two, three]
    assert faulty.post("/queue", json={"clear": True}).status_code == 200
    assert faulty.get("/queue").json()["queue_pending"] == []
    faulty.post("/interrupt")
    faulty.wait(running)
    assert faulty.get(f"/history/{one}").json() == {}
    assert faulty.post("/queue").status_code == 500
    assert faulty.post("/free").status_code == 500


def test_one_id_posted_three_times_runs_three_times_and_has_one_row(faulty: Any) -> None:
    busy(faulty)
    prompt_id = str(uuid.uuid4())
    for color in (1, 2, 3):
        faulty.submit(tiny(color), prompt_id=prompt_id)
    assert len(faulty.get("/queue").json()["queue_pending"]) == 3
    faulty.post("/queue", json={"delete": [prompt_id]})
    assert len(faulty.get("/queue").json()["queue_pending"]) == 2
    faulty.post("/interrupt")
    faulty.run(tiny(9))
    assert faulty.get(f"/history/{prompt_id}").json()[prompt_id]["prompt"][2] == tiny(3)


def test_history_pages(client: Any) -> None:
    ids = [client.submit(tiny(color)) for color in range(5)]
    client.wait(ids[-1])
    assert list(client.get("/history").json()) == ids
    assert list(client.get("/history?max_items=2").json()) == ids[3:]
    assert list(client.get("/history?max_items=2&offset=1").json()) == ids[1:3]
    assert list(client.get("/history?offset=3").json()) == ids[3:]
    assert client.get("/history?max_items=0").json() == client.get("/history?max_items=-1").json() == {}
    assert client.get("/history?max_items=x").status_code == 500
    client.post("/history", json={"delete": ids[:2]})
    assert list(client.get("/history").json()) == ids[2:]
    client.post("/history", json={"clear": True})
    assert client.get("/history").json() == {}


def test_history_row_has_the_recorded_shape(client: Any, recorded: Any) -> None:
    expected = recorded.transcript("ws-success")["history"]
    row = client.run(recorded.seg())
    assert list(row) == list(expected)
    assert row["prompt"][2] == expected["prompt"][2]
    assert row["prompt"][4] == ["8"]
    assert list(row["prompt"][3]) == list(expected["prompt"][3])
    assert row["outputs"] == expected["outputs"]
    start, end = (
        dict(row["status"]["messages"])[name]["timestamp"]
        for name in ("execution_start", "execution_success")
    )
    assert 0 <= end - start < 10_000


def test_equal_number_and_id_is_a_500_and_ends_the_worker(faulty: Any) -> None:
    running = busy(faulty)
    prompt_id = str(uuid.uuid4())
    assert faulty.prompt(tiny(1), prompt_id=prompt_id, number=7).status_code == 200
    assert faulty.prompt(tiny(1), prompt_id=prompt_id, number=7).status_code == 500
    faulty.post("/interrupt")
    faulty.wait(running)
    assert faulty.prompt(tiny(2)).status_code == 200
    faulty.post("/queue", json={"clear": True})
    lost = faulty.submit(tiny(3))
    time.sleep(0.1)
    rows = faulty.get("/queue").json()
    assert (rows["queue_running"], [row[1] for row in rows["queue_pending"]]) == ([], [lost])
    assert faulty.get(f"/history/{lost}").json() == {}


def test_interrupt_names_its_prompt(faulty: Any) -> None:
    running = busy(faulty)
    waiting = faulty.submit(tiny(1))
    assert faulty.post("/interrupt", json={"prompt_id": waiting}).status_code == 200
    assert [row[1] for row in faulty.get("/queue").json()["queue_running"]] == [running]
    faulty.post("/interrupt", json={"prompt_id": running})
    assert faulty.wait(running)["status"]["messages"][-1][0] == "execution_interrupted"
    assert faulty.wait(waiting)["status"]["completed"]
    assert faulty.post("/interrupt").status_code == 200  # while idle it harms nobody
    assert faulty.run(tiny(2))["status"]["completed"]


# --- jobs


def test_job_has_the_recorded_shape(client: Any, recorded: Any) -> None:
    expected = recorded.transcript("job")
    prompt_id = client.submit(recorded.seg(), extra_data={"extra_pnginfo": {"workflow": {"id": "study-1"}}})
    client.wait(prompt_id)
    job = client.get(f"/api/jobs/{prompt_id}").json()
    assert list(job) == list(expected)
    for key in ("status", "outputs_count", "workflow_id"):
        assert job[key] == expected[key]
    assert list(job["preview_output"]) == list(expected["preview_output"])
    assert list(job["workflow"]["extra_data"]) == list(expected["workflow"]["extra_data"])
    assert client.get(f"/api/jobs/{uuid.uuid4()}").status_code == 404
    assert client.get(f"/jobs/{prompt_id}").status_code == 404
    page = client.get("/api/jobs").json()
    recorded_page = recorded.transcript("jobs")
    assert list(page["jobs"][0]) == list(recorded_page["jobs"][0])
    assert page["pagination"] == {**recorded_page["pagination"], "total": 1}


def test_jobs_tell_all_states(faulty: Any, recorded: Any) -> None:
    failed = faulty.submit(recorded.seg(_3_channel="alpha"))
    done = faulty.submit(tiny(5))
    faulty.wait(done)
    running = busy(faulty)
    pending = faulty.submit(tiny(1))
    states = {job["id"]: job["status"] for job in faulty.get("/api/jobs").json()["jobs"]}
    assert states == {failed: "failed", done: "completed", running: "in_progress", pending: "pending"}
    assert faulty.get(f"/api/jobs/{failed}").json()["execution_error"]["exception_type"] == "IndexError"
    assert [
        job["id"] for job in faulty.get("/api/jobs?status=pending,in_progress&sort_order=asc").json()["jobs"]
    ] == [
        running,
        pending,
    ]
    page = faulty.get("/api/jobs?limit=1&offset=1&sort_order=asc").json()
    assert ([job["id"] for job in page["jobs"]], page["pagination"]["has_more"]) == ([done], True)
    assert faulty.post(f"/api/jobs/{pending}/cancel").json() == {"cancelled": True}
    assert faulty.post(f"/api/jobs/{done}/cancel").json() == {"cancelled": False}
    assert faulty.post("/api/jobs/cancel", json={"job_ids": [running, "unknown"]}).status_code == 404
    assert faulty.post("/api/jobs/cancel", json={"job_ids": [running]}).json() == {"cancelled": True}
    faulty.wait(running)
    assert faulty.get(f"/api/jobs/{running}").json()["status"] == "cancelled"
    assert faulty.get(f"/api/jobs/{pending}").status_code == 404


@pytest.mark.parametrize(
    "query", ["status=odd", "limit=x", "limit=0", "offset=-1", "sort_by=name", "sort_order=up"]
)
def test_bad_job_queries_are_400(client: Any, query: str) -> None:
    reply = client.get(f"/api/jobs?{query}")
    assert reply.status_code == 400
    assert query.split("=")[0] in reply.json()["error"]


# --- cache


def cached(row: dict[str, Any]) -> list[str]:
    return dict(row["status"]["messages"])["execution_cached"]["nodes"]


def saved(row: dict[str, Any]) -> str:
    return row["outputs"]["8"]["images"][0]["filename"]


def test_default_cache_keeps_what_the_last_prompt_used(client: Any, recorded: Any) -> None:
    a, b = recorded.seg(_4_value=0.3), recorded.seg(_4_value=0.6)
    rows = [client.run(graph) for graph in (a, b, a, a)]
    assert [cached(row) for row in rows] == [[], ["1", "2", "3"], ["1", "2", "3"], list("12345678")]
    assert [saved(row) for row in rows] == [f"seg_0000{n}_.png" for n in (1, 2, 3, 3)]


def test_lru_cache_keeps_more(serve: Any, recorded: Any) -> None:
    a, b, c = (recorded.seg(_4_value=value) for value in (0.3, 0.6, 0.9))
    with serve(cache_size=20) as client:
        assert [len(cached(client.run(graph))) for graph in (a, b, a)] == [0, 3, 8]
    with serve(cache_size=8) as client:
        assert [len(cached(client.run(graph))) for graph in (a, b, c, a)] == [0, 3, 3, 3]


def test_no_cache(serve: Any, recorded: Any) -> None:
    with serve(cache_size=0) as client:
        assert [cached(client.run(recorded.seg())) for _ in range(2)] == [[], []]


def test_ids_and_titles_do_not_matter_but_files_do(client: Any, recorded: Any, tmp_path: Path) -> None:
    graph = recorded.seg()
    client.run(graph)
    renamed = json.loads(
        json.dumps(graph).replace('"2"', '"22"').replace("Blur", "Soft").replace("ImageSoft", "ImageBlur")
    )
    assert len(cached(client.run(renamed))) == 8
    client.upload(recorded.asset("cells_01.png"), "a.png", overwrite="true")
    assert cached(client.run(graph)) == []
    client.upload(recorded.asset("cells_01.png"), "b.png")
    assert cached(client.run(recorded.seg(_1_image="b.png"))) == []


def test_nan_is_never_cached_and_is_echoed(client: Any, recorded: Any) -> None:
    graph = recorded.seg(_4_value=float("nan"))
    client.run(graph)
    prompt_id = client.submit(graph)
    assert cached(client.wait(prompt_id)) == ["1", "2", "3"]
    assert '"value": NaN' in client.get(f"/history/{prompt_id}").text


def test_free_memory_empties_the_cache(client: Any, recorded: Any) -> None:
    client.run(recorded.seg())
    assert client.post("/free", json={"unload_models": True}).status_code == 200
    assert len(cached(client.run(recorded.seg()))) == 8
    client.post("/free", json={"free_memory": True})
    assert cached(client.run(recorded.seg())) == []


def test_an_invalid_output_is_dropped_and_reported_but_the_rest_runs(client: Any, recorded: Any) -> None:
    graph = {
        **recorded.seg(),
        "9": {"class_type": "SaveImage", "inputs": {"images": ["99", 0], "filename_prefix": "x"}},
    }
    reply = client.prompt(graph)
    assert reply.status_code == 200
    assert list(reply.json()["node_errors"]) == ["9"]
    assert list(client.wait(reply.json()["prompt_id"])["outputs"]) == ["8"]


# --- about the server


def test_routes_exist_under_api_too(client: Any, recorded: Any) -> None:
    reply = client.post("/api/prompt", json={"prompt": recorded.seg()})
    assert reply.status_code == 200
    client.wait(reply.json()["prompt_id"])
    for path in (
        "/api/queue",
        "/api/history",
        "/api/object_info",
        "/api/system_stats",
        "/api/features",
        "/api/prompt",
    ):
        assert client.get(path).status_code == 200, path
    assert client.get("/api/history_v2").status_code == 404


def test_it_says_what_it_is(client: Any) -> None:
    system = client.get("/system_stats").json()["system"]
    assert system["comfyui_version"] == "0.27.0"
    assert system["embedded_endpoint"] == "pixaris"
    assert "embedded endpoint" in client.get("/").text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://localhost:{port}"}, 403),
        ({"Origin": "http://127.0.0.1:{port}"}, 200),
        ({"Origin": "http://127.0.0.1"}, 200),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "http://evil.example", "Host": "gpu.example:8188"}, 200),
    ],
)
def test_web_pages_of_other_origins_are_refused(client: Any, headers: dict[str, str], status: int) -> None:
    port = client.url.rsplit(":", 1)[1]
    reply = client.get("/queue", headers={name: value.format(port=port) for name, value in headers.items()})
    assert reply.status_code == status
    if status == 403:
        assert reply.text == ""


def test_options_and_wrong_methods(client: Any) -> None:
    assert client.session.options(client.url + "/prompt").status_code == 200
    assert client.session.put(client.url + "/prompt").status_code == 405


def test_there_are_no_faults_unless_asked_for(client: Any) -> None:
    assert client.get("/pixaris/faults").status_code == 404


def test_a_graph_too_deep_to_run_fails_and_the_worker_lives(client: Any) -> None:
    graph = tiny(1)
    for n in range(100, 2500):  # reaches no output, so that it is not validated
        graph[str(n)] = {"class_type": "ImageInvert", "inputs": {"image": [str(n + 1), 0]}}
    row = client.run(graph)
    assert row["status"]["messages"][-1][1]["exception_type"] == "RecursionError"
    assert client.get("/api/jobs").json()["jobs"][0]["status"] == "failed"
    assert client.run(tiny(2))["status"]["completed"]

"""``pixaris check``: what it tells of a search, before anything is generated."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from space_kit import object_info, serving, text_to_image

from pixaris.cli import main


def written(folder: Path, **changes: Any) -> str:
    (folder / "workflow.json").write_text(json.dumps(text_to_image()))
    (folder / "set").mkdir(exist_ok=True)
    (folder / "set" / "items.txt").write_text("a\nb\nc\n")
    content: dict[str, Any] = {
        "name": "x",
        "project": "p",
        "dataset": "./set",
        "generator": {"type": "comfyui", "workflow": "workflow.json"},
        "parameters": {
            "cfg": {"node_name": "KSampler", "input": "cfg", "grid_search": [4, 6, 8]},
            "steps": {"node_name": "KSampler", "input": "steps", "grid_search": [20, 30]},
        },
        "metrics": ["sharpness"],
        "objective": {"metric": "sharpness"},
        "search": {"algorithm": "grid"},
        "results": "./results",
        **changes,
    }
    path = folder / "x.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return str(path)


def test_which_endpoint_lacks_what_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = {
        "node_name": "Load Checkpoint",
        "input": "ckpt_name",
        "choice": ["sd15.safetensors", "new.safetensors"],
    }
    with (
        serving(object_info()) as poor,
        serving(object_info(models=("sd15.safetensors", "new.safetensors"))) as rich,
    ):
        file = written(
            tmp_path, endpoints=[rich, poor], parameters={"model": models}, search={"num_samples": 4}
        )
        assert main(["check", file]) == 2
        err = capsys.readouterr().err
        assert f"parameters.model.choice (line 11), on {poor}: " in err
        assert "'new.safetensors'" in err
        assert f"on {rich}" not in err
        assert main(["check", file, "--endpoint", rich]) == 0


def test_grid_images_and_time_are_estimated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(object_info()) as url:
        file = written(tmp_path, endpoints=[url], budget={"images": 12})
        assert main(["check", file]) == 0
        out = capsys.readouterr().out
        assert "6 parameter sets in the whole grid" in out
        assert "at most 18 (6 trials of 3); the budget pays for 12" in out
        assert "not known: no earlier search has measured these endpoints" in out
        folder = tmp_path / "results" / "p" / "earlier"
        folder.mkdir(parents=True)
        rows = [
            {"url": url, "speed": 10.0},
            {"url": "http://other:1", "speed": 1.0},
            {"url": 7, "speed": "x"},
        ]
        (folder / "endpoints.json").write_text(json.dumps({"time": 1.0, "endpoints": rows}))
        assert main(["check", file]) == 0
        assert (
            "about 2 min (10 s an image, as earlier searches measured on 1 endpoints)"
            in capsys.readouterr().out
        )


def test_the_own_servers_last_speed_counts_for_those_that_are_started(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "results" / "p" / "x-2"
    folder.mkdir(parents=True)
    (folder / "endpoints.json").write_text(
        json.dumps({"time": 2, "endpoints": [{"url": "http://127.0.0.1:5", "speed": 4.0}]})
    )
    command = [sys.executable, "-m", "pixaris.comfyui.server", "--port", "{port}"]
    file = written(tmp_path, endpoints={"managed": {"command": command, "replicas": 2}})
    assert main(["check", file]) == 0
    out = capsys.readouterr().out
    assert "about 36 s (4 s an image" in out
    assert "not checked: the nodes and models of servers that are started with the search" in out


def test_servers_that_are_started_can_be_asked_now(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [sys.executable, "-m", "pixaris.comfyui.server", "--port", "{port}"]
    file = written(tmp_path, endpoints={"managed": {"command": command}})
    assert main(["check", file, "--start"]) == 2
    assert "KSampler" in capsys.readouterr().err


@pytest.mark.parametrize("algorithm", ["tpee", {"type": "tpe", "n_startup_trial": 3}])
def test_an_algorithm_that_is_not_known_is_told_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], algorithm: object
) -> None:
    with serving(object_info()) as url:
        assert main(["check", written(tmp_path, endpoints=[url], search={"algorithm": algorithm})]) == 2
    told = [line for line in capsys.readouterr().err.splitlines() if "search.algorithm" in line]
    assert len(told) == 1
    assert "did you mean" in told[0]


def test_scripts_get_every_problem_with_its_key_and_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = {"steps": {"node_name": "KSampler", "input": "stepps", "grid_search": [20]}}
    with serving(object_info()) as url:
        file = written(tmp_path, endpoints=[url], parameters=wrong, seeds=0)
        assert main(["check", file, "--json"]) == 2
        found = json.loads(capsys.readouterr().out)
        lines = (tmp_path / "x.yaml").read_text().splitlines()
        assert found["file"] == file
        by_key = {problem["key"]: problem for problem in found["problems"]}
        assert set(by_key) == {"parameters.steps", "seeds"}
        assert lines[by_key["seeds"]["line"] - 1] == "seeds: 0"
        assert "must be at least 1 (got 0)" in by_key["seeds"]["message"]
        misspelt = by_key["parameters.steps"]
        assert "stepps" in f"{misspelt['where']}: {misspelt['message']}"

        assert main(["check", written(tmp_path, endpoints=[url]), "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["problems"] == []
        assert found["notes"][-1] == "no problems found"


@pytest.fixture
def without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that has no Ray: another test's may be up in this one."""
    monkeypatch.setattr("ray.is_initialized", lambda: False)


@pytest.mark.usefixtures("without_ray")
def test_a_pool_is_a_clusters_and_stands_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path, endpoints={"pool": "shared"})
    assert main(["check", file]) == 0
    said = capsys.readouterr().out
    assert "endpoints   the pool shared" in said
    assert "not checked: the endpoints of the pool shared, which a search asks when it begins" in said
    assert main(["search", file]) == 2
    refused = capsys.readouterr().err
    assert "endpoints.pool: the pool shared is on a Ray cluster, and none is named here; submit" in refused
    assert not (tmp_path / "results").exists()
    assert main(["endpoints", file, "--json"]) == 3
    notes = json.loads(capsys.readouterr().out)["notes"]
    assert "the pool shared: on its cluster, pixaris pool list tells of it" in notes
    assert main(["run", file]) == 2
    assert "name a server for this (--endpoint URL)" in capsys.readouterr().err
    both = written(tmp_path, endpoints=[{"pool": "shared"}, "http://127.0.0.1:9"])
    assert main(["check", both]) == 2
    assert "endpoints are either a pool's (shared) or the search's own (got the pool shared, " in (
        capsys.readouterr().err
    )


@pytest.mark.usefixtures("without_ray")
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["list"], "pools are on a Ray cluster: a Ray of a search's own ends with it; name the cluster with"),
        (["start", "a b", "http://h:1"], "NAME must be the name of a pool: up to 40 letters"),
        (["end", "shared", "--address", "ray://h:1"], "a search must run inside the cluster"),
    ],
)
def test_a_pool_needs_a_name_and_a_cluster(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "local")
    assert main(["pool", *words]) == 2
    assert told in capsys.readouterr().err

"""What a user may get wrong: one short answer that names file, key, value and the way out; exit code 2; no
traceback.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from kit import WORKFLOW

from pixaris.cli import main


@pytest.fixture
def folder(tmp_path: Path, cells: Path) -> Path:
    """A search file that is right, with its eval set and workflow."""
    shutil.copytree(cells, tmp_path / "cells")
    shutil.copyfile(WORKFLOW, tmp_path / "workflow.json")
    write(tmp_path, {})
    return tmp_path


def content(**changes: Any) -> dict[str, Any]:
    right: dict[str, Any] = {
        "name": "cells",
        "project": "tests",
        "dataset": "./cells",
        "generator": {"type": "comfyui", "workflow": "workflow.json"},
        "endpoints": {"embedded": 1},
        "parameters": {"radius": {"node_name": "Blur", "input": "blur_radius", "randint": [1, 6]}},
        "metrics": [{"type": "iou", "reference": "Mask"}],
        "objective": {"metric": "iou"},
        "search": {"algorithm": "tpe", "num_samples": 2},
        "results": "./results",
    }
    return {key: value for key, value in {**right, **changes}.items() if value is not None}


def write(folder: Path, changes: dict[str, Any]) -> Path:
    file = folder / "search.yaml"
    file.write_text(yaml.safe_dump(content(**changes), sort_keys=False))
    return file


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    assert err.startswith("error: ")
    return err


def test_the_right_file_has_no_problems(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(folder / "search.yaml")]) == 0
    assert "no problems found" in capsys.readouterr().out


PARAMETER = {"node_name": "Blur", "input": "blur_radius"}
CASES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "bad domain on an unknown node": (
        {"parameters": {"radius": {"node_name": "Blurr", "input": "blur_radius", "randint": [6, 1]}}},
        [
            "parameters.radius.randint (line ",
            "low must be below high",
            "parameters.radius (line ",
            "did you mean 'Blur'",
        ],
    ),
    "two domains on an unknown input": (
        {"parameters": {"radius": {**PARAMETER, "input": "radius", "randint": [1, 6], "choice": [1]}}},
        ["has 2 domains", "no input 'radius'"],
    ),
    "fixed value after a malformed one": (
        {
            "generation_params": [
                {"node_name": "Grow"},
                {"node_name": "Grow", "input": "expand", "value": 99999},
            ]
        },
        [
            "generation_params.0.input",
            "generation_params.1.value (line ",
            "at most 16384",
            "change generation_params.1.value",
        ],
    ),
    "unknown node title": (
        {"parameters": {"radius": {"node_name": "Blurr", "input": "blur_radius", "randint": [1, 6]}}},
        ["parameters.radius (line ", "'Blurr'", "did you mean 'Blur'"],
    ),
    "unknown input": (
        {"parameters": {"radius": {"node_name": "Blur", "input": "radius", "randint": [1, 6]}}},
        ["parameters.radius (line ", "'radius'", "blur_radius"],
    ),
    "low above high": (
        {"parameters": {"radius": {**PARAMETER, "randint": [6, 1]}}},
        ["parameters.radius.randint (line ", "low must be below high", "[6, 1]"],
    ),
    "value outside the node's range": (
        {"parameters": {"radius": {**PARAMETER, "randint": [1, 99]}}},
        [
            "parameters.radius.randint (line ",
            "'Blur'",
            "at most 31",
            "98",
            "change parameters.radius.randint",
        ],
    ),
    "unknown domain": (
        {"parameters": {"radius": {**PARAMETER, "randnt": [1, 6]}}},
        ["'randnt'", "did you mean 'randint'"],
    ),
    "unknown metric": (
        {"metrics": [{"type": "iuo", "reference": "Mask"}], "objective": {"metric": "iou"}},
        ["metrics.0", "'iuo'", "did you mean 'iou'"],
    ),
    "unknown option of a metric": (
        {"metrics": [{"type": "iou", "refrence": "Mask"}]},
        ["metrics.0", "refrence", "true_masks, reference"],
    ),
    "unknown folder of a metric": ({"metrics": [{"type": "iou", "reference": "Msk"}]}, ["'Msk'"]),
    "unknown objective": ({"objective": {"metric": "ssim"}}, ["objective", "'ssim'", "iou"]),
    "unknown algorithm": (
        {"search": {"algorithm": "bayes"}},
        ["search.algorithm", "'bayes'", "grid, random, tpe"],
    ),
    "unknown scheduler": ({"search": {"scheduler": "hyper"}}, ["search.scheduler", "'hyper'", "fifo, asha"]),
    "unknown key": ({"endpoint": ["http://localhost:8188"]}, ["'endpoint'", "did you mean 'endpoints'"]),
    "wrong type": ({"search": {"num_samples": "many"}}, ["search.num_samples", "number", "'many'"]),
    "unknown generator": (
        {"generator": {"type": "comfy", "workflow": "workflow.json"}},
        ["generator", "'comfy'", "comfyui"],
    ),
    "missing workflow": (
        {"generator": {"type": "comfyui", "workflow": "nowhere.json"}},
        ["generator", "nowhere.json"],
    ),
    "missing eval set": ({"dataset": "./nowhere"}, ["dataset", "nowhere", "no such eval set"]),
    "no URL": ({"endpoints": ["ftp://x"]}, ["endpoints.0", "ftp://x"]),
    "variable that is not set": (
        {
            "endpoints": [
                {"url": "http://127.0.0.1:9", "headers": {"Authorization": {"env": "PIXARIS_TEST_UNSET"}}}
            ]
        },
        [
            "endpoints.0.headers.Authorization.env (line ",
            "PIXARIS_TEST_UNSET is not set",
            "export PIXARIS_TEST_UNSET=",
        ],
    ),
    "credentials in the file": (
        {"endpoints": [{"url": "http://127.0.0.1:9", "headers": {"Authorization": "Bearer abc"}}]},
        ["endpoints.0.headers.Authorization (line ", "{env: COMFY_TOKEN}"],
    ),
    "missing gcloud": (
        {"endpoints": {"iap": {"instance": "gpu-1", "gcloud": "/nowhere/gcloud"}}},
        ["endpoints.iap (line ", "'/nowhere/gcloud' is not a program", "install the Google Cloud CLI"],
    ),
    "unknown key of a tunnel": (
        {"endpoints": {"iap": {"instanc": "gpu-1"}}},
        ["'instanc'", "did you mean 'instance'"],
    ),
    "output node": (
        {"generator": {"type": "comfyui", "workflow": "workflow.json", "output_node": "Save"}},
        ["generator", "'Save'", "Save Output"],
    ),
    "output node that saves nothing": (
        {"generator": {"type": "comfyui", "workflow": "workflow.json", "output_node": "Grow"}},
        ["generator.output_node (line ", "'Grow'", "GrowMask saves no image", "Save Output"],
    ),
    "results below a file": (
        {"results": "./workflow.json/results"},
        ["results (line ", "workflow.json is not a folder", "name a folder"],
    ),
    "eval set that is a file": (
        {"dataset": "./workflow.json"},
        ["dataset (line ", "this is a file", "Input/<name>.png"],
    ),
    "module that does not exist": (
        {"metrics": [{"type": "no_such:Metric"}], "objective": {"metric": "x"}},
        ["no_such"],
    ),
}


@pytest.mark.parametrize(("changes", "words"), CASES.values(), ids=list(CASES))
def test_each_fault_is_told_with_its_place_and_the_way_out(
    folder: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], words: list[str]
) -> None:
    file = write(folder, changes)
    for command in (["check", "--trust"], ["search"]):
        text = refused(capsys, *command, str(file))
        assert str(file) in text
        for word in words:
            assert word in text
    assert not (folder / "results").exists()


@pytest.mark.parametrize(
    ("managed", "words"),
    [
        (
            {"command": ["no-such-program", "{port}"]},
            "endpoints.managed.command (line 9): 'no-such-program' is not a program",
        ),
        ({"command": ["sh", "{port}"], "working_directory": "nowhere"}, "nowhere' is not a folder"),
    ],
)
def test_what_a_managed_server_lacks_is_told_at_once_unless_a_cluster_may_have_it(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    managed: dict[str, Any],
    words: str,
) -> None:
    file = write(folder, {"endpoints": {"managed": managed}})
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert words in refused(capsys, "check", str(file))
    monkeypatch.setenv("RAY_ADDRESS", "somewhere:6379")
    assert main(["check", str(file)]) == 0


@pytest.mark.parametrize(
    ("endpoint", "words"),
    [
        ("http://127.0.0.1:9", ["endpoint http://127.0.0.1:9: ", "refused", "start it"]),
        (
            "dns://no-such-name.invalid:8188",
            ["endpoint dns://no-such-name.invalid:8188: ", "cannot be resolved", "correct its address"],
        ),
    ],
)
@pytest.mark.parametrize("command", ["check", "search", "run"])
def test_without_any_endpoint_that_answers_the_exit_code_is_3(
    folder: Path, capsys: pytest.CaptureFixture[str], command: str, endpoint: str, words: list[str]
) -> None:
    assert main([command, str(write(folder, {"endpoints": [endpoint]}))]) == 3
    text = capsys.readouterr().err
    assert "no endpoint answers" in text
    for word in words:
        assert word in text
    assert not (folder / "results").exists()


def test_a_file_that_is_wrong_and_has_no_endpoint_is_wrong_first(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = refused(capsys, "check", str(write(folder, {"endpoints": ["http://127.0.0.1:9"], "serch": {}})))
    assert "serch" in text
    assert "refused" in text


def test_one_dead_endpoint_of_two_is_a_note(
    folder: Path, capsys: pytest.CaptureFixture[str], endpoints: list[str]
) -> None:
    file = write(folder, {"endpoints": [endpoints[0], "http://127.0.0.1:9"]})
    assert main(["check", str(file)]) == 0
    captured = capsys.readouterr()
    assert "note: endpoint http://127.0.0.1:9: cannot be reached" in captured.out + captured.err
    assert "no problems found" in captured.out


def test_paths_on_the_command_line_start_where_the_user_is(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, endpoints: list[str]
) -> None:
    file = write(folder, {"endpoints": [endpoints[0]]})
    away = folder / "away"
    (folder / "cells").rename(folder / "moved")
    away.mkdir()
    monkeypatch.chdir(away)
    assert main(["check", str(file), "--set", "dataset=../moved"]) == 0
    assert "eval set    moved: 6 items" in capsys.readouterr().out
    text = refused(capsys, "check", str(file), "--set", "dataset=./moved")
    assert f"{away}/moved" in text


def test_a_frozen_endpoint_is_not_waited_for_as_long_as_a_large_answer(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        url = f"http://127.0.0.1:{frozen.getsockname()[1]}"
        started = time.monotonic()
        assert main(["check", str(write(folder, {"endpoints": [url]}))]) == 3
    text = capsys.readouterr().err
    assert f"endpoint {url}: did not answer within 5 s" in text
    assert time.monotonic() - started < 10.0, "the list of all nodes may take two minutes"


def test_all_problems_of_a_file_are_told_at_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "cells" / "Input" / "cells_03.png").write_text("no image")
    (folder / "cells" / "Mask" / "cells_01.png").unlink()
    file = write(
        folder,
        {
            "parameters": {
                "radius": {"node_name": "Blurr", "input": "blur_radius", "randint": [1, 6]},
                "value": {"node_name": "Threshold", "input": "value", "uniform": [0.1, 2.0]},
            },
            "metrics": [{"type": "iuo", "reference": "Mask"}],
            "serch": {},
        },
    )
    text = refused(capsys, "check", str(file))
    for word in ("'Blurr'", "at most 1", "'iuo'", "'serch'", "cells_03.png", "cells_01"):
        assert word in text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\na: 2\n", ["lines 1 and 2", "'a'"]),
        ("a: &x 1\nb: *x\n", ["line 1"]),
        ("a: [1\n", ["line "]),
        ("- 1\n", ["must be a mapping"]),
        ("", ["empty"]),
    ],
)
def test_what_is_no_search_file_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: list[str]
) -> None:
    file = tmp_path / "search.yaml"
    file.write_text(text)
    for command in ("check", "search", "run"):
        told = refused(capsys, command, str(file))
        assert str(file) in told
        assert all(word in told for word in words)


def test_a_missing_file_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "nowhere.yaml" in refused(capsys, "search", str(tmp_path / "nowhere.yaml"))


def test_a_workflow_in_the_editors_own_format_is_told_how_to_export(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "workflow.json").write_text(json.dumps({"nodes": [], "links": [], "version": 0.4}))
    assert "Export (API)" in refused(capsys, "check", str(folder / "search.yaml"))


def test_what_the_command_line_changes_is_checked_too(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = refused(
        capsys,
        "check",
        str(folder / "search.yaml"),
        "--set",
        "parameters.radius.randint=[0, 6]",
        "--set",
        "nonsense",
    )
    assert "at least 1" in text
    assert "nonsense" in text
    assert "num_samples" in refused(capsys, "search", str(folder / "search.yaml"), "--num-samples", "none")


def test_credentials_on_the_command_line_are_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = "http://me:secret@127.0.0.1:9"
    for arguments in (["--endpoint", url], ["--set", f"endpoints=[{url}]"]):
        text = refused(capsys, "check", str(folder / "search.yaml"), *arguments)
        assert "every user of the machine sees command lines" in text
        assert "basic_auth: {env: COMFY_AUTH}" in text
        assert "secret" not in text


def test_a_run_takes_values_of_the_files_parameters_only(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = refused(capsys, "run", str(folder / "search.yaml"), "--param", "radus=2")
    assert "did you mean 'radius'" in text


def test_a_module_that_breaks_is_told_with_its_own_words(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "breaks_at_import.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(folder)
    file = write(
        folder,
        {"metrics": [{"type": "breaks_at_import:Metric"}], "objective": {"metric": "x", "direction": "max"}},
    )
    assert "ZeroDivisionError: division by zero" in refused(capsys, "check", str(file), "--trust")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_results_go_nowhere_where_nothing_can_be_written(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "locked").mkdir(mode=0o500)
    assert "may not be written to" in refused(
        capsys, "check", str(write(folder, {"results": "./locked/results"}))
    )


def test_a_single_run_that_cannot_keep_its_results_does_not_start(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "is not a folder" in refused(
        capsys, "run", str(write(folder, {"results": "./workflow.json/results"}))
    )


def test_a_named_pipe_among_the_images_is_not_waited_for(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = folder / "cells" / "Input" / "cells_03.png"
    image.unlink()
    os.mkfifo(image)
    assert "cells_03.png cannot be read: it is not a file" in refused(
        capsys, "check", str(folder / "search.yaml")
    )


def test_links_in_a_circle_are_a_fault_of_the_workflow_file(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workflow = json.loads(WORKFLOW.read_text())
    blur = next(key for key, node in workflow.items() if node["class_type"] == "ImageBlur")
    workflow[blur]["inputs"]["image"] = [blur, 0]
    (folder / "workflow.json").write_text(json.dumps(workflow))
    text = refused(capsys, "check", str(folder / "search.yaml"))
    assert f"{folder / 'workflow.json'}: the links go round in a circle" in text


def test_a_title_that_stands_twice_hides_no_other_problem(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workflow = json.loads(WORKFLOW.read_text())
    workflow["9"] = {**workflow["1"]}
    (folder / "workflow.json").write_text(json.dumps(workflow))
    text = refused(capsys, "check", str(write(folder, {"objective": {"metric": "simm"}})))
    assert f"{folder / 'workflow.json'}: the title 'Load Input Image' stands" in text
    assert "'simm'" in text


@pytest.mark.parametrize(
    ("value", "words"), [("99", "must be at most 31 (got 99)"), ("2.5", "whole number"), ("big", "'big'")]
)
def test_a_value_that_a_single_run_cannot_have_is_told_before_servers_start(
    folder: Path, capsys: pytest.CaptureFixture[str], value: str, words: str
) -> None:
    assert main(["run", str(folder / "search.yaml"), "--param", f"radius={value}"]) == 2
    out, err = capsys.readouterr()
    assert "eval set    " not in out
    assert err.startswith(
        f"error: {folder / 'search.yaml'}: --param radius={value}: `blur_radius` of node 'Blur' "
    )
    assert words in err


@pytest.mark.parametrize("port", ["abc", "-1", "99999", "1.5"])
def test_a_port_that_is_none_is_refused(capsys: pytest.CaptureFixture[str], port: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["serve", f"--port={port}"])
    assert caught.value.code == 2
    assert f"a port is a number from 0 to 65535 (got {port})" in capsys.readouterr().err


def test_a_run_s_name_must_name_a_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "'../x'" in refused(capsys, "run", str(folder / "search.yaml"), "--name", "../x")

"""Results as files: complete while they grow, after a kill, and across processes."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pixaris import __version__
from pixaris.exceptions import StorageError
from pixaris.experiment_handlers.base import ExperimentHandler, ExperimentHandlers
from pixaris.experiment_handlers.local import LocalExperimentHandler
from pixaris.files import read_json_lines
from pixaris.images import EncodedImage, decode
from pixaris.testing.contracts import ContractError, check_experiment_handler
from pixaris.testing.samples import eval_set, picture, run_record
from pixaris.types import RunRecord

ITEMS = eval_set(4)


def tracked(root: Path) -> list[dict[str, Any]]:
    return read_json_lines(root / "experiment_tracking.jsonl")


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def test_local_results_fulfil_the_contract_of_handlers(tmp_path: Path) -> None:
    check_experiment_handler(LocalExperimentHandler, tmp_path)


def test_several_handlers_fulfil_the_contract_together(tmp_path: Path) -> None:
    def both(folder: Path) -> ExperimentHandler:
        return ExperimentHandlers(
            [LocalExperimentHandler(folder / "a"), LocalExperimentHandler(folder / "b")]
        )

    check_experiment_handler(both, tmp_path)
    assert (tmp_path / "results/a/samples").is_dir()
    assert (tmp_path / "results/b/samples").is_dir()


def test_a_run_has_everything_needed_to_understand_it_in_its_folder(tmp_path: Path) -> None:
    run = run_record(
        ITEMS, 3, "finished", failed={1}, values={"cfg": 7.1}, search="find cfg",
        workflow_image=EncodedImage.of(picture(9)), notes={"seed": 3},
    )  # fmt: skip
    handler = LocalExperimentHandler(tmp_path)
    handler.store_results(run)
    folder = tmp_path / "samples/find cfg/a run"
    assert handler.folder_of(run) == folder
    assert handler.search_folder(run) == folder.parent
    assert handler.results_dir == tmp_path

    kept = read(folder / "run.json")
    assert (kept["id"], kept["name"], kept["project"], kept["dataset"]) == (
        "run-1",
        "a run",
        "samples",
        "samples",
    )
    assert (kept["search"], kept["status"], kept["values"]) == ("find cfg", "finished", {"cfg": 7.1})
    assert kept["params"][0] == {"node_name": "KSampler", "input": "cfg", "value": 7.1}
    assert kept["metrics"] == {
        "quality": {"mean": 0.55, "std": pytest.approx(0.0707, abs=1e-4), "count": 2, "direction": "max"}
    }
    assert kept["items"] == {"total": 4, "done": 3, "generated": 2, "failed": 1}
    assert kept["failures"][0]["name"] == "photo 2"
    assert kept["failures"][0]["error"] == "node 'KSampler': out of range [http://127.0.0.1:8188]"
    assert (kept["started"], kept["seconds"], kept["notes"], kept["pixaris"]) == (
        1_700_000_000.0,
        3.0,
        {"seed": 3},
        __version__,
    )

    rows = read_json_lines(folder / "items.jsonl")
    assert [(row["index"], row["name"], row["scores"]) for row in rows] == [
        (0, "photo 1", {"quality": 0.5}),
        (1, "photo 2", {}),
        (2, "photo 3", {"quality": 0.6}),
    ]
    assert "out of range" in rows[1]["error"]
    assert (rows[0]["endpoint"], rows[0]["seconds"]) == ("http://127.0.0.1:8188", 0.25)
    assert rows[1]["image"] is None
    for row, item in zip(rows, run.items, strict=True):
        if item.generated:
            assert (
                decode((folder / row["image"]).read_bytes()).tobytes() == item.generated.image.image.tobytes()
            )
    assert read(folder / "workflow_apiformat.json") == run.workflow
    assert decode((folder / "workflow.png").read_bytes()).tobytes() == picture(9).tobytes()


def test_a_run_can_be_read_after_every_step(tmp_path: Path) -> None:
    handler = LocalExperimentHandler(tmp_path)
    for done in range(5):
        handler.store_results(run_record(ITEMS, done))
        folder = tmp_path / "samples/samples/a run"
        assert read(folder / "run.json")["items"]["done"] == done
        assert read(folder / "run.json")["status"] == "running"
        rows = read_json_lines(folder / "items.jsonl")
        assert [row["index"] for row in rows] == list(range(done))
        assert all((folder / row["image"]).is_file() for row in rows)
    assert tracked(tmp_path) == []


def test_images_are_written_once(tmp_path: Path) -> None:
    handler = LocalExperimentHandler(tmp_path)
    handler.store_results(run_record(ITEMS, 2))
    first = next((tmp_path / "samples/samples/a run/generated_images").glob("photo 1.png"))
    os.utime(first, (1, 1))
    handler.store_results(run_record(ITEMS, 3))
    LocalExperimentHandler(tmp_path).store_results(run_record(ITEMS, 4, "finished"))
    assert first.stat().st_mtime == 1
    assert len(list(first.parent.iterdir())) == 4


def test_an_image_that_was_generated_anew_replaces_the_old_one(tmp_path: Path) -> None:
    run = run_record(ITEMS, 1)
    LocalExperimentHandler(tmp_path).store_results(run)
    generated = run.items[0].generated
    assert generated is not None
    other = dataclasses.replace(generated, image=EncodedImage.of(picture(77)))
    again = dataclasses.replace(run, items=(dataclasses.replace(run.items[0], generated=other),))
    LocalExperimentHandler(tmp_path).store_results(again)
    assert (tmp_path / "samples/samples/a run/generated_images/photo 1.png").read_bytes() == other.image.data


def test_an_ended_run_is_tracked_in_one_line_however_often_it_is_stored(tmp_path: Path) -> None:
    runs = [
        run_record(ITEMS, 4, status, id=f"run-{n}", name=f"trial {n}")
        for n, status in enumerate(("finished", "stopped"))
    ]  # type: ignore[arg-type]
    for _ in range(2):
        handler = LocalExperimentHandler(tmp_path)  # as after a restart
        for run in runs:
            handler.store_results(run)
            handler.store_results(dataclasses.replace(run, seconds=99.0))
    lines = tracked(tmp_path)
    assert [(line["id"], line["status"]) for line in lines] == [("run-0", "finished"), ("run-1", "stopped")]
    assert lines[0]["folder"] == "samples/samples/trial 0"
    assert lines[0]["metrics"]["quality"]["count"] == 4


def test_a_run_that_ends_again_in_another_way_gets_another_line(tmp_path: Path) -> None:
    LocalExperimentHandler(tmp_path).store_results(run_record(ITEMS, 2, "interrupted"))
    LocalExperimentHandler(tmp_path).store_results(run_record(ITEMS, 4, "finished"))
    assert [(line["status"], line["items"]["done"]) for line in tracked(tmp_path)] == [
        ("interrupted", 2),
        ("finished", 4),
    ]
    assert {line["folder"] for line in tracked(tmp_path)} == {"samples/samples/a run"}


def test_a_second_run_of_the_same_name_gets_a_number(tmp_path: Path) -> None:
    handler = LocalExperimentHandler(tmp_path)
    runs = [run_record(ITEMS, 1, id=f"run-{n}") for n in range(3)]
    for run in (*runs, *runs):
        handler.store_results(run)
    assert [handler.folder_of(run).name for run in runs] == ["a run", "a run-2", "a run-3"]
    again = LocalExperimentHandler(tmp_path)
    assert [again.folder_of(run).name for run in reversed(runs)] == ["a run-3", "a run-2", "a run"]


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    taken = tmp_path / "samples/samples/a run"
    taken.mkdir(parents=True)
    (taken / "notes.txt").write_text("mine")
    (tmp_path / "samples/samples/b run").write_text("a file")
    handler = LocalExperimentHandler(tmp_path)
    for name in ("a run", "b run"):
        run = run_record(ITEMS, 1, name=name, id=name)
        handler.store_results(run)
        assert handler.folder_of(run).name == f"{name}-2"
    assert os.listdir(taken) == ["notes.txt"]


def test_runs_of_one_name_that_start_at_once_get_folders_of_their_own(tmp_path: Path) -> None:
    def store(number: int) -> str:
        handler = LocalExperimentHandler(tmp_path)
        run = run_record(ITEMS, 1, id=f"run-{number}")
        handler.store_results(run)
        return handler.folder_of(run).name

    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(store, range(12)))
    assert len(set(names)) == 12
    folders = list((tmp_path / "samples/samples").iterdir())
    assert {read(folder / "run.json")["id"] for folder in folders} == {f"run-{n}" for n in range(12)}


def test_what_was_stored_survives_a_kill_and_is_gone_on_with(tmp_path: Path) -> None:
    program = (
        "import sys, time\n"
        "from pixaris.experiment_handlers.local import LocalExperimentHandler\n"
        "from pixaris.testing.samples import eval_set, run_record\n"
        "items = eval_set(40, (200, 150))\n"
        "handler = LocalExperimentHandler(sys.argv[1])\n"
        "for done in range(41):\n"
        "    handler.store_results(run_record(items, done))\n"
        "    print(done, flush=True)\n"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    while int(writer.stdout.readline()) < 5:
        pass
    time.sleep(0.02)  # somewhere inside a later step
    writer.send_signal(signal.SIGKILL)
    writer.wait(10)
    folder = tmp_path / "samples/samples/a run"
    rows = read_json_lines(folder / "items.jsonl")
    assert len(rows) >= 5
    for row in rows:
        assert EncodedImage.from_file(folder / row["image"]).digest == row["digest"]
    assert abs(read(folder / "run.json")["items"]["done"] - len(rows)) <= 1
    LocalExperimentHandler(tmp_path).store_results(run_record(eval_set(40, (200, 150)), 40, "finished"))
    assert read(folder / "run.json")["status"] == "finished"
    assert len(list((folder / "generated_images").glob("*.png"))) == 40


def test_results_stay_where_they_belong_when_the_working_folder_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    handler = LocalExperimentHandler("results")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    copied: LocalExperimentHandler = pickle.loads(pickle.dumps(handler))
    copied.store_results(run_record(ITEMS, 1))
    assert (tmp_path / "results/samples/samples/a run/run.json").is_file()


def test_a_folder_that_cannot_be_written_is_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file")
    with pytest.raises(StorageError, match=r"results cannot be kept in .*results: Not a directory"):
        LocalExperimentHandler(tmp_path / "results").store_results(run_record(ITEMS, 1))


class ForgetfulHandler(ExperimentHandler):
    """Appends a line at every call and knows nothing of ids; for breaking rules."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def store_results(self, run: RunRecord) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "log.txt").open("a") as file:
            file.write(f"{run.id} {len(run.items)}\n")


def test_the_contract_suite_names_the_rule_that_is_broken(tmp_path: Path) -> None:
    with pytest.raises(
        ContractError, match=r"storing an ended run again changes nothing; it changed log\.txt"
    ):
        check_experiment_handler(ForgetfulHandler, tmp_path)

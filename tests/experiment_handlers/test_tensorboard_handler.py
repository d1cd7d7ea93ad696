"""TensorBoard events, read back by TensorBoard: its own reader, and its server over HTTP."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import pickle
import re
import shlex
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from search_kit import Made, made_search
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata as hparams_metadata
from tensorboard.util import tensor_util

from pixaris.exceptions import StorageError
from pixaris.experiment_handlers.tensorboard import TensorboardHandler, command
from pixaris.images import EncodedImage, decode
from pixaris.testing.contracts import check_experiment_handler
from pixaris.testing.samples import eval_set, picture, run_record
from pixaris.types import MetricSummary, RunRecord

ITEMS = eval_set(3)


def read(folder: Path) -> EventAccumulator:
    events = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    events.Reload()
    return events


def scalars(folder: Path, tag: str) -> list[tuple[int, float]]:
    return [
        (event.step, float(tensor_util.make_ndarray(event.tensor_proto)))
        for event in read(folder).Tensors(tag)
    ]


def samples_of(folder: Path, tag: str) -> list[bytes]:
    (event,) = read(folder).Tensors(tag)
    return list(event.tensor_proto.string_val)


def grow(handler: TensorboardHandler, steps: tuple[int, ...] = (1, 2, 3), **fields: Any) -> RunRecord:
    for done in steps:
        handler.store_results(run_record(ITEMS, done, **fields))
    run = run_record(ITEMS, steps[-1], "finished", **fields)
    handler.store_results(run)
    return run


def test_tensorboard_events_fulfil_the_contract_of_handlers(tmp_path: Path) -> None:
    check_experiment_handler(TensorboardHandler, tmp_path)


def test_each_step_adds_a_point_to_the_curve_at_the_number_of_items_scored(tmp_path: Path) -> None:
    grow(TensorboardHandler(tmp_path))
    assert scalars(tmp_path / "a run", "quality") == [
        (1, 0.5),
        (2, pytest.approx(0.525)),
        (3, pytest.approx(0.55)),
    ]


def test_a_failed_item_adds_neither_point_nor_image(tmp_path: Path) -> None:
    grow(TensorboardHandler(tmp_path), failed={1})
    assert scalars(tmp_path / "a run", "quality") == [(1, 0.5), (2, pytest.approx(0.55))]
    assert [tag for tag in read(tmp_path / "a run").Tags()["tensors"] if tag.startswith("images/")] == [
        "images/photo 1",
        "images/photo 3",
    ]


def test_an_item_shows_inputs_output_and_references_in_this_order_and_says_so(tmp_path: Path) -> None:
    run = grow(TensorboardHandler(tmp_path))
    width, height, *pictures = samples_of(tmp_path / "a run", "images/photo 2")
    item, result = ITEMS.items[1], run.items[1].generated
    assert result is not None
    assert (width, height) == (b"48", b"32")
    shown = [item.inputs["Input"], result.image, item.references["Original"], item.references["Mask"]]
    assert [decode(png).tobytes() for png in pictures] == [image.image.tobytes() for image in shown]
    described = read(tmp_path / "a run").SummaryMetadata("images/photo 2").summary_description
    expected = (
        "Samples: 1 Input (input), 2 output (quality 0.55), 3 Original (reference), 4 Mask (reference)."
    )
    assert described == expected


def test_large_images_are_shown_as_previews(tmp_path: Path) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (900, 1200, 3), dtype=np.uint8))
    run = run_record(ITEMS, 1, "finished")
    generated = run.items[0].generated
    assert generated is not None
    large = dataclasses.replace(generated, image=EncodedImage.of(noise))
    run = dataclasses.replace(run, items=(dataclasses.replace(run.items[0], generated=large),))
    TensorboardHandler(tmp_path).store_results(run)
    output = samples_of(tmp_path / "a run", "images/photo 1")[3]
    assert Image.open(io.BytesIO(output)).size == (768, 576)
    assert len(output) < 700_000 < len(large.image.data)


def test_events_can_be_read_while_the_run_goes_on_and_after_the_process_is_gone(tmp_path: Path) -> None:
    handler = TensorboardHandler(tmp_path)
    handler.store_results(run_record(ITEMS, 2))
    assert scalars(tmp_path / "a run", "quality") == [(2, pytest.approx(0.525))]
    resumed = TensorboardHandler(tmp_path)  # as if by another process, the first one killed
    resumed.store_results(run_record(ITEMS, 2))
    resumed.store_results(run_record(ITEMS, 3, "finished"))
    resumed.close()
    assert scalars(tmp_path / "a run", "quality") == [(2, pytest.approx(0.525)), (3, pytest.approx(0.55))]
    for number in (1, 2, 3):
        assert len(read(tmp_path / "a run").Tensors(f"images/photo {number}")) == 1


def session(folder: Path, tag: str) -> Any:
    content = read(folder).SummaryMetadata(tag).plugin_data.content
    parse = {
        hparams_metadata.SESSION_START_INFO_TAG: hparams_metadata.parse_session_start_info_plugin_data,
        hparams_metadata.SESSION_END_INFO_TAG: hparams_metadata.parse_session_end_info_plugin_data,
    }
    return parse[tag](content)


def test_hyperparameters_are_the_searchs_values_or_else_the_generation_params(tmp_path: Path) -> None:
    handler = TensorboardHandler(tmp_path)
    grow(handler, id="1", name="trial", values={"cfg": 7, "sampler": "euler", "upscale": True})
    grow(handler, id="2", name="plain")
    start = session(tmp_path / "trial", hparams_metadata.SESSION_START_INFO_TAG)
    assert start.start_time_secs == 1_700_000_000
    assert start.hparams["cfg"].number_value == 7
    assert start.hparams["sampler"].string_value == "euler"
    assert start.hparams["upscale"].bool_value is True
    plain = session(tmp_path / "plain", hparams_metadata.SESSION_START_INFO_TAG)
    assert {name: plain.hparams[name].WhichOneof("kind") for name in plain.hparams} == {
        "KSampler.cfg": "number_value",
        "KSampler.sampler_name": "string_value",
    }


@pytest.mark.parametrize(("status", "code"), [("finished", 1), ("stopped", 1), ("failed", 2)])
def test_the_end_of_a_run_is_told_with_its_status(tmp_path: Path, status: Any, code: int) -> None:
    TensorboardHandler(tmp_path).store_results(run_record(ITEMS, 2, status))
    end = session(tmp_path / "a run", hparams_metadata.SESSION_END_INFO_TAG)
    assert (end.status, end.end_time_secs) == (code, 1_700_000_002)


def test_an_interrupted_run_has_no_end_because_it_can_be_resumed(tmp_path: Path) -> None:
    TensorboardHandler(tmp_path).store_results(run_record(ITEMS, 2, "interrupted"))
    assert hparams_metadata.SESSION_END_INFO_TAG not in read(tmp_path / "a run").Tags()["tensors"]
    TensorboardHandler(tmp_path).store_results(run_record(ITEMS, 3, "finished"))
    assert session(tmp_path / "a run", hparams_metadata.SESSION_END_INFO_TAG).status == 1


def test_the_end_of_a_search_says_which_trials_were_stopped_and_where(tmp_path: Path) -> None:
    result = made_search(tmp_path / "s", Made(sets=5, stopped=3))
    handler = TensorboardHandler(tmp_path / "events", result.folder)
    for trial in result.trials:
        handler.store_results(run_record(eval_set(), 1, "stopped", name=trial.name, id=f"x-{trial.number}"))
    for _ in range(2):  # a search that is resumed ends again
        assert handler.search_ended(in_haste=False) == ""
    (told,) = read(tmp_path / "events" / "trial_0003").Tensors("stopped")
    assert tensor_util.make_ndarray(told.tensor_proto).item() == b"`stopped after 1 of 4 items`"
    assert "stopped" not in read(tmp_path / "events" / "trial_0002").Tags()["tensors"]


def test_a_handler_that_has_open_files_travels_to_another_process(tmp_path: Path) -> None:
    handler = TensorboardHandler(tmp_path)
    handler.store_results(run_record(ITEMS, 1))
    copied: TensorboardHandler = pickle.loads(pickle.dumps(handler))
    copied.store_results(run_record(ITEMS, 2, "finished"))
    handler.close()
    assert [step for step, _ in scalars(tmp_path / "a run", "quality")] == [1, 2]


def test_event_files_of_ended_runs_are_closed(tmp_path: Path) -> None:
    def held() -> int:
        return sum(
            os.path.realpath(f"/proc/self/fd/{fd}").startswith(str(tmp_path))
            for fd in os.listdir("/proc/self/fd")
        )

    handler = TensorboardHandler(tmp_path)
    for number in range(3):
        grow(handler, id=str(number), name=f"trial {number}")
    assert held() == 0
    handler.store_results(run_record(ITEMS, 1, name="open"))
    assert held() == 1
    handler.close()
    assert held() == 0


def test_a_run_that_is_resumed_again_and_again_keeps_all_its_points(tmp_path: Path) -> None:
    items = eval_set(14, (16, 16))
    for done in range(1, 15):
        handler = TensorboardHandler(tmp_path)
        handler.store_results(run_record(items, done, "interrupted"))
        handler.close()
    assert [step for step, _ in scalars(tmp_path / "a run", "quality")] == list(range(1, 15))


def test_a_folder_that_cannot_be_written_is_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file")
    with pytest.raises(StorageError, match=r"results cannot be kept in .*logs: File exists"):
        TensorboardHandler(tmp_path / "logs").store_results(run_record(ITEMS, 1))


def test_the_base_module_does_not_import_tensorboard() -> None:
    program = "import sys, pixaris.experiment_handlers.local; sys.exit('tensorboard' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """TensorBoard's real server on a folder with three runs of one search and one of another; yields its
    URL.
    """
    logdir = tmp_path_factory.mktemp("log dir")
    handler = TensorboardHandler(logdir)
    for number in range(3):
        values = {"radius": number, "sampler": "euler" if number % 2 else "ddim"}
        grow(handler, id=f"r{number}", name=f"trial {number}", values=values, search="radius")
    other = run_record(
        ITEMS, 2, "stopped", id="s0", name="strength 0", values={"strength": 0.5}, search="strength"
    )
    handler.store_results(dataclasses.replace(other, metrics={"iou": MetricSummary(0.25, 0.0, 2)}))
    handler.store_results(
        run_record(ITEMS, 1, id="s1", name="strength 1", values={"strength": 0.7}, search="strength")
    )

    asked = shlex.split(command(logdir))
    assert Path(asked[0]).name == "tensorboard"
    assert asked[1] == "--logdir"
    arguments = [sys.executable, "-m", "tensorboard.main", *asked[1:], "--host", "127.0.0.1", "--port", "0"]
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    url = ""
    for line in process.stderr:
        if found := re.search(r"http://\S+?:\d+/", line):
            url = found[0]
            break
    drain = threading.Thread(target=process.stderr.read, daemon=True)
    drain.start()
    try:
        assert url, "TensorBoard did not start"
        deadline = time.monotonic() + 20
        while len(get(url, "runs")) < 5 and time.monotonic() < deadline:
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(10)


def get(url: str, path: str, **query: object) -> Any:
    with urllib.request.urlopen(f"{url}data/{path}?{urllib.parse.urlencode(query)}", timeout=10) as answer:
        data = answer.read()
        return json.loads(data) if answer.headers.get_content_type() == "application/json" else data


def post(url: str, path: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(
        f"{url}data/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read())


RUNS = ["strength 0", "strength 1", "trial 0", "trial 1", "trial 2"]


def test_the_server_shows_one_run_per_experiment_run(server: str) -> None:
    assert sorted(get(server, "runs")) == RUNS


def test_the_server_shows_the_scores_as_curves(server: str) -> None:
    tags = get(server, "plugin/scalars/tags")
    assert tags["trial 1"]["quality"]["description"] == "<p>higher is better</p>"
    assert list(tags["strength 0"]) == ["iou"]
    points = get(server, "plugin/scalars/scalars", run="trial 1", tag="quality")
    assert [(step, value) for _, step, value in points] == [
        (1, 0.5),
        (2, pytest.approx(0.525)),
        (3, pytest.approx(0.55)),
    ]


def test_the_server_shows_all_images_of_an_item_under_one_tag(server: str) -> None:
    tags = get(server, "plugin/images/tags")
    assert sorted(tags["trial 0"]) == ["images/photo 1", "images/photo 2", "images/photo 3"]
    assert tags["trial 0"]["images/photo 1"]["samples"] == 4
    assert "2 output (quality 0.5)" in tags["trial 0"]["images/photo 1"]["description"]
    (shown,) = get(server, "plugin/images/images", run="trial 0", tag="images/photo 1", sample=1)
    key = dict(urllib.parse.parse_qsl(shown["query"]))
    png = get(server, "plugin/images/individualImage", **key)
    assert decode(png).tobytes() == picture(2000).tobytes()


def test_the_server_shows_one_row_per_run_with_its_own_parameters_and_scores(server: str) -> None:
    experiment = post(server, "plugin/hparams/experiment", {"hparamsLimit": 0})
    assert {info["name"] for info in experiment["hparamInfos"]} == {"radius", "sampler", "strength"}
    assert {info["name"]["tag"] for info in experiment["metricInfos"]} == {"quality", "iou"}

    columns = [{"hparam": name} for name in ("radius", "sampler", "strength")]
    columns += [{"metric": {"group": "", "tag": tag}} for tag in ("quality", "iou")]
    asked = {
        "colParams": columns,
        "startIndex": 0,
        "sliceSize": 100,
        "allowedStatuses": ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"],
    }
    groups = post(server, "plugin/hparams/session_groups", asked)["sessionGroups"]
    rows = {group["sessions"][0]["name"]: group for group in groups}
    assert sorted(rows) == RUNS
    assert all(len(group["sessions"]) == 1 for group in groups)
    assert rows["trial 1"]["hparams"] == {"radius": 1.0, "sampler": "euler"}
    assert rows["strength 0"]["hparams"] == {"strength": 0.5}
    scores = {name: {v["name"]["tag"]: v["value"] for v in row["metricValues"]} for name, row in rows.items()}
    assert scores["trial 1"] == {"quality": pytest.approx(0.55)}
    assert scores["strength 0"] == {"iou": 0.25}
    status = {name: row["sessions"][0].get("status", "STATUS_UNKNOWN") for name, row in rows.items()}
    assert status["trial 0"] == status["strength 0"] == "STATUS_SUCCESS"
    assert status["strength 1"] != "STATUS_SUCCESS"  # still running

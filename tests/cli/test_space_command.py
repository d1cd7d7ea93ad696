"""``pixaris space``: a search file from a workflow, which ``pixaris check`` takes as it is."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kit import DATA
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from space_kit import (
    VERSIONS,
    flux,
    image_to_image,
    object_info,
    serving,
    structured,
    text_to_image,
    titled,
)

from pixaris.cli import main

ROOT = Path(__file__).parents[2]
MODELS: dict[str, Callable[[], dict[str, Any]]] = {
    "sd": text_to_image,
    "sdxl": image_to_image,
    "flux": flux,
    "structured": structured,
}
FILES = [
    *sorted((DATA / "workflows").glob("*.json")),
    *sorted((ROOT / "search_spaces" / "workflows").glob("*.json")),
]


@pytest.fixture(scope="module", params=VERSIONS)
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    with serving(object_info(request.param)) as url:
        yield url


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def saved(workflow: dict[str, Any], name: str = "workflow.json") -> str:
    Path(name).write_text(json.dumps(workflow))
    return name


def with_all_in(file: str) -> int:
    """Take everything in that is commented out; how many that were."""
    text, count = re.subn(r"^  # (\w+: \{node_name)", r"  \1", Path(file).read_text(), flags=re.M)
    Path(file).write_text(text)
    return count


def parameters(file: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(Path(file).read_text())["parameters"]
    return found


AIM = ("--metric", "seconds")
"""An objective: without one, a file is only checked once it has been chosen."""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_from_a_workflow_that_lies_elsewhere_passes_the_check(path: Path, server: str) -> None:
    assert main(["space", str(path), "--endpoint", server, "-o", "spaces/a/x.yaml", *AIM]) == 0
    assert main(["check", "spaces/a/x.yaml"]) == 0
    with_all_in("spaces/a/x.yaml")
    assert main(["check", "spaces/a/x.yaml"]) == 0


@pytest.mark.parametrize("kind", MODELS)
def test_files_for_diffusion_models_pass_the_check_also_with_everything_taken_in(
    kind: str, server: str
) -> None:
    assert main(["space", saved(MODELS[kind]()), "--endpoint", server, "-o", "x.yaml", *AIM]) == 0
    assert main(["check", "x.yaml"]) == 0
    assert with_all_in("x.yaml") >= 5
    assert main(["check", "x.yaml"]) == 0


def test_known_inputs_stand_in_and_the_others_are_commented_out(server: str) -> None:
    main(["space", saved(image_to_image()), "--endpoint", server, "-o", "x.yaml"])
    found = parameters("x.yaml")
    assert list(found) == [
        "steps",
        "cfg",
        "sampler_name",
        "scheduler",
        "denoise",
        "strength_model",
        "strength_clip",
    ]
    assert found["steps"]["qrandint"] == [15, 60, 5]
    assert found["cfg"]["quniform"] == [3.5, 11.0, 0.5]
    assert found["denoise"]["quniform"] == [0.25, 0.85, 0.05]
    assert found["sampler_name"]["choice"][0] == "euler"
    assert "dpmpp_2m" in found["sampler_name"]["choice"]
    text = Path("x.yaml").read_text()
    assert (
        "# ckpt_name: {node_name: Load Checkpoint, input: ckpt_name, choice: [sdxl.safetensors,"
        " sd15.safetensors]}" in text
    )
    assert "# seed: " in text
    assert 'node_name: "Prompt 🎨"' in text
    assert "# INT 1 to 10000; workflow: 30" in text


def test_where_the_value_says_that_it_must_stay_it_is_commented_out(server: str) -> None:
    main(["space", saved(flux()), "--endpoint", server, "-o", "x.yaml"])
    found = parameters("x.yaml")
    assert "guidance" in found
    assert not {"cfg", "denoise"} & set(found)
    assert "cfg 1 is how distilled models are run" in Path("x.yaml").read_text()


def test_a_loader_that_no_folder_feeds_gets_a_title_in_a_copy(
    server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["space", saved(image_to_image()), "--endpoint", server, "-o", "x.yaml"]) == 0
    copy = json.loads(Path("x_titled_apiformat.json").read_text())
    assert copy["1"]["_meta"]["title"] == "Load Input Image"
    assert Path("x_images/Input/placeholder.png").is_file()
    content = yaml.safe_load(Path("x.yaml").read_text())
    assert content["generator"] == {
        "type": "comfyui",
        "workflow": "./x_titled_apiformat.json",
        "output_node": "Ergebnis – groß",
    }
    out = capsys.readouterr().out
    assert "'Load Image' (LoadImage, id 1) is titled 'Load Input Image' in the copy" in out
    assert "generator.output_node says so" in out


def test_duplicate_titles_are_told_apart_by_id(server: str) -> None:
    main(["space", saved(text_to_image()), "--endpoint", server, "-o", "x.yaml"])
    with_all_in("x.yaml")
    found = parameters("x.yaml")
    assert {entry["node_name"] for entry in found.values() if entry["input"] == "text"} == {"6", "7"}
    assert found["positive_prompt"]["choice"] == ["a glass bottle, galaxy: #1"]
    assert found["negative_prompt"]["choice"] == ["text, watermark"]
    text = Path("x.yaml").read_text()
    assert "# CLIP Text Encode (Prompt) (CLIPTextEncode, id 6)" in text
    assert "  # KSampler\n" in text


def test_what_the_server_lacks_gets_the_nearest_that_it_has(
    server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    workflow = text_to_image()
    workflow["4"]["inputs"]["ckpt_name"] = "sd15_pruned.safetensors"
    workflow["3"]["inputs"]["cfg"] = 500
    assert main(["space", saved(workflow), "--endpoint", server, "-o", "x.yaml"]) == 0
    fixed = yaml.safe_load(Path("x.yaml").read_text())["generation_params"]
    assert {(entry["input"], entry["value"]) for entry in fixed} == {
        ("ckpt_name", "sd15.safetensors"),
        ("cfg", 100.0),
    }
    assert "gives it 'sd15.safetensors' instead" in capsys.readouterr().out


def test_an_eval_set_with_references_is_named_with_a_metric_that_compares(server: str, cells: Path) -> None:
    Path("sets").mkdir()
    os.symlink(cells, "sets/cells")
    workflow = str(DATA / "workflows" / "02_seg_threshold_grow.json")
    options = ["--dataset", "sets/cells", "--project", "mine", "-o", "a/x.yaml"]
    assert main(["space", workflow, "--endpoint", server, *options]) == 0
    content = yaml.safe_load(Path("a/x.yaml").read_text())
    assert content["dataset"]["references"] == ["Mask"]
    assert content["metrics"] == [{"type": "iou", "reference": "Mask"}]
    assert content["project"] == "mine"
    assert main(["check", "a/x.yaml"]) == 0


def picture(workflow: dict[str, Any], *, titles: bool = True) -> str:
    """A PNG as ComfyUI saves one, NaN for what it does not know included."""
    info = PngInfo()
    nodes = [
        {"id": int(key), "type": node["class_type"], "title": node["_meta"]["title"]}
        for key, node in workflow.items()
    ]
    prompt = {
        key: {"inputs": node["inputs"], "class_type": node["class_type"], "is_changed": [float("nan")]}
        for key, node in workflow.items()
    }
    info.add_text("prompt", json.dumps(prompt))
    if titles:
        info.add_text("workflow", json.dumps({"nodes": nodes, "links": []}))
    Image.new("RGB", (8, 8)).save("ComfyUI_00001_.png", pnginfo=info)
    return "ComfyUI_00001_.png"


def test_a_picture_that_comfyui_saved_is_a_workflow_with_its_titles(server: str) -> None:
    assert main(["space", picture(image_to_image()), "--endpoint", server, "-o", "x.yaml", *AIM]) == 0
    assert main(["check", "x.yaml"]) == 0
    copy = json.loads(Path("x_apiformat.json").read_text())
    assert copy["3"]["_meta"]["title"] == "Sampler: #1 {küche}"
    assert "is_changed" not in copy["3"]


def test_a_picture_without_titles_is_told_apart_by_ids(server: str) -> None:
    assert main(["space", picture(text_to_image(), titles=False), "--endpoint", server, "-o", "x.yaml"]) == 0
    assert {entry["node_name"] for entry in parameters("x.yaml").values()} == {"KSampler"}


def test_a_picture_without_a_workflow_says_what_to_give(capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (8, 8)).save("plain.png")
    assert main(["space", "plain.png"]) == 2
    assert "holds no workflow" in capsys.readouterr().err
    Path("broken.png").write_bytes(Path("plain.png").read_bytes()[:40])
    assert main(["space", "broken.png"]) == 2
    assert "not a readable PNG" in capsys.readouterr().err
    Path("other.png").write_text("no picture")
    assert main(["space", "other.png"]) == 2
    assert "other.png is not a readable PNG: cannot identify its format\n" in capsys.readouterr().err


def test_without_an_endpoint_the_embedded_one_is_used_where_it_suffices(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["space", str(FILES[1]), "-o", "x.yaml"]) == 0
    assert yaml.safe_load(Path("x.yaml").read_text())["endpoints"] == {"embedded": 2}
    assert main(["space", saved(flux()), "-o", "y.yaml"]) == 0
    out = capsys.readouterr().out
    assert "the endpoint that comes with Pixaris has no CLIPTextEncode" in out
    assert yaml.safe_load(Path("y.yaml").read_text())["endpoints"] == ["http://localhost:8188"]


def test_nothing_is_written_over_without_force(server: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("x.yaml").write_text("mine")
    workflow = saved(text_to_image())
    assert main(["space", workflow, "--endpoint", server, "-o", "x.yaml"]) == 2
    assert "x.yaml exists" in capsys.readouterr().err
    assert Path("x.yaml").read_text() == "mine"
    assert main(["space", workflow, "--endpoint", server, "-o", "x.yaml", "--force"]) == 0


def test_a_server_that_does_not_answer_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["space", saved(flux()), "--endpoint", "http://127.0.0.1:9"]) != 0
    assert "127.0.0.1:9" in capsys.readouterr().err
    assert not Path("workflow.yaml").exists()


@pytest.mark.parametrize(
    "title",
    ["*", "a: b", "- x", "#", '"', "'", "null", "1e3", "\u2028", "\x7f\x1b", " x ", "{a}", "\U0001f3a8", "~"],
)
def test_any_title_can_be_written(title: str) -> None:
    workflow = titled(
        {
            "1": ("EmptyImage", title, {"width": 64, "height": 48, "batch_size": 1, "color": 1}),
            "2": ("ImageBlur", title + "!", {"image": ["1", 0], "blur_radius": 2, "sigma": 1.0}),
            "3": ("SaveImage", title + title, {"images": ["2", 0], "filename_prefix": "x"}),
        }
    )
    assert main(["space", saved(workflow), "-o", "x.yaml", *AIM]) == 0
    with_all_in("x.yaml")
    assert main(["check", "x.yaml"]) == 0


def test_the_rule_stands_in_the_help_and_in_the_file(server: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["space", "--help"])
    main(["space", saved(flux()), "--endpoint", server, "-o", "x.yaml"])
    rule = "A parameter is searched where its meaning is known by its name"
    assert rule in " ".join(capsys.readouterr().out.split())
    assert rule in Path("x.yaml").read_text()


def test_the_documentation_is_right(server: str) -> None:
    text = (ROOT / "docs" / "write-a-search-file.md").read_text()
    commands = re.findall(r"^pixaris (space .*)$", text, flags=re.M)
    assert len(commands) >= 4
    saved(image_to_image(), "portrait_apiformat.json")
    saved(text_to_image(), "text_to_image_apiformat.json")
    Path("prompts").mkdir()
    Path("prompts/scenes.csv").write_text("name,prompt\nboat,a small red boat\n")
    picture(image_to_image())
    Path("photos/Input").mkdir(parents=True)
    Path("photos/Original").mkdir()
    for folder in ("Input", "Original"):
        Image.new("RGB", (8, 8)).save(f"photos/{folder}/a.png")
    for command in commands:
        assert main(command.replace("http://10.0.0.5:8188", server).split()) == 0, command

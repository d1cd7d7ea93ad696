"""What ``pixaris space`` decides: what feeds what, what is called how, and what it leaves to a person."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image
from space_kit import flux, image_to_image, object_info, serving, structured, text_to_image

from pixaris.cli import main
from pixaris.search.objectives import choose_one


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving(object_info()) as url:
        yield url


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def saved(workflow: Mapping[str, Any], name: str = "workflow.json") -> str:
    Path(name).write_text(json.dumps(workflow))
    return name


def photos(*folders: str) -> str:
    for folder in folders:
        Path("photos", folder).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), "red").save(f"photos/{folder}/a.png")
    return "photos"


def drafted(workflow: Mapping[str, Any], *options: str) -> dict[str, Any]:
    assert main(["space", saved(workflow), "-o", "x.yaml", "--force", *options]) == 0
    content: dict[str, Any] = yaml.safe_load(Path("x.yaml").read_text())
    return content


def with_all_in() -> dict[str, dict[str, Any]]:
    text = re.sub(r"^  # (\w+: \{node_name)", r"  \1", Path("x.yaml").read_text(), flags=re.M)
    Path("x.yaml").write_text(text)
    found: dict[str, dict[str, Any]] = yaml.safe_load(text)["parameters"]
    return found


# Folders


@pytest.mark.parametrize(
    ("folders", "feeds", "compared", "metric", "guesses"),
    [
        (("Input", "Clean"), "Input", ["Clean"], "ssim", ["that folder 'Input' feeds it is a guess"]),
        (("clean", "noisy"), "noisy", ["clean"], "ssim", ["that folder 'noisy' feeds it is a guess"]),
        (("A", "B"), "A", ["B"], "ssim", ["it could be 'B': if so, title the node 'Load B Image'"]),
        (("Input", "Mask"), "Input", ["Mask"], "iou", ["that folder 'Input' feeds it is a guess"]),
        (("Mask", "Photo"), "Photo", ["Mask"], "iou", ["that folder 'Photo' feeds it is a guess"]),
        (
            ("Clean", "Input", "Mask"),
            "Input",
            ["Clean", "Mask"],
            "ssim",
            ["results are compared with 'Clean' is a guess, it could be 'Mask'"],
        ),
        (("Input",), "Input", [], "", []),
    ],
)
def test_roles_of_folders_are_told_by_their_names_and_guesses_are_said(
    folders: tuple[str, ...],
    feeds: str,
    compared: list[str],
    metric: str,
    guesses: list[str],
    server: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    content = drafted(image_to_image(), "--endpoint", server, "--dataset", photos(*folders))
    screen, text = capsys.readouterr().out, Path("x.yaml").read_text()
    copy = json.loads(Path("x_titled_apiformat.json").read_text())
    assert copy["1"]["_meta"]["title"] == f"Load {feeds} Image"
    assert content["dataset"].get("references", []) == compared
    assert content.get("objective", {}).get("metric", "") == metric
    for guess in guesses:
        assert guess in screen
        assert guess in text
    assert ("is a guess" in screen) == bool(guesses)
    shown = ", ".join(map(repr, compared))
    expected = f"'{feeds}'; {shown} {'is' if len(compared) == 1 else 'are'} only compared with."
    assert (f"The workflow reads folder {expected}" in text) == bool(compared)


def test_a_title_that_names_a_folder_is_no_guess(server: str, capsys: pytest.CaptureFixture[str]) -> None:
    workflow = image_to_image()
    workflow["1"]["_meta"]["title"] = "Load Clean Image"
    content = drafted(workflow, "--endpoint", server, "--dataset", photos("Input", "Clean"))
    assert content["dataset"]["references"] == ["Input"]
    assert "guess" not in capsys.readouterr().out
    assert "The workflow reads folder 'Clean'; 'Input' is only compared with." in Path("x.yaml").read_text()


def test_a_file_of_prompts_is_an_eval_set(server: str) -> None:
    Path("prompts").mkdir()
    rows = [f"p{number},a boat {number},{number}" for number in range(20)]
    Path("prompts/scenes.csv").write_text("\n".join(["name,prompt,expected", *rows, ""]))
    content = drafted(
        text_to_image(), "--endpoint", server, "--dataset", "prompts/scenes.csv", "--metric", "contrast"
    )
    assert content["dataset"] == {"prompts": "./prompts/scenes.csv"}
    assert content["budget"] == {"images": 240}, "twelve whole sets"
    assert main(["check", "x.yaml"]) == 0


def test_what_is_no_file_of_prompts_is_told(server: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("empty.csv").write_text("prompt\n")
    Path("workflow.json").write_text(json.dumps(text_to_image()))
    for name, words in (("empty.csv", "has no prompts"), ("gone.csv", "gone.csv")):
        assert main(["space", "workflow.json", "--dataset", name]) == 2
        assert words in capsys.readouterr().err


# The objective


def test_without_references_the_objective_is_left_open_and_every_command_says_so(
    server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    content = drafted(image_to_image(), "--endpoint", server)
    assert content["metrics"] == [{"type": "seconds"}]
    assert "objective" not in content
    assert "note: the objective is left open: choose one of llm_reality" in capsys.readouterr().out
    for command in ("check", "search"):
        assert main([command, "x.yaml"]) == 2
        assert "objective: name at least one score; choose one of llm_reality, " in capsys.readouterr().err


def test_the_votes_that_a_file_without_references_names_as_an_objective_pass_the_check(server: str) -> None:
    drafted(image_to_image(), "--endpoint", server)
    file = Path("x.yaml")
    text = file.read_text()
    way = re.search(r"let people vote on the images: (metrics: .*\]), (objective: .*\}) \(", text)
    assert way is not None
    file.write_text(text.replace("metrics: [{type: seconds}]", f"{way[1]}\n{way[2]}"))
    assert main(["check", "x.yaml"]) == 0


def test_of_the_scores_that_are_there_those_are_offered_that_say_something() -> None:
    assert choose_one(["sharpness", "mine", "luminescence_mean"]) == (
        "name at least one score; choose one of mine: objective: {metric: mine}"
    )


def test_what_rewards_ruin_is_taken_only_where_it_is_asked_for(
    server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    content = drafted(image_to_image(), "--endpoint", server, "--metric", "sharpness")
    assert content["objective"] == {"metric": "sharpness"}
    assert "sharpness alone is no measure of quality" in Path("x.yaml").read_text()
    assert main(["check", "x.yaml"]) == 0


def test_the_placeholder_is_counted_by_check(server: str, capsys: pytest.CaptureFixture[str]) -> None:
    drafted(image_to_image(), "--endpoint", server, "--metric", "seconds")
    Image.new("RGB", (8, 8)).save("x_images/Input/mine.png")
    capsys.readouterr()
    main(["check", "x.yaml"])
    shown = capsys.readouterr()
    assert "placeholder" in shown.out + shown.err


# Names and headings


def test_names_say_what_they_are(server: str) -> None:
    workflow = text_to_image()
    workflow["13"] = {**workflow["3"], "_meta": {"title": "Second pass"}}
    workflow["13"]["inputs"] = {**workflow["3"]["inputs"], "latent_image": ["3", 0]}
    workflow["8"]["inputs"]["samples"] = ["13", 0]
    workflow["20"] = {"class_type": "PrimitiveInt", "inputs": {"value": 30}, "_meta": {"title": "Schritte"}}
    workflow["13"]["inputs"]["steps"] = ["20", 0]
    drafted(workflow, "--endpoint", server, "--metric", "seconds")
    found = with_all_in()
    assert found["positive_prompt"]["node_name"] == "6"
    assert found["negative_prompt"]["node_name"] == "7"
    assert (found["cfg"]["node_name"], found["cfg_2"]["node_name"]) == ("KSampler", "Second pass")
    assert (found["schritte"]["node_name"], found["schritte"]["input"]) == ("Schritte", "value")
    assert main(["check", "x.yaml"]) == 0


def test_a_heading_has_the_class_where_a_title_stands_twice(server: str) -> None:
    drafted(text_to_image(), "--endpoint", server)
    text = Path("x.yaml").read_text()
    assert "  # CLIP Text Encode (Prompt) (CLIPTextEncode, id 6)\n" in text
    assert "  # CLIP Text Encode (Prompt) (CLIPTextEncode, id 7)\n" in text
    assert "  # KSampler\n" in text


def test_what_is_searched_is_counted_and_what_is_not_known_says_so(
    server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    drafted(image_to_image(), "--endpoint", server)
    assert "x.yaml: 7 parameters to search; 5 more are commented out\n" in capsys.readouterr().out
    workflow = image_to_image()
    workflow["3"]["inputs"]["frobnicate"] = 0.5
    drafted(workflow)
    assert "purpose unknown; uncomment to search it" in Path("x.yaml").read_text()


# Without an endpoint


def test_standard_nodes_have_their_ranges_without_an_endpoint() -> None:
    workflow = image_to_image()
    workflow["20"] = {
        "class_type": "ControlNetApplyAdvanced",
        "inputs": {
            "strength": 1,
            "start_percent": 0,
            "end_percent": 1,
            "positive": ["6", 0],
            "negative": ["7", 0],
            "image": ["1", 0],
            "control_net": ["21", 0],
        },
        "_meta": {"title": "Control"},
    }
    workflow["21"] = {"class_type": "ControlNetLoader", "inputs": {"control_net_name": "depth.safetensors"}}
    workflow["3"]["inputs"] |= {"positive": ["20", 0], "negative": ["20", 1], "denoise": 1, "cfg": 8}
    drafted(workflow, "--metric", "seconds")
    found = with_all_in()
    assert found["strength_clip"]["quniform"] == [0.0, 1.5, 0.05]
    assert found["denoise"]["quniform"] == [0.5, 1.0, 0.05]
    assert found["cfg"]["quniform"] == [4.0, 14.0, 0.5]
    assert found["steps"]["qrandint"] == [15, 60, 5]
    assert found["strength"]["quniform"] == [0.0, 1.5, 0.05]
    assert found["end_percent"]["quniform"][1:] == [1.0, 0.05]
    assert found["start_percent"]["quniform"][0] == 0.0
    assert "randint" not in found["strength_model"]
    text = Path("x.yaml").read_text()
    assert "FLOAT 0 to 1; workflow: 1" in text


def test_a_guess_from_the_value_alone_stays_on_its_side(server: str) -> None:
    drafted(flux())
    assert with_all_in()["guidance"]["quniform"][0] > 0


# Structures and dynamic combos


def test_what_is_in_structures_is_proposed_under_its_name(server: str) -> None:
    content = drafted(structured(), "--endpoint", server, "--metric", "seconds")
    assert content["parameters"]["lora_1_strength"] == {
        "node_name": "Loras",
        "input": "lora_1.strength",
        "quniform": [0.0, 1.5, 0.05],
    }
    text = Path("x.yaml").read_text()
    assert "# FLOAT; workflow: 0.5; it is switched off\n  # lora_2_strength: " in text
    assert "# lora_1_lora: {node_name: Loras, input: lora_1.lora, choice: [style.safetensors" in text
    assert "PowerLoraLoaderHeaderWidget" not in text


def test_what_hangs_on_a_choice_is_proposed_with_when(server: str) -> None:
    drafted(structured(), "--endpoint", server, "--metric", "seconds")
    found = with_all_in()
    assert found["resize_type_width"] == {
        "node_name": "Resize",
        "input": "resize_type.width",
        "choice": [512],
        "when": {"resize_type": ["scale dimensions", "scale width"]},
    }
    assert "match size" not in found["resize_type"]["choice"]
    assert found["combo_sub"]["when"] == {"combo": "deep"}
    assert found["combo_sub_float_x"]["when"] == {"combo_sub": "floats"}
    assert found["combo_number"]["randint"] == [2, 7]
    assert main(["check", "x.yaml"]) == 0


def checked(parameters: Mapping[str, Any], server: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What check says of a search over these parameters; "" for nothing."""
    photos("Input")
    content = {
        "name": "x",
        "project": "demo",
        "dataset": {"path": "./photos"},
        "generator": {"type": "comfyui", "workflow": saved(structured())},
        "endpoints": [server],
        "parameters": dict(parameters),
        "metrics": [{"type": "seconds"}],
        "objective": {"metric": "seconds"},
        "search": {"algorithm": "random", "num_samples": 4},
    }
    Path("x.yaml").write_text(yaml.safe_dump(content))
    code = main(["check", "x.yaml"])
    shown = capsys.readouterr().err
    assert (code == 0) == (not shown), shown
    return shown


def resize(input: str, **rest: Any) -> dict[str, Any]:
    return {"node_name": "Resize", "input": input, **rest}


SELECTOR = {"resize_type": resize("resize_type", choice=["scale dimensions", "scale by multiplier"])}
MULTIPLIER = resize("resize_type.multiplier", uniform=[0.5, 2.0])


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"w": resize("resize_type.width", randint=[64, 512])}, ""),
        (
            {"w": resize("resize_type.width", randint=[64, 99_999])},
            "must be at most 16384",
        ),
        (
            {"m": MULTIPLIER},
            "is there only while `resize_type` is 'scale by multiplier', and not while it is"
            " 'scale dimensions'; give 'resize_type' such a value",
        ),
        ({**SELECTOR, "m": MULTIPLIER}, "add when: {resize_type: scale by multiplier}"),
        ({**SELECTOR, "m": {**MULTIPLIER, "when": {"resize_type": "scale by multiplier"}}}, ""),
        ({"r": resize("resize_type", choice=["scale dimensions", "scale sideways"])}, "'scale sideways'"),
        ({"r": resize("resize_type", choice=["scale dimensions", "match size"])}, "resize_type.match"),
        ({"x": resize("resize_type.depth", randint=[1, 5])}, "resize_type.depth"),
    ],
)
def test_check_types_what_hangs_on_a_choice_by_every_option_that_may_be_chosen(
    parameters: Mapping[str, Any], said: str, server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = checked(parameters, server, capsys)
    assert (said in shown) if said else not shown


def test_check_reads_structures(server: str, capsys: pytest.CaptureFixture[str]) -> None:
    loras = {"node_name": "Loras", "input": "lora_1.strength", "uniform": [0.0, 1.0]}
    assert checked({"strength": loras}, server, capsys) == ""
    shown = checked({"strength": {**loras, "input": "lora_1.strenght"}}, server, capsys)
    assert "did you mean 'lora_1.strength'?" in shown

"""Several workflows in one search, of which a parameter chooses."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pixaris.cli import main
from pixaris.exceptions import WorkflowError
from pixaris.files import read_json
from pixaris.generation.base import ItemArgs
from pixaris.generation.comfyui import ComfyGenerator, alternatives
from pixaris.images import EncodedImage
from pixaris.search.file.spec import read_search_file
from pixaris.testing import samples
from pixaris.testing.contracts import check_image_generator
from pixaris.types import GenerationParam

CRISP = {"ImageBlur", "ImageSharpen", "LoadImage", "SaveImage"}


def node(kind: str, title: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs, "_meta": {"title": title}}


LOAD = node("LoadImage", "Load Input Image", image="a.png")
BLUR = {
    "1": LOAD,
    "2": node("ImageBlur", "Blur", image=["1", 0], blur_radius=3, sigma=1.5),
    "3": node("SaveImage", "Save Image", images=["2", 0], filename_prefix="x"),
}
SHARPEN = {
    "1": node("LoadImage", "Load Input Image", image="b.png"),
    "7": node("ImageBlur", "Blur", image=["1", 0], blur_radius=1, sigma=0.5),
    "2": node("ImageSharpen", "Sharpen", image=["7", 0], sharpen_radius=2, sigma=1.0, alpha=0.5),
    "3": node("SaveImage", "Save Image", images=["2", 0], filename_prefix="x"),
}


def both(url: str = "http://127.0.0.1:1") -> ComfyGenerator:
    return alternatives({"soft": ComfyGenerator(BLUR, url), "crisp": ComfyGenerator(SHARPEN, url)})


def args(*params: tuple[str, str, Any]) -> ItemArgs:
    image = EncodedImage.of(samples.picture(3))
    given = [GenerationParam(*param) for param in params]
    return ItemArgs.of({}, item="photo").with_images({"Load Input Image": image}).with_params(given)


def test_what_is_chosen_is_sent_alone() -> None:
    soft = json.loads(both().request(args()).payload)
    assert sorted(one["class_type"] for one in soft.values()) == ["ImageBlur", "LoadImage", "SaveImage"]
    crisp = both().request(args(("Generator", "workflow", "crisp"), ("crisp/Blur", "sigma", 0.25)))
    graph = json.loads(crisp.payload)
    assert {one["class_type"] for one in graph.values()} == {
        "ImageBlur",
        "ImageSharpen",
        "LoadImage",
        "SaveImage",
    }
    assert graph["crisp/7"]["inputs"]["sigma"] == 0.25
    assert graph[crisp.output]["class_type"] == "SaveImage"
    assert len(crisp.images) == 1


def test_each_makes_the_image_that_it_makes_by_itself(endpoints: list[str]) -> None:
    alone = {"soft": ComfyGenerator(BLUR, endpoints[0]), "crisp": ComfyGenerator(SHARPEN, endpoints[0])}
    for name, generator in alone.items():
        chosen, _ = both(endpoints[0]).generate_single_image(args(("Generator", "workflow", name)))
        expected, _ = generator.generate_single_image(args())
        assert chosen.tobytes() == expected.tobytes()


def test_a_value_of_the_other_workflow_makes_no_other_image() -> None:
    one, other = (both().request(args(("Sharpen", "alpha", alpha))) for alpha in (0.1, 0.9))
    assert one.cache_key == other.cache_key


def test_it_keeps_the_contract_of_generators() -> None:
    pillow = [[{"node_name": "Load Input Image", "pillow_image": samples.picture(n)}] for n in (1, 2)]
    check_image_generator(both(), [{"pillow_images": one} for one in pillow])


def test_a_choice_needs_two_and_plain_names() -> None:
    for names in (["one"], ["a", "b/c"], ["a", "workflow"]):
        with pytest.raises(WorkflowError, match="a choice needs two workflows or more"):
            alternatives({name: ComfyGenerator(BLUR) for name in names})


FILE = """\
name: either
project: demo
dataset: ./photos
generator:
  choice:
    soft:  {{type: comfyui, workflow: soft.json}}
    crisp: {{type: comfyui, workflow: crisp.json}}
endpoints: [{url}]
parameters:
  radius: {{node_name: soft/Blur, input: blur_radius, randint: [1, 6], when: {{generator: soft}}}}
  amount: {{node_name: Sharpen, input: alpha, uniform: [0.0, 2.0], when: {{generator: crisp}}}}
metrics: [{{type: ssim, reference: Original}}]
objective: {{metric: ssim}}
search: {{algorithm: random, scheduler: fifo, num_samples: 6, seed: 2}}
results: results
"""


@pytest.fixture
def file(tmp_path: Path, endpoints: list[str]) -> Path:
    for folder in ("Input", "Original"):
        (tmp_path / "photos" / folder).mkdir(parents=True)
        for number in range(2):
            samples.picture(number).save(tmp_path / "photos" / folder / f"{number}.png")
    (tmp_path / "soft.json").write_text(json.dumps(BLUR))
    (tmp_path / "crisp.json").write_text(json.dumps(SHARPEN))
    file = tmp_path / "either.yaml"
    file.write_text(FILE.format(url=endpoints[0]))
    return file


def test_a_file_with_two_workflows_is_checked_whole(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(file)]) == 0
    told = capsys.readouterr().out
    assert "generator: choice [soft, crisp] (workflow: soft)" in told
    assert "amount: uniform [0.0, 2.0], when generator is 'crisp'" in told
    assert main(["check", str(file), "--set", "parameters.amount.node_name=Blur"]) == 2
    assert "Blur" in capsys.readouterr().err
    assert main(["check", str(file), "--set", "generator.choice.crisp.workflow=gone.json"]) == 2
    assert "generator.choice.crisp" in capsys.readouterr().err


def test_a_run_chooses_with_a_parameter(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(file), "--param", "generator=crisp", "--param", "amount=0.0"]) == 0
    (folder,) = (found.parent for found in (file.parent / "results").glob("**/run.json"))
    graph = read_json(folder / "workflow_apiformat.json")
    assert graph is not None
    assert {one["class_type"] for one in graph.values()} == {
        "ImageBlur",
        "ImageSharpen",
        "LoadImage",
        "SaveImage",
    }
    assert Image.open(next((folder / "generated_images").iterdir())).size == (48, 32)


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_a_search_compares_both_and_exports_the_better(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["search", str(file)]) == 0
    folder = file.parent / "results" / "demo" / "either"
    winner = file.parent / "best.json"
    assert main(["export", str(folder), "-o", str(winner)]) == 0
    graph = read_json(winner)
    assert graph is not None
    assert len(graph) in (3, 4)
    rows = [json.loads(line)["values"] for line in (folder / "trials.jsonl").read_text().splitlines()]
    assert {row["generator"] for row in rows} == {"soft", "crisp"}
    assert all(("amount" in row) == (row["generator"] == "crisp") for row in rows)


def test_the_documentation_s_choice_is_right(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "search-file.md").read_text(encoding="utf-8")
    (block,) = (
        one for one in re.findall(r"^```yaml\n(.*?)^```", page, re.M | re.S) if "choice:\n    soft:" in one
    )
    file = tmp_path / "choice.yaml"
    rest = "project: p\nname: n\ndataset: ./x\nendpoints: {embedded: 1}\n"
    file.write_text(
        rest + block + "metrics: [{type: ssim, reference: Original}]\nobjective: {metric: ssim}\n"
    )
    spec, problems = read_search_file(file)
    assert problems == []
    assert list(spec.generator.choice) == ["soft", "crisp"]
    assert spec.space.names == ("generator", "radius", "amount")

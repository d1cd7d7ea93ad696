"""Generators of several kinds in one search, of which a parameter chooses."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from flux_kit import KEY, standing_in
from PIL import Image

from pixaris.cli import main
from pixaris.exceptions import ConfigurationError
from pixaris.experiment.eval_sets import placed
from pixaris.files import read_json, read_json_lines
from pixaris.flux.server.app import Server
from pixaris.generation.base import ImageGenerator, ItemArgs, choose
from pixaris.generation.choice import GeneratorChoice
from pixaris.generation.comfyui import ComfyGenerator
from pixaris.generation.flux import FluxKontextProGenerator
from pixaris.images import EncodedImage
from pixaris.testing import samples
from pixaris.testing.contracts import check_image_generator
from pixaris.types import EvalItem, EvalSet, GenerationParam


def node(kind: str, title: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs, "_meta": {"title": title}}


BLUR = {
    "1": node("LoadImage", "Load Input Image", image="a.png"),
    "2": node("ImageBlur", "Blur", image=["1", 0], blur_radius=3, sigma=1.5),
    "3": node("SaveImage", "Save Image", images=["2", 0], filename_prefix="x"),
}


class Dimmer(ImageGenerator):
    """Darkens the picture itself."""

    def generate_single_image(self, args: Mapping[str, Any]) -> tuple[Image.Image, str]:
        given = {param["input"]: param["value"] for param in args["generation_params"]}
        picture = args["pillow_images"][0]["pillow_image"]
        return picture.convert("RGB").point(lambda value: round(value * given.get("light", 0.5))), "x.png"

    def cache_key(self, args: ItemArgs) -> str | None:
        parts = [*args.params, *(image.digest for image in args.images.values())]
        return hashlib.sha256(repr(parts).encode()).hexdigest()


def three(url: str = "http://127.0.0.1:1") -> GeneratorChoice:
    return GeneratorChoice(
        {"soft": ComfyGenerator(BLUR, url), "api": FluxKontextProGenerator(), "dim": Dimmer()}
    )


def args(*params: tuple[str, str, Any]) -> ItemArgs:
    image = EncodedImage.of(samples.picture(3))
    given = [GenerationParam(*param) for param in params]
    return ItemArgs.of({}, item="photo").with_images({"Load Input Image": image}).with_params(given)


CHOOSE = ("Generator", "workflow")
PROMPT = ("api", "prompt", "a boat")


def test_each_set_asks_the_kind_of_its_own_generator() -> None:
    generator = three()
    assert generator.request(args(PROMPT)).kind == "comfyui"
    flux = generator.request(args((*CHOOSE, "api"), PROMPT, ("soft/Blur", "sigma", 0.5)))
    assert flux.kind == "flux"
    assert json.loads(flux.payload)["fields"]["prompt"] == "a boat"
    chosen, own = choose(generator, args((*CHOOSE, "dim"), PROMPT, ("dim/Lamp", "light", 0.1)))
    assert isinstance(chosen, Dimmer)
    assert own.params == (GenerationParam("Lamp", "light", 0.1),)
    assert list(own.images) == ["Load Input Image"]


def test_a_value_without_a_name_is_for_all_that_have_such_an_input() -> None:
    shared = args(("Blur", "sigma", 0.25), ("", "prompt", "a boat"))
    graph = json.loads(three().request(shared).payload)
    assert graph["2"]["inputs"]["sigma"] == 0.25
    flux = three().request(shared.with_params([GenerationParam(*CHOOSE, "api")]))
    assert json.loads(flux.payload)["fields"]["prompt"] == "a boat"


def test_a_value_that_none_has_is_refused_and_not_dropped() -> None:
    with pytest.raises(ConfigurationError, match="Blurr"):
        three().request(args(("Blurr", "sigma", 0.25)))
    with pytest.raises(ConfigurationError, match=r"no generator is called 'sof' \(did you mean 'soft'"):
        three().request(args((*CHOOSE, "sof")))


def test_cache_keys_are_apart() -> None:
    pair = GeneratorChoice({"one": Dimmer(), "two": Dimmer()})
    keys = [pair.cache_key(args((*CHOOSE, name))) for name in ("one", "two")]
    assert len(set(keys)) == 2
    alone = ComfyGenerator(BLUR)
    assert three().cache_key(args((*CHOOSE, "soft"), PROMPT)) == alone.cache_key(args())


def test_what_it_costs_is_what_the_chosen_one_costs() -> None:
    eval_set = samples.eval_set(2)
    assert three().cost(eval_set, args(PROMPT)) == 0.0
    api = three().cost(eval_set, args((*CHOOSE, "api"), PROMPT))
    assert api == FluxKontextProGenerator().cost(eval_set, args(("", "prompt", "a boat")))
    assert api


def test_it_keeps_the_contract_of_generators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXARIS_FLUX_API_KEY", KEY)
    pillow = [[{"node_name": "Load Input Image", "pillow_image": samples.picture(n)}] for n in (1, 2)]
    check_image_generator(three(), [{"pillow_images": one} for one in pillow])


@pytest.mark.parametrize("names", [["one"], ["a", "b/c"], ["a", "workflow"]])
def test_a_choice_needs_two_and_plain_names(names: list[str]) -> None:
    with pytest.raises(ConfigurationError, match="a choice needs two generators or more"):
        GeneratorChoice({name: Dimmer() for name in names})


# Search files


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with standing_in() as server:
        monkeypatch.setenv("PIXARIS_FLUX_BASE_URL", server.places.api)
        monkeypatch.setenv("PIXARIS_FLUX_API_KEY", KEY)
        yield server


@pytest.fixture
def content(tmp_path: Path, endpoints: list[str], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    for folder in ("Input", "Original"):
        (tmp_path / "photos" / folder).mkdir(parents=True)
        for number in range(2):
            samples.picture(number).resize((256, 256)).save(tmp_path / "photos" / folder / f"{number}.png")
    (tmp_path / "soft.json").write_text(json.dumps(BLUR))
    of = {name: {"generator": name} for name in ("soft", "api", "dim")}
    return {
        "name": "kinds",
        "project": "demo",
        "dataset": {"path": "./photos", "references": ["Original"]},
        "generator": {
            "choice": {
                "soft": {"type": "comfyui", "workflow": "soft.json"},
                "api": {"type": "flux_kontext_pro"},
                "dim": {"type": "test_generator_choice:Dimmer"},
            }
        },
        "endpoints": [endpoints[0], "flux"],
        "generation_params": [{"node_name": "api", "input": "prompt", "value": "a boat"}],
        "parameters": {
            "sigma": {"node_name": "soft/Blur", "input": "sigma", "choice": [0.5, 2.0], "when": of["soft"]},
            "safety": {
                "node_name": "api",
                "input": "safety_tolerance",
                "choice": [1, 2],
                "when": of["api"],
            },
            "light": {"node_name": "dim", "input": "light", "choice": [0.25, 0.75], "when": of["dim"]},
        },
        "metrics": [{"type": "ssim", "reference": "Original"}],
        "objective": "ssim",
        "search": {"algorithm": "grid", "scheduler": "fifo"},
        "results": "results",
    }


def written(folder: Path, content: Mapping[str, Any], **changes: Any) -> str:
    file = folder / "kinds.yaml"
    file.write_text(yaml.safe_dump({**content, **changes}, sort_keys=False))
    return str(file)


@pytest.mark.usefixtures("account")
def test_a_file_with_three_kinds_is_checked_and_priced(
    tmp_path: Path, content: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", written(tmp_path, content), "--trust"]) == 0
    told = capsys.readouterr().out
    assert "generator: choice [soft, api, dim] (workflow: soft)" in told
    assert "sigma: choice [0.5, 2.0], when generator is 'soft' (workflow: 1.5)" in told
    assert "safety: choice [1, 2], when generator is 'api'" in told
    assert "price       about 4 credits an image, 8 a trial, at most 56 in all (7 trials)" in told


@pytest.mark.usefixtures("account")
def test_classes_of_a_choice_are_not_run_without_trust(
    tmp_path: Path, content: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    choice = {**content["generator"]["choice"], "dim": {"type": "no_such_module_here:Dimmer"}}
    assert main(["check", written(tmp_path, content, generator={"choice": choice})]) == 0
    assert "generator.choice.dim: no_such_module_here:Dimmer" in capsys.readouterr().out


@pytest.mark.usefixtures("account")
def test_what_does_not_fit_is_told_of_each_generator(
    tmp_path: Path, content: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = {
        **content["parameters"],
        "sigma": {**content["parameters"]["sigma"], "choice": [0.5, 99.0]},
        "safety": {**content["parameters"]["safety"], "choice": [1, 7]},
        "blurr": {"node_name": "soft/Blurr", "input": "sigma", "choice": [0.5, 1.0]},
    }
    assert main(["check", written(tmp_path, content, parameters=wrong), "--trust"]) == 2
    told = capsys.readouterr().err
    assert "must be at most 10" in told
    assert "`safety_tolerance`" in told
    assert "Blurr" in told


@pytest.mark.usefixtures("account")
def test_a_kind_without_an_endpoint_is_told(
    tmp_path: Path, content: dict[str, Any], endpoints: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", written(tmp_path, content, endpoints=endpoints[:1]), "--trust"]) == 2
    assert "the generator needs the Flux API" in capsys.readouterr().err
    assert main(["check", written(tmp_path, content, endpoints=["flux"]), "--trust"]) == 2
    assert "the generator needs ComfyUI servers" in capsys.readouterr().err


def test_an_account_that_refuses_the_key_is_told_although_a_server_answers(
    tmp_path: Path,
    content: dict[str, Any],
    account: Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PIXARIS_FLUX_API_KEY", "another")
    assert main(["check", written(tmp_path, content), "--trust"]) != 0
    assert account.places.api in capsys.readouterr().err


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("chosen", ["soft", "api", "dim"])
def test_a_run_chooses_with_a_parameter(
    tmp_path: Path, content: dict[str, Any], chosen: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["run", written(tmp_path, content), "--param", f"generator={chosen}"]
    assert main([*arguments, "--no-cache"]) == 0, capsys.readouterr().err
    (record,) = (tmp_path / "results").glob("**/run.json")
    assert len(list((record.parent / "generated_images").iterdir())) == 2
    assert (record.parent / "workflow_apiformat.json").is_file() == (chosen == "soft")


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_a_search_compares_all_kinds_and_charges_for_one(
    tmp_path: Path, content: dict[str, Any], account: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path, content, budget={"credits": 100})
    assert main(["search", file]) == 0, capsys.readouterr().err
    folder = tmp_path / "results" / "demo" / "kinds"
    rows = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    names = [row["values"]["generator"] for row in rows]
    assert {name: names.count(name) for name in names} == {"soft": 3, "api": 2, "dim": 2}
    items = {
        name: [row for run in runs_of(folder, rows, name) for row in read_json_lines(run / "items.jsonl")]
        for name in ("soft", "api", "dim")
    }
    assert [len(rows) for rows in items.values()] == [6, 4, 4]
    assert sum(asked.path.endswith("flux-kontext-pro") for asked in account.account.asked) == 4
    costs = {
        name: [(read_json(run / "run.json") or {}).get("cost") for run in runs_of(folder, rows, name)]
        for name in items
    }
    assert costs["soft"] == [None] * 3
    assert costs["dim"] == [None] * 2
    assert costs["api"] == [8.0, 8.0]
    winner = tmp_path / "best.json"
    assert main(["export", str(folder), "-o", str(winner)]) == 0
    assert (read_json(winner) or {})["2"]["class_type"] == "ImageBlur"


def runs_of(folder: Path, rows: list[dict[str, Any]], name: str) -> list[Path]:
    """Folders of the trials of one generator."""
    return [folder / row["name"] for row in rows if row["values"]["generator"] == name]


def test_a_column_feeds_every_generator_that_has_a_place_for_it() -> None:
    text = {**BLUR, "9": node("CLIPTextEncode", "Prompt", text="a photo", clip=["4", 1])}
    pair = GeneratorChoice({"house": ComfyGenerator(text), "api": FluxKontextProGenerator()})
    items = (EvalItem(0, "a", texts={"prompt": "a cat"}),)
    found = placed(EvalSet("scenes", items), pair)
    assert found.feeds == {"prompt": (("house/Prompt", "text"), ("api", "prompt"))}
    run = ItemArgs({}).for_item(found.items[0])
    graph = json.loads(pair.request(run).payload)
    assert graph["9"]["inputs"]["text"] == "a cat"
    flux = pair.request(run.with_params([GenerationParam(*CHOOSE, "api")]))
    assert json.loads(flux.payload)["fields"]["prompt"] == "a cat"

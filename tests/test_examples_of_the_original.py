"""The examples that the first Pixaris' README names run as they are called there, without accounts."""

from __future__ import annotations

import runpy
from pathlib import Path

import jupytext
import nbformat
import pytest
import yaml
from flux_kit import KEY, standing_in

from pixaris.config import Config
from pixaris.data_loaders.local import LocalDatasetLoader
from pixaris.images import decode

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["example"])
    script = EXAMPLES / "helpful_scripts" / "setup_local_experiment_inputs_dummy.py"
    runpy.run_path(str(script), run_name="__main__")
    return tmp_path


def test_the_dummy_eval_set_is_one(folder: Path) -> None:
    found = LocalDatasetLoader("dummy_project", "dummy_dataset").load_dataset()
    assert [item.name for item in found.items] == ["beach", "forest", "town"]
    assert set(found.items[0].inputs) == {"Input", "Mask"}


def test_flux_paints_an_eval_set_side_by_side(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with standing_in(seconds=0.2) as server:
        monkeypatch.setenv("PIXARIS_FLUX_BASE_URL", server.places.api)
        monkeypatch.setenv("PIXARIS_FLUX_API_KEY", KEY)
        name = "ParallelisedOrchestration_LocalDatasetLoader_FluxGenerator_LocalDataWriter.py"
        out = runpy.run_path(str(EXAMPLES / name), run_name="__main__")["out"]
    assert [item.name for item in out.items] == ["beach", "forest", "town"]
    assert out.failures == ()
    files = sorted(Path("local_results").rglob("generated_images/*.png"))
    assert [file.stem for file in files] == ["beach", "forest", "town"]
    before = decode(
        (folder / "local_experiment_inputs/dummy_project/dummy_dataset/Input/beach.png").read_bytes()
    )
    after = decode(files[0].read_bytes())
    assert after.size == before.size
    assert after.getpixel((5, 5)) == before.getpixel((5, 5)), "what the mask shows black is kept"
    assert after.getpixel((125, 125)) != before.getpixel((125, 125))


NOTEBOOKS = (
    "helpful_scripts/setup_local_experiment_inputs_dummy.py",
    "ParallelisedOrchestration_LocalDatasetLoader_FluxGenerator_LocalDataWriter.py",
)


def test_jupytext_makes_notebooks_of_the_scripts_which_run_cell_by_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["ipykernel_launcher.py", "-f", "kernel.json"])
    with standing_in(seconds=0.0) as server:
        monkeypatch.setenv("PIXARIS_FLUX_BASE_URL", server.places.api)
        monkeypatch.setenv("PIXARIS_FLUX_API_KEY", KEY)
        for name in NOTEBOOKS:
            notebook = jupytext.read(EXAMPLES / name)
            nbformat.validate(notebook)
            assert jupytext.writes(notebook, fmt="ipynb")
            cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
            assert len(cells) > 2
            namespace = {"__name__": "__main__"}
            for cell in cells:
                exec(compile(cell, name, "exec"), namespace)
    assert len(list(Path("local_experiment_inputs/dummy_project/dummy_dataset/Input").iterdir())) == 3
    assert len(sorted(Path("local_results").rglob("generated_images/*.png"))) == 3


def test_the_example_of_a_config_is_read_whole(tmp_path: Path) -> None:
    text = (EXAMPLES / "example_config.yaml").read_text()
    (tmp_path / "config.yaml").write_text(text)
    config = Config.load({}, tmp_path)
    given = yaml.safe_load(text)
    assert config.flux_api_key == given.pop("bfl_api_key")
    assert {name: getattr(config, name) for name in given} == given

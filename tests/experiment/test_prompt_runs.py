"""Prompts as eval items, from the file to the score, on the embedded endpoint."""

from __future__ import annotations

from pathlib import Path

import pytest
from prompts_kit import COLOURS, WORKFLOW, write_prompts, write_search

from pixaris.cache.local import LocalCache
from pixaris.cli import main
from pixaris.data_loaders.prompts import PromptDatasetLoader
from pixaris.exceptions import ConfigurationError
from pixaris.experiment_handlers.local import LocalExperimentHandler
from pixaris.files import read_json
from pixaris.generation.comfyui import ComfyGenerator
from pixaris.metrics.base import BaseMetric, Execution, Prompt
from pixaris.metrics.similarity import MAEMetric
from pixaris.orchestration.base import generate_images_based_on_dataset
from pixaris.types import RunRecord


class WordsMetric(BaseMetric):
    """How many words a prompt has: a metric that reads a column, and what the workflow was given."""

    def __init__(self, column: str) -> None:
        self._prompt = Prompt.of({"column": column})

    def prompts(self) -> tuple[Prompt, ...]:
        return (self._prompt,)

    def score_execution(self, execution: Execution) -> dict[str, float]:
        return {
            "words": float(len(self._prompt.read(execution).split())),
            "painted": float(execution.value("Canvas", "color")),
        }


def run(
    folder: Path, url: str, *metrics: BaseMetric, cache: LocalCache | None = None, **args: object
) -> RunRecord:
    loader = PromptDatasetLoader(
        folder / "prompts.csv", columns={"colour": ("Canvas", "color")}, references=["Wanted"]
    )
    return generate_images_based_on_dataset(
        loader,
        ComfyGenerator(WORKFLOW, url),
        LocalExperimentHandler(folder / "results"),
        metrics,
        {"experiment_run_name": "run", **args},
        cache=cache,
    )


SPOTLESS = [{"node_name": "Blend", "input": "blend_factor", "value": 0.0}]


def test_every_row_is_painted_as_it_says_and_scored_against_its_own_image(
    tmp_path: Path, endpoints: list[str]
) -> None:
    write_prompts(tmp_path)
    record = run(tmp_path, endpoints[0], MAEMetric(reference="Wanted"), generation_params=SPOTLESS)
    assert [name for _, name in record.image_name_pairs] == ["red", "green", "blue", "grey"]
    painted = [image.getpixel((0, 0)) for image, _ in record]
    assert painted == list(COLOURS.values())
    assert record.metrics["mae"].mean == 0.0


def test_metrics_read_columns_and_what_an_item_alone_was_given(tmp_path: Path, endpoints: list[str]) -> None:
    write_prompts(tmp_path)
    record = run(tmp_path, endpoints[0], WordsMetric("prompt"))
    assert record.metrics["words"].mean == 3
    red = record.items[0].scores["painted"]
    assert red == 200 * 65536 + 20 * 256 + 20


def test_a_column_that_a_metric_lacks_is_told_before_anything_is_generated(
    tmp_path: Path, endpoints: list[str]
) -> None:
    write_prompts(tmp_path)
    with pytest.raises(ConfigurationError, match=r"reads the column 'promt' \(did you mean 'prompt'\?\)"):
        run(tmp_path, endpoints[0], WordsMetric("promt"))


def test_only_a_changed_row_is_generated_again(tmp_path: Path, endpoints: list[str]) -> None:
    cache = LocalCache(tmp_path / "kept")
    write_prompts(tmp_path)
    run(tmp_path, endpoints[0], cache=cache)
    write_prompts(tmp_path, {"a black canvas": (0, 0, 0), **COLOURS, "a grey canvas": (90, 90, 90)})
    again = run(tmp_path, endpoints[0], cache=cache)
    made = {item.name: item.generated.cached for item in again.items if item.generated}
    assert made == {"black": False, "red": True, "green": True, "blue": True, "grey": False}


def test_check_says_where_columns_go_and_what_does_not_fit(
    tmp_path: Path, endpoints: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_search(tmp_path, endpoints[0])
    assert main(["check", str(file)]) == 0
    told = capsys.readouterr().out
    assert "eval set    prompts: 4 items, references Wanted, columns prompt, colour" in told
    assert "guessed     only metrics can read 'prompt': no node is fed with it" in told
    assert main(["check", str(file), "--set", "dataset.columns.colour.node_name=Canvass"]) == 2
    assert "dataset.columns.colour (line 3): " in capsys.readouterr().err
    table = tmp_path / "prompts.csv"
    table.write_text(table.read_text().replace("13112340", "reddish"))
    assert main(["check", str(file)]) == 2
    assert "reddish" in capsys.readouterr().err


def test_a_parameter_and_a_column_cannot_both_set_an_input(
    tmp_path: Path, endpoints: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_search(tmp_path, endpoints[0])
    file.write_text(
        file.read_text().replace(
            "{node_name: Blend, input: blend_factor, choice: [0.0, 0.5, 0.9]}",
            "{node_name: '1', input: color, choice: [1, 2]}",
        )
    )
    assert main(["check", str(file)]) == 2
    assert "dataset.columns.colour (line 3): " in capsys.readouterr().err


def test_one_run_with_the_command_keeps_the_texts(
    tmp_path: Path, endpoints: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_search(tmp_path, endpoints[0])
    assert main(["run", str(file), "--param", "soot=0.0"]) == 0
    (record,) = (tmp_path / "results").glob("**/run.json")
    kept = read_json(record)
    assert kept is not None
    assert kept["eval_set"]["red"]["texts"]["prompt"] == "a red canvas"
    assert kept["metrics"]["mae"]["mean"] == 0.0

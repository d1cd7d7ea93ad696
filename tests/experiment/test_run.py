"""An experiment run: every item keeps its place, whatever fails."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pixaris.data_loaders.base import DatasetLoader
from pixaris.exceptions import CancelledRequestError, ConfigurationError, ExecutionError
from pixaris.experiment.run import ExperimentRun
from pixaris.experiment.setup import RunSetup
from pixaris.experiment.submitters import ThreadSubmitter
from pixaris.experiment_handlers.base import ExperimentHandler
from pixaris.generation.base import ImageGenerator, ItemArgs
from pixaris.images import EncodedImage
from pixaris.metrics.base import BaseMetric, Execution
from pixaris.metrics.similarity import MAEMetric
from pixaris.orchestration.base import generate_images_based_on_dataset
from pixaris.types import EvalItem, EvalSet, GenerationParam, RunRecord


def gray(level: int) -> EncodedImage:
    return EncodedImage.of(Image.new("L", (8, 8), level))


def eval_set(count: int) -> EvalSet:
    return EvalSet(
        "set",
        tuple(
            EvalItem(i, f"item{i}", {"Input": gray(10 * i)}, {"Wanted": gray(10 * i)}) for i in range(count)
        ),
    )


class Memory(ExperimentHandler):
    def __init__(self) -> None:
        self.records: list[RunRecord] = []

    def store_results(self, run: RunRecord) -> None:
        self.records.append(run)


class Loader(DatasetLoader):
    def __init__(self, loaded: EvalSet) -> None:
        self.loaded = loaded

    def load_dataset(self) -> EvalSet:
        return self.loaded


class Adder(ImageGenerator):
    """Gives the input back, lighter; raises for the items it is told to."""

    def __init__(self, fails: Sequence[str] = (), error: Exception | None = None) -> None:
        self.fails = fails
        self.error = error or ValueError("no luck")
        self.seen: list[str] = []

    def generate_single_image(self, args: Mapping[str, Any]) -> tuple[Image.Image, str]:
        assert isinstance(args, ItemArgs)
        self.seen.append(args.item)
        if args.item in self.fails:
            raise self.error
        amount = next((p["value"] for p in args["generation_params"] if p["input"] == "amount"), 0)
        (image,) = (
            entry["pillow_image"]
            for entry in args["pillow_images"]
            if entry["node_name"] == "Load Input Image"
        )
        return Image.eval(image, lambda level: level + amount), args.item


class Level(BaseMetric):
    direction = "max"

    def score(self, image: Image.Image, item: EvalItem) -> float:
        assert image.getpixel((0, 0))[0] >= item.image("Wanted").image.getpixel((0, 0))[0], (
            "another item's image"
        )  # type: ignore[index]
        return float(image.getpixel((0, 0))[0])  # type: ignore[index]


class Picky(BaseMetric):
    def score(self, image: Image.Image, item: EvalItem) -> float:
        if item.index == 1:
            raise RuntimeError("cannot look at this one")
        return 1.0


class WholeSet(BaseMetric):
    def calculate(self, images: Sequence[Image.Image]) -> dict[str, float]:
        return {
            "spread": float(
                max(i.getpixel((0, 0))[0] for i in images) - min(i.getpixel((0, 0))[0] for i in images)
            )
        }  # type: ignore[index]


def start(generator: ImageGenerator, items: int = 5, **setup: Any) -> tuple[ExperimentRun, Memory]:
    memory = Memory()
    shared = RunSetup("p", eval_set(items), generator, (Level(),), ItemArgs({}), **setup)
    return ExperimentRun(shared, ThreadSubmitter(generator, 3), memory, "run"), memory


def test_results_stay_aligned_when_items_fail() -> None:
    run, _ = start(Adder(fails=["item1", "item3"]))
    record = run.advance(5)
    assert [item.name for item in record.items] == [f"item{i}" for i in range(5)]
    assert [item.scores.get("level") for item in record.items] == [0.0, None, 20.0, None, 40.0]
    assert [str(item.error) for item in record.failures] == ["Adder raised ValueError: no luck"] * 2
    assert (record.metrics["level"].mean, record.metrics["level"].count) == (20.0, 3)


def test_items_are_generated_in_the_given_order_and_reported_in_the_eval_sets() -> None:
    run, memory = start(Adder(), order=(4, 2, 0, 1, 3))
    first = run.advance(2)
    assert [item.index for item in first.items] == [2, 4]
    assert not run.done
    run.advance(3)
    assert run.done
    assert [len(record.items) for record in memory.records] == [2, 5]


def test_what_was_done_ahead_is_not_done_twice() -> None:
    generator = Adder()
    run, _ = start(generator)
    run.advance(2)
    run.start_ahead(2)
    run.advance(3)
    assert sorted(generator.seen) == [f"item{i}" for i in range(5)]


def test_an_error_that_ends_the_search_keeps_what_was_scored() -> None:
    run, memory = start(Adder(fails=["item2"], error=CancelledRequestError("stop")))
    with pytest.raises(CancelledRequestError):
        run.advance(5)
    record = run.finish("interrupted")
    assert {item.name for item in record.items} == {"item0", "item1", "item3", "item4"}
    assert memory.records[-1].status == "interrupted"


def test_only_the_first_end_of_a_run_counts() -> None:
    run, memory = start(Adder())
    run.advance(5)
    run.finish("finished")
    run.finish("stopped")
    assert [record.status for record in memory.records] == ["running", "finished"]


def run_once(generator: ImageGenerator, metrics: Sequence[BaseMetric], **args: Any) -> RunRecord:
    return generate_images_based_on_dataset(
        Loader(eval_set(4)), generator, Memory(), metrics, {"project": "p", **args}
    )


def test_a_metric_that_fails_for_an_item_leaves_the_others_alone() -> None:
    record = run_once(Adder(), [Level(), Picky()])
    assert [item.scores.get("picky") for item in record.items] == [1.0, None, 1.0, 1.0]
    assert [item.scores.get("level") for item in record.items] == [0.0, 10.0, 20.0, 30.0]
    assert "cannot look at this one" in str(record.items[1].error)
    assert record.items[1].generated is not None


def test_a_set_level_metric_sees_all_images_or_none() -> None:
    assert run_once(Adder(), [WholeSet()]).metrics["spread"].mean == 30.0
    failed = run_once(Adder(fails=["item0"]), [WholeSet()])
    assert "spread" not in failed.metrics
    assert failed.notes["metric_failures"] == {"whole_set": "needs every image, and 1 failed"}


def test_generation_params_reach_the_generator() -> None:
    params = [{"node_name": "Any", "input": "amount", "value": 7}]
    record = run_once(Adder(), [Level()], generation_params=params, max_parallel_jobs=4)
    assert record.metrics["level"].mean == pytest.approx(15.0 + 7)
    assert record.params == (GenerationParam("Any", "amount", 7),)


def test_a_run_without_a_single_image_has_failed() -> None:
    assert (
        run_once(Adder(fails=[f"item{i}" for i in range(4)], error=ExecutionError("no")), [Level()]).status
        == "failed"
    )


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"generation_params": [{"node_name": "A", "input": "b"}]}, "generation_params[0]"),
        ({"generation_params": [{"node_name": "A", "input": "b", "value": None}]}, "value must be text"),
        ({"pillow_images": [{"node_name": "A", "pillow_image": "x.png"}]}, "must be a PIL image"),
        ({"max_parallel_jobs": 0}, "max_parallel_jobs must be a whole number from 1"),
    ],
)
def test_wrong_args_are_told_before_anything_is_generated(args: dict[str, Any], words: str) -> None:
    generator = Adder()
    with pytest.raises(ConfigurationError) as caught:
        run_once(generator, [Level()], **args)
    assert words in str(caught.value)
    assert generator.seen == []


def test_a_metric_that_needs_a_folder_the_eval_set_lacks_is_told_at_once(tmp_path: Path) -> None:
    class Needs(Picky):
        def reference_folders(self) -> tuple[str, ...]:
            return ("Mask",)

    with pytest.raises(
        ConfigurationError, match=r"needs the folder 'Mask', but the eval set 'set' has Input, Wanted"
    ):
        run_once(Adder(), [Needs()])


def test_generators_and_metrics_must_implement_their_verb() -> None:
    with pytest.raises(TypeError, match="must implement"):
        type("Nothing", (ImageGenerator,), {})
    with pytest.raises(TypeError, match="must implement"):
        type("Nothing", (BaseMetric,), {})


def test_a_metric_may_see_how_an_image_was_made_and_with_which_parameters() -> None:
    class Told(BaseMetric):
        def score_execution(self, execution: Execution) -> Mapping[str, float]:
            assert execution.generated is not None
            assert execution.generated.item == execution.item.name
            amount = execution.value("Any", "amount")
            assert isinstance(amount, int)
            return {"amount": amount, "attempts": execution.generated.attempts}

    record = run_once(
        Adder(), [Told()], generation_params=[{"node_name": "Any", "input": "amount", "value": 7}]
    )
    assert {name: value.mean for name, value in record.metrics.items()} == {"amount": 7.0, "attempts": 1.0}


def test_references_that_are_not_as_many_as_the_items_are_told_before_anything_is_generated() -> None:
    generator = Adder()
    with pytest.raises(
        ConfigurationError, match=r"metric 'mae': has 3 references, but the eval set 'set' has 4 items"
    ):
        run_once(generator, [MAEMetric([Image.new("L", (8, 8))] * 3)])
    assert generator.seen == []


SCRIPT = """
import sys
from pixaris.generation.base import ImageGenerator
from pixaris.metrics.base import BaseMetric
from PIL import Image
from ray import cloudpickle

class Mine(BaseMetric):
    direction = "max"
    def score(self, image, item):
        return float(image.width)

class Maker(ImageGenerator):
    def generate_single_image(self, args):
        return Image.new("RGB", (5, 5)), "x"

sys.stdout.buffer.write(cloudpickle.dumps((Mine(), Maker())))
"""


def test_classes_of_the_users_script_come_to_other_processes_whole() -> None:
    sent = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, check=True).stdout
    metric, generator = pickle.loads(sent)
    assert (metric.name, metric.per_item, metric.directions()) == ("mine", True, {"mine": "max"})
    assert generator.uses_endpoints is False
    assert metric.calculate([generator.generate_single_image({})[0]]) == {"mine": 5.0}


def test_two_metrics_of_one_score_are_told_before_anything_is_generated() -> None:
    metrics = [MAEMetric(reference="Wanted"), MAEMetric(reference="Input")]
    with pytest.raises(ConfigurationError, match="metrics: the score 'mae' is given by two of them"):
        generate_images_based_on_dataset(Loader(eval_set(1)), Adder(), Memory(), metrics, {})

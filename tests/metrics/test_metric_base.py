"""BaseMetric and ReferenceMetric: what they give for free and what they refuse."""

from __future__ import annotations

import doctest
import io
import math
import pickle
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pixaris.exceptions import ConfigurationError, MetricError
from pixaris.images import EncodedImage
from pixaris.metrics import execution as execution_module
from pixaris.metrics.base import BaseMetric, Execution, MaskedMetric, Prompt, ReferenceMetric, Scale
from pixaris.metrics.hosts.base import HostedMetric
from pixaris.metrics.item_images import ItemImages
from pixaris.metrics.prepared import Kept, PreparedMetric
from pixaris.metrics.similarity import MAEMetric
from pixaris.testing import contracts, samples
from pixaris.testing.contracts import ContractError, check_metric
from pixaris.types import EvalItem, GeneratedImage, GenerationParam


class RedShareMetric(BaseMetric):
    direction = "max"
    range = (0.0, 1.0)

    def score(self, image: Image.Image, item: EvalItem) -> float:
        return image.convert("RGB").split()[0].resize((1, 1), Image.Resampling.BOX).getpixel((0, 0)) / 255  # type: ignore[operator]


class CountMetric(BaseMetric):
    """Only for whole runs."""

    def calculate(self, images: Sequence[Image.Image]) -> dict[str, float]:
        return {"count": float(len(images))}


def test_a_metric_is_named_after_its_class_and_knows_whether_it_scores_items() -> None:
    assert (RedShareMetric.name, RedShareMetric.per_item) == ("red_share", True)
    assert (CountMetric.name, CountMetric.per_item) == ("count", False)


def test_a_metric_that_compares_is_named_after_its_class_too_unless_it_has_a_name() -> None:
    class OwnMetric(ReferenceMetric):
        def compare(self, image: Image.Image, reference: Image.Image) -> float:
            return 0.0

    class OtherMAEMetric(MAEMetric):
        pass

    class NarrowMetric(OwnMetric):
        pass

    assert (OwnMetric.name, OtherMAEMetric.name, NarrowMetric.name) == ("own", "mae", "narrow")


def test_a_metric_that_implements_nothing_is_refused_when_it_is_defined() -> None:
    with pytest.raises(
        TypeError, match=r"EmptyMetric must implement score\(image, item\) or calculate\(images\)"
    ):
        type("EmptyMetric", (BaseMetric,), {})


def test_calculate_is_the_mean_of_score_by_name() -> None:
    class Two(BaseMetric):
        def score(self, image: Image.Image, item: EvalItem) -> Mapping[str, float]:
            return {"width": image.width, **({"tall": image.height} if image.height > 10 else {})}

    values = Two().calculate([Image.new("RGB", (10, 8)), Image.new("RGB", (20, 12))])
    assert values == {"width": 15.0, "tall": 12.0}


@pytest.mark.parametrize("count", [0, 1, 3])
def test_calculate_pairs_no_image_with_another_ones_reference(count: int) -> None:
    images = [samples.picture(number) for number in range(3)]
    with pytest.raises(
        MetricError, match=f"mae has 2 references, but is given {count} images; give one for each"
    ):
        MAEMetric(images[:2]).calculate(images[:count])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_no_number_is_no_score(value: float) -> None:
    with pytest.raises(MetricError, match=r"red_share is .*, which is no score"):
        RedShareMetric().named(value)


def test_references_are_given_one_way_or_the_other() -> None:
    with pytest.raises(
        ConfigurationError, match=r"either the reference images or the name of their folder .* one of them"
    ):
        MAEMetric()
    with pytest.raises(ConfigurationError, match="not both"):
        MAEMetric([samples.picture(1)], reference="Original")


@pytest.mark.parametrize("given", [samples.picture(1), "masks", 5])
def test_one_image_or_a_path_in_place_of_the_list_is_told(given: object) -> None:
    with pytest.raises(
        ConfigurationError, match=r"must be a list of Pillow images, .* named by reference=\.\.\."
    ):
        MAEMetric(given)  # type: ignore[arg-type]


def test_references_that_are_no_images_are_all_named() -> None:
    cut = io.BytesIO()
    samples.picture(1, (64, 64)).save(cut, "PNG")
    torn = Image.open(io.BytesIO(cut.getvalue()[:2000]))
    with pytest.raises(ConfigurationError) as caught:
        MAEMetric([samples.picture(1), "masks/a.png", torn])  # type: ignore[list-item]
    text = str(caught.value)
    assert "reference 1 of MAEMetric: must be a Pillow image (got str); open it with Image.open" in text
    assert "reference 2 of MAEMetric: cannot be decoded: " in text


def test_references_opened_lazily_are_read_at_once_so_that_no_file_stays_open() -> None:
    buffer = io.BytesIO()
    samples.picture(1).save(buffer, "PNG")
    metric = MAEMetric([Image.open(buffer)])
    buffer.close()
    assert metric.calculate([samples.picture(1)]) == {"mae": 0.0}


def test_an_item_without_a_reference_has_no_score_and_says_why() -> None:
    item = EvalItem(0, "photo 1", inputs={"Input": samples.eval_set(1).items[0].inputs["Input"]})
    with pytest.raises(MetricError, match="item 'photo 1' has no image in folder 'Original'"):
        MAEMetric(reference="Original").score(samples.picture(1), item)
    with pytest.raises(MetricError, match="mae has 1 references but the eval set goes on to item 4"):
        MAEMetric([samples.picture(1)]).score(samples.picture(1), EvalItem(3, "photo 4"))


def test_a_reference_may_be_an_input_folder() -> None:
    item = samples.eval_set(1).items[0]
    assert MAEMetric(reference="Input").score(item.inputs["Input"].image, item) == 0.0


def test_given_references_are_matched_by_the_items_place() -> None:
    references = [samples.picture(1), samples.picture(2), samples.picture(3)]
    metric = MAEMetric(references)
    assert (
        metric.score(samples.picture(3), EvalItem(2, "third, though it may be the first that is scored"))
        == 0.0
    )


def test_the_contract_suite_passes_user_metrics_of_both_kinds() -> None:
    items = samples.eval_set(3).items
    images = [item.inputs["Input"].image for item in items]
    for metric in (RedShareMetric(), CountMetric()):
        check_metric(metric, images, items)


def test_the_example_of_the_contract_suites_is_right() -> None:
    tried = doctest.testmod(contracts)
    assert (tried.failed, tried.attempted) == (0, 4)


class WideMetric(RedShareMetric):
    range = (0.0, 0.01)


class DrawingMetric(RedShareMetric):
    def score(self, image: Image.Image, item: EvalItem) -> float:
        image.paste((0, 0, 0), (0, 0, 5, 5))
        return 0.5


class DriftingMetric(RedShareMetric):
    def __init__(self) -> None:
        self.calls = 0

    def score(self, image: Image.Image, item: EvalItem) -> float:
        self.calls += 1
        return 1 / self.calls


class LockedMetric(RedShareMetric):
    def __init__(self) -> None:
        self.model = lambda image: 0.5


@pytest.mark.parametrize(
    ("metric", "rule"),
    [
        (WideMetric(), "outside of the metric's range"),
        (DrawingMetric(), "leaves the images as they are"),
        (DriftingMetric(), "same values after pickling|gives the mean"),
    ],
)
def test_the_contract_suite_names_the_rule_that_is_broken(metric: BaseMetric, rule: str) -> None:
    items = samples.eval_set(2).items
    with pytest.raises(ContractError, match=rule):
        check_metric(metric, [samples.picture(1), samples.picture(2)], items)


def test_a_metric_that_cannot_travel_to_a_trial_fails_the_contract_suite() -> None:
    with pytest.raises(ContractError, match="must pickle"):
        check_metric(LockedMetric(), [samples.picture(1), samples.picture(2)], samples.eval_set(2).items)


def test_reference_metrics_must_say_how_they_compare() -> None:
    class Lazy(ReferenceMetric):
        pass

    with pytest.raises(NotImplementedError):
        Lazy(reference="Original").score(samples.picture(1), samples.eval_set(1).items[0])


BOAT = {
    "6": {
        "class_type": "CLIPTextEncode",
        "inputs": {"text": "a boat", "clip": ["4", 1]},
        "_meta": {"title": "Prompt"},
    }
}


def execution(*params: GenerationParam, workflow: Mapping[str, object] | None = None) -> Execution:
    image = EncodedImage.of(samples.picture(1))
    return Execution(
        image, EvalItem(0, "lake"), GeneratedImage("r", "lake", image, "http://a", 2.5), params, workflow
    )


class TookMetric(BaseMetric):
    """Seconds of generation."""

    def score_execution(self, execution: Execution) -> float:
        if execution.generated is None:
            raise MetricError("not generated here")
        return execution.generated.seconds


def test_a_metric_may_look_at_more_than_pixels() -> None:
    assert TookMetric.per_item
    assert TookMetric().score_execution(execution()) == 2.5
    with pytest.raises(MetricError, match="not generated here"):
        TookMetric().calculate([samples.picture(1)])


def test_a_metric_of_pixels_scores_an_execution_by_its_image_and_item() -> None:
    metric = RedShareMetric()
    assert metric.score_execution(execution()) == metric.score(samples.picture(1), EvalItem(0, "lake"))


def test_an_input_has_the_runs_parameter_or_the_workflows_own_value() -> None:
    green = GenerationParam("Prompt", "text", "a green boat")
    assert execution(green, workflow=BOAT).value("Prompt", "text") == "a green boat"
    assert (
        execution(workflow=BOAT).value("Prompt", "text")
        == execution(workflow=BOAT).value("6", "text")
        == "a boat"
    )
    for made, where in (
        (execution(), "text"),
        (execution(workflow=BOAT), "clip"),
        (execution(workflow=BOAT), "txt"),
    ):
        with pytest.raises(MetricError, match=f"input '{where}' of node 'Prompt' has no value in this run"):
            made.value("Prompt", where)


def test_a_prompt_is_text_or_the_place_of_the_text() -> None:
    assert Prompt.of("a red boat").read(execution(workflow=BOAT)) == "a red boat"
    assert Prompt.of({"node_name": "Prompt"}).read(execution(workflow=BOAT)) == "a boat"


@pytest.mark.parametrize(
    "given",
    ["", "  ", 3, None, {}, {"input": "text"}, {"node_name": "A", "inputs": "text"}, {"node_name": 3}],
)
def test_what_is_no_prompt_is_told_with_the_forms(given: object) -> None:
    with pytest.raises(ConfigurationError, match="prompt must be text, its place in the workflow"):
        Prompt.of(given)


class CornersMetric(MaskedMetric):
    """Two scores at once."""

    scores = {"inside": Scale("max", (0.0, 255.0)), "outside": Scale("min", (0.0, 255.0)), "count": Scale()}  # noqa: RUF012

    def look(self, image: Image.Image, mask: Image.Image) -> Mapping[str, float]:
        inside = mask.convert("L").getpixel((24, 16))
        return {"inside": float(inside), "outside": 255.0 - float(inside), "count": 1.0}  # type: ignore[arg-type]


class RedMeanMetric(PreparedMetric[np.ndarray]):
    """How near the red of an image is to its reference's; tells what it prepared."""

    def __init__(
        self, references: Sequence[Image.Image] | None = None, *, reference: str | None = None
    ) -> None:
        super().__init__(references, reference=reference)
        self.prepared: list[Image.Image] = []

    def prepare(self, reference: Image.Image) -> np.ndarray:
        self.prepared.append(reference)
        return np.asarray(reference.convert("RGB"))[:, :, 0]

    def measure(self, image: Image.Image, prepared: np.ndarray) -> float:
        return float(np.asarray(image.convert("RGB"))[:, :, 0].mean() - prepared.mean())


@pytest.mark.parametrize("by_folder", [False, True])
def test_a_references_half_is_computed_once_for_each_item(by_folder: bool) -> None:
    items = samples.eval_set(3).items
    originals = [item.references["Original"].image for item in items]
    metric = RedMeanMetric(reference="Original") if by_folder else RedMeanMetric(originals)
    fresh = [RedMeanMetric([original]).calculate([original])["red_mean"] for original in originals]
    for _ in range(3):
        assert [metric.score(item.references["Original"].image, item) for item in items] == fresh
    assert len(metric.prepared) == 3
    assert pickle.loads(pickle.dumps(metric)).score(originals[1], items[1]) == fresh[1]


def test_prepared_references_take_no_more_memory_than_they_may() -> None:
    kept: Kept[np.ndarray] = Kept(limit=25)
    for _ in range(2):
        for key in range(5):
            assert kept.get(key, lambda key=key: np.full(10, key, np.uint8))[0] == key
    assert len(kept) == 2


def test_a_metric_with_several_scores_declares_each() -> None:
    metric = CornersMetric(mask="Mask")
    assert metric.directions() == {"inside": "max", "outside": "min"}
    assert list(metric.scales()) == ["inside", "outside", "count"]
    assert RedShareMetric().scales() == {"red_share": Scale("max", (0.0, 1.0))}
    items = samples.eval_set(2).items
    check_metric(metric, [samples.picture(1), samples.picture(2)], items)


def test_masks_are_given_one_way_or_the_other() -> None:
    assert CornersMetric(mask="Mask").reference_folders() == ("Mask",)
    assert CornersMetric([samples.mask(1)]).reference_folders() == ()
    with pytest.raises(
        ConfigurationError, match=r"CornersMetric takes either the mask images .* \(mask=...\), one of them"
    ):
        CornersMetric()
    with pytest.raises(ConfigurationError, match="mask must be the name of a folder of the eval set"):
        CornersMetric(mask=["Mask"])  # type: ignore[arg-type]


def test_the_examples_of_executions_are_right() -> None:
    tried = doctest.testmod(execution_module)
    assert (tried.failed, tried.attempted) == (0, 9)


class Hosted(HostedMetric):
    """A metric that leans on a service, as judges and learned ones do."""

    def __init__(self, references: Sequence[Image.Image]) -> None:
        self._references = ItemImages.of("Hosted", self.name, "reference", references, None)

    def item_images(self) -> tuple[ItemImages, ...]:
        return (self._references,)

    def score(self, image: Image.Image, item: EvalItem) -> float:
        return float(self._references.image_for(item).size == image.size)


@pytest.mark.parametrize("given", [7, 9])
def test_a_hosted_metric_that_is_called_directly_counts_what_it_compares_with(given: int) -> None:
    images = [samples.picture(number) for number in range(8)]
    assert Hosted(images).calculate(images) == {"hosted": 1.0}
    with pytest.raises(MetricError, match=f"hosted has {given} references, but is given 8 images"):
        Hosted([samples.picture(number) for number in range(given)]).calculate(images)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "returned None, which is no score"),
        ("high", "returned 'high', which is no score"),
        ([1, 2], r"returned \[1, 2\], which is no score"),
        (math.nan, "is nan, which is no score"),
        ({"a": 1.0, "b": None}, "b returned None"),
        (10**400, "which is no score"),
    ],
)
def test_what_is_no_number_is_told_as_no_score(value: Any, said: str) -> None:
    with pytest.raises(MetricError, match=said):
        RedShareMetric().named(value)


@pytest.mark.parametrize("value", [np.float32(0.5), np.array(0.5), "0.5", True, Fraction(1, 2)])
def test_numbers_of_every_kind_are_scores(value: Any) -> None:
    assert RedShareMetric().named(value) == {"red_share": float(value)}

"""Every file in ``search_spaces/`` is right, and a search with it is worth its while."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pixaris.comfyui.object_info import ObjectInfo
from pixaris.comfyui.server.nodes import registry
from pixaris.comfyui.server.nodes.files import RunContext
from pixaris.comfyui.server.nodes.tensors import to_levels
from pixaris.comfyui.server.storage import Folders
from pixaris.comfyui.workflow import Node, Workflow
from pixaris.data_loaders import demo
from pixaris.data_loaders.local import LocalDatasetLoader
from pixaris.metrics.base import BaseMetric
from pixaris.metrics.iou import IoUMetric
from pixaris.metrics.similarity import SSIMMetric
from pixaris.search.file.spec import SearchSpec, read_search_file
from pixaris.search.space.problems import problems_with_workflow

FOLDER = Path(__file__).parents[3] / "search_spaces"
FILES = sorted(FOLDER.glob("*.yaml"))
OF_REAL_SERVERS = ("flux_fill", "text_to_image")
WITH_WORKFLOW = [path for path in FILES if path.stem not in OF_REAL_SERVERS]
INFO = ObjectInfo(registry.declarations())
METRICS: Mapping[str, Callable[..., BaseMetric]] = {"ssim": SSIMMetric, "iou": IoUMetric}


def parts(path: Path) -> tuple[SearchSpec, Workflow]:
    spec, problems = read_search_file(path)
    assert problems == []
    assert spec.generator.workflow is not None
    return spec, Workflow.load(spec.generator.workflow)


def test_the_demo_has_its_search_files() -> None:
    assert {"restore.yaml", "cutout.yaml", "grade.yaml", "flux_fill.yaml"} <= {path.name for path in FILES}


@pytest.mark.parametrize("path", WITH_WORKFLOW, ids=lambda path: path.stem)
def test_a_search_file_fits_its_workflow_and_the_embedded_endpoint(path: Path) -> None:
    spec, workflow = parts(path)
    assert workflow.problems(INFO) == []
    assert problems_with_workflow(spec.space, workflow, INFO, spec.generation_params) == []
    baseline = spec.space.baseline(workflow, INFO)
    assert spec.space.active(baseline) == baseline
    assert workflow.bind(spec.space.bind(baseline, partial=True), INFO) == workflow.bind(
        spec.generation_params, INFO
    )
    assert workflow.output_node().title == "Save Image"
    assert workflow.image_input("Load Input Image") == "image"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_search_file_says_how_it_is_run(path: Path) -> None:
    head = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    assert f"#   pixaris search search_spaces/{path.name}" in head


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    demo.prepare(folder / "demo")
    return folder


GOOD: dict[str, dict[str, Any]] = {
    "restore": {
        "blur_radius": 2,
        "blur_sigma": 1.0,
        "sharpen_radius": 4,
        "sharpen_sigma": 1.7,
        "amount": 0.1,
        "mix": 0.95,
        "mode": "normal",
    },
    "cutout": {"channel": "blue", "threshold": 0.5, "grow": 4},
}


@pytest.mark.parametrize(("name", "poor", "good"), [("restore", 0.52, 0.67), ("cutout", 0.5, 0.9)])
def test_the_workflow_s_own_values_leave_much_to_gain_in_the_space(
    inputs: Path, tmp_path: Path, name: str, poor: float, good: float
) -> None:
    spec, workflow = parts(FOLDER / f"{name}.yaml")
    assert all(parameter.domain.contains(GOOD[name][parameter.name]) for parameter in spec.space.parameters)
    baseline = spec.space.baseline(workflow, INFO)
    assert mean_score(spec, workflow, inputs, tmp_path, baseline) < poor
    assert mean_score(spec, workflow, inputs, tmp_path, GOOD[name]) > good


def mean_score(
    spec: SearchSpec, workflow: Workflow, inputs: Path, work: Path, values: Mapping[str, Any]
) -> float:
    """The objective's mean over the eval set, with the server's nodes called directly."""
    chosen = next(metric for metric in spec.metrics if metric.type == spec.objective.names[0])
    metric = METRICS[chosen.type](**chosen.options)
    items = (
        LocalDatasetLoader(spec.home.project, spec.dataset.name, inputs, metric.reference_folders())
        .load_dataset()
        .items
    )
    context = RunContext(Folders(work), {}, {})
    bound = workflow.bind(spec.space.bind(values), INFO)
    scores = []
    for item in items:
        (work / "input" / "item.png").write_bytes(item.inputs["Input"].data)
        score = metric.score(generated(bound.bind_image("Load Input Image", "item.png"), context), item)
        scores.append(metric.named(score)[spec.objective.names[0]])
    return float(np.mean(scores))


def generated(workflow: Workflow, context: RunContext) -> Image.Image:
    """What the output node saves."""

    def value(link: Any) -> Any:
        node = workflow.nodes[link[0]]
        return registry.run(node.class_type, context, arguments(node)).values[link[1]]

    def arguments(node: Node) -> dict[str, Any]:
        return {name: value(given) if node.is_linked(name) else given for name, given in node.inputs.items()}

    return Image.fromarray(to_levels(arguments(workflow.output_node())["images"])[0])

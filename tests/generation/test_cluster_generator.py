"""ComfyUI's servers behind one name, and what is told before a run is sent to their cluster."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from kit import WORKFLOW

from pixaris.data_loaders.local import LocalDatasetLoader
from pixaris.endpoints.sources.dns import DnsSource
from pixaris.exceptions import ConfigurationError, NoEndpointError
from pixaris.experiment_handlers.gcp_tensorboard import GCPTensorboardHandler
from pixaris.experiment_handlers.local import LocalExperimentHandler
from pixaris.generation.comfyui import ComfyGenerator
from pixaris.generation.comfyui_cluster import SERVERS, ComfyClusterGenerator
from pixaris.metrics.iou import IoUMetric
from pixaris.orchestration.base import generate_images_based_on_dataset
from pixaris.orchestration.kubernetes import generate_images_on_cluster
from pixaris.search import Search
from pixaris.testing.contracts import check_image_generator
from pixaris.testing.samples import picture


def test_it_keeps_the_contract_of_generators() -> None:
    images = [{"node_name": "Load Input Image", "pillow_image": picture(1)}]
    sets = [
        {
            "generation_params": [{"node_name": "Threshold", "input": "value", "value": value}],
            "pillow_images": images,
        }
        for value in (0.25, 0.5)
    ]
    check_image_generator(ComfyClusterGenerator(WORKFLOW, "dns://localhost:8188"), sets)


def test_a_run_uses_every_server_behind_the_name(
    endpoints: list[str], cells_loader: LocalDatasetLoader, tmp_path: Path
) -> None:
    port = urlsplit(endpoints[0]).port
    generator = ComfyClusterGenerator(WORKFLOW, f"dns://localhost:{port}")
    assert [one.url for one in generator.endpoints()] == [f"http://127.0.0.1:{port}"]
    handler = LocalExperimentHandler(tmp_path)
    run = generate_images_based_on_dataset(
        cells_loader, generator, handler, [IoUMetric(reference="Mask")], {"experiment_run_name": "one"}
    )
    assert (len(run.items), run.failures) == (6, ())


def test_a_search_follows_the_servers_behind_the_name(
    cells_loader: LocalDatasetLoader, tmp_path: Path
) -> None:
    search = Search(
        data_loader=cells_loader,
        image_generator=ComfyClusterGenerator(WORKFLOW),
        space={},
        metrics=[IoUMetric(reference="Mask")],
        objective="iou",
        experiment_handler=LocalExperimentHandler(tmp_path),
    )
    (source,) = search.settings([]).sources
    assert isinstance(source, DnsSource)
    assert source.label == SERVERS


def test_a_name_that_is_known_inside_the_cluster_only_is_told_with_the_way_there() -> None:
    generator = ComfyClusterGenerator(WORKFLOW, "dns://comfyui.nowhere.invalid:8188")
    with pytest.raises(NoEndpointError, match=r"cannot be resolved.*generate_images_on_cluster"):
        generator.endpoints()


def test_all_that_cannot_be_sent_is_told_at_once(cells_loader: LocalDatasetLoader, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as told:
        generate_images_on_cluster(
            cells_loader,
            ComfyGenerator(WORKFLOW),  # type: ignore[arg-type]
            GCPTensorboardHandler("project", "europe-west4", None, tmp_path),
            [],
            {"hyperparameters": [{}], "generation_params": [{}]},
        )
    places = [problem.where.partition("[")[0] for problem in told.value.problems]
    assert places[:3] == ["image_generator", "experiment_handler", "args.hyperparameters"]
    assert "generation_params" in places[3]

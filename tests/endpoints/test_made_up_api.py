"""A source and an API that nobody knows, through public seams alone: in a pool with ComfyUI and Flux, in a
run, a search, and a search file.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from flux_kit import KEY, request, standing_in
from pool_kit import OpenPool, colour
from ray import tune
from sketch import Redness, SketchApi, SketchGenerator, SketchServer, SketchSource, sketch_of

from pixaris.cli import main
from pixaris.data_loaders.local import LocalDatasetLoader
from pixaris.endpoints.apis.flux import flux_endpoint
from pixaris.endpoints.base import Endpoint
from pixaris.endpoints.registry import EndpointRegistry
from pixaris.endpoints.sources.managed import EmbeddedSource
from pixaris.endpoints.sources.several import discoveries
from pixaris.experiment_handlers.local import LocalExperimentHandler
from pixaris.images import encode_png
from pixaris.orchestration.base import generate_images_based_on_dataset
from pixaris.search import Search
from pixaris.testing import samples


@pytest.fixture
def server() -> Iterator[SketchServer]:
    """A sketching service that runs already."""
    running = SketchServer()
    yield running
    running.stop()


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Three pictures that only metrics see."""
    folder = tmp_path / "set" / "Original"
    folder.mkdir(parents=True)
    for number in range(3):
        (folder / f"{number}.png").write_bytes(encode_png(samples.picture(number)))
    return folder.parent


def loader(dataset: Path) -> LocalDatasetLoader:
    return LocalDatasetLoader.at(dataset, references=["Original"])


def test_each_request_of_a_mixed_pool_is_run_by_its_own_kind(open_pool: OpenPool, tmp_path: Path) -> None:
    sources = [EmbeddedSource(), SketchSource(replicas=2)]
    with ExitStack() as stack:
        flux = stack.enter_context(standing_in())
        registry = EndpointRegistry([flux_endpoint(KEY, flux.places.api, depth=4)])
        for discovery in discoveries(sources, EmbeddedSource().servers(), tmp_path):
            stack.enter_context(registry.discovering(discovery))
        pool = open_pool()
        stack.enter_context(registry.serving(pool))
        painted = [colour(number) for number in range(1, 7)]
        asked = [sketch_of(f"sketch {number}", number) for number in range(8)]
        asked += [request(f"flux {number}") for number in range(4)]
        asked += [one.request for one in painted]
        asked = asked[::3] + asked[1::3] + asked[2::3]
        made = [future.result(60) for future in pool.submit(asked)]
        (comfyui,) = {url.url for url in registry.started if url.kind == "comfyui"}
        sketching = {url.url for url in registry.started if url.kind == "sketch"}
        status = pool.status()
    homes = {"comfyui": {comfyui}, "flux": {flux.places.api}, "sketch": sketching}
    for one, image in zip(asked, made, strict=True):
        assert (image.request_id, image.item) == (one.id, one.item)
        assert image.endpoint in homes[one.kind]
    images = {image.request_id: image for image in made}
    for asked_for in painted:
        asked_for.check(images[asked_for.id])
    assert len(sketching) == 2
    assert (status.done, status.failed, status.cost) == (18, 0, 20.0)
    assert [one.failures for one in status.endpoints] == [0, 0, 0, 0]


SCRIPT = """
import uuid

from PIL import Image

from pixaris.endpoints.base import Endpoint, EndpointApi, EndpointClient
from pixaris.endpoints.ray import start_pool
from pixaris.images import EncodedImage
from pixaris.types import GeneratedImage, GenerationRequest


class Client(EndpointClient):
    def run(self, request):
        image = EncodedImage.of(Image.new("RGB", (4, 4), request.payload))
        return GeneratedImage(request.id, request.item, image, "nowhere", 0.0)

    def probe(self):
        pass


class Api(EndpointApi):
    kind = "mine"

    def connect(self, access, session=""):
        return Client()


if __name__ == "__main__":
    import ray

    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False)
    _, pool = start_pool([Endpoint("http://nowhere", api=Api())])
    requests = [GenerationRequest(uuid.uuid4().hex, name, "mine", name) for name in ("red", "lime")]
    for future in pool.submit(requests):
        print(future.result(60).image.image.getpixel((0, 0)))
    pool.shut_down()
"""


@pytest.mark.slow
def test_an_api_of_the_users_own_script_comes_to_rays_workers(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines() == ["(255, 0, 0)", "(0, 255, 0)"], done.stderr


def test_a_run_needs_the_generator_s_own_endpoints_only(
    server: SketchServer, dataset: Path, tmp_path: Path
) -> None:
    run = generate_images_based_on_dataset(
        loader(dataset),
        SketchGenerator((server.url,)),
        LocalExperimentHandler(tmp_path / "results"),
        [Redness()],
        {
            "generation_params": [{"node_name": "", "input": "colour", "value": 0x800000}],
            "max_parallel_jobs": 1,
        },
    )
    assert run.metrics["redness"].mean == pytest.approx(0x80 / 255)
    assert server.painted == [0x800000] * 3
    assert server.most_at_once == 1, "max_parallel_jobs limits a service that works on several at once"


@pytest.mark.slow
def test_a_search_finds_the_best_colour_on_servers_that_start_with_it(dataset: Path, tmp_path: Path) -> None:
    result = Search(
        data_loader=loader(dataset),
        image_generator=SketchGenerator(),
        space={"colour": tune.grid_search([0x100000, 0xF00000, 0x800000])},
        metrics=[Redness()],
        objective="redness",
        experiment_handler=LocalExperimentHandler(tmp_path / "results"),
        endpoints=[SketchSource(replicas=2)],
        algorithm="grid",
        results_dir=tmp_path / "results",
    ).run()
    assert result.best is not None
    assert result.best.values == {"colour": 0xF00000}
    assert result.images == 12


# Search files


def written(folder: Path, dataset: Path, endpoints: Any) -> str:
    path = folder / "sketches.yaml"
    content = {
        "project": "tests",
        "dataset": {"path": str(dataset), "references": ["Original"]},
        "generator": "sketch:SketchGenerator",
        "endpoints": endpoints,
        "parameters": {"colour": {"node_name": "Canvas", "input": "colour", "grid_search": [1, 2]}},
        "metrics": ["sketch:Redness"],
        "objective": "redness",
        "search": {"algorithm": "grid"},
        "results": "./results",
    }
    path.write_text(yaml.safe_dump(content))
    return str(path)


@pytest.mark.parametrize("form", ["a URL", "a section", "its own arguments"])
def test_a_file_names_a_source_by_its_class_and_a_url_is_what_the_generator_asks(
    server: SketchServer, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    endpoints = {
        "a URL": [server.url],
        "a section": {"sketch:SketchSource": {"replicas": 2, "depth": 3}},
        "its own arguments": {"sketch:PlainSource": {"url": server.url}},
    }[form]
    file = written(tmp_path, dataset, endpoints)
    assert main(["check", "--trust", file]) == 0
    shown = {"a section": "2 sketching"}.get(form, server.url)
    assert f"endpoints   {shown}" in capsys.readouterr().out
    assert main(["run", file, "--param", "colour=7"]) == 0
    if form != "a section":
        assert server.painted == [7, 7, 7]


def test_a_service_that_is_not_there_is_told_by_check(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--trust", written(tmp_path, dataset, ["http://127.0.0.1:9"])]) == 3
    assert "endpoint http://127.0.0.1:9: nobody paints there" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("endpoints", "words"),
    [
        (
            {"sketch:SketchSource": {"replicas": 0}},
            "SketchSource.replicas (line 7): must be at least 1 (got 0)",
        ),
        ({"sketch:SketchSource": {"depht": 2}}, "did you mean 'depth'?"),
        ({"sketch:PlainSource": {"uri": "http://h"}}, "PlainSource: missing a required argument: 'url'"),
        ({"sketch:SketchSauce": {}}, "module 'sketch' has no 'SketchSauce'"),
        ({"sketch:SketchGenerator": {}}, "'sketch:SketchGenerator' is no EndpointSource"),
        ({"no_such_module:Source": {}}, "no module 'no_such_module' can be imported"),
        ({"embedded": 1}, "the generator needs a sketching service (got 1 embedded)"),
    ],
)
def test_what_is_wrong_with_a_source_is_told(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], endpoints: Any, words: str
) -> None:
    assert main(["check", "--trust", written(tmp_path, dataset, endpoints)]) == 2
    assert words in capsys.readouterr().err


def test_it_is_among_the_endpoints_that_are_shown(
    server: SketchServer, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path, dataset, {"sketch:PlainSource": {"url": server.url}})
    assert main(["endpoints", "--once", "--trust", file]) == 0
    assert f"{server.url}  healthy" in capsys.readouterr().out
    assert main(["endpoints", "--once", file]) == 3
    assert "endpoints: sketch:PlainSource: not asked, that runs its code" in capsys.readouterr().out


def test_an_endpoint_and_its_api_are_values() -> None:
    assert Endpoint("http://a", api=SketchApi()) == Endpoint("http://a", api=SketchApi())
    assert Endpoint("http://a", api=SketchApi()) != Endpoint("http://a")

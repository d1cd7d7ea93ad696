"""docs/own-endpoints.md: its code keeps the contracts, its search files are right, its facts are true."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from sketch import SketchServer

from pixaris.endpoints.base import EndpointApi
from pixaris.images import encode_png
from pixaris.search.file.spec import read_search_file
from pixaris.testing import samples
from pixaris.testing.contracts import check_endpoint_client, check_endpoint_source, check_image_generator

PAGE = (Path(__file__).parents[2] / "docs" / "own-endpoints.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.M | re.S)


@pytest.fixture
def sketches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The page's code as a module that can be imported."""
    (tmp_path / "sketches.py").write_text("\n".join(blocks("python")))
    monkeypatch.syspath_prepend(tmp_path)
    import sketches  # type: ignore[import-not-found]

    yield sketches
    del sys.modules["sketches"]


def test_the_code_keeps_the_contracts(sketches: ModuleType, tmp_path: Path) -> None:
    server = SketchServer()
    try:
        generator = sketches.SketchGenerator()
        args = [
            {"generation_params": [{"node_name": "", "input": "colour", "value": value}]} for value in (1, 2)
        ]
        check_image_generator(generator, args)
        requests = [
            generator.request(generator_args(sketches, f"item {number}", number)) for number in range(3)
        ]
        check_endpoint_client(
            lambda: sketches.SketchClient(server.url),
            requests,
            absent=lambda: sketches.SketchClient("http://127.0.0.1:9"),
        )
        (tmp_path / "servers.txt").write_text(f"{server.url}\n")
        source = sketches.InventorySource(f"cat {tmp_path / 'servers.txt'}")
        (found,) = check_endpoint_source(source, tmp_path / "logs")
        assert (found.url, found.kind) == (server.url, "sketch")
    finally:
        server.stop()


def generator_args(sketches: ModuleType, item: str, colour: int) -> object:
    from pixaris.generation.base import ItemArgs
    from pixaris.types import GenerationParam

    return ItemArgs({}, item=item, params=[GenerationParam("", "colour", colour)])


def test_the_search_files_are_right(sketches: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "set" / "Original").mkdir(parents=True)
    (tmp_path / "set" / "Original" / "1.png").write_bytes(encode_png(samples.picture(1)))
    first, second = (yaml.safe_load(block) for block in blocks("yaml"))
    rest = {
        "project": "tests",
        "dataset": {"path": "./set", "references": ["Original"]},
        "generator": "sketches:SketchGenerator",
        "parameters": {"colour": {"node_name": "Canvas", "input": "colour", "randint": [1, 9]}},
        "metrics": [{"type": "ssim", "reference": "Original"}],
        "objective": "ssim",
    }
    found = []
    for number, block in enumerate((first, second)):
        path = tmp_path / f"{number}.yaml"
        path.write_text(yaml.safe_dump({**rest, **block}))
        spec, problems = read_search_file(path)
        assert problems == []
        found.append(spec.endpoints)
    assert [source.label for source in found[0]] == ["http://10.0.0.7:9000", "http://10.0.0.8:9000"]
    assert found[1] == (sketches.InventorySource("cat servers.txt", 4),)


def test_the_table_names_every_fact_of_an_api_with_its_default() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .*? \| `?(\w+)`? \|$", PAGE, flags=re.M)
    stated = {name: default for name, default in rows if default in ("True", "False")}
    facts = {name: str(value) for name, value in vars(EndpointApi).items() if isinstance(value, bool)}
    assert stated == facts

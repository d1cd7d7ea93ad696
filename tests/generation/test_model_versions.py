"""A model file that is replaced under its own name makes other images: the key of a request tells them
apart.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from pixaris.comfyui.workflow import Workflow
from pixaris.endpoints.base import Endpoint
from pixaris.generation.base import ItemArgs
from pixaris.generation.comfyui import ComfyGenerator
from pixaris.search.survey import survey_of
from pixaris.types import GenerationParam

WORKFLOW = Workflow.load(
    {
        "1": {
            "class_type": "CheckpointLoaderSimple",
            "inputs": {"ckpt_name": "a.safetensors"},
            "_meta": {"title": "Model"},
        },
        "2": {"class_type": "Paint", "inputs": {"model": ["1", 0], "seed": 1}, "_meta": {"title": "Paint"}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0]}, "_meta": {"title": "Save Image"}},
    }
)
INFO = {
    "CheckpointLoaderSimple": {
        "input": {"required": {"ckpt_name": [["a.safetensors", "b.safetensors"], {}]}},
        "output": ["MODEL"],
    },
    "Paint": {
        "input": {"required": {"model": ["MODEL", {}], "seed": ["INT", {"default": 1}]}},
        "output": ["IMAGE"],
    },
    "SaveImage": {"input": {"required": {"images": ["IMAGE", {}]}}, "output": [], "output_node": True},
}


def file(name: str, modified: float, size: int = 7) -> dict[str, Any]:
    return {"name": name, "pathIndex": 0, "modified": modified, "created": 1.0, "size": size}


class Server(ThreadingHTTPServer):
    def __init__(self, models: dict[str, Any]) -> None:
        self.replies = {"/object_info": INFO, **models}
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        reply = self.server.replies.get(self.path)  # type: ignore[attr-defined]
        body = json.dumps(reply).encode()
        self.send_response(404 if reply is None else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


def telling(*files: dict[str, Any]) -> Server:
    return Server(
        {
            "/experiment/models": [
                {"name": "checkpoints", "folders": ["/models"]},
                {"name": "loras", "folders": []},
            ],
            "/experiment/models/checkpoints": list(files),
            "/experiment/models/loras": [],
        }
    )


@pytest.fixture
def started() -> Iterator[list[Server]]:
    found: list[Server] = []
    yield found
    for server in found:
        server.shutdown()
        server.server_close()


def key(started: list[Server], *made: Server, model: str = "a.safetensors") -> str:
    started += made
    infos = survey_of([Endpoint(server.url) for server in made], WORKFLOW).infos
    assert len(infos) == len(made)
    generator = ComfyGenerator(WORKFLOW).for_servers(list(infos.values()))
    return generator.request(ItemArgs({}, params=(GenerationParam("Model", "ckpt_name", model),))).cache_key


def test_a_file_that_has_changed_makes_another_key_and_one_that_is_not_loaded_does_not(
    started: list[Server],
) -> None:
    a, b = file("a.safetensors", 5.5), file("b.safetensors", 6.5)
    first = key(started, telling(a, b))
    assert key(started, telling(a, b)) == first
    assert key(started, telling(a, file("b.safetensors", 8.5))) == first
    assert key(started, telling(file("a.safetensors", 9.5), b)) != first
    assert key(started, telling(file("a.safetensors", 5.5, size=8), b)) != first
    assert key(started, telling(a, b), model="b.safetensors") != first


def test_servers_with_other_files_of_the_name_make_another_key_in_any_order(started: list[Server]) -> None:
    old, new = (file("a.safetensors", modified) for modified in (1.0, 2.0))
    both = key(started, telling(old), telling(new))
    assert key(started, telling(new), telling(old)) == both
    assert both not in (key(started, telling(old)), key(started, telling(new)))


@pytest.mark.parametrize(
    "models",
    [
        {},
        {"/experiment/models": [{"name": "checkpoints"}]},
        {"/experiment/models": {"not": "a list"}},
        {"/experiment/models": [1, {"name": 2}, {"name": "x"}], "/experiment/models/x": [3, {"name": 4}]},
    ],
)
def test_a_server_that_does_not_tell_is_used_all_the_same(
    models: dict[str, Any], started: list[Server]
) -> None:
    assert key(started, Server(models)) == key(started, Server({}))

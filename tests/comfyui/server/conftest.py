"""A running embedded endpoint, a plain client for it, and the recorded data of real servers."""

from __future__ import annotations

import copy
import io
import json
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import websocket
from PIL import Image

from pixaris.comfyui.server.inprocess import serve_in_thread
from pixaris.comfyui.server.worker import Options

DATA = Path(__file__).parents[2] / "data" / "comfyui"
DEADLINE = 20.0


class Listener:
    """One websocket; reads messages until a condition holds."""

    def __init__(self, url: str, client_id: str) -> None:
        address = url.replace("http://", "ws://")
        self.socket = websocket.create_connection(f"{address}/ws?clientId={client_id}", timeout=DEADLINE)
        self.messages: list[dict[str, Any]] = []

    def until(self, condition: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        while True:
            message = json.loads(self.socket.recv())
            self.messages.append(message)
            if condition(message):
                return self.messages

    def until_end(self) -> list[dict[str, Any]]:
        return self.until(lambda m: m["type"] == "executing" and m["data"]["node"] is None)

    def until_node(self, node: str) -> list[dict[str, Any]]:
        return self.until(lambda m: m["type"] == "executing" and m["data"]["node"] == node)

    def pending(self, seconds: float = 0.15) -> list[dict[str, Any]]:
        """Read what comes within a short time."""
        self.socket.settimeout(seconds)
        try:
            while True:
                self.messages.append(json.loads(self.socket.recv()))
        except websocket.WebSocketTimeoutException:
            return self.messages


class Client:
    """HTTP calls to one server."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client_id = str(uuid.uuid4())
        self.session = requests.Session()

    def get(self, path: str, **more: Any) -> requests.Response:
        return self.session.get(self.url + path, timeout=DEADLINE, **more)

    def post(self, path: str, **more: Any) -> requests.Response:
        return self.session.post(self.url + path, timeout=DEADLINE, **more)

    def upload(self, path: Path, name: str = "", **fields: str) -> requests.Response:
        return self.post(
            "/upload/image", files={"image": (name or path.name, path.read_bytes())}, data=fields
        )

    def prompt(self, graph: Any, **more: Any) -> requests.Response:
        body = {"prompt": graph, "client_id": self.client_id, **more}
        return self.post("/prompt", data=json.dumps(body), headers={"Content-Type": "application/json"})

    def submit(self, graph: Any, **more: Any) -> str:
        reply = self.prompt(graph, **more)
        assert reply.status_code == 200, reply.text
        return str(reply.json()["prompt_id"])

    def wait(self, prompt_id: str) -> dict[str, Any]:
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            row = json.loads(self.get(f"/history/{prompt_id}").text).get(prompt_id)
            if row:
                return row
            time.sleep(0.004)
        raise AssertionError(f"{prompt_id} did not end")

    def run(self, graph: Any, **more: Any) -> dict[str, Any]:
        return self.wait(self.submit(graph, **more))

    def image(self, row: dict[str, Any], node: str) -> np.ndarray:
        found = row["outputs"][node]["images"][0]
        reply = self.get("/view", params=found)
        assert reply.status_code == 200, reply.text
        return np.asarray(Image.open(io.BytesIO(reply.content)))

    @contextmanager
    def listen(self, client_id: str = "") -> Iterator[Listener]:
        listener = Listener(self.url, client_id or self.client_id)
        try:
            yield listener
        finally:
            listener.socket.close()


class Recorded:
    """The recorded data, by name; every call gives a fresh copy."""

    def transcript(self, name: str) -> Any:
        return json.loads((DATA / "transcripts" / f"0.27.0-{name}.json").read_text())

    def workflow(self, name: str) -> dict[str, Any]:
        return json.loads((DATA / "workflows" / f"{name}.json").read_text())

    def golden(self, name: str) -> np.ndarray:
        return np.asarray(Image.open(DATA / "golden" / "0.27.0" / f"{name}.png"))

    def asset(self, name: str) -> Path:
        return DATA / "assets" / "input" / name

    def object_info(self) -> Any:
        return json.loads((DATA / "object_info.0.27.0.json").read_text())

    def seg(self, **changes: Any) -> dict[str, Any]:
        """The eight-node graph of the transcripts; changes are written ``_4_value=0.3``."""
        graph = copy.deepcopy(self.transcript("ws-success")["history"]["prompt"][2])
        for place, value in changes.items():
            _, node, name = place.split("_", 2)
            graph[node]["inputs"][name] = value
        return graph


@pytest.fixture(scope="session")
def recorded() -> Recorded:
    return Recorded()


Serve = Callable[..., AbstractContextManager[Client]]


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """Start a server with options of its own: ``with serve(cache_size=0) as client``."""

    @contextmanager
    def start(**options: Any) -> Iterator[Client]:
        base = options.pop("base_directory", tmp_path / "server")
        shutil.copytree(DATA / "assets" / "input", base / "input", dirs_exist_ok=True)
        shutil.copy(DATA / "assets" / "input" / "cells_00.png", base / "input" / "a.png")
        with serve_in_thread(Options(base_directory=base, **options)) as running:
            yield Client(running.url)

    return start


@pytest.fixture
def client(serve: Serve) -> Iterator[Client]:
    with serve() as found:
        yield found


@pytest.fixture
def faulty(serve: Serve) -> Iterator[Client]:
    """A server with fault injection."""
    with serve(faults=()) as found:
        yield found

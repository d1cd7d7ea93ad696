"""Endpoints that sleep: ComfyUI's protocol with generation replaced by waiting, so that only the client's
cost shows.

    python benchmarks/sleepers.py --count 64 --seconds 2

Starts endpoints, one port each, prints one JSON line with their URLs, and ends with its standard input. An
endpoint runs one prompt at a time; a prompt costs ``--seconds``, and ``--load-seconds`` more if it needs
another checkpoint than the one before it. Every image is the same PNG of about ``--kilobytes``; or, with
``--photographs SIDE``, one of a few photographs of SIDE² pixels, which differ from prompt to prompt. ``GET
/stats`` tells prompts, loads and uploads, and when the first prompt came, the first image was fetched and the
last prompt ended (monotonic clock of the machine). ``GET /die`` ends the process.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
import os
import subprocess
import sys
import time
import uuid
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from aiohttp import WSMsgType, web
from PIL import Image

OBJECT_INFO = {
    "CheckpointLoaderSimple": {
        "input": {"required": {"ckpt_name": [[f"{letter}.safetensors" for letter in "abcdef"], {}]}},
        "output": ["MODEL"],
        "output_node": False,
    },
    "KSampler": {
        "input": {
            "required": {
                "model": ["MODEL", {}],
                "image": ["IMAGE", {}],
                "cfg": ["FLOAT", {"default": 8.0, "min": 0.0, "max": 100.0}],
                "steps": ["INT", {"default": 20, "min": 1, "max": 1000}],
                "seed": ["INT", {"default": 0, "min": 0, "max": 2**64 - 1}],
            }
        },
        "output": ["IMAGE"],
        "output_node": False,
    },
    "LoadImage": {
        "input": {"required": {"image": [[], {"image_upload": True}]}},
        "output": ["IMAGE", "MASK"],
        "output_node": False,
    },
    "SaveImage": {
        "input": {"required": {"images": ["IMAGE", {}], "filename_prefix": ["STRING", {"default": "x"}]}},
        "output": [],
        "output_node": True,
    },
}

WORKFLOW: dict[str, Any] = {
    "1": {
        "class_type": "CheckpointLoaderSimple",
        "inputs": {"ckpt_name": "a.safetensors"},
        "_meta": {"title": "Model"},
    },
    "2": {"class_type": "LoadImage", "inputs": {"image": "x.png"}, "_meta": {"title": "Load Input Image"}},
    "3": {
        "class_type": "KSampler",
        "inputs": {"model": ["1", 0], "image": ["2", 0], "cfg": 8.0, "steps": 20, "seed": 0},
        "_meta": {"title": "KSampler"},
    },
    "4": {
        "class_type": "SaveImage",
        "inputs": {"images": ["3", 0], "filename_prefix": "x"},
        "_meta": {"title": "Save Image"},
    },
}
"""A workflow that the sleepers accept, with a model, an input image and numbers to search."""


def picture(kilobytes: int) -> bytes:
    """A PNG of about this size."""
    side = max(8, int((kilobytes * 1024 / 3) ** 0.5))
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def photographs(side: int, count: int = 12) -> list[bytes]:
    """Photographs as PNGs, as ComfyUI saves them: parts of scikit-image's own, each with noise of its own."""
    from skimage import data

    files = []
    for number in range(count):
        whole = Image.fromarray((data.astronaut, data.chelsea, data.coffee, data.rocket)[number % 4]())
        picture = np.asarray(whole.convert("RGB").resize((side, side), Image.Resampling.BICUBIC), np.float32)
        noise = np.random.default_rng(number).normal(0.0, 2.0, picture.shape)
        buffer = io.BytesIO()
        noisy = np.clip(picture + noise, 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(buffer, "PNG", compress_level=4)
        files.append(buffer.getvalue())
    return files


@dataclass
class Sleeper:
    """One endpoint."""

    seconds: float
    load_seconds: float
    images: list[bytes]
    pending: list[tuple[int, str, dict[str, Any], dict[str, Any]]] = field(default_factory=list)
    running: tuple[int, str, dict[str, Any], dict[str, Any]] | None = None
    history: dict[str, Any] = field(default_factory=dict)
    sockets: dict[str, web.WebSocketResponse] = field(default_factory=dict)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    number: int = 0
    model: str = ""
    stats: dict[str, Any] = field(
        default_factory=lambda: {
            "prompts": 0,
            "loads": 0,
            "uploads": 0,
            "first": None,
            "fetched": None,
            "last": None,
        }
    )

    async def prompt(self, request: web.Request) -> web.Response:
        body = await request.json()
        prompt_id = body.get("prompt_id") or str(uuid.uuid4())
        extra = {**(body.get("extra_data") or {}), "client_id": body.get("client_id")}
        self.stats["first"] = self.stats["first"] or time.monotonic()
        self.pending.append((self.number, prompt_id, body["prompt"], extra))
        self.number += 1
        self.wake.set()
        return web.json_response({"prompt_id": prompt_id, "number": self.number - 1, "node_errors": {}})

    async def work(self) -> None:
        while True:
            while not self.pending:
                self.wake.clear()
                await self.wake.wait()
            self.running = self.pending.pop(0)
            _, prompt_id, graph, extra = self.running
            started = time.time()
            await self.tell(
                extra, "execution_start", {"prompt_id": prompt_id, "timestamp": int(started * 1000)}
            )
            model = next(
                (
                    node["inputs"].get("ckpt_name", "")
                    for node in graph.values()
                    if "ckpt_name" in node["inputs"]
                ),
                "",
            )
            if model and model != self.model:
                self.model = model
                self.stats["loads"] += 1
                await asyncio.sleep(self.load_seconds)
            await asyncio.sleep(self.seconds)
            output = next(node for node, entry in graph.items() if entry["class_type"] == "SaveImage")
            which = zlib.crc32(json.dumps(graph).encode()) % len(self.images)
            saved = {"filename": f"x_{which:05}_.png", "subfolder": "", "type": "output"}
            images = {output: {"images": [saved]}}
            stamps = [
                ["execution_start", {"prompt_id": prompt_id, "timestamp": int(started * 1000)}],
                ["execution_success", {"prompt_id": prompt_id, "timestamp": int(time.time() * 1000)}],
            ]
            status = {"status_str": "success", "completed": True, "messages": stamps}
            self.history[prompt_id] = {
                "prompt": list(self.running),
                "outputs": images,
                "status": status,
                "meta": {},
            }
            if len(self.history) > 50:
                self.history.pop(next(iter(self.history)))
            self.running = None
            self.stats["prompts"] += 1
            self.stats["last"] = time.monotonic()
            await self.tell(extra, "executing", {"node": None, "prompt_id": prompt_id})

    async def tell(self, extra: dict[str, Any], kind: str, data: dict[str, Any]) -> None:
        socket = self.sockets.get(extra.get("client_id") or "")
        if socket is not None and not socket.closed:
            with contextlib.suppress(ConnectionError):
                await socket.send_json({"type": kind, "data": data})

    async def websocket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        name = request.query.get("clientId") or uuid.uuid4().hex
        self.sockets[name] = socket
        await socket.send_json(
            {"type": "status", "data": {"status": {"exec_info": {"queue_remaining": 0}}, "sid": name}}
        )
        async for message in socket:
            if message.type == WSMsgType.ERROR:
                break
        self.sockets.pop(name, None)
        return socket

    async def queue(self, request: web.Request) -> web.Response:
        if request.method == "POST":
            gone = set((await request.json()).get("delete", ()))
            self.pending = [item for item in self.pending if item[1] not in gone]
            return web.Response()
        running = [[*self.running, ["4"]]] if self.running else []
        return web.json_response(
            {"queue_running": running, "queue_pending": [[*item, ["4"]] for item in self.pending]}
        )

    async def row(self, request: web.Request) -> web.Response:
        prompt_id = request.match_info["id"]
        return web.json_response({prompt_id: self.history[prompt_id]} if prompt_id in self.history else {})

    async def upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        self.stats["uploads"] += 1
        image = form["image"]
        assert isinstance(image, web.FileField)
        return web.json_response(
            {"name": image.filename, "subfolder": form.get("subfolder", ""), "type": "input"}
        )

    def app(self) -> web.Application:
        app = web.Application(client_max_size=2**27)

        async def view(request: web.Request) -> web.Response:
            self.stats["fetched"] = self.stats["fetched"] or time.monotonic()
            which = int(request.query["filename"].split("_")[1])
            return web.Response(body=self.images[which], content_type="image/png")

        async def info(request: web.Request) -> web.Response:
            return web.json_response(OBJECT_INFO)

        async def system(request: web.Request) -> web.Response:
            return web.json_response({"system": {"comfyui_version": "sleeper"}, "devices": []})

        async def stats(request: web.Request) -> web.Response:
            return web.json_response(self.stats)

        async def die(request: web.Request) -> web.Response:
            os._exit(9)

        async def nothing(request: web.Request) -> web.Response:
            return web.Response()

        app.router.add_post("/prompt", self.prompt)
        app.router.add_get("/ws", self.websocket)
        app.router.add_route("*", "/queue", self.queue)
        app.router.add_get("/history/{id}", self.row)
        app.router.add_post("/upload/image", self.upload)
        app.router.add_get("/view", view)
        app.router.add_get("/object_info", info)
        app.router.add_get("/system_stats", system)
        app.router.add_get("/stats", stats)
        app.router.add_get("/die", die)
        app.router.add_post("/interrupt", nothing)
        return app


async def serve(options: argparse.Namespace) -> None:
    images = photographs(options.photographs) if options.photographs else [picture(options.kilobytes)]
    urls, runners = [], []
    for _ in range(options.count):
        sleeper = Sleeper(options.seconds, options.load_seconds, images)
        runner = web.AppRunner(sleeper.app(), access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        urls.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
        runners.append((runner, asyncio.create_task(sleeper.work())))
    print(json.dumps(urls), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    os._exit(0)


@contextlib.contextmanager
def sleepers(
    count: int,
    seconds: float,
    *,
    load_seconds: float = 0.0,
    kilobytes: int = 50,
    side: int = 0,
    processes: int = 1,
) -> Iterator[list[str]]:
    """Sleeping endpoints in processes of their own; gives their URLs."""
    started, urls = [], []
    for index in range(processes):
        share = count // processes + (index < count % processes)
        command = [sys.executable, __file__, "--count", str(share), "--seconds", str(seconds)]
        command += ["--load-seconds", str(load_seconds), "--kilobytes", str(kilobytes)]
        command += ["--photographs", str(side)]
        started.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
    for process in started:
        assert process.stdout is not None
        urls += json.loads(process.stdout.readline())
    try:
        yield urls
    finally:
        for process in started:
            assert process.stdin is not None
            process.stdin.close()
            process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--load-seconds", type=float, default=0.0)
    parser.add_argument("--kilobytes", type=int, default=50)
    parser.add_argument("--photographs", type=int, default=0, metavar="SIDE")
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()

"""How long the embedded endpoint takes for an eight-node mask workflow on a 512×512 photo-like image.

    python benchmarks/embedded_server.py [--repeats 30]

The server runs as a process of its own. Two times are printed: what its history tells (from execution_start
to execution_success, without queue and network), and what a client on a websocket sees, from submitting to
having the image's bytes. Every repeat changes the blur, so that only the loaded image comes from the cache; a
second row changes the image too.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import subprocess
import sys
import time
import uuid
from typing import Any

import numpy as np
import requests
import websocket
from PIL import Image

LIMIT = 0.060


def workflow(image: str, sigma: float) -> dict[str, Any]:
    """Load, blur, channel, threshold, grow, feather, mask to image, save."""

    def node(class_type: str, **inputs: Any) -> dict[str, Any]:  # noqa: ANN401  (any input's value)
        return {"class_type": class_type, "inputs": inputs}

    return {
        "1": node("LoadImage", image=image),
        "2": node("ImageBlur", image=["1", 0], blur_radius=2, sigma=sigma),
        "3": node("ImageToMask", image=["2", 0], channel="red"),
        "4": node("ThresholdMask", mask=["3", 0], value=0.5),
        "5": node("GrowMask", mask=["4", 0], expand=6, tapered_corners=True),
        "6": node("FeatherMask", mask=["5", 0], left=8, top=8, right=8, bottom=8),
        "7": node("MaskToImage", mask=["6", 0]),
        "8": node("SaveImage", images=["7", 0], filename_prefix="bench"),
    }


def photo(seed: int) -> bytes:
    """Make a 512×512 PNG: smooth blobs with sensor noise."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (9, 9, 3), np.uint8)).resize(
        (512, 512), Image.Resampling.BICUBIC
    )
    noisy = np.clip(np.asarray(coarse) + rng.normal(0, 4, (512, 512, 3)), 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noisy).save(buffer, "PNG")
    return buffer.getvalue()


class Session:
    """One client: a websocket, and HTTP calls."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = requests.Session()
        self.client_id = str(uuid.uuid4())
        self.socket = websocket.create_connection(f"{url.replace('http', 'ws')}/ws?clientId={self.client_id}")

    def upload(self, name: str, data: bytes) -> None:
        self.http.post(f"{self.url}/upload/image", files={"image": (name, data)}).raise_for_status()

    def run(self, graph: dict[str, Any]) -> tuple[float, float]:
        """Return the server's and the client's seconds for one prompt."""
        start = time.perf_counter()
        body = {"prompt": graph, "client_id": self.client_id}
        prompt_id = self.http.post(f"{self.url}/prompt", json=body).json()["prompt_id"]
        while True:
            message = json.loads(self.socket.recv())
            if message["type"] == "executing" and message["data"]["node"] is None:
                break
        row = self.http.get(f"{self.url}/history/{prompt_id}").json()[prompt_id]
        self.http.get(f"{self.url}/view", params=row["outputs"]["8"]["images"][0]).raise_for_status()
        client = time.perf_counter() - start
        stamps = {name: data["timestamp"] for name, data in row["status"]["messages"]}
        return (stamps["execution_success"] - stamps["execution_start"]) / 1000, client


def report(name: str, times: list[tuple[float, float]]) -> None:
    """Print the medians and their ratio to the limit."""
    server, client = (statistics.median(column) for column in zip(*times, strict=True))
    print(
        f"{name}: server p50 {server * 1000:.1f} ms ({server / LIMIT:.2f} of {LIMIT * 1000:.0f} ms), "
        f"client p50 {client * 1000:.1f} ms ({client / LIMIT:.2f})"
    )


def main() -> None:
    """Start a server, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=30)
    repeats = parser.parse_args().repeats
    command = [sys.executable, "-m", "pixaris.comfyui.server", "--port", "0"]
    begin = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip().removeprefix("Listening on ")
            print(f"started in {time.perf_counter() - begin:.2f} s")
            session = Session(url)
            for index in range(repeats):
                session.upload(f"photo{index}.png", photo(index))
            session.run(workflow("photo0.png", 0.9))
            report(
                "image cached",
                [session.run(workflow("photo0.png", 1 + index / 1000)) for index in range(repeats)],
            )
            report(
                "image loaded", [session.run(workflow(f"photo{index}.png", 1.0)) for index in range(repeats)]
            )
        finally:
            process.terminate()


if __name__ == "__main__":
    main()

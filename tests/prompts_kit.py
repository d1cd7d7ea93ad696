"""An eval set of prompts that the embedded endpoint can paint: each names the colour of a canvas."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

COLOURS: Mapping[str, tuple[int, int, int]] = {
    "a red canvas": (200, 20, 20),
    "a green canvas": (20, 160, 40),
    "a blue canvas": (30, 40, 220),
    "a grey canvas": (128, 128, 128),
}
SIDE = 16
SOOT = 0x101010
WORKFLOW = {
    "1": {
        "class_type": "EmptyImage",
        "inputs": {"width": SIDE, "height": SIDE, "batch_size": 1, "color": 0},
        "_meta": {"title": "Canvas"},
    },
    "2": {
        "class_type": "EmptyImage",
        "inputs": {"width": SIDE, "height": SIDE, "batch_size": 1, "color": SOOT},
        "_meta": {"title": "Soot"},
    },
    "3": {
        "class_type": "ImageBlend",
        "inputs": {"image1": ["1", 0], "image2": ["2", 0], "blend_factor": 0.9, "blend_mode": "normal"},
        "_meta": {"title": "Blend"},
    },
    "4": {
        "class_type": "SaveImage",
        "inputs": {"images": ["3", 0], "filename_prefix": "canvas"},
        "_meta": {"title": "Save Image"},
    },
}
"""Paints a canvas, nine tenths of it soot."""


def write_prompts(folder: Path, colours: Mapping[str, tuple[int, int, int]] = COLOURS) -> Path:
    """Write ``prompts.csv`` with the images that are wanted beside it, and the workflow."""
    (folder / "wanted").mkdir(parents=True, exist_ok=True)
    lines = ["name,prompt,colour,Wanted"]
    for prompt, colour in colours.items():
        word = prompt.split()[1]
        Image.new("RGB", (SIDE, SIDE), colour).save(folder / "wanted" / f"{word}.png")
        red, green, blue = colour
        lines.append(f"{word},{prompt},{red * 65536 + green * 256 + blue},wanted/{word}.png")
    (folder / "canvas_apiformat.json").write_text(json.dumps(WORKFLOW))
    file = folder / "prompts.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


def write_search(folder: Path, *endpoints: str) -> Path:
    """Write ``canvas.yaml``: how much soot is best? None."""
    write_prompts(folder)
    file = folder / "canvas.yaml"
    file.write_text(
        f"""\
name: canvas
project: prompts
dataset: {{prompts: prompts.csv, columns: {{colour: {{node_name: Canvas, input: color}}}}}}
generator: {{type: comfyui, workflow: canvas_apiformat.json}}
endpoints: [{", ".join(endpoints)}]
parameters:
  soot: {{node_name: Blend, input: blend_factor, choice: [0.0, 0.5, 0.9]}}
metrics: [{{type: mae, reference: Wanted}}]
objective: {{metric: mae}}
search: {{algorithm: grid, scheduler: fifo, seed: 1}}
results: results
"""
    )
    return file

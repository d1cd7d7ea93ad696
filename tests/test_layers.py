"""The house holds: who imports whom, and which module is the door to which third party."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "pixaris"
MODULES = sorted(PACKAGE.rglob("*.py"))

# Lowest row first. A module imports strictly lower rows; modules of one room import each other freely; rooms of one row never do.
ROWS: list[set[str]] = [
    {"exceptions", "types", "config", "images", "files", "wire", "__init__"},
    {"comfyui", "flux", "cache", "statistics"},
    {"endpoints"},
    {"data_loaders", "generation", "metrics", "experiment_handlers", "feedback_handlers"},
    {"orchestration"},
    {"search", "report", "frontend"},
    {"components", "testing"},
    {"cli", "orchestration.base"},
    {"__main__"},
]
"""``orchestration.base`` is a way in: it stands on the search, while the search stands on ``orchestration.run``."""

BASE = ROWS[0]
IMPLEMENTATIONS = ROWS[3]

# Third party → the rooms or modules that may import it.
DOORS = {
    "ray": {"endpoints.ray", "search"},
    "optuna": {"search"},
    "requests": {"wire"},
    "websocket": {"comfyui.client", "comfyui.socket", "comfyui.follow", "comfyui.websocket"},
    "aiohttp": {"comfyui.server", "flux.server"},
    "tensorboard": {"experiment_handlers.tensorboard"},
    "yaml": {"config", "search.yaml_file"},
    "skimage": {"metrics", "data_loaders.demo"},
    "rich": {"cli"},
    "google": set(),
    "google.genai": {"metrics.judges.genai"},
    "google.generativeai": {"metrics.judges.generativeai"},
    "google.api_core": {"metrics.judges.generativeai"},
    "google.protobuf": {"metrics.judges.generativeai"},
    "httpx2": {"metrics.judges.genai"},
    "torch": {"metrics.learned"},
    "open_clip": {"metrics.learned.clip"},
    "timm": {"metrics.learned.dino"},
    "torchmetrics": {"metrics.learned.lpips", "metrics.learned.ms_ssim"},
    "pyiqa": {"metrics.learned.quality"},
    "fastapi": set(),
    "uvicorn": set(),
}
RAY_FREE = {"search.spec", "search.space", "search.results", "search.progress", "search.yaml_file", "search.domain"}


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def imports_of(path: Path) -> list[str]:
    """Every module a file imports, anywhere in it, except for types only."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the layer"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def room(module: str) -> str:
    return module if module == "orchestration.base" else module.split(".")[0]


def row(module: str) -> int:
    return next(index for index, rooms in enumerate(ROWS) if room(module) in rooms)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_only_lower_rows_and_its_own_room(path: Path) -> None:
    me = name_of(path)
    wrong = []
    for imported in imports_of(path):
        if not imported.startswith("pixaris."):
            continue
        other = imported.removeprefix("pixaris.")
        if other.startswith("__version__") or room(other) == room(me):
            continue
        if room(me) in BASE and room(other) in BASE:
            continue
        if row(other) >= row(me):
            wrong.append(other)
    assert not wrong, f"pixaris.{me} imports upward or sideways: {wrong}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_the_upper_rows_see_only_the_base_of_an_implementation(path: Path) -> None:
    me = name_of(path)
    if row(me) not in (4, 5):
        return
    seen = [
        i.removeprefix("pixaris.") for i in imports_of(path) if i.startswith("pixaris.") and i.split(".")[1] in IMPLEMENTATIONS
    ]
    assert all(".base." in f"{other}." for other in seen), f"pixaris.{me} imports {seen}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_third_parties_come_in_by_one_door(path: Path) -> None:
    me = name_of(path)
    for imported in imports_of(path):
        party = max((door for door in DOORS if f"{imported}.".startswith(f"{door}.")), key=len, default="")
        if party:
            assert any(me == door or me.startswith(f"{door}.") for door in DOORS[party]), f"pixaris.{me} imports {party}"
            assert not (party == "ray" and me in RAY_FREE), f"pixaris.{me} must not need Ray"


def test_only_one_place_decodes_images() -> None:
    for path in MODULES:
        if name_of(path) != "images":
            assert "Image.open(" not in path.read_text(encoding="utf-8"), f"{path} opens images by itself"


def loaded_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize(
    "statement",
    ["import pixaris", "import contextlib, pixaris.cli\nwith contextlib.suppress(SystemExit): pixaris.cli.main(['--help'])"],
)
def test_the_package_and_its_help_import_nothing_heavy(statement: str) -> None:
    code = f"{statement}\nimport sys\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    loaded = set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())
    assert not loaded & {
        "ray",
        "numpy",
        "PIL",
        "scipy",
        "skimage",
        "optuna",
        "tensorboard",
        "aiohttp",
        "requests",
        "pydantic",
        "rich",
        "sklearn",
        "pandas",
    }


def test_the_ray_free_rooms_load_without_ray() -> None:
    statement = (
        "import pixaris.search.spec, pixaris.search.space, pixaris.search.results, pixaris.search.prepare, pixaris.components"
    )
    assert "ray" not in loaded_after(statement)


def test_every_module_imports_with_the_base_install_alone() -> None:
    """The doors of the extras import lazily: the base install is all that importing needs."""
    extras = ["google.cloud", "google.genai", "google.generativeai", "fastapi", "uvicorn"]
    extras += ["torch", "open_clip", "timm", "torchmetrics", "pyiqa"]
    names = [f"pixaris.{name_of(path)}" for path in MODULES if name_of(path) not in ("__init__", "__main__")]
    names = [name for name in names if not name.endswith("__main__")]
    block = f"import sys\nfor name in {extras!r}: sys.modules[name] = None\n"
    code = block + "\n".join(f"import {name}" for name in names)
    subprocess.run([sys.executable, "-c", code], check=True)

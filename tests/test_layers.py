"""The house holds: who imports whom, how large a room may be, and which module is the door to which third
party.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "pixaris"
MODULES = sorted(PACKAGE.rglob("*.py"))

ROWS: list[set[str]] = [
    {
        "__init__",
        "exceptions",
        "types",
        "config",
        "images",
        "png",
        "preview",
        "files",
        "http",
        "plugins",
        "words",
        "gcp",
        "terminal",
        "threads",
    },
    {"comfyui", "flux", "statistics"},
    {"endpoints"},
    {"results"},
    {"data_loaders", "generation", "metrics", "experiment_handlers", "feedback_handlers", "cache"},
    {"experiment"},
    {"report"},
    {"search"},
    {"components", "testing"},
    {"frontend"},
    {"cli", "orchestration"},
    {"__main__"},
]
"""Lowest row first. A module imports strictly lower rows; modules of one room import each other freely, and
those of the ground each other; other rooms of one row know each other's ``base`` at most."""

GROUND = ROWS[0]
IMPLEMENTATIONS = ROWS[4]
ABOVE_BASE_ONLY = {"experiment", "report", "search", "frontend"}
"""Rooms that see an implementation's ``base`` and nothing else of it …"""

OWN_STORE = "cache.local"
"""… but for the store of a search's own images, which is always a folder."""

RAY_ROOMS = ("endpoints.ray", "search.algorithms", "search.driver")
"""Folders that Ray is in. All others must not import it, not even late."""

OF_AN_EXTRA = ("frontend.server",)
"""Rooms that are imported when they are started, with a word about the extra where it is missing."""

DOORS: dict[str, set[str]] = {
    "ray": set(RAY_ROOMS),
    "optuna": {"search.algorithms", "results.importance"},
    "requests": {"http", "gcp.errors"},
    "websocket": {"comfyui.websocket", "comfyui.client"},
    "aiohttp": {"comfyui.server", "flux.server"},
    "tensorboard": {"experiment_handlers.tensorboard"},
    "yaml": {"config", "search.file.yaml_file"},
    "skimage": {"metrics", "data_loaders.demo"},
    "rich": {"cli", "terminal", "report.progress"},
    "fastapi": {"frontend.server"},
    "starlette": {"frontend.server"},
    "pydantic": {"frontend.server"},
    "uvicorn": {"frontend.main"},
    "sqlite3": {"feedback_handlers", "report.thumbnails"},
    "google": set(),
    "google.cloud.storage": {"gcp.storage"},
    "google.cloud.bigquery": {"feedback_handlers.bigquery_table"},
    "google.auth": {"gcp.errors", "feedback_handlers.bigquery_table"},
    "google.genai": {"metrics.judges.genai"},
    "google.generativeai": {"metrics.judges.generativeai"},
    "google.api_core": {
        "gcp.errors",
        "gcp.storage",
        "feedback_handlers.bigquery_table",
        "metrics.judges.generativeai",
    },
    "google.protobuf": {"metrics.judges.generativeai"},
    "httpx2": {"metrics.judges.genai"},
    "torch": {"metrics.learned"},
    "open_clip": {"metrics.learned.clip"},
    "timm": {"metrics.learned.dino"},
    "torchmetrics": {"metrics.learned.lpips", "metrics.learned.ms_ssim"},
    "pyiqa": {"metrics.learned.quality"},
    "pillow_heif": {"images"},
}
"""Third party to the rooms or modules that may import it."""

ONE_IDEA = {
    "search.space.space.Space": "a value: 10 of them are properties",
    "results.paths.SearchPaths": "a value: one property for each file, so that every name stands once",
    "results.records.SearchResult": "a value: 10 of them are properties, names that users know",
}
"""Pure classes that may have more methods than others, and why."""

MOST_LINES = 400
MANY_MODULES = 15
ONE_FILE_EACH = {"metrics", "cli"}
"""Folders where each module is one implementation of the same seam: they may be larger."""


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


NAMES = {name_of(path) for path in MODULES}


def imports_of(path: Path) -> list[str]:
    """Every name a file imports, anywhere in it, for types only too."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the layer"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def modules_of_ours(path: Path) -> set[str]:
    """The modules of this package that a file imports."""
    found = set()
    for imported in imports_of(path):
        if imported.startswith("pixaris."):
            name = imported.removeprefix("pixaris.")
            found.add(name if name in NAMES else name.rpartition(".")[0])
    return found - {"", name_of(path)}


def room(module: str) -> str:
    return module.split(".")[0]


def row(module: str) -> int:
    return next(index for index, rooms in enumerate(ROWS) if room(module) in rooms)


def is_within(module: str, rooms: set[str] | tuple[str, ...]) -> bool:
    return any(f"{module}.".startswith(f"{one}.") for one in rooms)


FOLDERS = [path.parent for path in MODULES if path.name == "__init__.py"]


def test_every_room_stands_on_a_row_and_every_row_names_only_rooms_there_are() -> None:
    there = {room(name) for name in NAMES} | {"__init__"}
    planned = set().union(*ROWS)
    assert there == planned


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_only_lower_rows_and_its_own_room(path: Path) -> None:
    me = name_of(path)
    wrong = []
    for other in modules_of_ours(path):
        inside = room(other) == room(me) or {room(me), room(other)} <= GROUND
        beside = row(other) == row(me) and other.endswith(".base")
        if not inside and not beside and row(other) >= row(me):
            wrong.append(other)
    assert not wrong, f"pixaris.{me} imports upward or sideways: {wrong}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_the_upper_rows_see_only_the_base_of_an_implementation(path: Path) -> None:
    if room(name_of(path)) in ABOVE_BASE_ONLY:
        seen = {other for other in modules_of_ours(path) if room(other) in IMPLEMENTATIONS}
        wrong = [other for other in seen if not other.endswith(".base") and other != OWN_STORE]
        assert not wrong, f"pixaris.{name_of(path)} imports {wrong}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_third_parties_come_in_by_one_door(path: Path) -> None:
    me = name_of(path)
    for imported in imports_of(path):
        party = max((door for door in DOORS if is_within(imported, {door})), key=len, default="")
        if party:
            assert is_within(me, DOORS[party]), f"pixaris.{me} imports {party}"


def test_there_are_no_circles() -> None:
    """Of modules, of any size, imports for types only and late imports included."""
    graph = {name_of(path): modules_of_ours(path) & NAMES for path in MODULES if path.name != "__init__.py"}
    left = {name: others & graph.keys() for name, others in graph.items()}
    while free := [name for name, others in left.items() if not others & left.keys()]:
        for name in free:
            del left[name]
    circle = {name: sorted(others & left.keys()) for name, others in left.items()}
    assert not circle, f"modules that import each other, or hang on such: {circle}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_reads_in_one_sitting(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_a_folder_is_one_concept(folder: Path) -> None:
    modules = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
    if folder.relative_to(PACKAGE).as_posix() not in ONE_FILE_EACH:
        assert len(modules) <= MANY_MODULES, f"{folder.name} has {len(modules)} modules"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_class_has_at_most_thirty_methods_and_fifteen_public_ones(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef):
            if f"{name_of(path)}.{node.name}" in ONE_IDEA:
                continue
            names = [one.name for one in node.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]
            public = [name for name in names if not name.startswith("_")]
            assert len(names) <= 30, f"{node.name} has {len(names)} methods"
            assert len(public) <= 15, f"{node.name} has {len(public)} public methods: {public}"


def test_only_one_place_decodes_images() -> None:
    for path in MODULES:
        if name_of(path) != "images":
            assert "Image.open(" not in path.read_text(encoding="utf-8"), f"{path} opens images by itself"


HEAVY = {
    "PIL",
    "aiohttp",
    "numpy",
    "optuna",
    "pandas",
    "pydantic",
    "ray",
    "requests",
    "rich",
    "scipy",
    "skimage",
    "sklearn",
    "tensorboard",
}


def loaded_after(statements: str) -> set[str]:
    code = f"{statements}\nimport sys\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())  # above it stands what the statements print


HELP = "import contextlib, pixaris.cli\nwith contextlib.suppress(SystemExit): pixaris.cli.main(['--help'])"


@pytest.mark.parametrize("statements", ["import pixaris", HELP], ids=["package", "help"])
def test_the_package_and_its_help_import_nothing_heavy(statements: str) -> None:
    assert not loaded_after(statements) & HEAVY


def test_the_ray_free_rooms_load_without_ray() -> None:
    outside = [name for name in sorted(NAMES) if not is_within(name, RAY_ROOMS)]
    outside = [name for name in outside if not name.endswith("__main__") and name != "__init__"]
    assert "ray" not in loaded_after("\n".join(f"import pixaris.{name}" for name in outside))


def test_every_module_imports_with_the_base_install_alone() -> None:
    """The doors of the extras import lazily: the base install is all that importing needs."""
    extras = ["google.cloud", "google.genai", "google.generativeai", "fastapi", "uvicorn"]
    extras += ["torch", "open_clip", "timm", "torchmetrics", "pyiqa"]
    names = [name for name in sorted(NAMES) if not name.endswith("__main__") and name != "__init__"]
    names = [name for name in names if not is_within(name, OF_AN_EXTRA)]
    block = f"import sys\nfor name in {extras!r}: sys.modules[name] = None\n"
    code = block + "\n".join(f"import pixaris.{name}" for name in names)
    subprocess.run([sys.executable, "-c", code], check=True)

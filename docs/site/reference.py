"""The reference pages that are made of the code when the site is built: Markdown by path."""

from __future__ import annotations

import inspect
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from importlib import resources
from pathlib import Path
from typing import Any

from pixaris.cli import COMMANDS, parser_of
from pixaris.cli.metrics import description, markdown
from pixaris.cli.schema import schema
from pixaris.components import METRICS
from pixaris.config import Config
from pixaris.metrics.base import BaseMetric
from pixaris.plugins import resolve
from pixaris.results.paths import TRACKING, RunPaths, SearchPaths

API: Mapping[str, Sequence[str]] = {
    "Searches": ("pixaris.search.search", "pixaris.search.settings", "pixaris.results.records"),
    "The plain functions": ("pixaris.orchestration.base",),
    "Eval sets": (
        "pixaris.data_loaders.base",
        "pixaris.data_loaders.local",
        "pixaris.data_loaders.prompts",
        "pixaris.data_loaders.gcp",
    ),
    "Generators": ("pixaris.generation.base", "pixaris.generation.comfyui", "pixaris.generation.flux"),
    "Metrics": ("pixaris.metrics.base", "pixaris.metrics.similarity", "pixaris.metrics.iou"),
    "Experiment handlers": (
        "pixaris.experiment_handlers.base",
        "pixaris.experiment_handlers.local",
        "pixaris.experiment_handlers.tensorboard",
        "pixaris.experiment_handlers.gcp_tensorboard",
    ),
    "Feedback": (
        "pixaris.feedback_handlers.base",
        "pixaris.feedback_handlers.local",
        "pixaris.feedback_handlers.bigquery",
        "pixaris.frontend.main",
    ),
    "Endpoints": ("pixaris.endpoints.base", "pixaris.endpoints.sources.base"),
    "Contract suites": ("pixaris.testing.contracts",),
    "Values and errors": ("pixaris.types", "pixaris.exceptions"),
}
"""Heading to the modules whose docstrings are shown below it."""


def pages() -> dict[str, str]:
    """Every page, by its path in the documentation."""
    return {
        "reference/cli.md": cli(),
        "reference/search-file-keys.md": search_file_keys(),
        "reference/config.md": config(),
        "reference/metrics.md": metrics(),
        "reference/nodes.md": nodes(),
        "reference/files.md": files(),
        "reference/api.md": api(),
    }


def cli() -> str:
    """The help of every command, as a terminal of 80 columns has it."""
    lines = ["# Command line", "", "What `pixaris COMMAND --help` prints.", ""]
    for command, text in help_texts().items():
        lines += [f"## pixaris {command}".rstrip(), "", "```text", text.rstrip(), "```", ""]
    return "\n".join(lines)


def help_texts() -> dict[str, str]:
    """Command to its help; "" to that of ``pixaris`` itself."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "80"
    try:
        parser = parser_of([], whole=True)
        (commands,) = (action for action in parser._actions if isinstance(action.choices, dict))
        assert isinstance(commands.choices, dict)
        found = {"": parser.format_help()}
        return found | {name: commands.choices[name].format_help() for name in COMMANDS}
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before


def search_file_keys() -> str:
    """Every key, of the schema."""
    document = schema()
    lines = [
        "# Keys of the search file",
        "",
        "Made of the schema that `pixaris schema` prints. [The search file](../search-file.md) explains",
        "them.",
        "",
        *_table("Top level", document["properties"]),
    ]
    for name, inner in document["properties"].items():
        for section in _sections(inner):
            lines += _table(name, section)
    for name in ("target", "fixed", "parameter"):
        title = {"target": "A target", "fixed": "An entry of generation_params", "parameter": "A parameter"}
        lines += _table(title[name], document["$defs"][name]["properties"])
    lines += _table("An objective", document["$defs"]["objective"]["anyOf"][1]["properties"])
    endpoints = document["properties"]["endpoints"]["anyOf"][1]["properties"]
    for name, inner in endpoints.items():
        for section in _sections(inner):
            if "env" not in section:
                lines += _table(f"endpoints: {name}", section)
    return "\n".join(lines)


def _sections(schema_of: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The mappings of known keys that may stand somewhere."""
    for shape in (schema_of, *schema_of.get("anyOf", ())):
        described = shape.get("properties", {})
        if described and "url" not in described:
            yield described


def _table(title: str, properties: Mapping[str, Any]) -> list[str]:
    lines = [f"## {title}", "", "| key | takes | meaning |", "|---|---|---|"]
    for name, inner in properties.items():
        meaning = str(inner.get("description", "")).replace("|", "\\|")
        lines.append(f"| `{name}` | {_takes(inner)} | {meaning} |")
    return [*lines, ""]


def _takes(inner: Mapping[str, Any]) -> str:
    """What may stand behind a key, in words."""
    if "$ref" in inner:
        name = inner["$ref"].rpartition("/")[2]
        return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
    if "enum" in inner:
        return ", ".join(f"`{one}`" for one in inner["enum"] if one is not None)
    if "anyOf" in inner:
        words = [_takes(one) for one in inner["anyOf"] if one.get("type") != "null"]
        return " or ".join(dict.fromkeys(words))
    words_of = {"object": "a mapping", "array": "a list", "string": "text", "boolean": "true or false"}
    words_of |= {"integer": "a whole number", "number": "a number"}
    given = inner.get("type", [])
    kinds = [given] if isinstance(given, str) else list(given)
    if "pattern" in inner and "string" in kinds and len(kinds) > 1:
        kinds.remove("string")  # a number in quotes
    limits = {"minimum": "at least", "maximum": "at most", "exclusiveMinimum": "above"}
    told = [f"{words} {inner[key]:,}" for key, words in limits.items() if key in inner]
    kinds_told = " or ".join(words_of[kind] for kind in kinds if kind != "null")
    return ", ".join([kinds_told or "any value", *told])


def config() -> str:
    """The keys of ``config.yaml``."""
    about = attributes(Config)
    lines = [
        "# Configuration",
        "",
        "What belongs to a machine or an account stands in `config.yaml` of the working folder (or in the",
        "file that `PIXARIS_CONFIG` names), or in the environment, which wins. `pixaris doctor` says which",
        "are set and where. [example_config.yaml](../../examples/example_config.yaml) has them all.",
        "",
        "| key | variable | meaning | if left out |",
        "|---|---|---|---|",
    ]
    for field in fields(Config):
        default = f"`{field.default}`" if str(field.default) else "–"
        variable = f"`PIXARIS_{field.name.upper()}`"
        lines.append(f"| `{field.name}` | {variable} | {about[field.name]} | {default} |")
    return "\n".join([*lines, ""])


def attributes(cls: type) -> dict[str, str]:
    """The attributes that a class's docstring explains, each in one line."""
    text = (inspect.getdoc(cls) or "").partition("Attributes:\n")[2]
    found: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if start := re.match(r"    (\w+): (.*)", line):
            name = start[1]
            found[name] = start[2]
        elif name and line.startswith("        "):
            found[name] += f" {line.strip()}"
    return {key: words.replace("``", "`") for key, words in found.items()}


def metrics() -> str:
    """Every metric with all that ``pixaris metrics NAME`` tells."""
    classes = {name: resolve(name, METRICS, BaseMetric) for name in METRICS}
    lines = [
        "# All metrics",
        "",
        "[Metrics](../metrics.md) says which to choose.",
        "",
        *markdown(classes),
        "",
    ]
    for name, cls in classes.items():
        lines += [f"## {name}", "", "```text", description(name, cls), "```", ""]
    return "\n".join(lines)


def nodes() -> str:
    """The embedded endpoint's nodes."""
    text = resources.files("pixaris.comfyui.server").joinpath("object_info.json").read_text("utf-8")
    declared = json.loads(text)
    lines = [
        "# Nodes of the embedded endpoint",
        "",
        "`pixaris serve`, and `endpoints: {embedded: 2}` in a search file, run these nodes as ComfyUI does,",
        f"pixel for pixel: {len(declared)} that need no model. A workflow with others needs a real ComfyUI.",
        "",
        "| class | in the menu | category | inputs |",
        "|---|---|---|---|",
    ]
    for name, node in sorted(declared.items()):
        inputs = [key for part in ("required", "optional") for key in node["input"].get(part, {})]
        cells = [f"`{name}`", node.get("display_name") or name, node["category"]]
        cells.append(", ".join(f"`{key}`" for key in inputs) or "–")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def files() -> str:
    """What searches and runs leave on disk."""
    lines = [
        "# Files on disk",
        "",
        f"`{TRACKING}` in the results folder has a line for each run. [Results](../results.md) says how to",
        "read them.",
        "",
    ]
    folders = {"A search": SearchPaths(Path("SEARCH")), "A trial or a run": RunPaths(Path("RUN"))}
    for title, paths in folders.items():
        lines += [f"## {title}", "", "| path | holds |", "|---|---|"]
        for name, value in vars(type(paths)).items():
            if isinstance(value, property):
                path = getattr(paths, name).relative_to(paths.folder).as_posix()
                lines.append(f"| `{path}` | {inspect.getdoc(value)} |".replace("``", "`"))
        lines.append("")
    return "\n".join(lines)


def api() -> str:
    """The Python API, of the docstrings."""
    lines = ["# Python API", "", "What users import, with its docstrings.", ""]
    for title, modules in API.items():
        lines += [f"## {title}", ""]
        for module in modules:
            lines += [f"### {module}", "", f"::: {module}", "    options:", "      heading_level: 4", ""]
    return "\n".join(lines)

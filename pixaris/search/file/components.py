"""The search file's ``dataset`` and ``generator``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pixaris.comfyui.graph.alternatives import CHOOSER, CHOSEN
from pixaris.exceptions import ConfigurationError, nearest
from pixaris.gcp.storage import BucketPath
from pixaris.search.file.reader import Reader, located
from pixaris.search.file.schema.keys import DATASET, TARGET, names
from pixaris.types import NodeInput

BUCKET = "gs://"


@dataclass(frozen=True)
class DatasetSpec:
    """The eval set.

    Attributes:
        name: Its name; with a path, the folder's.
        path: Its folder, or None where it is looked up by project and name.
        references: Folders that only metrics see.
        prompts: The file of its prompts, or None for an eval set of folders.
        columns: Of a file of prompts, column name to the inputs that it feeds.
        url: Its address in a bucket, ``gs://…``, or "".
    """

    name: str
    path: Path | None = None
    references: tuple[str, ...] = ()
    prompts: Path | None = None
    columns: Mapping[str, tuple[NodeInput, ...]] = field(default_factory=dict)
    url: str = ""


@dataclass(frozen=True)
class GeneratorSpec:
    """The generator.

    Attributes:
        type: Its name (``comfyui``), or ``module:Class``.
        workflow: The workflow file in API format.
        options: Everything else, for the generator itself.
        choice: Of several workflows in one search, name to generator; the others are then empty.
    """

    type: str
    workflow: Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    choice: Mapping[str, GeneratorSpec] = field(default_factory=dict)


def read_dataset(reader: Reader, fields: Mapping[str, Any], folder: Path) -> DatasetSpec:
    if not reader.has(fields, "dataset", "dataset: photos"):
        return DatasetSpec("")
    value: object = fields["dataset"]
    references: tuple[str, ...] = ()
    if isinstance(value, dict):
        inner = reader.section("dataset", value, names(DATASET))
        if "references" in inner:
            references = reader.texts(
                "dataset.references", inner["references"], "write references: [Original]"
            )
        known = {"name": "a name", "path": "a path", "prompts": "a file of prompts"}
        places = [words for key, words in known.items() if key in inner]
        if len(places) > 1:
            reader.add_problem("dataset", f"has {' and '.join(places)}; keep one of them")
        if "columns" in inner and "prompts" not in inner:
            reader.add_problem("dataset.columns", "belong to a file of prompts; write prompts: prompts.csv")
        if "prompts" in inner:
            text = reader.text("dataset.prompts", inner["prompts"])
            file = located(reader, "dataset.prompts", text, folder)
            columns = _read_columns(reader, inner.get("columns", {}))
            return DatasetSpec(file.stem, None, references, file, columns)
        if "path" in inner:
            text = reader.text("dataset.path", inner["path"])
            if text.startswith(BUCKET):
                return _read_bucket(reader, "dataset.path", text, references)
            place = located(reader, "dataset.path", text, folder)
            return DatasetSpec(_last_name(place), place, references)
        if not reader.required("dataset", inner, "name", "write name: photos, or path: ../photos"):
            return DatasetSpec("", None, references)
        return DatasetSpec(reader.folder_name("dataset.name", inner["name"]), None, references)
    text = reader.text("dataset", value)
    if text.startswith(BUCKET):
        return _read_bucket(reader, "dataset", text)
    if "/" in text or text.startswith("."):
        place = located(reader, "dataset", text, folder)
        return DatasetSpec(_last_name(place), place)
    return DatasetSpec(reader.folder_name("dataset", text) if text else "")


def _read_bucket(reader: Reader, path: str, url: str, references: tuple[str, ...] = ()) -> DatasetSpec:
    try:
        place = BucketPath.of(url)
    except ConfigurationError as error:
        reader.add_problem(path, str(error))
        return DatasetSpec("")
    if not place.prefix:
        reader.add_problem(path, f"must name a folder of the bucket: gs://BUCKET/FOLDER (got {url!r})")
    return DatasetSpec(place.prefix.rpartition("/")[2], None, references, url=url)


def _read_columns(reader: Reader, value: object) -> dict[str, tuple[NodeInput, ...]]:
    """Column name to ``{node_name, input}``, or a list of these."""
    found = {}
    for column, given in reader.mapping("dataset.columns", value).items():
        path = f"dataset.columns.{column}"
        if isinstance(given, list):
            places = given
        else:
            places = [given]
        found[column] = tuple(_read_place(reader, path, place) for place in places)
    return found


def _read_place(reader: Reader, path: str, value: object) -> NodeInput:
    if isinstance(value, str):  # of a generator whose inputs belong to no nodes
        return "", reader.text(path, value)
    inner = reader.section(path, value, names(TARGET))
    hint = "write {node_name: Positive Prompt, input: text}"
    if not reader.required(path, inner, "input", hint):
        return "", ""
    if "node_name" in inner:
        node_name = reader.text(f"{path}.node_name", inner["node_name"])
    else:
        node_name = ""
    return node_name, reader.text(f"{path}.input", inner["input"])


def _last_name(path: Path) -> str:
    return os.path.basename(os.path.abspath(path))


def read_generator(reader: Reader, fields: Mapping[str, Any], folder: Path) -> GeneratorSpec:
    example = "generator: {type: comfyui, workflow: workflows/restore_apiformat.json}"
    if not reader.has(fields, "generator", example):
        return GeneratorSpec("")
    value = fields["generator"]
    if isinstance(value, dict) and set(value) == {"choice"}:
        return _read_choice(reader, value["choice"], folder)
    return _read_one(reader, "generator", value, folder)


def _read_choice(reader: Reader, value: object, folder: Path) -> GeneratorSpec:
    """Several workflows, of which a parameter chooses."""
    given = reader.mapping("generator.choice", value)
    found = {name: _read_one(reader, f"generator.choice.{name}", one, folder) for name, one in given.items()}
    for name, one in found.items():
        if one.type not in ("", "comfyui"):
            reader.add_problem(f"generator.choice.{name}", f"must be of type comfyui (got {one.type})")
    return GeneratorSpec("comfyui", choice=found)


def chooser(generator: object) -> dict[str, Any]:
    """The parameter that chooses one of several workflows, as a search file's parameters have it; nothing
    where there is one workflow.
    """
    if not isinstance(generator, dict) or not isinstance(generator.get("choice"), dict):
        return {}
    names = [str(name) for name in generator["choice"]]
    return {"generator": {"node_name": CHOOSER, "input": CHOSEN, "choice": names}}


def _read_one(reader: Reader, path: str, value: object, folder: Path) -> GeneratorSpec:
    component = reader.component(path, value)
    options = dict(component.options)
    workflow = options.pop("workflow", None)
    if workflow is None:
        if component.type.startswith("comfyui"):
            typo = nearest("workflow", options).replace("did you mean", "is it")
            reader.add_problem(
                f"{path}.workflow", f"is missing{typo}; write workflow: workflows/restore_apiformat.json"
            )
        return GeneratorSpec(component.type, None, options)
    text = reader.text(f"{path}.workflow", workflow)
    if text:
        file = located(reader, f"{path}.workflow", text, folder)
    else:
        file = None
    return GeneratorSpec(component.type, file, options)

"""The search file's ``dataset`` and ``generator``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pixaris.exceptions import nearest
from pixaris.search.file.reader import Reader, located


@dataclass(frozen=True)
class DatasetSpec:
    """The eval set.

    Attributes:
        name: Its name; with a path, the folder's.
        path: Its folder, or None where it is looked up by project and name.
        references: Folders that only metrics see.
    """

    name: str
    path: Path | None = None
    references: tuple[str, ...] = ()


@dataclass(frozen=True)
class GeneratorSpec:
    """The generator.

    Attributes:
        type: Its name (``comfyui``), or ``module:Class``.
        workflow: The workflow file in API format.
        options: Everything else, for the generator itself.
    """

    type: str
    workflow: Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


def read_dataset(reader: Reader, fields: Mapping[str, Any], folder: Path) -> DatasetSpec:
    if not reader.has(fields, "dataset", "dataset: photos"):
        return DatasetSpec("")
    value: object = fields["dataset"]
    references: tuple[str, ...] = ()
    if isinstance(value, dict):
        inner = reader.section("dataset", value, ("name", "path", "references"))
        if "references" in inner:
            references = reader.texts(
                "dataset.references", inner["references"], "write references: [Original]"
            )
        if "name" in inner and "path" in inner:
            reader.add_problem("dataset", "has a name and a path; keep one of them")
        if "path" in inner:
            place = located(reader, "dataset.path", reader.text("dataset.path", inner["path"]), folder)
            return DatasetSpec(_last_name(place), place, references)
        if not reader.required("dataset", inner, "name", "write name: photos, or path: ../photos"):
            return DatasetSpec("", None, references)
        return DatasetSpec(reader.folder_name("dataset.name", inner["name"]), None, references)
    text = reader.text("dataset", value)
    if "/" in text or text.startswith("."):
        place = located(reader, "dataset", text, folder)
        return DatasetSpec(_last_name(place), place)
    return DatasetSpec(reader.folder_name("dataset", text) if text else "")


def _last_name(path: Path) -> str:
    return os.path.basename(os.path.abspath(path))


def read_generator(reader: Reader, fields: Mapping[str, Any], folder: Path) -> GeneratorSpec:
    example = "generator: {type: comfyui, workflow: workflows/restore_apiformat.json}"
    if not reader.has(fields, "generator", example):
        return GeneratorSpec("")
    component = reader.component("generator", fields["generator"])
    options = dict(component.options)
    workflow = options.pop("workflow", None)
    if workflow is None:
        if component.type.startswith("comfyui"):
            typo = nearest("workflow", options).replace("did you mean", "is it")
            reader.add_problem(
                "generator.workflow", f"is missing{typo}; write workflow: workflows/restore_apiformat.json"
            )
        return GeneratorSpec(component.type, None, options)
    text = reader.text("generator.workflow", workflow)
    file = located(reader, "generator.workflow", text, folder) if text else None
    return GeneratorSpec(component.type, file, options)

"""A trial as something to use: its workflow with the values that it had, ready to load."""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pixaris.comfyui.graph.alternatives import CHOOSER, CHOSEN
from pixaris.comfyui.workflow import Workflow
from pixaris.exceptions import ConfigurationError
from pixaris.files import read_json
from pixaris.results.manifest import changes, read_manifest, workflow_of
from pixaris.results.paths import SearchPaths
from pixaris.results.records import SearchResult
from pixaris.results.trial import TrialResult
from pixaris.search.file.yaml_file import scalar
from pixaris.types import ParamValue

_IMAGE_FILE = re.compile(r"[^\n]+\.(?:png|jpe?g|jfif|webp|bmp|tiff?|gif|avif|heic)", re.IGNORECASE)


@dataclass(frozen=True)
class Export:
    """A trial's workflow.

    Attributes:
        workflow: In API format, with titles: every input has what the trial gave it. Image files keep the
            workflow's own names.
        changes: What differs from the search's workflow, one line for each input.
        notes: What the trial used besides, which a workflow does not hold.
    """

    workflow: Mapping[str, Any]
    changes: tuple[str, ...]
    notes: tuple[str, ...]


def export(result: SearchResult, trial: TrialResult) -> Export:
    """Read a trial's workflow from the search's folder; nothing else is needed.

    Raises:
        ConfigurationError: The trial keeps no workflow: it was never begun, or its generator has none.
    """
    paths = SearchPaths(result.folder)
    manifest, files = read_manifest(paths), paths.trial(trial.number)
    bound, run = read_json(files.workflow), read_json(files.record)
    if bound is None:
        if run is None:
            reason = f"{trial.name} has no results yet, or they are kept elsewhere"
            raise ConfigurationError(f"{files.folder} holds no workflow: {reason}")
        raise ConfigurationError(_without_workflow(trial, run))
    chosen = _chosen(run or {})
    # Parameters are called `name/Node` in a search of several generators, and `Node` in the workflow.
    run = _of_chosen(run or {}, chosen)
    bound = _as_drawn(bound, run)
    own: Mapping[str, Any] = workflow_of(manifest, chosen) or read_json(paths.trial(0).workflow) or {}
    own = _beside(own, bound)
    notes = _notes(Workflow.load(bound), manifest, trial, run)
    return Export(bound, tuple(changes(own, bound)), tuple(notes))


def _chosen(run: Mapping[str, Any]) -> str:
    """Of several generators, the name of the one that a trial ran; "" where there is one."""
    params = run.get("params", ())
    names = [one["value"] for one in params if (one["node_name"], one["input"]) == (CHOOSER, CHOSEN)]
    return str(names[-1]) if names else ""


def _of_chosen(run: Mapping[str, Any], chosen: str) -> dict[str, Any]:
    """A run's record with nodes called as the chosen generator's workflow calls them."""
    params = [
        {**one, "node_name": one["node_name"].removeprefix(f"{chosen}/")} for one in run.get("params", ())
    ]
    return {**run, "params": params if chosen else list(run.get("params", ()))}


def _beside(own: Mapping[str, Any], bound: Mapping[str, Any]) -> Mapping[str, Any]:
    """The search's own workflow, of several the one that was chosen: the nodes that the trial ran."""
    if CHOOSER not in own or CHOOSER in bound:
        return own
    return {key: node for key, node in own.items() if key in bound}


def _without_workflow(trial: TrialResult, run: Mapping[str, Any]) -> str:
    options = ", ".join(f"{param['input']}: {param['value']!r}" for param in run.get("params", ()))
    arguments = " ".join(
        f"--param {shlex.quote(f'{name}={as_param(value)}')}" for name, value in trial.values.items()
    )
    return (
        f"{trial.name} was made without a workflow, so there is none to write. What was asked for is"
        f" {options or 'nothing'}; to use it: pixaris run FILE {arguments}"
    )


def _notes(
    bound: Workflow, manifest: Mapping[str, Any], trial: TrialResult, run: Mapping[str, Any]
) -> list[str]:
    notes = [
        f"node {node!r} loaded {image}, which is no part of a workflow: load it there"
        for node, image in _chosen_images(manifest.get("space", {}), trial.values)
    ]
    set_by_trial = {
        (node.id, param["input"])
        for param in run.get("params", ())
        if (node := bound.find(param["node_name"]))
    }
    # Told, because the image that is made of this workflow is none of those that were scored.
    free = [(node, name) for node, name in bound.seeds() if (node.id, name) not in set_by_trial]
    notes += [
        f"node {node.title!r}, input {name!r}: every item had a seed of its own; the workflow's stands"
        for node, name in free
    ]
    return notes + _files(bound, run)


_PRECISE = 12
"""Digits of a searched number that may stand for it, if the rest is only left over from counting in steps."""


def _as_drawn(bound: Mapping[str, Any], run: Mapping[str, Any]) -> dict[str, Any]:
    """The workflow with searched fractions as they were drawn: 0.3, not 0.30000000000000004."""
    workflow = Workflow.load(bound)
    graph: dict[str, Any] = json.loads(json.dumps(bound))
    for param in run.get("params", ()):
        node, value = workflow.find(param["node_name"]), param["value"]
        if node is not None and isinstance(value, float):
            inputs = graph[node.id]["inputs"]
            short = float(f"{value:.{_PRECISE}g}")
            # Only what lies within rounding: a number that has so many digits on purpose keeps them.
            if inputs.get(param["input"]) == value and math.isclose(short, value, rel_tol=1e-14):
                inputs[param["input"]] = short
    return graph


def _files(bound: Workflow, run: Mapping[str, Any]) -> list[str]:
    """Names of files that the workflow still loads: those of whoever exported it."""
    found = []
    for node in bound.nodes.values():
        for name, value in node.inputs.items():
            if isinstance(value, str) and _IMAGE_FILE.fullmatch(value):
                found.append(
                    f"node {node.title!r}, input {name!r} still names the file {value!r}: load your own"
                )
    return found


def _chosen_images(space: Mapping[str, Any], values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Title of the node and the image, for every image that the trial chose."""
    found: list[tuple[str, str]] = []
    for name, row in space.items():
        if name not in values:
            continue
        if "images" in row:
            found.append((row["node_name"], str(values[name])))
        elif isinstance(row.get("targets"), Mapping):
            options = next((options for options in row.values() if isinstance(options, list)), [])
            loads = {
                part for option in options for part, given in option.items() if isinstance(given, Mapping)
            }
            found += [
                (row["targets"][part]["node_name"], f"its image of {values[name]}") for part in sorted(loads)
            ]
    return found


def as_param(value: ParamValue) -> str:
    """A value as ``--param`` reads it."""
    if isinstance(value, str) and scalar(value)[0] == value:
        return value
    return json.dumps(value, ensure_ascii=False)

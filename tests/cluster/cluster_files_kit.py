"""KubeRay's and Kubernetes' rules, as far as the files in `cluster/` need them."""

from __future__ import annotations

import json
import lzma
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import yaml

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "cluster"
DATA = ROOT / "tests" / "data" / "kuberay"
_IN_RAY_START_PARAMS = ("num-cpus", "num-gpus", "memory", "resources")


def has_kubectl() -> bool:
    """Whether there is a kubectl that knows kustomize's components."""
    try:
        done = subprocess.run(
            ["kubectl", "version", "--client", "--output=json"], capture_output=True, text=True, check=True
        )
        found = json.loads(done.stdout)["clientVersion"]
        return (int(found["major"]), int(found["minor"].rstrip("+"))) >= (1, 21)
    except (OSError, subprocess.CalledProcessError, ValueError, KeyError):
        return False


def rendered(overlay: str) -> list[dict[str, Any]]:
    """The documents of an overlay, as kubectl renders them."""
    words = ["kubectl", "kustomize", str(CLUSTER / "kubernetes" / "overlays" / overlay)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def schema(kind: str) -> dict[str, Any]:
    """The strict schema of a custom resource: fields that it does not know are refused."""
    names = {"RayJob": "rayjobs", "RayCluster": "rayclusters"}
    loaded = json.loads(lzma.decompress((DATA / f"{names[kind]}.v1.json.xz").read_bytes()))
    strict: dict[str, Any] = _strict(loaded)
    strict["properties"]["metadata"] = {"type": "object"}
    return strict


def pod_schema() -> dict[str, Any]:
    """The strict schema of a pod template: the one that a RayCluster has for its head."""
    group = schema("RayCluster")["properties"]["spec"]["properties"]["headGroupSpec"]
    found: dict[str, Any] = group["properties"]["template"]
    return found


def _strict(node: Any) -> Any:
    """Kubernetes' way of writing a schema in JSON schema's, and strict."""
    if isinstance(node, list):
        return [_strict(one) for one in node]
    if not isinstance(node, dict):
        return node
    out = {key: _strict(value) for key, value in node.items() if not key.startswith("x-kubernetes")}
    if node.get("x-kubernetes-int-or-string"):
        out.pop("anyOf", None)
        out["type"] = ["integer", "string"]
    open_ended = node.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in node
    if isinstance(node.get("properties"), dict) and node.get("type") == "object" and not open_ended:
        out["additionalProperties"] = False
    return out


def problems(document: Any, rules: Mapping[str, Any]) -> list[str]:
    """What is wrong with a document."""
    validator = jsonschema.Draft202012Validator(rules)
    return [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(document)]


def cluster_spec(document: Mapping[str, Any]) -> dict[str, Any]:
    """What a RayCluster or RayJob says of its cluster."""
    spec = document["spec"]
    found: dict[str, Any] = spec if document["kind"] == "RayCluster" else spec["rayClusterSpec"]
    return found


def operator_problems(spec: Mapping[str, Any]) -> list[str]:
    """What KubeRay's operator refuses although the schema lets it through."""
    found = []
    groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    names = [group["groupName"] for group in spec["workerGroupSpecs"]]
    if len(set(names)) != len(names):
        found.append(f"group names are not unique: {names}")
    for group in groups:
        doubled = [name for name in _IN_RAY_START_PARAMS if name in group.get("rayStartParams", {})]
        if doubled and "resources" in group:
            found.append(f"{doubled} in rayStartParams, beside resources")
    for group in spec["workerGroupSpecs"]:
        if not group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]:
            found.append(f"{group['groupName']}: minReplicas <= replicas <= maxReplicas")
    return found


def commands(text: str) -> Iterator[list[str]]:
    """Every call of pixaris and ray in a text, as words."""
    import shlex

    flat = text.replace("\\\n", " ")
    for line in flat.splitlines():
        for part in line.replace("&&", "\n").replace(";", "\n").splitlines():
            words = [word for word in shlex.split(part, comments=True) if word]
            while words and "=" in words[0] and not words[0].startswith("-"):
                words = words[1:]
            if words[:1] in (["pixaris"], ["ray"]):
                yield words

"""Every node this server has, by class name: what it declares, and how it runs."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from pixaris.comfyui.server import dynamic
from pixaris.comfyui.server.declarations import declarations
from pixaris.comfyui.server.nodes import files, images, masks, resizing
from pixaris.comfyui.server.nodes.files import RunContext
from pixaris.comfyui.server.nodes.tensors import Tensor
from pixaris.comfyui.server.storage import Folders
from pixaris.files import JsonMapping, JsonObject

_PURE = {**images.NODES, **masks.NODES, "ResizeImageMaskNode": resizing.resize_image_mask}
_LOADERS = ("LoadImage", "LoadImageMask")


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a node gives.

    Attributes:
        values: One tensor per output slot.
        ui: What it shows: ``{"images": […]}`` of nodes that save, else None.
    """

    values: tuple[Tensor, ...]
    ui: dict[str, object] | None = None


def object_info(folders: Folders, class_type: str | None = None) -> JsonObject:
    """Return the declarations of all nodes or of one (an unknown one: empty), listing the input folder as it
    is now.
    """
    known = declarations()
    chosen = (
        dict(known) if class_type is None else {name: known[name] for name in (class_type,) if name in known}
    )
    for name in _LOADERS:
        if name in chosen:
            chosen[name] = copy.deepcopy(chosen[name])
            chosen[name]["input"]["required"]["image"][0] = folders.input_names()
    return chosen


def refuse(class_type: str, folders: Folders, inputs: Mapping[str, object]) -> str | None:
    """Check what declarations cannot say, before a prompt is queued: the file that a loader names must exist.

    Returns:
        The objection, or None.

    Raises:
        AttributeError, TypeError: As ComfyUI's own checks raise them: the name is not a text, or is missing.
    """
    if class_type not in _LOADERS:
        return None
    if "image" not in inputs or isinstance(inputs["image"], list):
        raise TypeError(f"{class_type}.VALIDATE_INPUTS() missing 1 required positional argument: 'image'")
    name = inputs["image"]
    if not isinstance(name, str):
        raise AttributeError(f"'{type(name).__name__}' object has no attribute 'endswith'")
    try:
        exists = folders.source(name).exists()
    except ValueError:
        exists = False
    if exists:
        return None
    return f"Invalid image file: {name}"


def fingerprint(class_type: str, folders: Folders, inputs: Mapping[str, object]) -> str:
    """Return what a node's result depends on beside its inputs: the digest of the file it loads, else
    nothing.

    Raises:
        OSError, ValueError: The file cannot be read.
    """
    if class_type not in _LOADERS:
        return ""
    return hashlib.sha256(folders.source(str(inputs.get("image"))).read_bytes()).hexdigest()


def run(class_type: str, context: RunContext, inputs: JsonMapping) -> Outputs:
    """Run one node. Inputs it does not declare are ignored.

    Raises:
        Exception: Whatever the node raises; ComfyUI reports it as an execution error.
    """
    names = [name for name, _, _ in dynamic.declared(class_type, inputs)]
    known = dynamic.nested({name: inputs[name] for name in names if name in inputs})
    if class_type in _PURE:
        return Outputs((_PURE[class_type](**known),))
    if class_type == "LoadImage":
        return Outputs(files.load_image(context, **known))
    if class_type == "LoadImageMask":
        return Outputs((files.load_image_mask(context, **known),))
    save = files.save_image if class_type == "SaveImage" else files.preview_image
    return Outputs((inputs["images"],), {"images": save(context, **known)})

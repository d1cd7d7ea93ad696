"""Which model files a graph has loaded: what requests have in common that one server serves best."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from pixaris.comfyui.graph.node import Node
from pixaris.comfyui.object_info import ObjectInfo, is_model_file

_MODEL_INPUT = re.compile(
    r"(ckpt|checkpoint|unet|diffusion_model|model|vae|clip|clip_vision|text_encoder|lora|control_?net|control_net|style_model"
    r"|gligen|upscale_model|hypernetwork|ipadapter|pulid|embedding)(_file|_name)\w*|(clip|lora|model)_?\d+|lora|unet|ckpt"
)
_IMAGE_INPUTS = frozenset(("image", "images", "pixels", "samples", "latent", "latent_image", "mask"))
_IMAGE_TYPES = frozenset(("IMAGE", "LATENT", "MASK"))


def affinity_key(nodes: Mapping[str, Node], info: ObjectInfo | None = None) -> str:
    """Equal for graphs that need the same model files loaded; empty if the graph loads none.

    Args:
        nodes: The graph.
        info: With it, inputs whose options are model files count, whatever their name.
    """
    loaders = (node for node in nodes.values() if not _works_on_images(node, nodes, info))
    files: set[str] = set()
    for node in loaders:
        files.update(_files(node, info))
    return "\n".join(sorted(files))


def _files(node: Node, info: ObjectInfo | None) -> Iterator[str]:
    """The model files that a node loads, each with the input it stands in."""
    for name, value in node.literals():
        if isinstance(value, str) and value and _loads_model(node, name, value, info):
            yield f"{name}={value}"


def _works_on_images(node: Node, nodes: Mapping[str, Node], info: ObjectInfo | None) -> bool:
    for name, source, slot in node.links():
        if info and source in nodes:
            outputs = info.outputs(nodes[source].class_type)
        else:
            outputs = ()
        if slot < len(outputs):
            if outputs[slot] in _IMAGE_TYPES:
                return True
        elif name in _IMAGE_INPUTS:
            return True
    return False


def _loads_model(node: Node, name: str, value: str, info: ObjectInfo | None) -> bool:
    if node.is_off(name):
        return False
    if info:
        spec = info.input(node.class_type, name, node.inputs)
    else:
        spec = None
    if spec is not None:
        return spec.lists_models or (spec.type == "COMBO" and not spec.upload and is_model_file(value))
    if name not in node.inputs:  # in a structure, where names mean less
        return is_model_file(value)
    return _MODEL_INPUT.fullmatch(name) is not None or is_model_file(value)

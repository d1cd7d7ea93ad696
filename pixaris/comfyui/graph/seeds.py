"""Which literals of a graph are seeds: those that are called so, and what inputs called so are linked to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from pixaris.comfyui.graph.node import Node
from pixaris.comfyui.object_info import ObjectInfo

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_BEHIND = frozenset(("num", "number", "value", "int", "integer", "val"))
"""Words that may stand behind "seed" without making something else of it, as "strength" or "mode" would."""
_NUMBER_NAMES = _BEHIND | {"a", "x"}
_NUMBER_TYPES = frozenset(("INT", "FLOAT", "NUMBER", "*", ""))
_SIZES = frozenset(
    ("width", "height", "length", "steps", "cfg", "batch_size", "frames", "fps", "denoise", "count", "index")
)
# Real graphs have a handful: a longer chain is no seed that anybody meant.
_FAR = 32
"""Links that are followed from an input to its number."""


def is_seed(name: str) -> bool:
    """Whether an input is called a seed: ``noise_seed``, ``rand_seed``, ``sampling_mode.seed``, ``seed_num``;
    not ``seed_mode``.
    """
    words = [word.lower() for word in _WORDS.findall(name.rpartition(".")[2])]
    for index, word in enumerate(words):
        if word.endswith("seed"):
            return all(behind in _BEHIND or behind.isdecimal() for behind in words[index + 1 :])
    return False


def seeds(nodes: Mapping[str, Node], info: ObjectInfo | None = None) -> tuple[tuple[Node, str], ...]:
    """The literals that seed a graph, each once: node, and name of the literal in it.

    A seed that comes through a link (a primitive, a node that makes seeds, a reroute, a sum) is followed to
    the literals that it comes from. A number that sets a size as well is left alone.

    Args:
        nodes: The graph.
        info: What a server says of its nodes; with it, only links that may carry numbers are followed.
    """
    found: dict[tuple[str, str], None] = {}
    for node in nodes.values():
        for name, value in node.literals():
            if is_seed(name) and _is_number(value):
                found[node.id, name] = None
        for name, source, slot in node.links():
            if is_seed(name):
                found.update(dict.fromkeys(_origins(nodes, source, slot, info)))
    return tuple((nodes[key], name) for key, name in found)


def _origins(
    nodes: Mapping[str, Node], source: str, slot: int, info: ObjectInfo | None
) -> Iterator[tuple[str, str]]:
    """The literals that an output's number comes from."""
    ahead, seen = [(source, slot, 0)], set()
    while ahead:
        key, at, far = ahead.pop()
        node = nodes.get(key)
        if node is None or key in seen or far > _FAR or not _gives_a_number(node, at, info):
            continue
        seen.add(key)
        own = [name for name, value in node.literals() if is_seed(name) and _is_number(value)]
        # A node with a seed of its own says which number it is; else any number that is there to be one.
        own = own or _plain_numbers(node)
        if own:
            yield from ((key, name) for name in own if is_seed(name) or not _is_a_size(nodes, key, info))
        else:
            ahead += [(other, place, far + 1) for _, other, place in node.links()]


def _plain_numbers(node: Node) -> list[str]:
    """The number of a node that is there to hold one: ``value`` of a primitive, or its only whole number."""
    whole = [name for name, value in node.literals() if type(value) is int]
    named = [name for name in whole if name.lower() in _NUMBER_NAMES]
    if len(named) == 1:
        return named
    if len(whole) == 1 and not any(node.links()):
        return whole
    return []


def _gives_a_number(node: Node, slot: int, info: ObjectInfo | None) -> bool:
    if info is not None:
        outputs = info.outputs(node.class_type)
    else:
        outputs = ()
    if 0 <= slot < len(outputs):
        kind = outputs[slot]
    else:
        kind = ""
    return kind.startswith("COMFY_") or not _NUMBER_TYPES.isdisjoint(part.strip() for part in kind.split(","))


def _is_a_size(nodes: Mapping[str, Node], source: str, info: ObjectInfo | None) -> bool:
    """Whether a node's number is linked to an input that counts or measures something, too."""
    for node in nodes.values():
        for name, key, _ in node.links():
            if info is not None:
                spec = info.input(node.class_type, name, node.inputs)
            else:
                spec = None
            if spec is None:
                counts = name.rpartition(".")[2] in _SIZES
            else:
                counts = spec.type in ("INT", "FLOAT")
            # A number that also counts steps would change them with every item.
            if key == source and counts and not is_seed(name):
                return True
    return False


def _is_number(value: object) -> bool:
    return type(value) in (int, float)

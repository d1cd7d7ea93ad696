"""``--set key=value``: changing a search file's values from the command line."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from pixaris.exceptions import ConfigurationError
from pixaris.search.file.reader import masked, shown
from pixaris.search.file.yaml_file import Document, join, parse_yaml


def apply_overrides(document: Document, overrides: Sequence[str]) -> Document:
    """Return the document with the overrides' values; ``key=null`` removes a key.

    Args:
        document: What the file says; its value is a mapping.
        overrides: ``dotted.key=value`` each, the value in YAML; a number in the key is an index into a list.

    Returns:
        A new document. An override that cannot be applied is one of its faults.
    """
    value = copy.deepcopy(document.value)
    lines = dict(document.lines)
    faults = list(document.faults)
    for override in overrides:
        key, _, text = override.partition("=")
        keys = key.strip().split(".")
        path = ".".join(keys)
        try:
            if "=" not in override or not all(keys):
                raise _UnusableError(f"must be key=value, as in search.num_samples=4 (got {shown(override)})")
            if not text.strip():
                raise _UnusableError(f"has no value; write --set {path}=null to remove the key")
            if text.strip() not in ("null", "~"):
                read = parse_yaml(text)
            else:
                read = Document(None)
            _put(value, keys, read.value)
        except (_UnusableError, ConfigurationError) as error:
            if isinstance(error, _UnusableError) and "=" not in override:
                where = f"--set {shown(override)}"
            else:
                where = f"--set {masked(path)}"
            faults.append((where, str(error)))
            continue
        lines = {
            known: line for known, line in lines.items() if known != path and not known.startswith(f"{path}.")
        }
        lines[path] = 0
        for depth in range(1, len(keys)):  # sections that the file does not have
            lines.setdefault(".".join(keys[:depth]), 0)
        faults = [fault for fault in faults if fault[0] != path and not fault[0].startswith(f"{path}.")]
        faults += [(join(path, inner) if inner else path, message) for inner, message in read.faults]
    return Document(value, lines, tuple(faults))


class _UnusableError(Exception):
    """An override that cannot be applied."""


def _put(root: Any, keys: Sequence[str], value: Any) -> None:  # noqa: ANN401  (any YAML value)
    here = root
    for depth, key in enumerate(keys):
        last = depth == len(keys) - 1
        slot: Any = key
        if isinstance(here, list):
            slot = _index(here, keys[:depth], key)
            if slot == len(here):
                here.append(None)
        elif not isinstance(here, dict):
            parent = ".".join(keys[:depth])
            raise _UnusableError(
                f"{parent} is {shown(here)} and has no key {key!r}; set it as a whole: {parent}={{...}}"
            )
        if last and value is None:
            if isinstance(here, dict):
                here.pop(slot, None)
            else:
                del here[slot]
        elif last:
            here[slot] = value
        else:
            if isinstance(here, list):
                inner = here[slot]
            else:
                inner = here.get(slot)
            if inner is None:
                here[slot] = {}
            else:
                here[slot] = inner
            here = here[slot]


def _index(items: list[object], parents: Sequence[str], key: str) -> int:
    if key.isascii() and key.isdigit() and int(key[:9]) <= len(items):
        return int(key[:9])
    raise _UnusableError(
        f"{'.'.join(parents)} is a list of {len(items)}: {key!r} must be a number from 0 to {len(items)}"
    )

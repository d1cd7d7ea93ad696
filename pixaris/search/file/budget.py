"""The search file's ``budget``: what a search may spend."""

from __future__ import annotations

from dataclasses import fields

from pixaris.results.budget import Budget
from pixaris.search.file.reader import Reader
from pixaris.search.file.yaml_file import join


def read_budget(reader: Reader, path: str, value: object) -> Budget:
    """The section ``budget``."""
    given = reader.section(path, value, tuple(field.name for field in fields(Budget)))
    return Budget(
        images=reader.whole(join(path, "images"), given["images"], at_least=1) if "images" in given else None,
        **{
            name: reader.above(join(path, name), given[name], 0)
            for name in ("seconds", "endpoint_seconds", "credits")
            if name in given
        },
    )

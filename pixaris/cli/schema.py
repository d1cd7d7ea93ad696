"""``pixaris schema``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from pixaris.exceptions import StorageError
from pixaris.search.file.schema.classes import Schema


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "-o", "--output", metavar="FILE", type=Path, help="write it there instead of printing it"
    )


def main(options: argparse.Namespace) -> int:
    """Print the schema, or write it."""
    from pixaris.files import write_text
    from pixaris.search.file.schema.document import MODELINE

    text = as_text(schema())
    if options.output is None:
        print(text, end="")
        return 0
    try:
        write_text(options.output, text)
    except OSError as error:
        reason = error.strerror or error
        raise StorageError(f"{options.output} cannot be written: {reason}; name another file") from None
    print(f"{options.output}: begin a search file with")
    print(f"{MODELINE}{options.output.name}")
    return 0


def schema() -> Schema:
    """The search file's schema, with the metrics and generators that come with Pixaris."""
    from pixaris.components import GENERATORS, METRICS
    from pixaris.generation.base import ImageGenerator
    from pixaris.metrics.base import BaseMetric
    from pixaris.plugins import resolve
    from pixaris.search.file.schema.document import search_file_schema

    metrics = {name: resolve(name, METRICS, BaseMetric) for name in METRICS}
    generators = {name: resolve(name, GENERATORS, ImageGenerator) for name in GENERATORS}
    return search_file_schema(metrics, generators)


def as_text(document: Schema) -> str:
    """A schema as its file has it."""
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"

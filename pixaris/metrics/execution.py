"""What a metric may know of a generated image besides its pixels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pixaris.exceptions import ConfigurationError, MetricError
from pixaris.images import EncodedImage
from pixaris.types import EvalItem, GeneratedImage, GenerationParam, ParamValue

_PLACEHOLDER = re.compile(r"(?<!\{)\{([^\W\d]\w*)\}(?!\})|\{\{([^\W\d]\w*)\}\}")
"""A column in single braces, or a word in double ones; JSON in a prompt is neither."""


@dataclass(frozen=True)
class Execution:
    """One workflow execution, as a metric sees it that needs to know more than pixels.

    Attributes:
        image: The generated image.
        item: The eval item it was generated for.
        generated: How it was generated: where, in how many seconds, at what cost; None for an image that
            existed before.
        params: The run's parameter set.
        workflow: The bound workflow in API format, where there is one.
    """

    image: EncodedImage
    item: EvalItem
    generated: GeneratedImage | None = None
    params: tuple[GenerationParam, ...] = ()
    workflow: Mapping[str, Any] | None = field(default=None, repr=False)

    def value(self, node_name: str, input: str) -> ParamValue:
        """The value that an input of a node had, by the node's title or id: a parameter's, else the
        workflow's own.

        Raises:
            MetricError: Neither gives one.
        """
        for param in reversed(self.params):
            if (param.node_name, param.input) == (node_name, input):
                return param.value
        for node_id, node in (self.workflow or {}).items():
            if node_name in (node.get("_meta", {}).get("title"), node_id):
                value = node["inputs"].get(input)
                if isinstance(value, str | int | float | bool):
                    return value
        raise MetricError(f"input {input!r} of node {node_name!r} has no value in this run")


@dataclass(frozen=True)
class Prompt:
    """The text that a metric holds images against: one for all, what an input of the workflow had, or a
    column of an eval set of prompts.

    >>> from PIL import Image
    >>> image = EncodedImage.of(Image.new("RGB", (8, 8)))
    >>> boat = GenerationParam("Positive Prompt", "text", "a green boat")
    >>> execution = Execution(image, EvalItem(0, "lake"), params=(boat,))
    >>> Prompt.of("a red boat").read(execution)
    'a red boat'
    >>> Prompt.of({"node_name": "Positive Prompt", "input": "text"}).read(execution)
    'a green boat'
    >>> item = EvalItem(0, "lake", texts={"caption": "a blue boat"})
    >>> Prompt.of({"column": "caption"}).read(Execution(image, item))
    'a blue boat'
    """

    text: str = ""
    node_name: str = ""
    input: str = "text"
    column: str = ""

    @classmethod
    def of(cls, given: object) -> Prompt:
        """Read a metric's option ``prompt``: text, ``{node_name, input}``, or ``{column}``.

        Raises:
            ConfigurationError: It is neither.
        """
        if isinstance(given, Prompt):
            return given
        if isinstance(given, str) and given.strip():
            return cls(text=given)
        if isinstance(given, Mapping) and given and set(given) <= {"node_name", "input"}:
            node_name, input = given.get("node_name"), given.get("input", "text")
            if isinstance(node_name, str) and node_name and isinstance(input, str) and input:
                return cls(node_name=node_name, input=input)
        if isinstance(given, Mapping) and set(given) == {"column"}:
            column = given["column"]
            if isinstance(column, str) and column:
                return cls(column=column)
        place = "{node_name: Positive Prompt, input: text}"
        column = "a column of the eval set: {column: prompt}"
        raise ConfigurationError(
            f"prompt must be text, its place in the workflow: {place}, or {column} (got {given!r})"
        )

    def read(self, execution: Execution) -> str:
        """The prompt of an execution.

        Raises:
            MetricError: The input has no value in this run, or the item no text in that column.
        """
        if self.column:
            return text_of(execution.item, self.column)
        if self.node_name:
            return str(execution.value(self.node_name, self.input))
        return self.text


def text_of(item: EvalItem, column: str) -> str:
    """An item's text in a column of its eval set.

    Raises:
        MetricError: It has none.
    """
    try:
        return item.texts[column]
    except KeyError:
        raise MetricError(f"item {item.name!r} has no text in column {column!r}") from None


def placeholders(text: str) -> tuple[str, ...]:
    """The columns that a text names, as ``{expected}``; ``{{expected}}`` stands for the word in braces."""
    return tuple(dict.fromkeys(found[1] for found in _PLACEHOLDER.finditer(text) if found[1]))


def filled(text: str, item: EvalItem) -> str:
    """A text with an item's own in place of the columns that it names.

    >>> filled("Is there {expected}?", EvalItem(0, "lake", texts={"expected": "a boat"}))
    'Is there a boat?'

    Raises:
        MetricError: The item has no such column.
    """
    return _PLACEHOLDER.sub(lambda found: text_of(item, found[1]) if found[1] else f"{{{found[2]}}}", text)

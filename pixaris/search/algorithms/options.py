"""What an algorithm or scheduler takes: a table where it is ours to say, the class's own signature where it
is not.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal, TypeAlias

from pixaris.search.file.reader import Reader, shown
from pixaris.search.file.yaml_file import join

Form: TypeAlias = Literal["whole", "number", "flag", "text", "mapping", "guards"]

_FORMS: Mapping[str, Form] = {
    "bool": "flag",
    "int": "whole",
    "float": "number",
    "str": "text",
    "dict": "mapping",
    "Dict": "mapping",
    "Mapping": "mapping",
}
_GUARD = "{metric: lpips, worse_by: 0.02, than: baseline}"
_WORD = re.compile(r"\b(bool|int|float|str|dict|Dict|Mapping)\b")


@dataclass(frozen=True)
class Option:
    """One option.

    Attributes:
        form: What kind of value it takes.
        at_least: Its smallest value, if it is a whole number and has one.
        at_most: Its largest value, likewise.
        above: What it must be above, if it is a number and there is such a limit.
    """

    form: Form = "whole"
    at_least: int | None = None
    at_most: int | None = None
    above: float | None = None

    def read(self, reader: Reader, path: str, value: object) -> object:
        """The value, or None after telling the reader what is wrong with it."""
        if self.form == "whole":
            # A whole number without a limit counts something, so it is not negative.
            return reader.whole(path, value, self.at_least or 0, self.at_most)
        if self.form == "number":
            if self.above is None:
                return reader.number(path, value)
            return reader.above(path, value, self.above)
        if self.form == "text":
            return reader.text(path, value) or None
        if self.form == "mapping":
            return reader.mapping(path, value)
        if self.form == "guards":
            return _guards(reader, path, value)
        if isinstance(value, bool):
            return value
        reader.add_problem(path, f"must be true or false (got {shown(value)})")
        return None


WHOLE = Option(at_least=1)
NUMBER = Option("number")
FLAG = Option("flag")
GUARDS = Option("guards")


def _guards(reader: Reader, path: str, value: object) -> list[dict[str, Any]] | None:
    """Scores that must not suffer: ``[{metric: lpips, worse_by: 0.02, than: baseline}]``."""
    found = []
    before = len(reader.problems)
    for index, entry in enumerate(reader.items(path, value, f"write {path}: [{_GUARD}]")):
        where = join(path, index)
        fields = reader.section(where, entry, ("metric", "worse_by", "than"))
        name = reader.text(join(where, "metric"), fields.get("metric", ""))
        worse_by = reader.number(join(where, "worse_by"), fields.get("worse_by", 0.0))
        # Both in one problem: whoever forgets one needs the whole form.
        if "metric" not in fields or "worse_by" not in fields:
            reader.add_problem(where, f"needs metric and worse_by: {_GUARD}")
        elif worse_by is not None and worse_by < 0:
            reader.add_problem(join(where, "worse_by"), f"must be at least 0 (got {worse_by:g})")
        if fields.get("than", "baseline") != "baseline":
            reader.add_problem(join(where, "than"), f"must be baseline (got {shown(fields['than'])})")
        found.append({"metric": name, "worse_by": worse_by, "than": "baseline"})
    if len(reader.problems) == before:
        return found
    return None


def options_of(homes: Collection[str], not_ours: Collection[str] = ()) -> dict[str, Option]:
    """The options that classes take as text, numbers, booleans and mappings; what takes an object cannot be
    written in a file.

    Args:
        homes: ``module:Class`` each. A class whose package is not installed adds none.
        not_ours: Arguments that the search itself gives.
    """
    found: dict[str, Option] = {}
    for home in homes:
        module, _, name = home.partition(":")
        try:
            cls = getattr(import_module(module), name)
        except ImportError:
            continue
        for argument in inspect.signature(cls).parameters.values():
            # Annotations in these libraries are texts or objects, `Optional[int]` or `int | None`: the first
            # known word in it decides.
            form = _form(argument)
            if form is not None and argument.name not in not_ours:
                found.setdefault(argument.name, Option(form))
    return found


def _form(argument: inspect.Parameter) -> Form | None:
    if argument.kind in (argument.VAR_POSITIONAL, argument.VAR_KEYWORD):
        return None
    if argument.annotation is argument.empty:
        return _FORMS.get(type(argument.default).__name__)
    if isinstance(argument.annotation, str):
        text = argument.annotation
    else:
        text = _name(argument.annotation)
    # Left out: a file cannot hold a function, and options here have no form for lists.
    if re.search(r"Callable|[Ll]ist|Sequence", text):
        word = None
    else:
        word = _WORD.search(text)
    if word:
        return _FORMS[word.group(1)]
    return None


def _name(annotation: object) -> str:
    if isinstance(annotation, type):
        return annotation.__name__
    return str(annotation)

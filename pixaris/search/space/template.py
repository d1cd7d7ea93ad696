"""Prompt templates: a text with parameters in it."""

from __future__ import annotations

import itertools
import math
import re
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from pixaris.exceptions import ConfigurationError, nearest
from pixaris.search.space.conditions import Condition
from pixaris.search.space.domain import Domain
from pixaris.search.space.fit import Target
from pixaris.types import ParamValue

_FORMAT = re.compile(r"[-+ ]?0?[0-9]{0,3}(\.[0-9]{1,2})?[defgEG%]?|[<>^]?[0-9]{0,3}")
# Enough to see what is wrong with texts; a grid of prompts may have millions.
_MOST = 1000


@dataclass(frozen=True)
class Template:
    """A text whose ``{placeholders}`` are parameters: ``a photo of {subject}, {style}``; ``{weight:.2f}``
    rounds a number.

    Attributes:
        name: Unique in its space.
        targets: The node inputs that are given the text.
        text: The text; ``{{`` and ``}}`` stand for braces.
        when: Conditions; all must hold.

    Raises:
        ConfigurationError: It has no placeholder, or one that cannot be read.
    """

    name: str
    targets: tuple[Target, ...]
    text: str
    when: tuple[Condition, ...] = ()

    def __post_init__(self) -> None:
        try:
            pieces = list(string.Formatter().parse(self.text))
        except ValueError as error:
            raise ConfigurationError(
                f"cannot be read: {error}; write {{{{ and }}}} for braces that stay"
            ) from None
        faults = []
        for _, name, form, conversion in pieces:
            if name is None:
                continue
            if conversion or not _FORMAT.fullmatch(form or ""):
                written = f"{{{name}{f'!{conversion}' if conversion else ''}{f':{form}' if form else ''}}}"
                faults.append(
                    f"has the placeholder {written}, whose form is not known; write {{{name}}} or"
                    f" {{{name}:.2f}}"
                )
        if not any(name is not None for _, name, _, _ in pieces):
            faults.append(
                f"has no placeholder (got {self.text[:80]!r}); write {{subject}}, or give the text as a"
                " constant"
            )
        if faults:
            raise ConfigurationError(faults)

    @cached_property
    def _pieces(self) -> list[tuple[str, str | None, str]]:
        return [(text, name, form or "") for text, name, form, _ in string.Formatter().parse(self.text)]

    @property
    def placeholders(self) -> tuple[str, ...]:
        """Names of the parameters in it, each once."""
        return tuple(dict.fromkeys(name for _, name, _ in self._pieces if name is not None))

    def render(self, values: Mapping[str, ParamValue]) -> str:
        """The text with values; a placeholder without one leaves its place empty."""
        return "".join(
            text + (_formatted(values[name], form) if name is not None and name in values else "")
            for text, name, form in self._pieces
        )

    def read(self, text: str, domains: Mapping[str, Domain]) -> dict[str, ParamValue] | None:
        """The values with which the template gives a text, or None if there are none, or none that can be
        known.

        Args:
            text: A workflow's own prompt, as a rule.
            domains: Of the placeholders; only listed values are looked for.
        """
        # Any number of a range could be meant, and be written in many ways.
        if not all(domains[name].options for name in self.placeholders):
            return None
        pattern, seen = "", set()
        for piece, name, form in self._pieces:
            pattern += re.escape(piece)
            if name is None:
                continue
            forms = "|".join(re.escape(_formatted(option, form)) for option in domains[name].options)
            pattern += (
                f"(?P<p{self.placeholders.index(name)}>{forms})" if name not in seen else f"(?:{forms})"
            )
            seen.add(name)
        found = re.fullmatch(pattern, text)
        if found is None:
            return None
        read = {
            name: self._option(name, domains[name], found[f"p{at}"])
            for at, name in enumerate(self.placeholders)
        }
        # A placeholder that stands twice may be written in two forms: the whole must come out again.
        if self.render(read) == text:
            return read
        return None

    def _option(self, name: str, domain: Domain, text: str) -> ParamValue:
        """The option that a placeholder's form writes so; the pattern has found that there is one."""
        forms = self._forms(name)
        for option in domain.options:
            if any(_formatted(option, form) == text for form in forms):
                return option
        raise AssertionError("the pattern is made of the options' own forms")

    def _forms(self, name: str) -> list[str]:
        return [form for _, placeholder, form in self._pieces if placeholder == name]

    def faults(self, domains: Mapping[str, Domain]) -> list[str]:
        """What is wrong with its placeholders.

        Args:
            domains: Every parameter's.
        """
        faults = []
        for name in self.placeholders:
            if name not in domains:
                if domains:
                    known = f"{nearest(name, domains)}; parameters are {', '.join(domains)}"
                else:
                    known = ""
                faults.append(
                    f"has the placeholder {{{name}}}, which is no parameter{known}; write {{{{ and }}}} for"
                    " braces that stay"
                )
                continue
            sample: Sequence[ParamValue] = domains[name].options or domains[name].bounds or ()
            for form in self._forms(name):
                try:
                    for value in sample:
                        _formatted(value, form)
                except ValueError:
                    faults.append(
                        f"has the placeholder {{{name}:{form}}}, and {name} is {domains[name].describe()};"
                        f" write {{{name}}}"
                    )
        return faults

    def texts(self, domains: Mapping[str, Domain]) -> Iterable[str]:
        """Texts that it gives: all of them, or, if there are more than 1000, some with every placeholder's
        values in turn.
        """
        samples = {
            name: [*(domains[name].options or domains[name].bounds or ())][:_MOST]
            for name in self.placeholders
        }
        if math.prod(len(values) for values in samples.values()) <= _MOST:
            sets = (
                dict(zip(samples, values, strict=True)) for values in itertools.product(*samples.values())
            )
        else:
            first = {name: values[0] for name, values in samples.items()}
            sets = ({**first, name: value} for name, values in samples.items() for value in values)
        return dict.fromkeys(self.render(values) for values in itertools.islice(sets, _MOST))


def _formatted(value: ParamValue, form: str) -> str:
    if isinstance(value, bool):
        return format(str(value).lower(), form)
    if isinstance(value, int) and form.endswith(tuple("efgEG%")):
        return format(float(value), form)
    return format(value, form)

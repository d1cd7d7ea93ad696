"""The keys of a source's section in a search file, as values: what each takes, and which attribute it
becomes.

A source declares its keys here; `pixaris.search.file.endpoints` reads them. So a new source is one module,
one line in `catalog`, and one row of docs/search-file.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

MOST = 1000
"""Replicas and requests at once: each costs a thread or a process, and more is a slip of the pen."""

MOST_PORT = 65535


@dataclass(frozen=True)
class Option:
    """One key.

    Attributes:
        key: In the file.
        attribute: Of the source; by default the key's own name.
        required: What the user should write if it is missing; "" if it may be left out.
    """

    key: str
    attribute: str = ""
    required: str = ""

    @property
    def name(self) -> str:
        """The source's attribute."""
        return self.attribute or self.key


@dataclass(frozen=True)
class Whole(Option):
    """A whole number within limits."""

    least: int = 1
    most: int = MOST


@dataclass(frozen=True)
class Seconds(Option):
    """A number above 0."""


TextRule: TypeAlias = Callable[[str], str]
"""Gives a text as the source wants it; raises `ConfigurationError` with the rule, the value and the way out.
"""


@dataclass(frozen=True)
class Number(Option):
    """A number, held against a rule that raises `ConfigurationError`."""

    rule: Callable[[float], float] = float


@dataclass(frozen=True)
class Text(Option):
    """Text, held against a rule."""

    rule: TextRule = str


@dataclass(frozen=True)
class Texts(Option):
    """One text or a list of them, each held against a rule.

    Attributes:
        example: What to write instead of something that is neither.
        none: What is wrong with an empty list.
    """

    rule: TextRule = str
    example: str = ""
    none: str = ""


@dataclass(frozen=True)
class Words(Option):
    """The words of a command: a list, or one text that is split as a shell would.

    Attributes:
        rule: Held against all of them.
    """

    rule: Callable[[tuple[str, ...]], tuple[str, ...]] = tuple


@dataclass(frozen=True)
class Variables(Option):
    """A mapping of names to texts; numbers are texts too."""


@dataclass(frozen=True)
class Folder(Option):
    """A path that starts at the search file's folder."""


@dataclass(frozen=True)
class Secret(Option):
    """The name of an environment variable: ``{env: NAME}``.

    Attributes:
        example: What to write.
    """

    example: str = "{env: MY_KEY}"

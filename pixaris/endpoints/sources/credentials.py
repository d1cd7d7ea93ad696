"""Secrets as a source holds them: names of environment variables, never what is in them."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from pixaris.exceptions import ConfigurationError


@dataclass(frozen=True)
class Variable:
    """A header's value that stands in an environment variable of the process that starts the search.

    Attributes:
        name: The variable.
        basic: It holds ``user:password`` and is sent as basic authentication; else it holds the header's
            whole value.
    """

    name: str
    basic: bool = False

    def problem(self, environment: Mapping[str, str]) -> str:
        """Why it cannot be used, without its value; "" if it can."""
        value = environment.get(self.name, "").strip()
        if not value:
            state = "empty" if self.name in environment else "not set"
            return f"the environment variable {self.name} is {state}; {self._hint}"
        if self.basic and ":" not in value:
            return (
                f"the environment variable {self.name} must hold user:password (its value is not shown);"
                f" {self._hint}"
            )
        if not value.isascii() or not value.isprintable():
            return (
                f"the environment variable {self.name} must hold one line of ASCII text (its value is not"
                " shown)"
            )
        return ""

    def value(self, environment: Mapping[str, str]) -> str:
        """The header's value.

        Raises:
            ConfigurationError: `problem` has something to say.
        """
        if problem := self.problem(environment):
            raise ConfigurationError(problem)
        value = environment[self.name].strip()
        if self.basic:
            return f"Basic {base64.b64encode(value.encode()).decode()}"
        return value

    @property
    def _hint(self) -> str:
        example = "user:password" if self.basic else "..."
        return f"set it where Pixaris is started: export {self.name}={example}"


Headers: TypeAlias = tuple[tuple[str, str | Variable], ...]


def header_values(
    headers: Headers, environment: Mapping[str, str] | None = None
) -> tuple[tuple[str, str], ...]:
    """Headers as they are sent.

    Args:
        headers: With variables in the place of secrets.
        environment: Where these are looked up; by default this process's.

    Raises:
        ConfigurationError: A variable cannot be used.
    """
    known = os.environ if environment is None else environment
    return tuple(
        (name, value.value(known) if isinstance(value, Variable) else value) for name, value in headers
    )


def missing_variables(headers: Headers) -> list[str]:
    """Why headers' variables cannot be used: one sentence for each that cannot."""
    variables: Iterable[Variable] = (value for _, value in headers if isinstance(value, Variable))
    problems = [variable.problem(os.environ) for variable in variables]
    return [problem for problem in problems if problem]

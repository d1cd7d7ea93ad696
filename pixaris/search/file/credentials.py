"""How an endpoint lets Pixaris in: names of environment variables. No value is shown, because it may be the
secret itself.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from pixaris.endpoints.sources.credentials import Headers, Variable
from pixaris.search.file.reader import Reader
from pixaris.search.file.yaml_file import join

CREDENTIALS = ("headers", "basic_auth")


def read_credentials(reader: Reader, path: str, fields: Mapping[str, object]) -> Headers:
    """The headers of an endpoint's section.

    A variable that is not set is a problem of its line; the header is kept all the same.
    """
    headers: list[tuple[str, Variable]] = []
    if "basic_auth" in fields:
        headers += _header(
            reader, join(path, "basic_auth"), "Authorization", fields["basic_auth"], basic=True
        )
    if "headers" in fields:
        headers += _headers(reader, join(path, "headers"), fields["headers"])
    names = [name.lower() for name, _ in headers]
    if names.count("authorization") > 1:
        reader.add_problem(
            join(path, "basic_auth"), "and the header Authorization are the same; keep one of them"
        )
    return tuple(headers)


def _headers(reader: Reader, path: str, value: object) -> list[tuple[str, Variable]]:
    if not isinstance(value, dict):
        reader.add_problem(
            path,
            "must be a mapping of header names (its value is not shown); write {Authorization: {env:"
            " COMFY_TOKEN}}",
        )
        return []
    found = []
    for name, inner in value.items():
        where = join(path, name)
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
            reader.add_problem(
                where, "is no name of an HTTP header; write {Authorization: {env: COMFY_TOKEN}}"
            )
        else:
            found += _header(reader, where, name, inner, basic=False)
    return found


def read_variable(reader: Reader, path: str, value: object, example: str) -> str:
    """The name in ``{env: NAME}``, or ""."""
    if not isinstance(value, dict):
        reader.add_problem(
            path, f"must name an environment variable (its value is not shown); write {example}"
        )
        return ""
    fields = reader.section(path, value, ("env",))
    if not reader.required(path, fields, "env", f"write {example}"):
        return ""
    if not isinstance(fields["env"], str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", fields["env"]):
        message = (
            "must be the name of an environment variable: letters, digits and _ (its value is not shown)"
        )
        reader.add_problem(join(path, "env"), f"{message}; write {example}")
        return ""
    return fields["env"]


def _header(
    reader: Reader, path: str, name: str, value: object, *, basic: bool
) -> list[tuple[str, Variable]]:
    if basic:
        example = "{env: COMFY_AUTH}, a variable that holds user:password"
    else:
        example = "{env: COMFY_TOKEN}"
    name_of_variable = read_variable(reader, path, value, example)
    if not name_of_variable:
        return []
    variable = Variable(name_of_variable, basic)
    if problem := variable.problem(os.environ):
        reader.add_problem(join(path, "env"), problem)
    return [(name, variable)]

"""The search file's ``endpoints``: read by what each source declares of itself."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pixaris.endpoints.base import EndpointApi
from pixaris.endpoints.sources.base import EndpointSource
from pixaris.endpoints.sources.catalog import SOURCES, source_of
from pixaris.endpoints.sources.options import (
    MOST,
    Folder,
    Number,
    Option,
    Seconds,
    Secret,
    Text,
    Texts,
    Variables,
    Whole,
    Words,
)
from pixaris.endpoints.sources.static import StaticSource
from pixaris.exceptions import ConfigurationError
from pixaris.plugins import make, resolve
from pixaris.search.file.credentials import CREDENTIALS, read_credentials, read_variable
from pixaris.search.file.reader import Reader, located, masked, shown
from pixaris.search.file.yaml_file import join, line_of

T = TypeVar("T")

_FORMS = "endpoints: {embedded: 2} or endpoints: [http://10.0.0.5:8188] (or endpoints: flux)"
_CLASS = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_ADDRESSED = {key: source for key, source in SOURCES.items() if source.addressed}
_SECTIONS = {key: source for key, source in SOURCES.items() if not source.addressed}
_BESIDE = ("depth", *CREDENTIALS)
_KNOWN = (*_ADDRESSED, *_BESIDE, *_SECTIONS)


def read_endpoints(reader: Reader, path: str, value: object, folder: Path) -> tuple[EndpointSource, ...]:
    """The sources of a section: a mapping, a URL, or a list that mixes them."""
    if isinstance(value, dict | str):
        return tuple(_entry(reader, path, value, folder))
    sources: list[EndpointSource] = []
    known: frozenset[str] = frozenset()
    entries = reader.items(path, value, f"write {_FORMS}")
    if value == []:
        reader.add_problem(path, f"needs at least one endpoint; write {_FORMS}")
    for index, entry in enumerate(entries):
        where = join(path, index)
        for source in _entry(reader, where, entry, folder):
            names = source.identities()
            for twice in sorted(names & known):
                reader.add_problem(
                    where, f"{twice} is listed twice; keep one of them (depth says how many requests it gets)"
                )
            if not names & known:
                sources.append(source)
            known |= names
    return tuple(sources)


def endpoints_of_urls(reader: Reader, urls: Sequence[str], api: EndpointApi) -> tuple[EndpointSource, ...]:
    """The sources of ``--endpoint URL`` arguments.

    Args:
        reader: Collects the problems.
        urls: What was given.
        api: What kind of endpoint they are addresses of.
    """
    sources: list[EndpointSource] = []
    known: frozenset[str] = frozenset()
    for url in urls:
        path = f"--endpoint {masked(url)}"
        if api == StaticSource.api:
            source = _address(reader, path, url, typed=True)
        else:
            source = _ruled(reader, path, lambda text: source_of(text, api), url)
            _tell_missing(reader, path, source)
        if source is None or source in sources:
            continue
        for twice in sorted(source.identities() & known):
            reader.add_problem("--endpoint", f"{twice} is reached at one address; give one URL")
        sources.append(source)
        known |= source.identities()
    return tuple(sources)


def _entry(reader: Reader, path: str, value: object, folder: Path) -> list[EndpointSource]:
    if isinstance(value, str):
        if value in SOURCES and SOURCES[value].bare:
            return _section(reader, path, SOURCES[value], {}, folder)
        source = _address(reader, path, value)
        if source:
            return [source]
        return []
    if not isinstance(value, dict):
        reader.add_problem(path, f"must be a URL, or a mapping such as {{embedded: 2}} (got {shown(value)})")
        return []
    if not value:
        reader.add_problem(path, f"needs at least one endpoint; write {_FORMS}")
    classes = {key: inner for key, inner in value.items() if _CLASS.fullmatch(str(key))}
    fields = reader.section(path, {key: value[key] for key in value if key not in classes}, _KNOWN)
    sources = _addresses(reader, path, fields)
    for key, known in _SECTIONS.items():
        if key in fields:
            sources += _sections(reader, join(path, key), known, fields[key], folder)
    for name, inner in classes.items():
        sources += _own(reader, join(path, name), name, inner, folder)
    return sources


# Addresses


def _addresses(reader: Reader, path: str, fields: Mapping[str, object]) -> list[EndpointSource]:
    """Sources that are named by an address, with what stands beside it."""
    given = [key for key in _ADDRESSED if key in fields]
    if not given:
        for key in _BESIDE:
            if key in fields:
                if key == "depth":
                    example = "depth: 2"
                else:
                    example = f"{key}: ..."
                reader.add_problem(join(path, key), f"belongs to a url; write {{url: http://..., {example}}}")
        return []
    depth = StaticSource.depth
    if "depth" in fields:
        depth = reader.whole(join(path, "depth"), fields["depth"], at_least=1, at_most=MOST) or depth
    headers = read_credentials(reader, path, fields)
    sources: list[EndpointSource] = []
    for key in given:
        where = join(path, key)
        source = _address(reader, where, fields[key], scheme=_ADDRESSED[key].schemes[0])
        if source is None:
            continue
        if "@" in str(fields[key]) and any(name.lower() == "authorization" for name, _ in headers):
            reader.add_problem(where, "has credentials, and so has the endpoint besides; keep one of them")
        sources.append(replace(source, depth=depth, headers=headers))  # type: ignore[type-var]
    return sources


def _address(
    reader: Reader, path: str, value: object, *, scheme: str = "http", typed: bool = False
) -> EndpointSource | None:
    """The source of an address, by what it begins with; of a name alone, by the scheme."""
    if isinstance(value, str):
        if "://" in value:
            known = value.partition("://")[0]
        else:
            known = scheme
        for source in _ADDRESSED.values():
            if known in source.schemes and source is not StaticSource:
                return _ruled(reader, path, source.at, value if "://" in value else f"{scheme}://{value}")
    url = _url(reader, path, value, typed=typed)
    if url:
        return StaticSource(url)
    return None


def _url(reader: Reader, path: str, value: object, *, typed: bool = False) -> str | None:
    """The URL of a server.

    Args:
        reader: Collects the problems.
        path: Where it stands.
        value: What stands there.
        typed: Whether it is an argument of the command; so is what ``--set`` gives.
    """
    text = reader.text(path, value)
    if not text:
        return None
    got = shown(text)
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        if "ort" in str(error):
            reason = "the port must be a number up to 65535"
        else:
            reason = "a part of it is malformed"
        reader.add_problem(path, f"is no URL: {reason} (got {got})")
        return None
    if any(letter.isspace() or not letter.isprintable() for letter in text):
        reader.add_problem(path, f"is no URL: it holds white space (got {got})")
    elif parts.scheme not in ("http", "https") and "://" in text:
        reader.add_problem(path, f"must be an http:// or https:// URL (got {got})")
    elif parts.scheme not in ("http", "https"):
        reader.add_problem(
            path, f"must start with http:// or https:// (got {got}); write http://{masked(text)}"
        )
    elif not host or port == 0:
        reader.add_problem(
            path,
            f"needs a host{' and a port above 0' if host else ''} (got {got}); write http://10.0.0.5:8188",
        )
    elif parts.query or parts.fragment:
        reader.add_problem(path, f"must end with its path, without ? and # (got {got})")
    elif "@" in parts.netloc and (typed or line_of(path, reader.lines) == 0):
        way_out = (
            f"name it in the file: {{url: {masked(text).replace('***@', '')}, basic_auth: {{env:"
            " COMFY_AUTH}}"
        )
        reader.add_problem(
            path, f"has credentials (got {got}), and every user of the machine sees command lines; {way_out}"
        )
    else:
        return text.rstrip("/")
    return None


# Sections


def _own(reader: Reader, path: str, name: str, value: object, folder: Path) -> list[EndpointSource]:
    """A source of the user's, ``module:Class``: read by what it declares, else made of its section."""
    if not reader.trust:
        reader.unread.append(f"endpoints: {name}")
        return []
    found: type[EndpointSource] | None
    found = _ruled(reader, path, lambda text: resolve(text, {}, EndpointSource), name)
    if found is None:
        return []
    if found.options:
        return _sections(reader, path, found, {} if value is None else value, folder)
    options = reader.mapping(path, {} if value is None else value)
    source: EndpointSource | None = _ruled(reader, path, lambda given: make(found, given), options)
    _tell_missing(reader, path, source)
    if source is not None:
        return [source]
    return []


def _sections(
    reader: Reader, path: str, known: type[EndpointSource], value: object, folder: Path
) -> list[EndpointSource]:
    if not (known.several and isinstance(value, list)):
        return _section(reader, path, known, value, folder)
    sources: list[EndpointSource] = []
    for index, inner in enumerate(value):
        sources += _section(reader, join(path, index), known, inner, folder)
    return sources


def _section(
    reader: Reader, path: str, known: type[EndpointSource], value: object, folder: Path
) -> list[EndpointSource]:
    """The source of a section; none where something is wrong that it cannot be without."""
    if known.short and not isinstance(value, dict):
        options = {option.key: option for option in known.options}
        read = _value(reader, path, options[known.short], value, folder)
        if read is not None:
            return [known(**{options[known.short].name: read})]
        return []
    fields = reader.section(path, value, [option.key for option in known.options])
    if not isinstance(value, dict):
        return []
    values: dict[str, object] = {}
    whole = True
    for option in known.options:
        if option.key in fields:
            values[option.name] = _value(reader, join(path, option.key), option, fields[option.key], folder)
        elif option.required:
            reader.required(path, fields, option.key, option.required)
        whole = whole and not (option.required and values.get(option.name) is None)
    if not whole:
        return []
    source = known(**{name: read for name, read in values.items() if read is not None})
    _tell_missing(reader, path, source)
    return [source]


def _tell_missing(reader: Reader, path: str, source: EndpointSource | None) -> None:
    for problem in source.missing() if source is not None else ():
        reader.add_problem(path, problem)


def _value(reader: Reader, path: str, option: Option, value: object, folder: Path) -> object:
    """What an option's value is to its source; None if it is wrong, which is told."""
    match option:
        case Whole():
            return reader.whole(path, value, at_least=option.least, at_most=option.most)
        case Seconds():
            seconds = reader.above(path, value, 0)
            if seconds is None:
                return None
            return float(seconds)
        case Number():
            number = reader.number(path, value)
            if number is None:
                return None
            return _ruled(reader, path, option.rule, number)
        case Text():
            text = reader.text(path, value)
            if text:
                return _ruled(reader, path, option.rule, text)
            return None
        case Texts():
            return _texts(reader, path, option, value) or None
        case Words():
            words = _words(reader, path, value)
            if words:
                return _ruled(reader, path, option.rule, words)
            return None
        case Variables():
            variables = reader.mapping(path, value)
            return {name: _word(reader, join(path, name), word) for name, word in variables.items()}
        case Folder():
            text = reader.text(path, value)
            if text:
                return str(located(reader, path, text, folder))
            return None
        case Secret():
            return read_variable(reader, path, value, option.example) or None
    raise AssertionError(f"nobody reads a {type(option).__name__}")


def _ruled(reader: Reader, path: str, rule: Callable[[Any], T], value: object) -> T | None:
    """What a rule makes of a value; None if it refuses it, which is told."""
    try:
        return rule(value)
    except ConfigurationError as error:
        reader.add_problem(path, str(error))
        return None


def _texts(reader: Reader, path: str, option: Texts, value: object) -> tuple[str, ...]:
    if value == []:
        reader.add_problem(path, option.none)
    if isinstance(value, list):
        texts = reader.texts(path, value, option.example)
    else:
        texts = (reader.text(path, value),)
    ruled = [_ruled(reader, path, option.rule, text) for text in texts if text]
    return tuple(text for text in ruled if text is not None)


def _words(reader: Reader, path: str, value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        try:
            words = tuple(shlex.split(value))
        except ValueError as error:
            reader.add_problem(
                path, f"cannot be split into words ({str(error).lower()}); write a list of words"
            )
            return ()
    else:
        entries = reader.items(path, value, "write the words as a list, or one text")
        words = tuple(_word(reader, join(path, index), word) for index, word in enumerate(entries))
        if not isinstance(value, list):
            return ()
    if not words:
        reader.add_problem(path, "is empty; write the program and its arguments")
    return words


def _word(reader: Reader, path: str, value: object) -> str:
    """Text; a number is text here too, because a command line knows nothing else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if value == "" and isinstance(value, str):
        return value
    return reader.text(path, value)

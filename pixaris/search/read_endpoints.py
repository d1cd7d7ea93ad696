"""The search file's ``endpoints``."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from pixaris.endpoints.discovery import EmbeddedSource, EndpointSource, ManagedSource, StaticSource
from pixaris.search.read import Reader, masked, shown
from pixaris.search.yaml_file import join

_FORMS = "endpoints: {embedded: 2} or endpoints: [http://10.0.0.5:8188]"
_KNOWN = ("url", "depth", "embedded", "managed")
_MANAGED = ("command", "replicas", "environment", "working_directory", "start_timeout", "depth")
_DEFAULT = ManagedSource(())


def read_endpoints(reader: Reader, path: str, value: object, folder: Path) -> tuple[EndpointSource, ...]:
    """The sources of a section: a mapping, a URL, or a list that mixes them."""
    if isinstance(value, dict | str):
        return tuple(_entry(reader, path, value, folder))
    sources: list[EndpointSource] = []
    entries = reader.items(path, value, f"write {_FORMS}")
    if value == []:
        reader.tell(path, f"needs at least one endpoint; write {_FORMS}")
    for index, entry in enumerate(entries):
        where = join(path, index)
        for source in _entry(reader, where, entry, folder):
            if isinstance(source, StaticSource) and source.url in [s.url for s in sources if isinstance(s, StaticSource)]:
                reader.tell(
                    where, f"{masked(source.url)} is listed twice; keep one of them (depth says how many requests it gets)"
                )
            else:
                sources.append(source)
    return tuple(sources)


def endpoints_of_urls(reader: Reader, urls: Sequence[str]) -> tuple[EndpointSource, ...]:
    """The sources of ``--endpoint URL`` arguments."""
    found = [_url(reader, f"--endpoint {masked(url)}", url) for url in urls]
    return tuple(StaticSource(url) for url in dict.fromkeys(found) if url)


def _entry(reader: Reader, path: str, value: object, folder: Path) -> list[EndpointSource]:
    if isinstance(value, str):
        url = _url(reader, path, value)
        return [StaticSource(url)] if url else []
    fields = reader.section(path, value, _KNOWN)
    sources: list[EndpointSource] = []
    if "url" in fields:
        depth = reader.whole(join(path, "depth"), fields.get("depth", StaticSource.depth), at_least=1)
        if url := _url(reader, join(path, "url"), fields["url"]):
            sources.append(StaticSource(url, depth or StaticSource.depth))
    elif "depth" in fields:
        reader.tell(join(path, "depth"), "belongs to a url; write {url: http://..., depth: 2}")
    if "embedded" in fields:
        sources += _embedded(reader, join(path, "embedded"), fields["embedded"])
    if "managed" in fields:
        sources += _managed(reader, join(path, "managed"), fields["managed"], folder)
    if isinstance(value, dict) and not value:
        reader.tell(path, f"needs at least one endpoint; write {_FORMS}")
    return sources


def _embedded(reader: Reader, path: str, value: object) -> list[EndpointSource]:
    if isinstance(value, dict):
        value = reader.section(path, value, ("replicas",)).get("replicas", 1)
        path = join(path, "replicas")
    replicas = reader.whole(path, value, at_least=1)
    return [EmbeddedSource(replicas)] if replicas else []


def _managed(reader: Reader, path: str, value: object, folder: Path) -> list[EndpointSource]:
    fields = reader.section(path, value, _MANAGED)
    if not isinstance(value, dict) or not reader.required(
        path, fields, "command", "it starts the server and takes {port}: [python, main.py, --port, '{port}']"
    ):
        return []
    command = _command(reader, join(path, "command"), fields["command"])
    replicas = reader.whole(join(path, "replicas"), fields.get("replicas", 1), at_least=1)
    depth = reader.whole(join(path, "depth"), fields.get("depth", _DEFAULT.depth), at_least=1)
    timeout = reader.above(join(path, "start_timeout"), fields.get("start_timeout", _DEFAULT.start_timeout), 0)
    directory = reader.text(join(path, "working_directory"), fields.get("working_directory", "."))
    environment = {
        name: _word(reader, join(join(path, "environment"), name), word)
        for name, word in reader.mapping(join(path, "environment"), fields.get("environment", {})).items()
    }
    if not command:
        return []
    return [
        ManagedSource(
            command=command,
            replicas=replicas or 1,
            environment=environment,
            working_directory=str(folder / directory) if "working_directory" in fields else None,
            start_timeout=float(timeout or _DEFAULT.start_timeout),
            depth=depth or _DEFAULT.depth,
        )
    ]


def _command(reader: Reader, path: str, value: object) -> tuple[str, ...]:
    words: tuple[str, ...] = ()
    if isinstance(value, str):
        try:
            words = tuple(shlex.split(value))
        except ValueError as error:
            reader.tell(path, f"cannot be split into words ({str(error).lower()}); write a list of words")
            return ()
    else:
        entries = reader.items(path, value, "write the words as a list, or one text")
        if not isinstance(value, list):
            return ()
        words = tuple(_word(reader, join(path, index), word) for index, word in enumerate(entries))
    if not words:
        reader.tell(path, "is empty; write the program and its arguments")
    elif not any("{port}" in word for word in words):
        reader.tell(path, "must contain {port}, which stands for the port each replica is given")
    return words


def _word(reader: Reader, path: str, value: object) -> str:
    """Text; a number is text here too, because a command line knows nothing else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return value if value == "" and isinstance(value, str) else reader.text(path, value)


def _url(reader: Reader, path: str, value: object) -> str | None:
    text = reader.text(path, value)
    if not text:
        return None
    got = shown(text)
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        reason = "the port must be a number up to 65535" if "ort" in str(error) else "a part of it is malformed"
        reader.tell(path, f"is no URL: {reason} (got {got})")
        return None
    if any(letter.isspace() or not letter.isprintable() for letter in text):
        reader.tell(path, f"is no URL: it holds white space (got {got})")
    elif parts.scheme not in ("http", "https") and "://" in text:
        reader.tell(path, f"must be an http:// or https:// URL (got {got})")
    elif parts.scheme not in ("http", "https"):
        reader.tell(path, f"must start with http:// or https:// (got {got}); write http://{masked(text)}")
    elif not host or port == 0:
        reader.tell(path, f"needs a host{' and a port above 0' if host else ''} (got {got}); write http://10.0.0.5:8188")
    elif parts.query or parts.fragment:
        reader.tell(path, f"must end with its path, without ? and # (got {got})")
    else:
        return text.rstrip("/")
    return None

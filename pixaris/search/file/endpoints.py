"""The search file's ``endpoints``."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pixaris.endpoints.discovery import (
    DnsSource,
    EmbeddedSource,
    EndpointSource,
    Headers,
    ManagedSource,
    StaticSource,
    TunnelSource,
    dns_source,
)
from pixaris.endpoints.flux import FluxSource
from pixaris.exceptions import ConfigurationError
from pixaris.flux import trust
from pixaris.search.file.credentials import CREDENTIALS, read_credentials, read_variable
from pixaris.search.file.reader import Reader, masked, shown
from pixaris.search.file.yaml_file import join, line_of

_FORMS = "endpoints: {embedded: 2} or endpoints: [http://10.0.0.5:8188] (or endpoints: flux)"
_MOST = 1000  # replicas and requests at once: each costs a thread or a process, and more is a slip of the pen
_KNOWN = ("url", "dns", "depth", *CREDENTIALS, "embedded", "managed", "iap", "flux")
_FLUX = ("url", "depth", "key")
_MANAGED = ("command", "replicas", "num_gpus", "environment", "working_directory", "start_timeout", "depth")
_IAP = ("instance", "port", "zone", "project", "depth", "gcloud", "start_timeout")
_NAMES = {
    "instance": r"[a-z]([-a-z0-9]*[a-z0-9])?",
    "zone": r"[a-z]([-a-z0-9]*[a-z0-9])?",
    "project": r"[a-z0-9]([-.:a-z0-9]*[a-z0-9])?",
}
_DEFAULT = ManagedSource(())
_TUNNEL = TunnelSource(())


def read_endpoints(reader: Reader, path: str, value: object, folder: Path) -> tuple[EndpointSource, ...]:
    """The sources of a section: a mapping, a URL, or a list that mixes them."""
    if isinstance(value, dict | str):
        return tuple(_entry(reader, path, value, folder))
    sources: list[EndpointSource] = []
    known: set[str] = set()
    entries = reader.items(path, value, f"write {_FORMS}")
    if value == []:
        reader.add_problem(path, f"needs at least one endpoint; write {_FORMS}")
    for index, entry in enumerate(entries):
        where = join(path, index)
        for source in _entry(reader, where, entry, folder):
            names = _names(source)
            for twice in sorted(names & known):
                reader.add_problem(
                    where, f"{twice} is listed twice; keep one of them (depth says how many requests it gets)"
                )
            if not names & known:
                sources.append(source)
            known |= names
    return tuple(sources)


def endpoints_of_urls(
    reader: Reader, urls: Sequence[str], *, flux: bool = False
) -> tuple[EndpointSource, ...]:
    """The sources of ``--endpoint URL`` arguments.

    Args:
        reader: Collects the problems.
        urls: What was given.
        flux: Whether they are addresses of the Flux API.
    """
    if flux:
        given = {url: _flux(reader, f"--endpoint {masked(url)}", {"url": url}) for url in urls}
        if len(given) > 1:
            reader.add_problem("--endpoint", "a Flux account is reached at one address; give one URL")
        return tuple(source for sources in given.values() for source in sources)
    found = [_address(reader, f"--endpoint {masked(url)}", url, typed=True) for url in urls]
    return tuple(dict.fromkeys(source for source in found if source is not None))


def _names(source: EndpointSource) -> set[str]:
    """What may be listed once: an endpoint that is there twice would get twice its depth."""
    if isinstance(source, StaticSource):
        return {masked(source.url)}
    if isinstance(source, DnsSource):
        return {source.label}
    if isinstance(source, FluxSource):
        return {"a Flux account"}
    if isinstance(source, TunnelSource):
        place = (
            f"{source.port}"
            + (f" in {source.zone}" if source.zone else "")
            + (f" of {source.project}" if source.project else "")
        )
        return {f"instance {instance} with port {place}" for instance in source.instances}
    return set()


def _entry(reader: Reader, path: str, value: object, folder: Path) -> list[EndpointSource]:
    if value == "flux":
        return _flux(reader, path, {})
    if isinstance(value, str):
        source = _address(reader, path, value)
        return [source] if source else []
    if not isinstance(value, dict):
        reader.add_problem(path, f"must be a URL, or a mapping such as {{embedded: 2}} (got {shown(value)})")
        return []
    fields = reader.section(path, value, _KNOWN)
    sources: list[EndpointSource] = []
    if "url" in fields or "dns" in fields:
        sources += _addresses(reader, path, fields)
    else:
        for key in ("depth", *CREDENTIALS):
            if key in fields:
                example = "depth: 2" if key == "depth" else f"{key}: ..."
                reader.add_problem(join(path, key), f"belongs to a url; write {{url: http://..., {example}}}")
    if "embedded" in fields:
        sources += _embedded(reader, join(path, "embedded"), fields["embedded"])
    if "managed" in fields:
        sources += _managed(reader, join(path, "managed"), fields["managed"], folder)
    if "iap" in fields:
        several = isinstance(fields["iap"], list)
        for index, inner in enumerate(fields["iap"] if several else [fields["iap"]]):
            sources += _tunnel(
                reader, join(join(path, "iap"), index) if several else join(path, "iap"), inner
            )
    if "flux" in fields:
        sources += _flux(reader, join(path, "flux"), fields["flux"])
    if isinstance(value, dict) and not value:
        reader.add_problem(path, f"needs at least one endpoint; write {_FORMS}")
    return sources


def _flux(reader: Reader, path: str, value: object) -> list[EndpointSource]:
    fields = reader.section(path, value, _FLUX)
    depth = (
        reader.whole(join(path, "depth"), fields["depth"], at_least=1, at_most=_MOST)
        if "depth" in fields
        else None
    )
    url = ""
    if "url" in fields and (text := reader.text(join(path, "url"), fields["url"])):
        try:
            url = trust.base_url(text)
        except ConfigurationError as error:
            reader.add_problem(join(path, "url"), str(error))
    if "key" not in fields:
        source = FluxSource(url, depth)
    else:
        variable = read_variable(reader, join(path, "key"), fields["key"], "{env: MY_FLUX_KEY}")
        source = FluxSource(url, depth, variable)
    if problem := source.problem():
        reader.add_problem(path, problem)
    return [source]


def _addresses(reader: Reader, path: str, fields: Mapping[str, Any]) -> list[EndpointSource]:
    depth = (
        reader.whole(join(path, "depth"), fields.get("depth", StaticSource.depth), at_least=1, at_most=_MOST)
        or StaticSource.depth
    )
    headers = read_credentials(reader, path, fields)
    sources: list[EndpointSource] = []
    if "url" in fields and (url := _url(reader, join(path, "url"), fields["url"])):
        if "@" in url and any(name.lower() == "authorization" for name, _ in headers):
            reader.add_problem(
                join(path, "url"), "has credentials, and so has the endpoint besides; keep one of them"
            )
        sources.append(StaticSource(url, depth, headers))
    if "dns" in fields:
        where = join(path, "dns")
        text = reader.text(where, fields["dns"])
        source = (
            _dns(reader, where, text if text.startswith("dns://") else f"dns://{text}", depth, headers)
            if text
            else None
        )
        sources += [source] if source else []
    return sources


def _address(reader: Reader, path: str, value: object, *, typed: bool = False) -> EndpointSource | None:
    if isinstance(value, str) and value.startswith("dns://"):
        return _dns(reader, path, value, StaticSource.depth, ())
    url = _url(reader, path, value, typed=typed)
    return StaticSource(url) if url else None


def _dns(reader: Reader, path: str, text: str, depth: int, headers: Headers) -> DnsSource | None:
    try:
        return dns_source(text, depth=depth, headers=headers)
    except ConfigurationError as error:
        reader.add_problem(path, str(error))
        return None


def _tunnel(reader: Reader, path: str, value: object) -> list[EndpointSource]:
    fields = reader.section(path, value, _IAP)
    example = "write {instance: gpu-1, zone: europe-west4-a, project: my-project}"
    if not isinstance(value, dict) or not reader.required(path, fields, "instance", example):
        return []
    where = join(path, "instance")
    if isinstance(fields["instance"], list):
        instances = reader.texts(where, fields["instance"], "write instance: [gpu-1, gpu-2]")
    else:
        instances = tuple(filter(None, [reader.text(where, fields["instance"])]))
    instances = tuple(name for name in instances if _named(reader, where, "instance", name))
    zone, project = (
        (
            _named(reader, join(path, key), key, reader.text(join(path, key), fields[key]))
            if key in fields
            else None
        )
        for key in ("zone", "project")
    )
    port = reader.whole(join(path, "port"), fields.get("port", _TUNNEL.port), at_least=1, at_most=65535)
    depth = reader.whole(join(path, "depth"), fields.get("depth", _TUNNEL.depth), at_least=1, at_most=_MOST)
    timeout = reader.above(join(path, "start_timeout"), fields.get("start_timeout", _TUNNEL.start_timeout), 0)
    gcloud = reader.text(join(path, "gcloud"), fields.get("gcloud", _TUNNEL.gcloud))
    if fields["instance"] == []:
        reader.add_problem(where, f"needs at least one VM; {example}")
    if not instances:
        return []
    return [
        TunnelSource(
            instances=instances,
            port=port or _TUNNEL.port,
            zone=zone,
            project=project,
            depth=depth or _TUNNEL.depth,
            gcloud=gcloud or _TUNNEL.gcloud,
            start_timeout=float(timeout or _TUNNEL.start_timeout),
        )
    ]


def _named(reader: Reader, path: str, key: str, name: str) -> str | None:
    """A name as Google Cloud has them; it becomes part of a command."""
    if name and not re.fullmatch(_NAMES[key], name):
        reader.add_problem(
            path, f"must be the {key}'s name: lower-case letters, digits and hyphens (got {shown(name)})"
        )
        return None
    return name or None


def _embedded(reader: Reader, path: str, value: object) -> list[EndpointSource]:
    if isinstance(value, dict):
        value = reader.section(path, value, ("replicas",)).get("replicas", 1)
        path = join(path, "replicas")
    replicas = reader.whole(path, value, at_least=1, at_most=_MOST)
    return [EmbeddedSource(replicas)] if replicas else []


def _managed(reader: Reader, path: str, value: object, folder: Path) -> list[EndpointSource]:
    fields = reader.section(path, value, _MANAGED)
    if not isinstance(value, dict) or not reader.required(
        path, fields, "command", "it starts the server and takes {port}: [python, main.py, --port, '{port}']"
    ):
        return []
    command = _command(reader, join(path, "command"), fields["command"])
    replicas = reader.whole(join(path, "replicas"), fields.get("replicas", 1), at_least=1, at_most=_MOST)
    depth = reader.whole(join(path, "depth"), fields.get("depth", _DEFAULT.depth), at_least=1, at_most=_MOST)
    timeout = reader.above(
        join(path, "start_timeout"), fields.get("start_timeout", _DEFAULT.start_timeout), 0
    )
    gpus = _gpus(reader, join(path, "num_gpus"), fields.get("num_gpus", _DEFAULT.num_gpus))
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
            num_gpus=gpus,
        )
    ]


def _gpus(reader: Reader, path: str, value: object) -> float:
    number = reader.number(path, value)
    if number is not None and (number < 0 or (number > 1 and number != int(number))):
        reader.add_problem(path, f"must be 0, a fraction below 1, or a whole number (got {shown(value)})")
    return float(number or 0)


def _command(reader: Reader, path: str, value: object) -> tuple[str, ...]:
    words: tuple[str, ...] = ()
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
        if not isinstance(value, list):
            return ()
        words = tuple(_word(reader, join(path, index), word) for index, word in enumerate(entries))
    if not words:
        reader.add_problem(path, "is empty; write the program and its arguments")
    elif not any("{port}" in word for word in words):
        reader.add_problem(path, "must contain {port}, which stands for the port each replica is given")
    return words


def _word(reader: Reader, path: str, value: object) -> str:
    """Text; a number is text here too, because a command line knows nothing else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return value if value == "" and isinstance(value, str) else reader.text(path, value)


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
        reason = (
            "the port must be a number up to 65535" if "ort" in str(error) else "a part of it is malformed"
        )
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

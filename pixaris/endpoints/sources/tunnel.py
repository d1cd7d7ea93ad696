"""Servers on Google Cloud VMs, through ``gcloud compute start-iap-tunnel``: opened, watched, opened again."""

from __future__ import annotations

import re
import shutil
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from pixaris.endpoints.apis.comfyui import ComfyUIApi
from pixaris.endpoints.base import EndpointApi
from pixaris.endpoints.discovery import Discovery, Down, Emitter, Failed, Note, Up, run_thread
from pixaris.endpoints.sources.base import EndpointSource, ServerCommand
from pixaris.endpoints.sources.options import MOST_PORT, Seconds, Text, Texts, Whole
from pixaris.endpoints.sources.process import ServerProcess, free_ports
from pixaris.exceptions import ConfigurationError, EndpointError, PixarisError, Problem, UnreachableError

_PORTS_TRIED = 5
_MISSED_PROBES = 3
"""Failed probes in a row after which a tunnel is opened anew: it stays open when what is behind it hangs or
restarts.
"""
_LONGEST_REST = 60.0
_CHECK_SECONDS = 0.1
_ENDING_SECONDS = 4.0
_OUTPUT_BYTES = 100_000
_PORT_TAKEN = "is not available"


_EXAMPLE = "write {instance: gpu-1, zone: europe-west4-a, project: my-project}"
_SIMPLE_NAME = r"[a-z]([-a-z0-9]*[a-z0-9])?"
_PROJECT_NAME = r"[a-z0-9]([-.:a-z0-9]*[a-z0-9])?"


def _name(what: str, pattern: str) -> Callable[[str], str]:
    """The rule for a name as Google Cloud has them; it becomes part of a command."""

    def rule(text: str) -> str:
        if not re.fullmatch(pattern, text):
            allowed = "lower-case letters, digits and hyphens"
            raise ConfigurationError(f"must be the {what}'s name: {allowed} (got {text!r:.80})")
        return text

    return rule


@dataclass(frozen=True)
class TunnelSource(EndpointSource):
    """Servers on Google Cloud VMs without a public address, reached through Identity-Aware Proxy.

    Attributes:
        instances: Names of the VMs.
        port: Where the server listens on each.
        zone: Their zone, or None for gcloud's configured one.
        project: Their project, or None for gcloud's configured one.
        depth: Requests each is given at once.
        gcloud: The program that opens tunnels.
        start_timeout: Seconds until a server must answer through its tunnel.
        api: What kind of endpoint each is.
    """

    key = "iap"
    options = (
        Texts(
            "instance",
            "instances",
            required=_EXAMPLE,
            rule=_name("instance", _SIMPLE_NAME),
            example="write instance: [gpu-1, gpu-2]",
            none=f"needs at least one VM; {_EXAMPLE}",
        ),
        Whole("port", most=MOST_PORT),
        Text("zone", rule=_name("zone", _SIMPLE_NAME)),
        Text("project", rule=_name("project", _PROJECT_NAME)),
        Whole("depth"),
        Text("gcloud"),
        Seconds("start_timeout"),
    )
    several = True
    starts = True

    instances: tuple[str, ...]
    port: int = 8188
    zone: str | None = None
    project: str | None = None
    depth: int = 2
    gcloud: str = "gcloud"
    start_timeout: float = 60.0
    api: EndpointApi = field(default_factory=ComfyUIApi, repr=False)

    @property
    def label(self) -> str:
        return ", ".join(f"iap:{instance}" for instance in self.instances)

    @property
    def slots(self) -> int:
        return self.count * self.depth

    @property
    def count(self) -> int:
        return len(self.instances)

    def discovery(self, logs: Path) -> Discovery:
        return TunnelDiscovery(self, logs)

    def problems(self, *, here: bool) -> list[Problem]:
        problem = gcloud_problem(self)
        if problem:
            return [Problem("", problem, "endpoints.iap")]
        return []

    def serving(self, api: EndpointApi) -> TunnelSource:
        return replace(self, api=api)

    def identities(self) -> frozenset[str]:
        if self.zone:
            zone = f" in {self.zone}"
        else:
            zone = ""
        if self.project:
            project = f" of {self.project}"
        else:
            project = ""
        at = f"port {self.port}{zone}{project}"
        return frozenset(f"instance {instance} with {at}" for instance in self.instances)

    def probe(self, url: str) -> None:
        """Return if a server answers at a tunnel's URL.

        Raises:
            EndpointError: It does not.
        """
        ServerCommand((), api=self.api).probe(url)


def gcloud_problem(source: TunnelSource) -> str:
    """Why its program cannot be run, or ""."""
    if shutil.which(source.gcloud) is not None:
        return ""
    return (
        f"{source.gcloud!r} is not a program that can be run; install the Google Cloud CLI "
        "(https://cloud.google.com/sdk/docs/install), or give its full path as gcloud"
    )


class TunnelDiscovery(Discovery):
    """Keeps a tunnel open to each instance of a source.

    Args:
        source: The instances.
        folder: Where gcloud's output goes.
        ready: Called with a tunnel's URL; returns if the server behind it answers, raises EndpointError if
            not. By default `TunnelSource.probe`.
        interval: Seconds between two probes of an open tunnel.
        rest: Seconds before a tunnel that failed is opened again; doubled for each failure since it was last
            open.
    """

    def __init__(
        self,
        source: TunnelSource,
        folder: Path,
        ready: Callable[[str], None] | None = None,
        *,
        interval: float = 5.0,
        rest: float = 1.0,
    ) -> None:
        self._source = source
        probe = ready or source.probe
        self._tunnels = [Tunnel(source, name, folder, probe, interval, rest) for name in source.instances]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(tunnel.name for tunnel in self._tunnels)

    def start(self, emit: Emitter) -> None:
        problem = gcloud_problem(self._source)
        for tunnel in self._tunnels:
            if problem:
                emit(Failed(tunnel.name, ConfigurationError(f"endpoints.iap: {problem}")))
            else:
                tunnel.start(emit)

    def stop(self) -> None:
        for tunnel in self._tunnels:
            tunnel.ask_to_stop()
        for tunnel in self._tunnels:
            tunnel.stop()


class Tunnel:
    """One tunnel. A free port is picked for each attempt: one that was just used is refused for a minute.

    Args:
        source: Where the instance is.
        instance: Its name.
        folder: As `TunnelDiscovery`.
        ready: As `TunnelDiscovery`.
        interval: As `TunnelDiscovery`.
        rest: As `TunnelDiscovery`.
    """

    def __init__(
        self,
        source: TunnelSource,
        instance: str,
        folder: Path,
        ready: Callable[[str], None],
        interval: float,
        rest: float,
    ) -> None:
        parts = [part for part in (source.project, source.zone, instance, str(source.port)) if part]
        self.name = f"iap:{'/'.join(parts)}"
        self._source = source
        self._instance = instance
        self._output = folder / f"tunnel-{'-'.join(parts).replace(':', '_')}.log"
        self._ready = ready
        self._interval = interval
        self._rest = rest
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._process: ServerProcess | None = None

    def start(self, emit: Emitter) -> None:
        """Begin to open it."""
        self._thread = run_thread((self.name,), lambda: self._keep_open(emit), emit)

    def ask_to_stop(self) -> None:
        """Begin to close it; nothing is emitted afterwards."""
        self._stop.set()
        process = self._process
        if process is not None:
            process.ask_to_stop()

    def stop(self) -> None:
        """Close it, and wait until its process has ended."""
        self.ask_to_stop()
        if self._thread is not None:
            self._thread.join(_ENDING_SECONDS + 2)

    def _keep_open(self, emit: Emitter) -> None:
        rest, said = self._rest, ""
        while not self._stop.is_set():
            reason = self._once(emit)
            if self._stop.is_set():
                return
            if isinstance(reason, str):
                rest, said = self._rest, ""
                emit(Note(f"the tunnel to {self._instance} dropped: {reason}; it is opened again"))
            elif (text := re.sub(r"\d+", "", str(reason))) != said:  # each attempt has another port
                said = text
                emit(Failed(self.name, reason))
            self._stop.wait(rest)
            rest = min(rest * 2, _LONGEST_REST)

    def _once(self, emit: Emitter) -> str | PixarisError:
        """Open it and hold it until it drops. Returns why it dropped, or what kept it from opening."""
        for _ in range(_PORTS_TRIED):
            self._output.unlink(missing_ok=True)  # it tells of one attempt
            process = self._process = self._gcloud(free_ports(1)[0])
            try:
                process.start()
                process.wait()
                emit(Up(self.name, process.server.endpoint(process.url)))
                reason = self._hold(process)
                if not self._stop.is_set():
                    emit(Down(process.url))
                return reason
            except EndpointError as error:
                process.stop()
                said = self._said()
                if _PORT_TAKEN not in said or self._stop.is_set():
                    return explained(said, self._source, self._instance) or error
            except ConfigurationError as error:
                return error
            finally:
                process.stop()
        return UnreachableError(
            f"gcloud found none of {_PORTS_TRIED} free local ports available", endpoint=self.name
        )

    def _gcloud(self, port: int) -> ServerProcess:
        source = self._source
        command = [source.gcloud, "compute", "start-iap-tunnel", self._instance, str(source.port)]
        command += ["--local-host-port=localhost:{port}"]
        command += [f"--zone={source.zone}"] if source.zone else []
        command += [f"--project={source.project}"] if source.project else []
        asks_nothing = {"CLOUDSDK_CORE_DISABLE_PROMPTS": "1"}
        server = ServerCommand(
            tuple(command),
            environment=asks_nothing,
            start_timeout=source.start_timeout,
            depth=source.depth,
            api=source.api,
        )

        def ready(url: str) -> None:
            if f"Listening on port [{port}]" not in self._said():
                # whoever answers there is somebody else
                raise UnreachableError("the tunnel does not listen", endpoint=url)
            self._ready(url)

        process = ServerProcess(server, self._output, ready, port, grace=_ENDING_SECONDS, max_restarts=0)
        process.signals = (signal.SIGINT, signal.SIGTERM)
        process.died = lambda sentence: None
        return process

    def _hold(self, process: ServerProcess) -> str:
        missed, due = 0, time.monotonic() + self._interval
        while not self._stop.wait(_CHECK_SECONDS):
            if process.pid is None:
                return f"gcloud ended ({_last_line(self._said())})"
            if time.monotonic() < due:
                continue
            try:
                self._ready(process.url)
                missed = 0
            except EndpointError as error:
                missed += 1
                if missed >= _MISSED_PROBES:
                    return f"nothing answers through it ({error.message})"
            due = time.monotonic() + self._interval
        return "it is no longer needed"

    def _said(self) -> str:
        """What gcloud has written, from the beginning and no more than fits."""
        if not self._output.exists():
            return ""
        with self._output.open("rb") as file:
            return file.read(_OUTPUT_BYTES).decode(errors="replace")


def explained(said: str, source: TunnelSource, instance: str) -> PixarisError | None:
    """What gcloud's output means for the user, or None if nobody knows."""
    if source.zone:
        zone = f" in zone {source.zone!r}"
    else:
        zone = ""
    if source.project:
        project = f" of project {source.project!r}"
    else:
        project = ""
    vm = f"instance {instance!r}{zone}{project}"
    quoted = _last_line(said)
    where = f"endpoints.iap, {vm}"
    if "do not currently have an active account" in said or "gcloud auth login" in said:
        return ConfigurationError(
            f"{where}: gcloud is not logged in; run `gcloud auth login`, or give it a service account"
        )
    if "required property [project]" in said:
        return ConfigurationError(
            f"{where}: gcloud knows no project; write project: ..., or run `gcloud config set project ...`"
        )
    if "Specify the [--zone] flag" in said:
        return ConfigurationError(f"{where}: gcloud cannot tell its zone; write zone: ... (gcloud: {quoted})")
    if "Could not fetch resource" in said:
        wrong = "there is no such VM, or the account may not see it; correct instance, zone or project"
        return ConfigurationError(f"{where}: {wrong} (gcloud: {quoted})")
    if "Handshake status 40" in said or "4033" in said:
        missing = "the account may not open tunnels to it; grant it roles/iap.tunnelResourceAccessor"
        return ConfigurationError(f"{where}: {missing} (gcloud: {quoted})")
    if "failed to connect to backend" in said:
        hint = (
            f"start the server there on port {source.port}, listening on all addresses, and let the firewall"
            " pass 35.235.240.0/20"
        )
        return UnreachableError(
            f"nothing answers on port {source.port} of {vm}; {hint}", endpoint=f"iap:{instance}"
        )
    return None


def _last_line(said: str) -> str:
    return next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "it said nothing")

"""Endpoints on Google Cloud VMs, through ``gcloud compute start-iap-tunnel``: opened, watched, opened
again.
"""

from __future__ import annotations

import re
import shutil
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

from pixaris.endpoints.base import Endpoint
from pixaris.endpoints.clients import answers
from pixaris.endpoints.discovery import ManagedSource, TunnelSource
from pixaris.endpoints.feeds import Down, Failed, Feed, Report, Told, Up, run_thread
from pixaris.endpoints.process import ServerProcess, free_ports
from pixaris.exceptions import ConfigurationError, EndpointError, PixarisError, UnreachableError

_PORTS_TRIED = 5
_MISSED_PROBES = 3
"""Failed probes in a row after which a tunnel is opened anew: it stays open when what is behind it hangs or
restarts.
"""
_LONGEST_REST = 60.0
_LOOK_SECONDS = 0.1
_ENDING_SECONDS = 4.0
_OUTPUT_BYTES = 100_000
_PORT_TAKEN = "is not available"


def gcloud_problem(source: TunnelSource) -> str:
    """Why its program cannot be run, or ""."""
    if shutil.which(source.gcloud) is not None:
        return ""
    return (
        f"{source.gcloud!r} is not a program that can be run; install the Google Cloud CLI "
        "(https://cloud.google.com/sdk/docs/install), or give its full path as gcloud"
    )


class TunnelFeed(Feed):
    """Keeps a tunnel open to each instance of a source.

    Args:
        source: The instances.
        folder: Where gcloud's output goes.
        ready: Called with a tunnel's URL; returns if the server behind it answers, raises EndpointError if
            not.
        interval: Seconds between two probes of an open tunnel.
        rest: Seconds before a tunnel that failed is opened again; doubled for each failure since it was last
            open.
    """

    def __init__(
        self,
        source: TunnelSource,
        folder: Path,
        ready: Callable[[str], None] = answers,
        *,
        interval: float = 5.0,
        rest: float = 1.0,
    ) -> None:
        self._source = source
        self._tunnels = [Tunnel(source, name, folder, ready, interval, rest) for name in source.instances]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(tunnel.name for tunnel in self._tunnels)

    def start(self, report: Report) -> None:
        problem = gcloud_problem(self._source)
        for tunnel in self._tunnels:
            if problem:
                report(Failed(tunnel.name, ConfigurationError(f"endpoints.iap: {problem}")))
            else:
                tunnel.start(report)

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
        folder: As `TunnelFeed`.
        ready: As `TunnelFeed`.
        interval: As `TunnelFeed`.
        rest: As `TunnelFeed`.
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
        place = [part for part in (source.project, source.zone, instance, str(source.port)) if part]
        self.name = f"iap:{'/'.join(place)}"
        self._source = source
        self._instance = instance
        self._output = folder / f"tunnel-{'-'.join(place).replace(':', '_')}.log"
        self._ready = ready
        self._interval = interval
        self._rest = rest
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._process: ServerProcess | None = None

    def start(self, report: Report) -> None:
        """Begin to open it."""
        self._thread = run_thread((self.name,), lambda: self._keep_open(report), report)

    def ask_to_stop(self) -> None:
        """Begin to close it; nothing is reported afterwards."""
        self._stop.set()
        process = self._process
        if process is not None:
            process.ask_to_stop()

    def stop(self) -> None:
        """Close it, and wait until its process has ended."""
        self.ask_to_stop()
        if self._thread is not None:
            self._thread.join(_ENDING_SECONDS + 2)

    def _keep_open(self, report: Report) -> None:
        rest, told = self._rest, ""
        while not self._stop.is_set():
            reason = self._once(report)
            if self._stop.is_set():
                return
            if isinstance(reason, str):
                rest, told = self._rest, ""
                report(Told(f"the tunnel to {self._instance} dropped: {reason}; it is opened again"))
            elif (text := re.sub(r"\d+", "", str(reason))) != told:  # each attempt has another port
                told = text
                report(Failed(self.name, reason))
            self._stop.wait(rest)
            rest = min(rest * 2, _LONGEST_REST)

    def _once(self, report: Report) -> str | PixarisError:
        """Open it and hold it until it drops. Returns why it dropped, or what kept it from opening."""
        for _ in range(_PORTS_TRIED):
            self._output.unlink(missing_ok=True)  # it tells of one attempt
            process = self._process = self._gcloud(free_ports(1)[0])
            try:
                process.start()
                process.wait()
                report(Up(self.name, Endpoint(process.url, depth=self._source.depth)))
                reason = self._hold(process)
                if not self._stop.is_set():
                    report(Down(process.url))
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
        managed = ManagedSource(tuple(command), environment=asks_nothing, start_timeout=source.start_timeout)

        def ready(url: str) -> None:
            if f"Listening on port [{port}]" not in self._said():
                raise UnreachableError(
                    "the tunnel does not listen", endpoint=url
                )  # whoever answers there is somebody else
            self._ready(url)

        process = ServerProcess(managed, self._output, ready, port, grace=_ENDING_SECONDS, max_restarts=0)
        process.signals = (signal.SIGINT, signal.SIGTERM)
        process.died = lambda sentence: None
        return process

    def _hold(self, process: ServerProcess) -> str:
        missed, due = 0, time.monotonic() + self._interval
        while not self._stop.wait(_LOOK_SECONDS):
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
    place = " ".join(
        [f"instance {instance!r}"]
        + ([f"in zone {source.zone!r}"] if source.zone else [])
        + ([f"of project {source.project!r}"] if source.project else [])
    )
    quoted = _last_line(said)
    where = f"endpoints.iap, {place}"
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
            f"nothing answers on port {source.port} of {place}; {hint}", endpoint=f"iap:{instance}"
        )
    return None


def _last_line(said: str) -> str:
    return next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "it said nothing")

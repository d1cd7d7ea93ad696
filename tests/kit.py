"""Shared by the tests: the recorded data, and embedded endpoints as processes of their own."""

from __future__ import annotations

import sys
from pathlib import Path

from pixaris.endpoints.sources.managed import ManagedSource
from pixaris.endpoints.sources.process import ServerProcesses

DATA = Path(__file__).parent / "data" / "comfyui"
WORKFLOW = DATA / "workflows" / "02_seg_threshold_grow.json"


def server(replicas: int = 1, *options: str) -> ManagedSource:
    """The embedded endpoint as a command, with options of its own."""
    return ManagedSource(
        (sys.executable, "-m", "pixaris.comfyui.server", "--port", "{port}", *options), replicas=replicas
    )


def start_servers(folder: Path, replicas: int = 1, *options: str) -> ServerProcesses:
    """Embedded endpoints as processes of their own, not yet started; use as a context manager."""
    return ServerProcesses(server(replicas, *options).servers(), folder)

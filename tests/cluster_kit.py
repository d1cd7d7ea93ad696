"""A real Ray cluster of two nodes on one machine, which share no folder for results.

The second node lives in a mount namespace of its own: it has its own folder for Ray's sessions (else its
agent would unpack a job's files under the driver's feet), and sees other, empty folders in place of those
that two machines would not share.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RAY = [sys.executable, "-m", "ray.scripts.scripts"]
_START_SECONDS = 150.0
_TRIES = 2


def can_have_two_nodes() -> bool:
    """Whether this machine lets a process have mounts of its own."""
    tried = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"], check=False)
    return tried.returncode == 0


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("", 0))
        return int(listener.getsockname()[1])


def own_address() -> str:
    """This machine's address, as Ray takes it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("192.0.2.1", 9))
        return str(sock.getsockname()[0])


@dataclass
class TwoNodes:
    """The cluster.

    Attributes:
        folder: A short path for Ray's files and the token.
        hidden: Folders that the second node does not see.
        jobs: Whether it takes jobs.
        cpus: CPUs of the first and of the second node.
        gpus: Made-up GPUs of each.
        autoscaling: Whether an autoscaler starts up to two more nodes of one GPU, on this machine, too.
    """

    folder: Path
    hidden: Sequence[Path] = ()
    jobs: bool = False
    cpus: tuple[int, int] = (1, 1)
    gpus: int = 0
    autoscaling: bool = False
    port: int = field(default_factory=free_port)
    dashboard_port: int = field(default_factory=free_port)
    nodes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def address(self) -> str:
        """Where a search finds it."""
        return f"{own_address()}:{self.port}"

    @property
    def jobs_address(self) -> str:
        """Where jobs go."""
        return f"http://127.0.0.1:{self.dashboard_port}"

    @property
    def environment(self) -> dict[str, str]:
        """Of everything that has to do with it: a token and a home of its own."""
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        paths = [path for path in sys.path if path and "site-packages" not in path]
        unset = {"RAY_ADDRESS", "RAY_AUTH_TOKEN_PATH"}
        own = {
            "HOME": str(home),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PYTHONPATH": os.pathsep.join(paths),
            "PIXARIS_CACHE_DIR": str(self.folder / "cache"),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": "0123456789abcdef0123456789abcdef",
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        if self.autoscaling:
            own.update({"RAY_FAKE_CLUSTER": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1"})
        return {**{key: value for key, value in os.environ.items() if key not in unset}, **own}

    def start_head(self) -> None:
        """Start the first node."""
        dashboard = ["--dashboard-host=127.0.0.1", f"--dashboard-port={self.dashboard_port}"]
        words = [*RAY, "start", "--head", f"--port={self.port}", f"--temp-dir={self.folder / 'ray'}"]
        words += [f"--include-dashboard={'true' if self.jobs else 'false'}", *dashboard]
        if self.autoscaling:
            config = self.folder / "autoscaler.json"
            config.write_text(json.dumps(_AUTOSCALER))
            words.append(f"--autoscaling-config={config}")
        self._start([*words, *self._common(0)])

    def start_second(self) -> None:
        """Start the second node; again, where it was killed."""
        own = tempfile.mkdtemp(prefix="second-", dir=self.folder)
        mounts = [f"mount --bind {shlex.quote(own)} {shlex.quote(str(self.folder / 'ray'))}"]
        mounts += [f"mount -t tmpfs none {shlex.quote(str(folder))}" for folder in self.hidden]
        start = shlex.join([*RAY, "start", f"--address={self.address}", *self._common(1)])
        self._start(["unshare", "-m", "sh", "-c", " && ".join([*mounts, f"exec {start}"])])

    def _common(self, number: int) -> list[str]:
        return [
            f"--num-cpus={self.cpus[number]}",
            f"--num-gpus={self.gpus}",
            f"--node-name=node-{number}",
            f"--node-ip-address={own_address()}",
            f"--ray-client-server-port={free_port()}",
            f"--dashboard-agent-listen-port={free_port()}",
            "--object-store-memory=80000000",
            "--disable-usage-stats",
            "--block",
        ]

    def _start(self, words: Sequence[str]) -> None:
        log = self.folder / f"node-{len(self.nodes)}.log"
        for left in reversed(range(_TRIES)):
            with log.open("wb") as output:
                node = subprocess.Popen(
                    words,
                    env=self.environment,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            if _is_up(node, log):
                self.nodes.append(node)
                return
            _end_group(node)
            if not left:
                raise RuntimeError(f"a node did not come up:\n{log.read_text(errors='replace')}")

    def kill_second(self) -> None:
        """Take the second node away as a power cut would: all of its processes at once."""
        for pid in processes_of("--node-name=node-1", str(self.folder)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _end_group(self.nodes.pop())

    def close(self) -> None:
        """End both nodes and all that they started."""
        for node in reversed(self.nodes):
            node.terminate()
        for node in self.nodes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                node.wait(10)
            _end_group(node)
        for pid in processes_of(str(self.folder)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def first_node(hidden: Sequence[Path] = (), **given: Any) -> Iterator[TwoNodes]:
    """A cluster of which the first node is up; both end with the block.

    Args:
        hidden: Folders that a second node does not see.
        given: Other attributes of `TwoNodes`.
    """
    folder = Path(tempfile.mkdtemp(prefix="px-", dir="/tmp"))  # sockets have paths of 107 bytes at most
    (folder / "ray").mkdir()
    cluster = TwoNodes(folder, hidden, **given)
    try:
        cluster.start_head()
        yield cluster
    finally:
        cluster.close()
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def two_nodes(hidden: Sequence[Path] = (), **given: Any) -> Iterator[TwoNodes]:
    """Both nodes, up; arguments as for `first_node`."""
    with first_node(hidden, **given) as cluster:
        cluster.start_second()
        yield cluster


GCS_PORT = 6379
"""Where the nodes that Ray's stand-in for a cloud starts look for their head; it has no option for that."""

_COMMANDS = ("initialization", "setup", "head_setup", "worker_setup", "head_start_ray", "worker_start_ray")
_AUTOSCALER = {
    "cluster_name": "stand-in",
    "max_workers": 2,
    "provider": {"type": "fake_multinode", "use_node_id_as_ip": True},
    "available_node_types": {
        "ray.head.default": {"resources": {"CPU": 1}, "node_config": {}, "max_workers": 0},
        "gpu": {
            "resources": {"CPU": 1, "GPU": 1, "object_store_memory": 80_000_000},
            "node_config": {},
            "min_workers": 0,
            "max_workers": 2,
        },
    },
    "head_node_type": "ray.head.default",
    "upscaling_speed": 1.0,
    "idle_timeout_minutes": 0.1,
    "auth": {},
    "docker": {},
    "file_mounts": {},
    "cluster_synced_files": [],
    "file_mounts_sync_continuously": False,
    "rsync_exclude": [],
    "rsync_filter": [],
    **{f"{name}_commands": [] for name in _COMMANDS},
}


def can_autoscale() -> bool:
    """Whether the port is free that such a cluster needs."""
    with socket.socket() as listener:
        try:
            listener.bind(("", GCS_PORT))
        except OSError:
            return False
    return True


def autoscaling_node() -> AbstractContextManager[TwoNodes]:
    """A head without a GPU, and an autoscaler that starts nodes with one."""
    return first_node(cpus=(1, 0), autoscaling=True, port=GCS_PORT)


def one_node(cpus: int) -> AbstractContextManager[TwoNodes]:
    """The first node alone, with so many CPUs."""
    return first_node(cpus=(cpus, 0))


def processes_of(*words: str) -> list[int]:
    """Processes that have all of these words in their command line, or in their environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            text = (entry / "cmdline").read_bytes()
        except OSError:  # it has ended
            continue
        if all(word.encode() in text for word in words) and int(entry.name) != os.getpid():
            found.append(int(entry.name))
    return found


def _is_up(node: subprocess.Popen[bytes], log: Path) -> bool:
    deadline = time.monotonic() + _START_SECONDS
    while node.poll() is None and time.monotonic() < deadline:
        if b"--block" in log.read_bytes():
            return True
        time.sleep(0.1)
    return False


def _end_group(node: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(node.pid, signal.SIGKILL)
    node.wait(10)

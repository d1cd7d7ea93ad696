"""The door to a cluster's job server."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ray.exceptions import RayError

from pixaris.exceptions import ClusterError, ConfigurationError, first_line
from pixaris.search.driver.session.address import knock
from pixaris.words import pip

DEFAULT_ADDRESS = "http://127.0.0.1:8265"
"""Where a cluster's job server is, seen from its head or through `kubectl port-forward`."""

STOP_SECONDS = 30
"""How long a job that is stopped may take to end in order, before Ray kills it."""

INTERRUPTED = 130
_SEARCH = "pixaris_search"
_AGAIN_SECONDS = 1.0
_MOST_FAILURES = 30
_NO_AGENT = "No available agent"
_AGENT_SECONDS = 60.0
"""How long is waited for a node's agent, which takes jobs some seconds after the node is up."""
_LOUD = (
    "ray.dashboard.modules.dashboard_sdk",
    "ray.dashboard.modules.job.sdk",
    "ray._private.runtime_env.packaging",
)
_OVER = ("SUCCEEDED", "FAILED", "STOPPED")


@dataclass(frozen=True)
class Job:
    """A search that was submitted.

    Attributes:
        id: What the cluster calls it.
        search: ``project/name``.
        status: PENDING, RUNNING, SUCCEEDED, FAILED or STOPPED.
        started: Unix time, or None.
        exit_code: The search's own, once it is known.
        message: What the cluster says of it.
    """

    id: str
    search: str
    status: str
    started: float | None = None
    exit_code: int | None = None
    message: str = ""

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.status in _OVER

    @property
    def code(self) -> int:
        """The exit code of a job that is over: the search's own, where it came to one."""
        if self.exit_code is not None:
            return self.exit_code
        return {"SUCCEEDED": 0, "STOPPED": INTERRUPTED}.get(self.status, 1)


class Jobs:
    """A cluster's job server.

    Args:
        address: ``http://host:port`` of the cluster's dashboard.

    Raises:
        ConfigurationError: It is no such address, or Ray lacks what it takes.
        ClusterError: Nobody answers there, or asks for another token.
    """

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError(
                "the address must be that of the cluster's dashboard, http://host:8265, which takes jobs (got"
                f" {address!r}); a search that runs inside the cluster takes host:port (pixaris search"
                " --address)"
            )
        self.address = address
        port = parts.port or (443 if parts.scheme == "https" else 80)
        if reason := knock(parts.hostname, port):
            raise ClusterError(
                f"no Ray dashboard can be reached at {address} ({reason}); start the cluster, or forward its"
                f" dashboard to port {port} here"
            )
        with self._explaining():
            from ray.job_submission import JobSubmissionClient

            for name in _LOUD:
                logging.getLogger(name).setLevel(logging.ERROR)
            self._client = JobSubmissionClient(address)

    @property
    def ray_version(self) -> str:
        """The cluster's Ray."""
        return str(self._client._server_ray_version)

    def submit(
        self, job_id: str, command: Sequence[str], folder: str, *, search: str, variables: Mapping[str, str]
    ) -> None:
        """Submit a command.

        Args:
            job_id: What it is to be called.
            command: Its words; ``python`` is the nodes'.
            folder: What travels.
            search: ``project/name``.
            variables: Of the job's environment; anybody who may look at the cluster's jobs can read them.
        """
        stop = {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_SECONDS)}
        deadline = time.monotonic() + _AGENT_SECONDS
        with self._explaining():
            while True:
                try:
                    self._client.submit_job(
                        entrypoint=shlex.join(command),
                        submission_id=job_id,
                        runtime_env={"working_dir": folder, "env_vars": {**stop, **variables}},
                        metadata={_SEARCH: search},
                    )
                    return
                except RuntimeError as error:
                    if _NO_AGENT not in str(error):
                        raise
                    if time.monotonic() > deadline:
                        raise ClusterError(self._no_agent()) from None
                time.sleep(_AGAIN_SECONDS)

    def list(self) -> list[Job]:
        """The searches that were submitted to the cluster, the newest first."""
        with self._explaining():
            found = [_job(one) for one in self._client.list_jobs() if (one.metadata or {}).get(_SEARCH)]
        return sorted(found, key=lambda job: -(job.started or 0.0))

    def get(self, job_id: str) -> Job:
        """A job as it stands."""
        with self._explaining():
            return _job(self._client.get_job_info(job_id))

    def stop(self, job_id: str) -> None:
        """Ask a job to end in order."""
        with self._explaining():
            self._client.stop_job(job_id)

    def wait(self, job_id: str, seconds: float) -> Job:
        """A job once it is over, or as it stands after that time."""
        deadline = time.monotonic() + seconds
        while True:
            job = self.get(job_id)
            if job.is_over or time.monotonic() > deadline:
                return job
            time.sleep(_AGAIN_SECONDS / 4)

    def follow(self, job_id: str, write: Callable[[str], object]) -> Job:
        """Pass on a job's log as it grows, until the job is over; a connection that breaks is made again.

        Args:
            job_id: The job.
            write: Takes the text.
        """
        written, failures = 0, 0
        while True:
            try:
                written = asyncio.run(self._tail(job_id, write, written))
                job = self.get(job_id)
                failures = 0
            except (ClusterError, RuntimeError, OSError) as error:
                failures += 1
                if failures > _MOST_FAILURES:
                    raise ClusterError(self._lost(error)) from None
            else:
                if job.is_over:
                    return job
            time.sleep(_AGAIN_SECONDS)

    async def _tail(self, job_id: str, write: Callable[[str], object], written: int) -> int:
        """Pass on what a job's log has after so many characters; gives the number of all."""
        passed = 0
        async for text in self._client.tail_job_logs(job_id):
            # A new connection tells the log from its beginning: what was passed on before is cut off.
            fresh = text[max(0, written - passed) :]
            passed += len(text)
            if fresh:
                write(fresh)
                written = passed
        return max(written, passed)

    @contextlib.contextmanager
    def _explaining(self) -> Iterator[None]:
        """Say in one line what is wrong."""
        try:
            yield
        except (ConnectionError, OSError) as error:
            raise ClusterError(self._lost(error)) from None
        except ImportError:
            raise ConfigurationError(_no_client()) from None
        except (RuntimeError, RayError) as error:
            said = str(error)
            if "pip install" in said or "ray[default]" in said:
                raise ConfigurationError(_no_client()) from None
            if "uthenticat" in said + type(error).__name__:
                raise ClusterError(
                    f"the cluster at {self.address} asks for another token; set RAY_AUTH_MODE=token and"
                    " RAY_AUTH_TOKEN as it has them"
                ) from None
            raise ClusterError(f"the cluster at {self.address} says: {first_line(said)}") from None

    def _no_agent(self) -> str:
        return (
            f"no node of the cluster at {self.address} takes jobs: their agents do not answer; look into"
            " dashboard_agent.log in Ray's folder of logs on its head (a port that is taken is named there)"
        )

    def _lost(self, error: BaseException) -> str:
        said = first_line(str(error)) or type(error).__name__
        return f"the cluster at {self.address} does not answer ({said}); the job, if it was begun, goes on"


def _no_client() -> str:
    return f"jobs need Ray's job client; install it with: {pip()} install 'pixaris[cluster]'"


def _job(found: Any) -> Job:  # noqa: ANN401  (Ray's own record)
    if found.start_time is None:
        started = None
    else:
        started = found.start_time / 1000
    search = (found.metadata or {}).get(_SEARCH, "")
    status = str(getattr(found.status, "value", found.status))
    identity = found.submission_id or found.job_id or ""
    return Job(identity, search, status, started, found.driver_exit_code, found.message or "")

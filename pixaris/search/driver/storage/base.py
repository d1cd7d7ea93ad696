"""How trials reach the search's files, wherever they run."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import ray
from ray.exceptions import RayError

from pixaris.endpoints.ray.messages import ActorHandle
from pixaris.endpoints.ray.nodes import beside_this, this_node
from pixaris.files import read_json, storing, write_json
from pixaris.results.paths import SearchPaths
from pixaris.search.driver.storage.actor import Kept, StorageActor
from pixaris.search.driver.storage.remote import RemoteStorage

_THREADS = 8
_CLOSE_SECONDS = 30.0


@dataclass(frozen=True)
class DriverStorage:
    """The search's files, for a trial; it travels to the trials in a pickle.

    Attributes:
        actor: Handle of the actor that keeps what is sent there.
        node: Id of the driver's node.
        mark: What the file `SearchPaths.mark` says on every machine that has the search's folder.
    """

    actor: ActorHandle
    node: str
    mark: str

    def is_shared(self, folder: Path) -> bool:
        """Whether this process sees the search's folder itself, and not one of the same name.

        Args:
            folder: The search's folder.
        """
        if this_node() == self.node:
            return True
        return (read_json(SearchPaths(folder).mark) or {}).get("process") == self.mark

    def connect(self) -> RemoteStorage:
        """Reach the files from a node that does not have them."""
        return RemoteStorage(self.actor)


@contextlib.contextmanager
def driver_storage(paths: SearchPaths, kept: Kept, *, on_cluster: bool) -> Iterator[DriverStorage | None]:
    """Keep what trials of other nodes make, for as long as the search runs; None where there are no others.

    Args:
        paths: The search's.
        kept: Where everything belongs.
        on_cluster: Whether Ray has, or may get, other nodes.
    """
    if not on_cluster:
        yield None
        return
    mark = uuid.uuid4().hex
    with storing(paths.folder):
        write_json(paths.mark, {"process": mark}, make_folder=False)
    actor_class = ray.remote(num_cpus=0, max_concurrency=_THREADS, max_restarts=-1, max_task_retries=-1)(
        StorageActor
    )
    # Held here, because a process that is started again needs it; and pickled, because Ray warns the user of
    # references among an actor's arguments, though nothing is lost while one of them is held.
    held = ray.put(kept)
    actor = actor_class.options(scheduling_strategy=beside_this()).remote(ray.cloudpickle.dumps(held))
    try:
        yield DriverStorage(actor, this_node(), mark)
        with contextlib.suppress(RayError):  # who has no time left has stored what it has
            ray.get(actor.close.remote(), timeout=_CLOSE_SECONDS)
    finally:
        ray.kill(actor)
        with contextlib.suppress(OSError):
            paths.mark.unlink(missing_ok=True)

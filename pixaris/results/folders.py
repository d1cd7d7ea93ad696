"""The folders of searches: one is made, held by the process that runs it, and found again by its name."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from pixaris.exceptions import ConfigurationError, nearest
from pixaris.files import read_json, safe_name
from pixaris.results.paths import RunPaths, SearchPaths, number_of, numbered, trial_name

# A look holds the folder for microseconds; a second in all is many looks.
_TRIES = 20
_JOB_FOLDER = "_ray_pkg_"
"""How the folders begin that Ray unpacks a job's files in; it deletes them when it likes."""
_TRY_SECONDS = 0.05


def new_folder(parent: Path, name: str, taken: Collection[str] = ()) -> Path:
    """Make a folder of our own: ``name``, or ``name-2``, ``name-3``, … if there is one.

    Args:
        parent: Where it goes.
        name: The name.
        taken: Names that are used elsewhere.

    Raises:
        ConfigurationError: It cannot be made.
    """
    for number in range(1, 100_000):
        folder = parent / numbered(name, number)
        if folder.name in taken:
            continue
        try:
            # Made instead of looked for: of two processes that start at once only one gets it.
            folder.mkdir(parents=True)
        # Before `OSError`, of which it is one: a name that is taken is no fault.
        except FileExistsError:
            continue
        except OSError as error:
            raise ConfigurationError(
                f"the results folder {folder} cannot be made: {error.strerror}"
            ) from None
        return folder
    raise ConfigurationError(f"{parent} has too many searches called {name!r}; move some away")


def fault_of(results: Path, *, kept_elsewhere: bool = False) -> str:
    """Why no results can be kept in a folder that is there, or is to be made; "" if they can.

    Args:
        results: The folder.
        kept_elsewhere: Whether the folder may go with its machine, because there is a copy.
    """
    present = results.absolute()
    if not kept_elsewhere and any(part.startswith(_JOB_FOLDER) for part in present.parts):
        return (
            f"results cannot be kept in {results}: that is in the copy of the job's files, which goes with"
            " the node; name an absolute folder that stays (results: /…, or --set results=/…)"
        )
    try:
        # `lexists`, so that a link that leads nowhere is told instead of passed over.
        while not os.path.lexists(present):
            present = present.parent
        if not present.is_dir():
            return f"results cannot be kept in {results}: {present} is not a folder; name a folder"
        if not os.access(present, os.W_OK | os.X_OK):
            return (
                f"results cannot be kept in {results}: {present} may not be written to; name another folder"
            )
    except OSError as error:
        return f"results cannot be kept in {results}: {error.strerror}; name another folder"
    return ""


def latest_folder(parent: Path, name: str) -> Path | None:
    """The newest folder of a name: of ``name``, ``name-2``, … the one with the highest number; None if there
    is none.
    """
    found: dict[int, Path] = {}
    for head in parent.glob(f"*/{SearchPaths.HEAD}"):
        number = number_of(head.parent.name, name)
        if number is not None:
            found[number] = head.parent
    if found:
        return found[max(found)]
    return None


@contextlib.contextmanager
def holding(folder: Path) -> Iterator[None]:
    """Hold a search's folder while it runs; the hold ends with the process, however that ends.

    Raises:
        ConfigurationError: Another process holds it.
    """
    # The kernel lets go of the lock when the process ends, however it does: a file that says "running" would
    # outlive a kill.
    handle = os.open(SearchPaths(folder).lock, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        for left in reversed(range(_TRIES)):  # whoever looks whether it is held, holds it for a moment
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if not left:
                    message = f"the search in {folder} is still running; wait for its end, or stop it"
                    raise ConfigurationError(message) from None
                time.sleep(_TRY_SECONDS)
        yield
    finally:
        # Lets the lock go too; the file stays, or two processes could lock two files of one name.
        os.close(handle)


def held(folder: Path) -> bool | None:
    """Whether a process runs the search of a folder now; None if that cannot be told (an older search)."""
    try:
        handle = os.open(SearchPaths(folder).lock, os.O_RDONLY)
    except OSError:
        return None
    try:
        # Shared: two that look at once must not take each other for the search.
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


def searches(results: Path) -> list[Path]:
    """The folders of all searches in a results folder, ``<results>/<project>/<search>``, by name."""
    return sorted(head.parent for head in results.glob(f"*/*/{SearchPaths.HEAD}"))


def runs(results: Path) -> list[Path]:
    """The folders of all single runs in a results folder, ``<results>/<project>/<eval set>/<run>``, by
    name.
    """
    found = []
    for file in results.glob(f"*/*/*/{RunPaths.RECORD}"):
        record = read_json(file)
        if record and not record.get("search"):
            found.append(file.parent)
    return sorted(found)


def find_search(results: Path, name: str) -> Path:
    """The folder of a search.

    Args:
        results: The results folder.
        name: The search's name, ``project/name``, or the path of its folder.

    Raises:
        ConfigurationError: There is none, or several projects have one.
    """
    return _find(
        name,
        [Path(name), results / name],
        searches(results),
        SearchPaths.HEAD,
        f"there is no search {name!r} in {results}",
    )


def find_trial(search: Path, name: str, names: Sequence[str]) -> str:
    """A trial's name, from its name or number.

    Args:
        search: The search's folder.
        name: ``trial_0003``, or ``3``.
        names: Of all its trials.

    Raises:
        ConfigurationError: There is none.
    """
    if name.isascii() and name.isdigit() and len(name) < 10:
        wanted = trial_name(int(name))
    else:
        wanted = name
    if wanted in names:
        return wanted
    if not names:
        raise ConfigurationError(f"{search} has no trials yet")
    raise ConfigurationError(
        f"{search} has no {name!r}{nearest(wanted, names)}; it has {names[0]} … {names[-1]}"
    )


def _find(name: str, paths: Sequence[Path], known: Sequence[Path], marker: str, missing: str) -> Path:
    named = [folder for folder in known if folder.name in (name, safe_name(name))]
    if len(named) == 1:
        return named[0]
    if named:
        words = " or ".join(f"{folder.parent.name}/{folder.name}" for folder in named)
        raise ConfigurationError(f"several projects have a search {name!r}; write {words}")
    # After the names: a search is more often meant than a folder that happens to be called so here.
    for path in paths:
        if (path / marker).is_file():
            return path
    names = [folder.name for folder in known]
    names += [f"{folder.parent.name}/{folder.name}" for folder in known]
    hint = nearest(name, names) or (f"; there are {', '.join(f.name for f in known[:8])}" if known else "")
    raise ConfigurationError(f"{missing}{hint}; pixaris runs lists them (--results names another folder)")

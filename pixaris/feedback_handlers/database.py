"""The SQLite file of feedback: made, opened, and brought up to date by whoever opens it first."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from pixaris.exceptions import ConfigurationError, StorageError

BUSY_SECONDS = 10.0
"""How long a writer waits for others."""

_STEPS = (
    """
    create table iterations (
      id integer primary key, project text not null, name text not null, created real not null,
      directions text not null default '{}', unique (project, name));
    create table images (
      iteration integer not null references iterations, place integer not null, name text not null,
      file text not null, item text not null, run text not null, dataset text not null,
      digest text not null, scores text not null, primary key (iteration, name)) without rowid;
    create table entries (
      number integer primary key autoincrement, id text not null unique,
      iteration integer not null references iterations, kind text not null, rater text not null,
      at real not null, subject text not null, said text not null, comment text not null);
    create index entries_of on entries (iteration, number);
    """,
    """
    alter table entries add column rival text not null default '';
    alter table entries add column item text not null default '';
    """,
)
"""What makes a database of one version the next one's: likes came first, then votes between two images."""

VERSION = len(_STEPS)

_KERNEL_S = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "glusterfs", "beegfs")
_FUSE_S = ("sshfs", "rclone", "gcsfuse", "s3fs", "glusterfs", "juicefs")
_FAR = frozenset((*_KERNEL_S, *(f"fuse.{name}" for name in _FUSE_S)))
_MOUNTS = Path("/proc/self/mounts")


def open_database(file: Path) -> sqlite3.Connection:
    """Open the file, make it if it is not there, and bring an older one up to date; that keeps a copy of it.

    Raises:
        ConfigurationError: It is a newer version's, or no database.
        StorageError: It cannot be opened.
    """
    with explained(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(
            file, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            # write-ahead logs need shared memory between all processes, which network drives do not have
            connection.execute(f"pragma journal_mode = {'delete' if is_far(file.parent) else 'wal'}")
            connection.execute("pragma synchronous = full")
            _bring_up_to_date(connection, file)
        except BaseException:
            # Ctrl-C among them: the file would stay open
            connection.close()
            raise
    return connection


def is_far(folder: Path, mounts: Path = _MOUNTS) -> bool:
    """Whether a folder lies on a network drive.

    Args:
        folder: The folder.
        mounts: The system's list of file systems; where there is none, nothing is known to be far.
    """
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    kinds = {fields[1].replace("\\040", " "): fields[2] for line in lines if len(fields := line.split()) > 2}
    place = folder.resolve()
    while str(place) not in kinds and place != place.parent:
        place = place.parent
    return kinds.get(str(place), "") in _FAR


@contextlib.contextmanager
def explained(file: Path) -> Iterator[None]:
    """Say in one line why a database cannot be used.

    Raises:
        ConfigurationError: It is no database.
        StorageError: It cannot be read or written.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        words = str(error)
        if "locked" in words or "busy" in words:
            reason = f"another process has held it for {BUSY_SECONDS:.0f} s; end that process, then try again"
        elif "not a database" in words or "malformed" in words:
            message = f"{file} is damaged or no database ({words}); move it away, or put a copy of it back"
            raise ConfigurationError(message) from None
        else:
            reason = f"{words}; look after that file and its disk"
        raise StorageError(f"feedback cannot be kept in {file}: {reason}") from error
    except OSError as error:
        raise StorageError(f"feedback cannot be kept in {file}: {error.strerror or error}") from error


@contextlib.contextmanager
def writing(connection: sqlite3.Connection) -> Iterator[None]:
    """A transaction that holds the writers' lock from its beginning, so that it never fails half way."""
    connection.execute("begin immediate")
    try:
        yield
    except BaseException:
        # Ctrl-C among them: the lock of all writers would stay held
        connection.execute("rollback")
        raise
    connection.execute("commit")


def _bring_up_to_date(connection: sqlite3.Connection, file: Path) -> None:
    version = _version(connection)
    if version == VERSION:
        return
    if version > VERSION:
        message = (
            f"{file} was written by a newer version of Pixaris (its format is {version}, known is {VERSION})"
        )
        raise ConfigurationError(f"{message}; install that version")
    if version:
        _back_up(connection, file, version)
    with writing(connection):  # another process may have been faster
        for number in range(_version(connection), VERSION):
            for statement in filter(str.strip, _STEPS[number].split(";")):
                connection.execute(statement)
        connection.execute(f"pragma user_version = {VERSION}")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("pragma user_version").fetchone()[0])


def _back_up(connection: sqlite3.Connection, file: Path, version: int) -> None:
    """Copy the database as it is, beside it."""
    when = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    copy = sqlite3.connect(file.with_name(f"{file.stem}-version-{version}-{when}{file.suffix}"))
    try:
        connection.backup(copy)
    finally:
        copy.close()

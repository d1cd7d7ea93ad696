"""The address of a Ray cluster: which ones a search can run on, and what to do about the others."""

from __future__ import annotations

import os
import socket

from pixaris.exceptions import ClusterError, ConfigurationError

VARIABLE = "RAY_ADDRESS"
"""The environment variable that names a cluster, also the one that ``ray job submit`` sets."""

_KNOCK_SECONDS = 5.0
_MOST_SHOWN = 200


def named() -> str:
    """The cluster that the environment names; "" where a search is to begin a Ray of its own."""
    given = os.environ.get(VARIABLE, "")
    if given == "local":
        return ""
    return given


def check(address: str) -> None:
    """Find out whether a search can run there, as far as that is quick to tell.

    Args:
        address: ``host:port``, ``auto``, or "" for a Ray of our own.

    Raises:
        ConfigurationError: It is an address of another kind.
        ClusterError: Nobody listens there.
    """
    if address in ("", "auto"):
        return
    if address.startswith(("http://", "https://")):
        raise ConfigurationError(
            f"{VARIABLE} is the address of Ray's dashboard ({address}), which takes jobs; submit the search"
            f" there (pixaris submit FILE --address {address}), or unset {VARIABLE} to search on this machine"
        )
    if "://" in address:
        raise ConfigurationError(
            f"{VARIABLE} is {address}, and a search must run inside the cluster; submit it as a job (pixaris"
            f" submit FILE --address http://HOST:8265), or unset {VARIABLE} to search on this machine"
        )
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ConfigurationError(f"{VARIABLE} must be host:port, auto or local (got {address!r})")
    # Ray itself goes on trying for many minutes, deaf to signals
    if reason := knock(host.strip("[]"), int(port)):
        raise ClusterError(f"no Ray can be reached at {address} ({reason}); {_ways_out(address)}")


def knock(host: str, port: int) -> str:
    """Why nobody listens at a port; "" if somebody does."""
    try:
        socket.create_connection((host, port), timeout=_KNOCK_SECONDS).close()
    except (OSError, OverflowError) as error:
        return getattr(error, "strerror", None) or "it does not answer"
    return ""


def _ways_out(address: str) -> str:
    if address:
        return f"start that cluster, or unset {VARIABLE} to search on this machine"
    return "end other programs, or wait until they are done, and try again"


def too_late(address: str, seconds: float) -> str:
    """What to say when Ray has not come up in time."""
    if address:
        return (
            f"the Ray at {address} did not let this process in within {seconds:.0f} s; {_ways_out(address)}"
        )
    return f"Ray did not come up within {seconds:.0f} s: the machine is too busy; {_ways_out(address)}"


def explained(error: BaseException, address: str) -> str:
    """One line, with a way out, for what Ray raises when it is started or joined."""
    text = str(error)
    lowered = text.lower()
    if address:
        where = f"the Ray at {address}"
    else:
        where = "Ray"
    for words, cause in _CAUSES.items():
        if any(word in lowered for word in words):
            return cause.format(where=where, said=_first(text), ways_out=_ways_out(address))
    said = _first(text) or type(error).__name__
    return f"{where} cannot be used: {said}; {_ways_out(address)}"


_CAUSES = {
    ("authentication", "auth_token", "invalidauth"): (
        "{where} asks for another token, or for none; set RAY_AUTH_MODE (token or disabled) and"
        " RAY_AUTH_TOKEN as that cluster has them"
    ),
    ("failed to connect to ray cluster",): (
        "{where} does not let this process in: it asks for another token, or for none, or is no Ray; set"
        " RAY_AUTH_MODE (token or disabled) and RAY_AUTH_TOKEN as that cluster has them"
    ),
    ("version mismatch", "different version", "versions"): (
        "{where} is of another version; install the same Ray and Python here as there ({said})"
    ),
    ("af_unix", "107 bytes", "path too long", "file name too long"): (
        "the folder for temporary files has too long a path for Ray; set TMPDIR or RAY_TMPDIR to a short one"
    ),
    ("no space left", "enospc"): (
        "the folder for temporary files is full; free some space there, or set RAY_TMPDIR to another"
    ),
    ("permission denied", "read-only file system"): (
        "the folder for temporary files cannot be written to; set RAY_TMPDIR to another ({said})"
    ),
    ("/dev/shm", "object store memory"): (
        "Ray has no memory for its object store; free some, or end other programs ({said})"
    ),
    ("timed out", "raylet", "gcs"): "{where} did not come up, though it was tried twice; {ways_out}",
}
"""Words in what Ray says to what that means."""


def _first(text: str) -> str:
    """The first line of what Ray said."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    if len(line) <= _MOST_SHOWN:
        return line
    return f"{line[: _MOST_SHOWN - 1]}…"

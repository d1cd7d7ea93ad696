"""Who is who: signed names in cookies, names for things that cannot be guessed, and how often one may try."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from pixaris.exceptions import StorageError

KEY_FILE = ".review.key"
COOKIE = "pixaris_review"
DAYS = 30
_LONGEST_NAME = 40
# Five guesses a minute: a password of eight characters outlives whoever tries.
_TRIES, _WINDOW = 5, 60.0
# Addresses that are remembered: whoever has more would otherwise fill the memory.
_MOST_KEPT = 10_000


class Keyring:
    """Signs names, and makes opaque ids: both with one key, which only this machine's user can read.

    Args:
        key: At least 32 bytes.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def of(cls, folder: Path) -> Keyring:
        """The key of a folder, so that links and sessions outlive a restart; it is made if there is none.

        Raises:
            StorageError: It cannot be kept.
        """
        file = folder / KEY_FILE
        try:
            folder.mkdir(parents=True, exist_ok=True)
            beside = folder / f"{KEY_FILE}.{secrets.token_hex(6)}"
            # Readable by the user alone from the beginning: a mode that is set afterwards comes too late.
            handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as opened:
                opened.write(secrets.token_bytes(32))
            try:
                os.link(beside, file)  # whoever is first; a reader never sees half a key
            except FileExistsError:
                pass
            finally:
                beside.unlink()
            return cls(file.read_bytes())
        except OSError as error:
            raise StorageError(
                f"the review page cannot keep its key in {folder}: {error.strerror}"
            ) from error

    def opaque(self, *words: str) -> str:
        """A name for something, which tells nothing of it and leads to no file."""
        return self._digest("id", *words)[:20]

    def session(self, name: str, now: float) -> str:
        """A cookie that says who somebody is.

        Args:
            name: The person's name.
            now: Unix time.
        """
        encoded = base64.urlsafe_b64encode(name.encode()).decode()
        body = f"{encoded}.{int(now)}"
        return f"{body}.{self._digest('session', body)}"

    def name(self, cookie: str, now: float) -> str | None:
        """Who somebody is; None if the cookie is not ours, or too old."""
        body, _, signature = cookie.rpartition(".")
        # In constant time: how long a comparison takes must not tell how much of a guess is right.
        if not hmac.compare_digest(self._digest("session", body).encode(), signature.encode()):
            return None
        encoded, _, since = body.partition(".")
        # Signed by us, so it is a number.
        if not 0 <= now - int(since) <= DAYS * 86_400:
            return None
        return base64.urlsafe_b64decode(encoded).decode()

    def _digest(self, *words: str) -> str:
        # With a sign that no word has, so that ("a", "bc") and ("ab", "c") differ.
        message = "\0".join(words).encode("utf-8", "backslashreplace")
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()


def clean_name(text: str) -> str:
    """A person's name as it is kept: one line, not too long; "" if nothing is left."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(printable.split())[:_LONGEST_NAME].strip()


class Attempts:
    """How often somebody may try a password.

    Args:
        clock: Gives seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed: dict[str, deque[float]] = {}

    def wait(self, whose: str) -> float:
        """Seconds until somebody may try again; 0 if at once."""
        times = self._failed.get(whose)
        if times is None:
            return 0.0
        while times and self._clock() - times[0] > _WINDOW:
            times.popleft()
        if not times:
            del self._failed[whose]
            return 0.0
        if len(times) >= _TRIES:
            return max(0.0, _WINDOW - (self._clock() - times[0]))
        return 0.0

    def failed(self, whose: str) -> None:
        """Somebody has tried a wrong one."""
        if len(self._failed) >= _MOST_KEPT:
            # All at once, rather than a search for the oldest with every guess.
            self._failed.clear()
        self._failed.setdefault(whose, deque(maxlen=_TRIES)).append(self._clock())

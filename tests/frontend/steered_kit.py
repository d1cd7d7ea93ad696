"""A search in a process of its own, and what it says."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Self

SECONDS = 120.0


class SearchProcess:
    """``pixaris search FILE``, without the cache; it ends with the block.

    Args:
        file: The search file.
        words: Further arguments.
    """

    def __init__(self, file: Path, *words: str) -> None:
        argv = [sys.executable, "-u", "-m", "pixaris", "search", str(file), "--no-cache", *words]
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.said = ""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(SECONDS)
        self._thread.join()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def says(self, words: str, times: int = 1) -> re.Match[str]:
        """Wait until it says something for the so-many-th time."""
        deadline = time.monotonic() + SECONDS
        while len(found := list(re.finditer(words, self.said))) < times:
            assert self.process.poll() is None or self._thread.is_alive(), self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.1)
        return found[times - 1]

    def ends(self) -> int:
        """Wait for its end; gives its exit code."""
        code = self.process.wait(SECONDS)
        self._thread.join()
        return code

"""A search whose Ray has ended, and that stands in a call to it: Ray ends it after a minute, silently."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import sys, threading, time
from pixaris.search.driver.session import session
session._END_SECONDS = 0.5
ray = session.RaySession()
ray._up.set()
ray._head.fault = lambda: "Ray has ended unexpectedly"
assert ray.fault() == ray.fault() == "Ray has ended unexpectedly"
if sys.argv[1] == "ends":
    ray.__exit__(None, None, None)
    time.sleep(1.5)
    print("in order")
    sys.exit(3)
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("how", "code", "out", "err"),
    [
        ("ends", 3, "in order\n", ""),
        (
            "stands",
            1,
            "",
            "error: Ray has ended unexpectedly\nresume with: the same command and --resume\n",
        ),
    ],
)
def test_last_words_are_said_where_it_does_not_end_by_itself(how: str, code: int, out: str, err: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", CODE, how], capture_output=True, text=True, timeout=50, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (code, out, err)

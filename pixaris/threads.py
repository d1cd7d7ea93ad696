"""Work that a thread does beside a block."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def beside(
    name: str, work: Callable[[threading.Event], None], seconds: float | None = None
) -> Iterator[None]:
    """Let a thread work as long as the block runs.

    Args:
        name: The thread's.
        work: Called with an event, which is set when the block has ended.
        seconds: How long is waited for the thread then; None: until it ends.
    """
    over = threading.Event()
    thread = threading.Thread(target=work, args=(over,), name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(seconds)

"""When a prompt is looked for over HTTP, and what it means that it was not found. Pure: every call is given
the time.
"""

from __future__ import annotations

from pixaris.comfyui.address import Timeouts

_FIRST_PROBE, _LAST_PROBE = 0.25, 1.0  # without a websocket; doubled from probe to probe
_LATE_ROW = 0.05  # the history row of a prompt that has just ended may come a moment later
_MOST_DOUBLINGS = 8


class Pacing:
    """The probes of one prompt. Messages of the websocket make most of them needless.

    Args:
        limits: How long to wait for what.
        now: When the server took the prompt.
        at_once: Whether messages about it may have passed already.
        deaf: Whether messages about it go to another socket.

    Attributes:
        asked: When the queue was asked last, or the prompt taken; older answers say nothing about it.
        worker_died: Whether the server's worker thread was found dead.
    """

    def __init__(self, limits: Timeouts, now: float, *, at_once: bool = False, deaf: bool = False) -> None:
        self.asked = now
        self.worker_died = False
        self._limits = limits
        self._deaf = deaf
        if at_once:
            self._probed = 0.0
        else:
            self._probed = now
        self._probes = 0
        self._quiet_probes = 0  # since the websocket brought something
        self._pause: float | None = None
        self._broken_off = False
        self._absent_since: float | None = None
        self._still_since: float | None = None

    def next_probe(self, heard: float, *, connected: bool) -> float:
        """When to probe next.

        Args:
            heard: When the websocket last brought something about a prompt.
            connected: Whether it is connected.
        """
        limits = self._limits
        if self._pause is not None:
            return self._probed + self._pause
        if self._deaf or not connected:
            doubled = _FIRST_PROBE * 2.0 ** min(self._probes, _MOST_DOUBLINGS)
            return self._probed + min(doubled, _LAST_PROBE, limits.quiet)
        if heard <= self._probed:
            probes = self._quiet_probes
        else:
            probes = 0
        quiet_at = max(self._probed, heard) + limits.quiet * 2.0 ** min(probes, _MOST_DOUBLINGS)
        return min(quiet_at, self._probed + max(limits.lively, limits.quiet))

    def deadline(self, started: float | None) -> float:
        """When a prompt that started then has run for too long."""
        if started is None:
            return float("inf")
        return started + self._limits.generation

    # What happened

    def missed(self) -> None:
        """Messages may have been missed: probe at once."""
        self._probed, self._probes = 0.0, 0

    def no_row(self, now: float) -> None:
        """It is said to have ended, and has no history row yet: probe again in a moment."""
        self._probed, self._pause = now, _LATE_ROW

    def put_off(self, now: float, seconds: float | None) -> None:
        """The server asked to wait so long, or for a while."""
        self._probed, self._pause = now, min(max(seconds or 1.0, 0.1), 30.0)

    def broken_off(self, now: float) -> bool:
        """A probe's connection broke. Whether that may be tried again: one broken connection is no broken
        server, two in a row are.
        """
        again, self._broken_off = not self._broken_off, True
        self._probed, self._pause = now, 0.5
        return again

    def answered(self, now: float, heard: float) -> None:
        """A probe was answered, whatever the answer is."""
        if heard > self._probed:
            self._quiet_probes = 1
        else:
            self._quiet_probes = self._quiet_probes + 1
        self._broken_off, self._pause = False, None
        self._probed = self.asked = now
        self._probes += 1

    def absent(self, asked: float) -> bool:
        """It is neither in the queue nor in the history; whether it is lost: that has lasted too long.

        Args:
            asked: When that was asked.
        """
        self._still_since = None
        if self._absent_since is None:
            self._absent_since = asked
        self._pause = self._limits.lost_after
        return asked - self._absent_since >= self._limits.lost_after

    def queued(self, asked: float, *, stands_still: bool) -> float:
        """It is in the queue; seconds that the queue has stood still, once the worker thread must be dead
        after them, else 0.
        """
        self._absent_since = None
        if not stands_still:
            self._still_since = None
            return 0.0
        if self._still_since is None:
            self._still_since = asked
        still = asked - self._still_since
        self.worker_died = still >= self._limits.dead_worker
        if self.worker_died:
            return still
        return 0.0

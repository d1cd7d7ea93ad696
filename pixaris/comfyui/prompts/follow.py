"""Waits for the end of a prompt: told by the websocket, found out over HTTP."""

from __future__ import annotations

from collections.abc import Callable

from pixaris.comfyui.api import ComfyApi
from pixaris.comfyui.messages import PromptRecord, QueueState
from pixaris.comfyui.prompts.pacing import Pacing
from pixaris.comfyui.prompts.submission import Submission
from pixaris.comfyui.transport import failure_kind
from pixaris.comfyui.websocket import Listener
from pixaris.exceptions import PromptLostError, RateLimitedError, UnreachableError

_SHARED = 0.25  # how old an answer about the queue may be that another prompt's probe has got


class Follower:
    """Follows one prompt that the server has.

    Args:
        api: The server.
        listener: Its websocket.
        submission: The prompt.
        pacing: When to probe.
        clock: Seconds, monotonic; the listener's.
    """

    def __init__(
        self,
        api: ComfyApi,
        listener: Listener,
        submission: Submission,
        pacing: Pacing,
        clock: Callable[[], float],
    ) -> None:
        self._api = api
        self._listener = listener
        self._submission = submission
        self._watch = submission.watch
        self._pacing = pacing
        self._clock = clock

    def wait(self) -> PromptRecord:
        """Wait until it has ended, well or not.

        Raises:
            PromptLostError: The server has lost it, or its worker thread is dead.
            UnreachableError: The server answers no more, or the prompt ran for longer than
                `Timeouts.generation`.
            CancelledRequestError: It was cancelled.
        """
        watch, epoch = self._watch, self._listener.epoch
        while True:
            self._submission.raise_if_cancelled()
            if watch.ended:
                record = self._read_ended()
            else:
                record = None
            if epoch != self._listener.epoch:
                epoch = self._listener.epoch
                self._pacing.missed()
            if record is None and self._clock() >= self._next_probe():
                record = self._probe()
            if record is not None:
                self._submission.ended()
                return record
            now, deadline = self._clock(), self._pacing.deadline(watch.started)
            if now >= deadline:
                raise self._overdue(deadline - (watch.started or 0.0))
            watch.wake.wait(min(self._next_probe(), deadline) - now)
            watch.wake.clear()

    def _next_probe(self) -> float:
        return self._pacing.next_probe(self._listener.last_heard, connected=self._listener.connected)

    def _read_ended(self) -> PromptRecord | None:
        """The history row of a prompt that the websocket says has ended."""
        self._watch.ended = False
        try:
            record = self._api.history(self._submission.id)
        except UnreachableError as error:
            if failure_kind(error) != "broken off":
                raise
            record = None
        if record is None:
            self._pacing.no_row(self._clock())
        return record

    def _probe(self) -> PromptRecord | None:
        """Look for it over HTTP: in the queue first, then in the history, as it moves that way."""
        asked, prompt_id = self._clock(), self._submission.id
        try:
            queue = self._api.queue_since(max(self._pacing.asked, asked - _SHARED))
            if prompt_id in queue:
                record = None
            else:
                record = self._api.history(prompt_id)
        except RateLimitedError as error:
            self._pacing.put_off(self._clock(), error.retry_after)
            return None
        except UnreachableError as error:
            # A refused connection, or silence, is a broken server at once.
            if failure_kind(error) != "broken off" or not self._pacing.broken_off(self._clock()):
                raise
            return None
        self._pacing.answered(self._clock(), self._listener.last_heard)
        if record is not None:
            self._listener.suspect(self._watch)
            return record
        if prompt_id in queue:
            self._queued(queue, asked)
        elif self._pacing.absent(asked):
            self._submission.lost()
            gone = "the server has lost the prompt: it is neither queued nor in the history"
            raise PromptLostError(gone, endpoint=self._api.url)
        return None

    def _queued(self, queue: QueueState, asked: float) -> None:
        if self._submission.id in queue.running and self._watch.started is None:
            self._watch.started = asked
            self._listener.suspect(self._watch)
        still = self._pacing.queued(asked, stands_still=queue.stands_still)
        if still:
            self._submission.cancel_now()
            waited = f"{len(queue.pending)} waiting and none running for {still:.0f} s"
            dead = f"the server's worker thread is dead ({waited}): restart the server"
            raise PromptLostError(dead, endpoint=self._api.url)

    def _overdue(self, limit: float) -> UnreachableError:
        self._submission.cancel_now()
        text = f"the prompt ran for longer than {limit:g} s and was cancelled"
        return UnreachableError(text, endpoint=self._api.url)

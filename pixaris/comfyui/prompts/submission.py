"""A prompt's place on its server, and who must take it off again."""

from __future__ import annotations

import threading
import uuid
from contextlib import suppress

from pixaris.comfyui.api import ComfyApi
from pixaris.comfyui.messages import Tag
from pixaris.comfyui.prompts.failures import NodeNames, Refusal
from pixaris.comfyui.transport import failure_kind
from pixaris.comfyui.websocket import Listener, Watch
from pixaris.exceptions import CancelledRequestError, EndpointError, RateLimitedError, UnreachableError


class Submission:
    """One prompt, from before it is sent until nobody needs it on the server any more.

    `submit` (or `adopt`), `ended`, `lost` and `cancel_now` are called by the one thread that waits for it,
    `cancel` by any. At every moment at most one of them is responsible for taking the prompt off the server.

    Args:
        api: The server.
        listener: Its websocket.
        payload: The graph as JSON text.
        tag: Whose it is.
        names: For errors.

    Attributes:
        id: Under which the server has it.
        watch: What the websocket tells of it.
        adopted: Whether somebody else sent it, whose socket its messages go to.
        missed: Whether messages about it may have passed before anybody listened.
    """

    def __init__(self, api: ComfyApi, listener: Listener, payload: str, tag: Tag, names: NodeNames) -> None:
        self.id = str(uuid.uuid4())
        self.watch = Watch(self.id)
        self.adopted = False
        self.missed = False
        self._api = api
        self._listener = listener
        self._payload = payload
        self._tag = tag
        self._names = names
        self._lock = threading.Lock()
        self._cancelled = ""
        self._ours = False  # it may be on the server, and this thread must take it off
        self._named = False  # the server has confirmed the id
        self._copies = 0

    @property
    def left_behind(self) -> bool:
        """Whether the server may still have it, and nobody waits for it."""
        return self._ours

    def submit(self) -> Refusal | None:
        """Queue it.

        Returns:
            None, or why the server refused it.

        Raises:
            EndpointError: The server does not have it.
            CancelledRequestError: It was cancelled meanwhile.
        """
        self.watch = self._listener.watch(self.id)
        self.raise_if_cancelled()
        with self._lock:
            self._ours = True  # from here on it may be there, whatever happens to the reply
        reply = self._post()
        if isinstance(reply, Refusal):
            self._ours = False
            return reply
        if reply != self.id:
            # Old servers choose ids of their own. Messages under it may have passed already.
            self._listener.rename(self.watch, reply)
            self.id = reply
            self.missed = True
        self._confirm()
        return None

    def adopt(self, prompt_id: str) -> None:
        """Follow a prompt that the server has already, instead of submitting one.

        Raises:
            CancelledRequestError: It was cancelled meanwhile.
        """
        self.id = prompt_id
        self.watch = self._listener.watch(prompt_id)
        self.adopted = self.missed = True
        with self._lock:
            self._ours = True
        self._confirm()

    def raise_if_cancelled(self) -> None:
        """Return unless it was cancelled.

        Raises:
            CancelledRequestError: It was.
        """
        if self._cancelled:
            raise CancelledRequestError(self._cancelled)

    def cancel(self, reason: str) -> list[str]:
        """Let whoever waits for it raise CancelledRequestError.

        Args:
            reason: What that says.

        Returns:
            The ids the caller must take off the server: none while the server's reply is awaited, as `submit`
                then does it.
        """
        with self._lock:
            self._cancelled = reason
            if self._ours and self._named:
                ids = [self.id]
            else:
                ids = []
            if ids:
                self._ours = False  # the caller's business from now on
        self.watch.wake.set()
        return ids

    def cancel_now(self) -> None:
        """Take it off the server; if that cannot be reached, it is left behind."""
        with suppress(EndpointError):
            self._api.cancel([self.id])
            self._ours = False

    def lost(self) -> None:
        """The server does not have it any more."""
        self._ours = False

    def ended(self) -> None:
        """It has ended."""
        if self._copies > 1:  # the first submission may have arrived late
            with suppress(EndpointError):
                self._api.delete_pending(self.id)
        self._ours = False

    def release(self) -> None:
        """Stop listening for it."""
        self._listener.release(self.watch)

    def _confirm(self) -> None:
        """The server has it: from here on `cancel` names its id; if it was cancelled before, it goes here."""
        with self._lock:
            self._named = True
            cancelled = bool(self._cancelled)
        if cancelled:
            self.cancel_now()
        self.raise_if_cancelled()

    def _post(self) -> str | Refusal:
        self._copies = 1
        try:
            return self._send()
        except UnreachableError as error:
            if failure_kind(error) not in ("broken off", "timed out"):
                self._ours = False
                raise
            # It may have arrived all the same: look before it is sent a second time.
            if self.id in self._api.queue() or self._api.history(self.id) is not None:
                return self.id
            self.raise_if_cancelled()
            # The server may now have it twice under one id; `ended` takes the copy away that still waits.
            self._copies = 2
            return self._send()
        except RateLimitedError:
            self._ours = False
            raise

    def _send(self) -> str | Refusal:
        client_id = self._listener.claim(self.watch)
        return self._api.submit(self._payload, client_id, self.id, self._tag, self._names)

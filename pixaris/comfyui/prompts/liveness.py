"""Whether a server that answers also runs prompts: its worker thread may be dead."""

from __future__ import annotations

import json
import time
import uuid

from pixaris.comfyui.api import ComfyApi
from pixaris.comfyui.messages import Tag
from pixaris.comfyui.prompts.failures import NodeNames
from pixaris.exceptions import UnreachableError

_PATIENCE = 2.0

# An image of one pixel, shown to nobody: what a server that was found dead must run before it counts as
# alive.
_SMALL_PROMPT = json.dumps(
    {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 1, "height": 1, "batch_size": 1, "color": 0}},
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    }
)


class WorkerCheck:
    """Looks for prompts that wait while none runs; a server that has died once must run one first.

    Args:
        api: The server.
        session: Tags the prompt that tries the server out.
        patience: Seconds after which a queue that stands still is dead.

    Attributes:
        died: Whether the worker thread was found dead, here or by whoever sets it.
    """

    def __init__(self, api: ComfyApi, session: str, patience: float) -> None:
        self._api = api
        self._tag = Tag(session)
        self._patience = min(_PATIENCE, patience)
        self.died = False

    def check(self) -> None:
        """Return if the worker thread lives.

        Raises:
            EndpointError: It does not, or the server does not answer.
        """
        probe_id = str(uuid.uuid4())
        if self.died:
            self._api.submit(_SMALL_PROMPT, uuid.uuid4().hex, probe_id, self._tag, NodeNames(_SMALL_PROMPT))
        deadline = time.monotonic() + self._patience
        while self._api.queue().stands_still:
            if time.monotonic() > deadline:
                if self.died:
                    self._api.cancel([probe_id])
                self.died = True
                raise UnreachableError(
                    "its worker thread is dead: prompts wait and none runs; restart the server",
                    endpoint=self._api.url,
                )
            time.sleep(0.05)
        self.died = False

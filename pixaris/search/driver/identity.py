"""What a search and its runs are known by, in whatever process. No Ray."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Identity:
    """What stays the same when a search is resumed.

    Attributes:
        id: Unique for the search; makes run ids.
        proposal_seed: Of the searcher; drawn where the user gave none, so that it can be made again.
    """

    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    proposal_seed: int = 0


def run_id_of(search_id: str, number: int) -> str:
    """Id of a trial's experiment run: whoever works for the trial uses it, also after its process died."""
    return f"{search_id}-{number}"

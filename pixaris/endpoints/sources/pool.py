"""A pool of the cluster that several searches share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pixaris.endpoints.apis.comfyui import ComfyUIApi
from pixaris.endpoints.base import Endpoint, EndpointApi
from pixaris.endpoints.sources.base import EndpointSource
from pixaris.endpoints.sources.options import Text
from pixaris.exceptions import ConfigurationError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")


def pool_name(text: str) -> str:
    """A pool's name.

    Raises:
        ConfigurationError: It cannot be one.
    """
    if not _NAME.fullmatch(text):
        raise ConfigurationError(
            "must be the name of a pool: up to 40 letters, digits and .-_, the first one a letter or a digit"
            f" (got {text[:60]!r})"
        )
    return text


@dataclass(frozen=True)
class PoolSource(EndpointSource):
    """The endpoints of a pool that ``pixaris pool start`` has started on the cluster.

    Attributes:
        pool: Its name.
        members: Its endpoints, once the pool was asked.
        api: What kind of endpoint they are.
    """

    key = "pool"
    options = (Text("name", "pool", required="it is the pool's: endpoints: {pool: shared}", rule=pool_name),)
    short = "name"
    starts = True

    pool: str
    members: tuple[Endpoint, ...] = field(default=(), repr=False)
    api: EndpointApi = field(default_factory=ComfyUIApi, repr=False)

    @property
    def label(self) -> str:
        return f"the pool {self.pool}"

    @property
    def slots(self) -> int:
        return sum(member.depth for member in self.members) or Endpoint.depth

    @property
    def count(self) -> int:
        return max(1, len(self.members))

    def of(self, members: Sequence[Endpoint]) -> PoolSource:
        """The same, knowing its endpoints.

        Raises:
            ConfigurationError: None is of the kind that the search needs.
        """
        kinds = sorted({member.kind for member in members})
        if members and self.api.kind not in kinds:
            raise ConfigurationError(
                f"the pool {self.pool} has endpoints of the kind {', '.join(kinds)}, and the generator needs"
                f" {self.api.kind}; start another pool for it"
            )
        return replace(self, members=tuple(members))

    def serving(self, api: EndpointApi) -> PoolSource:
        return replace(self, api=api)

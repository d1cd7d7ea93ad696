"""Endpoints that are known already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pixaris.endpoints.base import Endpoint, EndpointApi
from pixaris.endpoints.sources.base import EndpointSource


@dataclass(frozen=True)
class GivenSource(EndpointSource):
    """An endpoint that is known already, such as a generator's own; of any kind."""

    endpoint: Endpoint

    @classmethod
    def of(cls, endpoint: Endpoint) -> GivenSource:
        """The source of an endpoint whose URL may be wrong.

        Raises:
            ConfigurationError: It cannot be one.
        """
        endpoint.connect().close()
        return cls(endpoint)

    @property
    def api(self) -> EndpointApi:  # type: ignore[override]  # an attribute of the class elsewhere
        """As the endpoint's."""
        return self.endpoint.api

    @property
    def label(self) -> str:
        return self.endpoint.api.shown(self.endpoint.url)

    @property
    def slots(self) -> int:
        return self.endpoint.depth

    def endpoints(self, environment: Mapping[str, str] | None = None) -> tuple[Endpoint, ...]:
        return (self.endpoint,)

    def limited(self, most: int | None, jobs: int | None) -> GivenSource:
        if not self.api.parallel or jobs is None:
            return self
        return GivenSource(replace(self.endpoint, depth=min(self.slots, jobs)))

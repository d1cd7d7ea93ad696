"""Accounts of the Flux API."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pixaris.config import Config
from pixaris.endpoints.apis.flux import KEY_VARIABLE, FluxApi, flux_endpoint
from pixaris.endpoints.base import Endpoint
from pixaris.endpoints.sources.base import EndpointSource
from pixaris.endpoints.sources.options import Secret, Text, Whole
from pixaris.exceptions import ConfigurationError
from pixaris.flux import trust
from pixaris.flux.models import ACTIVE_TASKS


@dataclass(frozen=True)
class FluxSource(EndpointSource):
    """An account of the Flux API.

    Attributes:
        url: The API's base URL; "" is the configured one, else https://api.bfl.ai.
        depth: Tasks it is given at once; None is as many as the account may have, which the model may limit.
        variable: The environment variable that holds the key; "" is the configured key.
    """

    key = "flux"
    options = (
        Text("url", rule=trust.base_url),
        Whole("depth"),
        Secret("key", "variable", example="{env: MY_FLUX_KEY}"),
    )
    bare = True
    schemes = ("http", "https")
    api = FluxApi()

    url: str = ""
    depth: int | None = None
    variable: str = field(default="", repr=False)

    @classmethod
    def at(cls, address: str) -> FluxSource:
        return cls(trust.base_url(address))

    @property
    def label(self) -> str:
        return self.api.shown(self.url or Config.load().flux_base_url or trust.DEFAULT_URL)

    @property
    def slots(self) -> int:
        return self.depth or ACTIVE_TASKS

    def endpoints(self, environment: Mapping[str, str] | None = None) -> tuple[Endpoint, ...]:
        known = os.environ if environment is None else environment
        config = Config.load(environment)
        key = known.get(self.variable, "") if self.variable else config.flux_api_key
        url, variable = self.url or config.flux_base_url, self.variable or KEY_VARIABLE
        return (flux_endpoint(key, url, depth=self.slots, variable=variable),)

    def missing(self) -> list[str]:
        try:
            self.endpoints()
        except ConfigurationError as error:
            return [str(error)]
        return []

    def limited(self, most: int | None, jobs: int | None) -> FluxSource:
        depth = self.depth or most or self.slots
        return replace(self, depth=min(depth, jobs or depth))

    def identities(self) -> frozenset[str]:
        return frozenset(["a Flux account"])

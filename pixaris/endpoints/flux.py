"""A Flux account as an endpoint: its places are the tasks that it may have at once, so the pool is its one
limiter.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from pixaris.config import Config
from pixaris.endpoints.base import Endpoint
from pixaris.exceptions import ConfigurationError
from pixaris.flux import trust
from pixaris.flux.client import KEY_HEADER
from pixaris.flux.models import ACTIVE_TASKS

KEY_VARIABLE = "PIXARIS_FLUX_API_KEY"


@dataclass(frozen=True)
class FluxSource:
    """An account of the Flux API.

    Attributes:
        url: The API's base URL; "" is the configured one, else https://api.bfl.ai.
        depth: Tasks it is given at once; None is as many as the account may have, which the model may limit.
        variable: The environment variable that holds the key; "" is the configured key.
    """

    url: str = ""
    depth: int | None = None
    variable: str = field(default="", repr=False)

    @property
    def label(self) -> str:
        """The source as the user is shown it."""
        return f"Flux at {self.url or Config.load().flux_base_url or trust.DEFAULT_URL}"

    @property
    def places(self) -> int:
        """Requests it takes at once."""
        return self.depth or ACTIVE_TASKS

    def problem(self, environment: Mapping[str, str] | None = None) -> str:
        """Why it cannot be used, or ""; the key is not shown."""
        try:
            self.endpoint(environment)
        except ConfigurationError as error:
            return str(error)
        return ""

    def endpoint(self, environment: Mapping[str, str] | None = None) -> Endpoint:
        """The endpoint.

        Args:
            environment: Where the variable is looked up; by default this process's.

        Raises:
            ConfigurationError: There is no key, or the URL cannot be one.
        """
        known = os.environ if environment is None else environment
        config = Config.load(environment)
        key = known.get(self.variable, "") if self.variable else config.flux_api_key
        return flux_endpoint(
            key, self.url or config.flux_base_url, depth=self.places, variable=self.variable or KEY_VARIABLE
        )


def flux_endpoint(
    key: str, url: str = "", *, depth: int = ACTIVE_TASKS, variable: str = KEY_VARIABLE
) -> Endpoint:
    """Describe an account as an endpoint.

    Args:
        key: Its key.
        url: The API's base URL, by default https://api.bfl.ai.
        depth: Tasks it is given at once.
        variable: What to set if there is no key.

    Raises:
        ConfigurationError: There is no key, or the URL cannot be one; the key is not shown.
    """
    key = key.strip()
    if not key:
        also = ", or flux_api_key in config.yaml" if variable == KEY_VARIABLE else ""
        raise ConfigurationError(
            f"the Flux API needs a key; set it where Pixaris is started: export {variable}=...{also}"
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigurationError(
            f"the Flux API's key must be one line of ASCII text (it is not shown); correct {variable}"
        )
    return Endpoint(
        trust.base_url(url or trust.DEFAULT_URL), kind="flux", headers=((KEY_HEADER, key),), depth=depth
    )

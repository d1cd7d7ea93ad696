"""Accounts of the Flux API as endpoints: an account's slots are the tasks that it may have at once, so the
pool is its one limiter.
"""

from __future__ import annotations

from pixaris.endpoints.apis.base import Access, EndpointApi, EndpointClient, failed_probe
from pixaris.endpoints.apis.probe import Prober, ProbeResult
from pixaris.endpoints.base import Endpoint
from pixaris.exceptions import ConfigurationError, FarSideError
from pixaris.flux import trust
from pixaris.flux.client import KEY_HEADER, FluxClient, Timeouts, key_of
from pixaris.flux.models import ACTIVE_TASKS

KEY_VARIABLE = "PIXARIS_FLUX_API_KEY"


class FluxEndpointClient(FluxClient, EndpointClient):
    """Flux's client as the pool's seam; every method is `FluxClient`'s."""


class FluxApi(EndpointApi):
    """Tasks of one account: several at once, each charged as soon as it is accepted, and none can be taken
    back.
    """

    kind = "flux"
    label = "the Flux API"
    example = "endpoints: {flux: {}}"
    charges = True
    parallel = True
    has_nodes = False

    def connect(self, access: Access, session: str = "") -> EndpointClient:
        given = access.timeouts
        timeouts = Timeouts(read=max(given.read, Timeouts.read), transfer=given.transfer)
        return FluxEndpointClient(access.url, _key(access), timeouts=timeouts, session=session)

    def shown(self, url: str) -> str:
        return f"Flux at {url}"

    def prober(self, access: Access) -> Prober:
        return _AccountProber(access)


class _AccountProber(Prober):
    """Asks one account for its balance."""

    pause = 10.0

    def __init__(self, access: Access) -> None:
        self._client = FluxClient(access.url, _key(access), timeouts=Timeouts(connect=3.0, read=3.0))

    def probe(self) -> ProbeResult:
        try:
            return ProbeResult(credits=self._client.credits())
        except FarSideError as error:
            return failed_probe(error)

    def close(self) -> None:
        self._client.close()


def _key(access: Access) -> str:
    return key_of(dict(access.headers))


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
        if variable == KEY_VARIABLE:
            also = ", or flux_api_key in config.yaml"
        else:
            also = ""
        raise ConfigurationError(
            f"the Flux API needs a key; set it where Pixaris is started: export {variable}=...{also}"
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigurationError(
            f"the Flux API's key must be one line of ASCII text (it is not shown); correct {variable}"
        )
    base = trust.base_url(url or trust.DEFAULT_URL)
    return Endpoint(base, headers=((KEY_HEADER, key),), api=FluxApi(), depth=depth)

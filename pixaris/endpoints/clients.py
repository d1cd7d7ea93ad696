"""From an endpoint's description to the client that talks to it."""

from __future__ import annotations

from pixaris.comfyui.client import ComfyClient
from pixaris.endpoints.base import Endpoint, EndpointClient
from pixaris.flux.client import FluxClient, Timeouts, key_of


class ComfyEndpointClient(ComfyClient, EndpointClient):
    """ComfyUI's client as the pool's seam; every method is `ComfyClient`'s."""


class FluxEndpointClient(FluxClient, EndpointClient):
    """Flux's client as the pool's seam; every method is `FluxClient`'s."""


def connect(endpoint: Endpoint, session: str = "") -> EndpointClient:
    """Make the client of an endpoint. Nothing is opened until it is used.

    Args:
        endpoint: Where it is.
        session: What its prompts are tagged with, to be told from other people's.

    Raises:
        ConfigurationError: The URL cannot be one.
    """
    if endpoint.kind == "flux":
        given = endpoint.timeouts
        timeouts = Timeouts(read=max(given.read, Timeouts.read), transfer=given.transfer)
        return FluxEndpointClient(
            endpoint.url, key_of(dict(endpoint.headers)), timeouts=timeouts, session=session
        )
    return ComfyEndpointClient(
        endpoint.url, headers=dict(endpoint.headers), timeouts=endpoint.timeouts, session=session
    )


def answers(url: str) -> None:
    """Return if a server answers.

    Raises:
        EndpointError: It does not.
    """
    client = connect(Endpoint(url))
    try:
        client.probe()
    finally:
        client.close()

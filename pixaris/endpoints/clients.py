"""From an endpoint's description to the client that talks to it."""

from __future__ import annotations

from pixaris.comfyui.client import ComfyClient
from pixaris.endpoints.base import Endpoint, EndpointClient


class ComfyEndpointClient(ComfyClient, EndpointClient):
    """ComfyUI's client as the pool's seam; every method is `ComfyClient`'s."""


def connect(endpoint: Endpoint, session: str = "") -> EndpointClient:
    """Make the client of an endpoint. Nothing is opened until it is used.

    Args:
        endpoint: Where it is.
        session: What its prompts are tagged with, to be told from other people's.

    Raises:
        ConfigurationError: The URL cannot be one.
    """
    return ComfyEndpointClient(endpoint.url, headers=dict(endpoint.headers), timeouts=endpoint.timeouts, session=session)


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

"""From an endpoint's description to the client that talks to it."""

from __future__ import annotations

from pixaris.comfyui.client import ComfyClient
from pixaris.endpoints.base import Endpoint, EndpointClient


class ComfyEndpointClient(ComfyClient, EndpointClient):
    """ComfyUI's client as the pool's seam; every method is `ComfyClient`'s."""


def connect(endpoint: Endpoint) -> EndpointClient:
    """Make the client of an endpoint. Nothing is opened until it is used.

    Raises:
        ConfigurationError: The URL cannot be one.
    """
    return ComfyEndpointClient(endpoint.url, headers=dict(endpoint.headers))

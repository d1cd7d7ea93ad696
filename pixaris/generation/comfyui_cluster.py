"""Images from ComfyUI workflows, on all ComfyUI servers of a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pixaris.comfyui.object_info import ObjectInfo
from pixaris.comfyui.workflow import Workflow
from pixaris.endpoints.base import Endpoint
from pixaris.endpoints.sources.base import EndpointSource
from pixaris.endpoints.sources.catalog import source_of
from pixaris.exceptions import NoEndpointError, UnreachableError
from pixaris.generation.comfyui import ComfyGenerator
from pixaris.types import Pick

SERVERS = "dns://comfyui.pixaris.svc.cluster.local:8188"
"""The ComfyUI servers of the cluster that ``cluster/kubernetes`` describes."""


class ComfyClusterGenerator(ComfyGenerator):
    """Runs a ComfyUI workflow for every item, as `ComfyGenerator` does, on every server behind one name: the
    pods of a headless Service. A run takes those that are there when it begins, a search also those that come
    later.

    Such a name is known inside the cluster only. From elsewhere,
    `pixaris.orchestration.kubernetes.generate_images_on_cluster` sends a run there.

    Args:
        workflow_apiformat_json: The workflow in API format, as a path or a dict.
        api_host: The servers: ``dns://name:port``, or the address of a single one.
        output_node: As for `ComfyGenerator`.
        object_info: As for `ComfyGenerator`.
        images: As for `ComfyGenerator`.

    Raises:
        WorkflowError: The workflow cannot be read, or has no such output node.
        ConfigurationError: `api_host` is no such address, or `images` is none of its values.
    """

    def __init__(
        self,
        workflow_apiformat_json: str | Path | Mapping[str, Any] | Workflow,
        api_host: str = SERVERS,
        *,
        output_node: str | None = None,
        object_info: ObjectInfo | None = None,
        images: Pick = "first",
    ) -> None:
        super().__init__(
            workflow_apiformat_json, api_host, output_node=output_node, object_info=object_info, images=images
        )
        self.source: EndpointSource = source_of(api_host, self.api)

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The servers that are there now.

        Raises:
            NoEndpointError: The name stands for none, or is not known here.
        """
        try:
            return self.source.present()
        except UnreachableError as error:
            raise NoEndpointError(
                f"{error.message}; a cluster's names are known inside it: send the run there"
                " (pixaris.orchestration.kubernetes.generate_images_on_cluster), or name a server with"
                " api_host"
            ) from None

"""The seam between metrics and what they lean on: a hosted metric, its service, the host that keeps it."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Self

from PIL import Image

from pixaris.exceptions import MetricError
from pixaris.metrics.base import BaseMetric, means_of
from pixaris.metrics.hosts.local import this_process
from pixaris.metrics.hosts.service import A, Host, Q, Scope, Service
from pixaris.types import EvalItem

__all__ = ["A", "Host", "HostedMetric", "Q", "Scope", "Service", "this_process"]


class HostedMetric(BaseMetric):
    """A metric that leans on a service. It runs anywhere: in its own process, or on a host that it is
    given.
    """

    _host: Host | None = None

    def on(self, host: Host) -> Self:
        """The same metric, leaning on a host."""
        hosted = copy.copy(self)
        hosted._host = host
        return hosted

    @property
    def host(self) -> Host:
        """The host it was given, or this process."""
        if self._host is None:
            return this_process()
        return self._host

    def services(self) -> tuple[Service[object, object], ...]:
        """The services it asks, as far as they reserve something."""
        return ()

    def __getstate__(self) -> dict[str, object]:
        # a host stays in its process
        return {name: value for name, value in self.__dict__.items() if name != "_host"}

    def calculate(self, images: Sequence[Image.Image]) -> dict[str, float]:
        """Return the means of `score` over the images that have one, asked for side by side.

        Raises:
            MetricError: Not one image has a score, or there are more or fewer images than what they are
                compared with.
        """
        images = self.counted(images)
        if not images:
            return {}
        rows: list[Mapping[str, float]] = []
        failed: MetricError | None = None
        with ThreadPoolExecutor(min(32, len(images)), thread_name_prefix="pixaris-metric") as threads:
            asked = [threads.submit(self.score, image, EvalItem(i, "")) for i, image in enumerate(images)]
            for future in asked:
                try:
                    rows.append(self.named(future.result()))
                except MetricError as error:
                    failed = failed or error
        if failed is not None and not rows:
            raise failed
        return means_of(rows)

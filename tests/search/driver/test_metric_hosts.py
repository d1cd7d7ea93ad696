"""What metrics lean on is opened once for all trials of a node, in a process of its own, and outlives its
being killed.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import ray
from kit import WORKFLOW
from PIL import Image

from pixaris.data_loaders.local import LocalDatasetLoader
from pixaris.exceptions import ConfigurationError, MetricError, PixarisError
from pixaris.experiment_handlers.local import LocalExperimentHandler
from pixaris.files import append_json_line, read_json_lines
from pixaris.generation.comfyui import ComfyGenerator
from pixaris.metrics.hosts.base import HostedMetric, Service
from pixaris.metrics.hosts.local import LocalHost
from pixaris.search import Search
from pixaris.search.driver.metric_hosts import metric_hosts, nearest_gpu, waiting_for_gpus
from pixaris.types import EvalItem

pytestmark = pytest.mark.usefixtures("ray_session")


@dataclass(frozen=True)
class Doubler(Service[float, float]):
    """A model that takes half a second to load and doubles numbers, several at once; it writes down what
    happens to it.
    """

    log: str

    @property
    def key(self) -> str:
        return f"doubler {self.log}"

    @property
    def batch(self) -> int:
        return 4

    def open(self) -> Callable[[Sequence[float]], Sequence[float | PixarisError]]:
        append_json_line(Path(self.log), {"opened": os.getpid()})
        time.sleep(0.5)

        def answer(requests: Sequence[float]) -> list[float | PixarisError]:
            append_json_line(Path(self.log), {"batch": len(requests)})
            time.sleep(0.05)
            return [MetricError("no number below 0") if request < 0 else 2 * request for request in requests]

        return answer


@dataclass(frozen=True)
class Reserving(Doubler):
    """One that reserves GPUs."""

    gpus: float = 0.0

    @property
    def key(self) -> str:
        return f"{self.log} {self.gpus}"

    @property
    def num_gpus(self) -> float:
        return self.gpus


class Doubled(HostedMetric):
    name = "doubled"
    direction = "max"
    parallel = 16

    def __init__(self, log: Path) -> None:
        self.service = Doubler(str(log))

    def score(self, image: Image.Image, item: EvalItem) -> float:
        return self.host.submit(self.service, float(item.index)).result()


def test_all_trials_ask_one_process_and_every_score_is_its_items(
    cells_loader: LocalDatasetLoader, endpoints: list[str], tmp_path: Path
) -> None:
    log = tmp_path / "log.jsonl"
    result = Search(
        data_loader=cells_loader,
        image_generator=ComfyGenerator(WORKFLOW),
        space={"value": ("Threshold", "value", [0.2, 0.3, 0.4, 0.6])},
        metrics=[Doubled(log)],
        objective="doubled",
        experiment_handler=LocalExperimentHandler(tmp_path),
        endpoints=endpoints,
        algorithm="grid",
        scheduler="fifo",
        max_concurrent=2,
        results_dir=tmp_path,
    ).run()
    assert {trial.item_scores for trial in result.trials} == {(0.0, 2.0, 4.0, 6.0, 8.0, 10.0)}
    rows = read_json_lines(log)
    opened = [row["opened"] for row in rows if "opened" in row]
    assert len(opened) == 1
    assert sum(row.get("batch", 0) for row in rows) == 6 * len(result.trials)
    assert max(row.get("batch", 0) for row in rows) > 1
    deadline = time.monotonic() + 10
    while Path(f"/proc/{opened[0]}").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not Path(f"/proc/{opened[0]}").exists(), "it ends with the search"


def test_one_that_is_killed_is_started_again_and_no_answer_is_lost(tmp_path: Path) -> None:
    metric = Doubled(tmp_path / "log.jsonl")
    with metric_hosts([metric]) as config:
        assert config is not None
        host = config.connect()
        assert host.submit(metric.service, 1.0).result(60) == 2.0
        asked = [host.submit(metric.service, float(number)) for number in range(40)]
        time.sleep(0.1)
        os.kill(read_json_lines(tmp_path / "log.jsonl")[0]["opened"], signal.SIGKILL)
        assert [future.result(60) for future in asked] == [2.0 * number for number in range(40)]
        with pytest.raises(MetricError, match="no number below 0"):
            host.submit(metric.service, -1.0).result(60)
        assert ray.get(config.keeper.count.remote()) == 1


def test_one_whose_keeper_is_killed_is_kept_by_the_next_one(tmp_path: Path) -> None:
    metric = Doubled(tmp_path / "log.jsonl")
    with metric_hosts([metric]) as config:
        assert config is not None
        host = config.connect()
        assert host.submit(metric.service, 1.0).result(60) == 2.0
        os.kill(ray.get(config.keeper.pid.remote()), signal.SIGKILL)
        asked = [host.submit(metric.service, float(number)) for number in range(10)]
        assert [future.result(60) for future in asked] == [2.0 * number for number in range(10)]


def test_a_request_that_spoils_its_batch_spoils_no_other() -> None:
    @dataclass(frozen=True)
    class Picky(Service[int, int]):
        key: str = "picky"
        batch: int = 8

        def open(self) -> Callable[[Sequence[int]], Sequence[int | PixarisError]]:
            def answer(requests: Sequence[int]) -> list[int | PixarisError]:
                time.sleep(0.05)
                if 3 in requests:
                    raise RuntimeError("no threes")
                return [2 * request for request in requests]

            return answer

    host = LocalHost()
    futures = [host.submit(Picky(), number) for number in range(8)]
    assert [future.result(20) for number, future in enumerate(futures) if number != 3] == [
        0,
        2,
        4,
        8,
        10,
        12,
        14,
    ]
    with pytest.raises(RuntimeError, match="no threes"):
        futures[3].result(20)


def test_metrics_that_lean_on_nothing_start_nothing() -> None:
    with metric_hosts([]) as config:
        assert config is None


def test_nodes_without_a_gpu_share_those_that_have_one() -> None:
    nodes = [f"{number:056x}" for number in range(6)]
    graphic = nodes[:2]
    assert [nearest_gpu(node, graphic) for node in graphic] == graphic
    assert {nearest_gpu(f"{number:012x}" + "0" * 44, graphic) for number in range(2, 6)} == set(graphic)
    assert nearest_gpu(nodes[5], []) == nodes[5]


class Waiting(Doubled):
    def __init__(self, *gpus: float) -> None:
        self.gpus = gpus

    def services(self) -> tuple[Service[float, float], ...]:
        return tuple(Reserving("", each) for each in self.gpus)


def test_gpus_that_nobody_has_are_refused_and_gpus_that_are_taken_are_told() -> None:
    metrics = [Waiting(0.5, 0.0), Waiting(0.5), Waiting(1.0)]
    assert waiting_for_gpus(metrics, 0.0, 0.0) == "", "everything runs on CPUs"
    assert waiting_for_gpus(metrics, 1.0, 2.0) == "", "a service that two metrics share reserves once"
    assert "they reserve 1.5, and 1 are free" in waiting_for_gpus(metrics, 1.0, 1.0)
    with pytest.raises(ConfigurationError, match="'doubled': reserves 2 GPUs, and no node has more than 1"):
        waiting_for_gpus([Waiting(2.0)], 1.0, 1.0)

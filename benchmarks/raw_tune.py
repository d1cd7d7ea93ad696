"""The same 3×3 grid with Ray Tune alone: one trial for each endpoint at a time, one image after the other,
Pixaris's own client.

    python benchmarks/raw_tune.py

What to compare `grid.py` with. A trial takes an endpoint from a queue, makes its eight images there and gives
it back; Tune runs four side by side, once with a process for each trial (its default) and once with processes
that are used again.
"""

from __future__ import annotations

import itertools
import logging
import os
import tempfile

import ray
from measure import Noise, ask, span
from ray import tune
from ray.util.queue import Queue
from sleepers import WORKFLOW, sleepers

from pixaris.endpoints.base import Endpoint
from pixaris.generation.base import ItemArgs
from pixaris.generation.comfyui import ComfyGenerator
from pixaris.types import EvalItem, GenerationParam

ENDPOINTS, ITEMS = 4, 8


class OneTrial(tune.Trainable):
    """A parameter set on whichever endpoint is free."""

    def setup(self, config: dict[str, float], free: Queue, items: list[EvalItem]) -> None:
        self.free, self.items, self.set = free, items, config

    def reset_config(self, new_config: dict[str, float]) -> bool:
        self.set = new_config
        return True

    def step(self) -> dict[str, float | bool]:
        url = self.free.get()
        client = Endpoint(url).connect("raw")
        generator = ComfyGenerator(WORKFLOW)
        params = [GenerationParam("KSampler", name, self.set[name]) for name in ("cfg", "steps")]
        for item in self.items:
            args = ItemArgs(
                {}, item=item.name, images={"Load Input Image": item.inputs["Input"]}, params=params
            )
            client.run(generator.request(args))
        client.close()
        self.free.put(url)
        return {"score": 1.0, "done": True}


def raw(seconds: float, *, reuse: bool) -> None:
    items = list(Noise(ITEMS, 512).load_dataset().items)
    with tempfile.TemporaryDirectory() as folder, sleepers(ENDPOINTS, seconds, kilobytes=400) as urls:
        free = Queue(actor_options={"num_cpus": 0})
        for url in urls:
            free.put(url)
        trainable = tune.with_resources(tune.with_parameters(OneTrial, free=free, items=items), {"cpu": 0.01})
        tune.Tuner(
            trainable,
            param_space={"cfg": tune.grid_search([4.0, 8.0, 12.0]), "steps": tune.grid_search([10, 20, 30])},
            tune_config=tune.TuneConfig(max_concurrent_trials=ENDPOINTS, reuse_actors=reuse),
            run_config=tune.RunConfig(
                storage_path=folder,
                verbose=0,
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        ).fit()
        stats = ask(urls)
    ideal = 9 * ITEMS * seconds / ENDPOINTS
    how = "processes used again" if reuse else "a process for each trial"
    print(
        f"Ray Tune alone, {how}, {seconds} s an image: {span(stats):.2f} s, {span(stats) / ideal:.2f} × the"
        " ideal",
        flush=True,
    )


if __name__ == "__main__":
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
    ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    for seconds, reuse in itertools.product((0.5, 2.0), (False, True)):
        raw(seconds, reuse=reuse)
    ray.shutdown()

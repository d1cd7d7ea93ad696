"""Paints what the masks of an eval set show white anew, several images at once, with the Flux API.

The key stands in config.yaml, or in PIXARIS_FLUX_API_KEY. Without an account: start ``python -m
pixaris.flux.server`` and export what it prints. The eval set is made by
examples/helpful_scripts/setup_local_experiment_inputs_dummy.py.
"""

# %%
from pixaris.data_loaders.local import LocalDatasetLoader
from pixaris.experiment_handlers.local import LocalExperimentHandler
from pixaris.generation.flux import FluxFillGenerator
from pixaris.orchestration.base import generate_images_based_on_dataset

# %%
PROJECT, DATASET = "dummy_project", "dummy_dataset"

data_loader = LocalDatasetLoader(
    project=PROJECT,
    dataset=DATASET,
    eval_dir_local="local_experiment_inputs",
)
generator = FluxFillGenerator()
experiment_handler = LocalExperimentHandler()

# %%
args = {
    "project": PROJECT,
    "dataset": DATASET,
    "experiment_run_name": "example-flux",
    "max_parallel_jobs": 2,
    "generation_params": [
        {"node_name": "prompt", "input": "prompt", "value": "a sand castle on a beach"},
    ],
}

# %%
if __name__ == "__main__":
    out = generate_images_based_on_dataset(
        data_loader=data_loader,
        image_generator=generator,
        experiment_handler=experiment_handler,
        metrics=[],
        args=args,
    )
    print(f"{out.name}: {len(out.items)} images")

"""Every combination of some values, as a search on Ray, on a ComfyUI at localhost:8188 (or `pixaris serve`).

Make the eval set first: pixaris dataset demo local_experiment_inputs/demo
"""

import sys

from pixaris.data_loaders.local import LocalDatasetLoader
from pixaris.experiment_handlers.local import LocalExperimentHandler
from pixaris.generation.comfyui import ComfyGenerator
from pixaris.metrics.iou import IoUMetric
from pixaris.orchestration.base import generate_images_for_hyperparameter_search_based_on_dataset

if __name__ == "__main__":
    api_host = sys.argv[1] if len(sys.argv) > 1 else "localhost:8188"
    result = generate_images_for_hyperparameter_search_based_on_dataset(
        data_loader=LocalDatasetLoader(project="demo", dataset="cutout", references=["Mask"]),
        image_generator=ComfyGenerator("search_spaces/workflows/cutout_apiformat.json", api_host),
        experiment_handler=LocalExperimentHandler(),
        metrics=[IoUMetric(reference="Mask")],
        args={
            "project": "demo",
            "experiment_run_name": "channel_and_threshold",
            "hyperparameters": [
                {"node_name": "Channel", "input": "channel", "value": ["red", "blue"]},
                {"node_name": "Threshold", "input": "value", "value": [0.4, 0.5]},
            ],
        },
    )
    for trial in result.ranking():
        print(f"{trial.objective:.4f} {dict(trial.values)}")

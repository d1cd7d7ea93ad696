"""One experiment run without Ray, on a ComfyUI at localhost:8188 (or `pixaris serve`).

Make the eval set first: pixaris dataset demo local_experiment_inputs/demo
"""

import sys

from pixaris.data_loaders.local import LocalDatasetLoader
from pixaris.experiment_handlers.local import LocalExperimentHandler
from pixaris.generation.comfyui import ComfyGenerator
from pixaris.metrics.iou import IoUMetric
from pixaris.orchestration.base import generate_images_based_on_dataset

if __name__ == "__main__":
    api_host = sys.argv[1] if len(sys.argv) > 1 else "localhost:8188"
    run = generate_images_based_on_dataset(
        data_loader=LocalDatasetLoader(project="demo", dataset="cutout", references=["Mask"]),
        image_generator=ComfyGenerator("search_spaces/workflows/cutout_apiformat.json", api_host),
        experiment_handler=LocalExperimentHandler(),
        metrics=[IoUMetric(reference="Mask")],
        args={
            "project": "demo",
            "dataset": "cutout",
            "experiment_run_name": "blue_channel",
            "generation_params": [{"node_name": "Channel", "input": "channel", "value": "blue"}],
        },
    )
    print(f"{run.name}: IoU {run.metrics['iou'].mean:.4f} on {run.metrics['iou'].count} images")

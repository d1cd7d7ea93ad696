"""A search from Python: which parameters restore the demo's photographs best?

Make the eval set first: pixaris dataset demo local_experiment_inputs/demo
"""

from ray import tune

from pixaris.data_loaders.local import LocalDatasetLoader
from pixaris.experiment_handlers.local import LocalExperimentHandler
from pixaris.generation.comfyui import ComfyGenerator
from pixaris.metrics.similarity import SSIMMetric
from pixaris.search import Embedded, Search

if __name__ == "__main__":
    result = Search(
        data_loader=LocalDatasetLoader(project="demo", dataset="photos", references=["Original"]),
        image_generator=ComfyGenerator("search_spaces/workflows/restore_apiformat.json"),
        space={
            "amount": ("Sharpen", "alpha", tune.loguniform(0.01, 1.0)),
            "mix": ("Blend", "blend_factor", tune.uniform(0.3, 1.0)),
        },
        metrics=[SSIMMetric(reference="Original")],
        objective="ssim",
        experiment_handler=LocalExperimentHandler(),
        endpoints=[Embedded(2)],  # or URLs: ["http://10.0.0.5:8188", "http://10.0.0.6:8188"]
        num_samples=10,
        seed=7,
    ).run()
    print(result.best, result.baseline, result.folder, sep="\n")

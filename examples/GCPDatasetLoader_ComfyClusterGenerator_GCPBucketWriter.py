"""Generates images on a cluster: an eval set from a bucket, ComfyUI servers on Kubernetes, results in the
bucket, and from there on this machine.

cluster/README.md brings the cluster up; config.yaml names project, region and bucket; RAY_API_SERVER_ADDRESS
names the cluster's dashboard, where that is not forwarded to this machine's port 8265. Without any of that:
``ray start --head`` is a cluster, ``pixaris serve`` is its ComfyUI (named as the first argument), and
STORAGE_EMULATOR_HOST names a bucket server that stands in for Google's.

The eval set is made by examples/helpful_scripts/setup_local_experiment_inputs_dummy.py, and is in the bucket
after ``pixaris dataset create local_experiment_inputs/dummy_project/dummy_dataset
gs://BUCKET/experiment_inputs/dummy_project/dummy_dataset``.
"""

# %%
import sys

from pixaris.config import Config
from pixaris.data_loaders.gcp import GCPDatasetLoader
from pixaris.experiment_handlers.gcp_tensorboard import GCPTensorboardHandler
from pixaris.generation.comfyui_cluster import SERVERS, ComfyClusterGenerator
from pixaris.orchestration.kubernetes import generate_images_on_cluster

# %%
PROJECT, DATASET = "dummy_project", "dummy_dataset"
WORKFLOW = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "x.png"}, "_meta": {"title": "Load Input Image"}},
    "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}, "_meta": {"title": "Negative"}},
    "3": {
        "class_type": "SaveImage",
        "inputs": {"images": ["2", 0], "filename_prefix": "negative"},
        "_meta": {"title": "Save Image"},
    },
}

config = Config.load()
servers = sys.argv[1] if len(sys.argv) > 1 else SERVERS

# %%
data_loader = GCPDatasetLoader(
    gcp_project_id=config.gcp_project_id,
    gcp_pixaris_bucket_name=config.gcp_pixaris_bucket_name,
    project=PROJECT,
    dataset=DATASET,
    eval_dir_local="local_experiment_inputs",
    references=["Mask"],  # this workflow has no node for it
)
generator = ComfyClusterGenerator(workflow_apiformat_json=WORKFLOW, api_host=servers)
experiment_handler = GCPTensorboardHandler(
    gcp_project_id=config.gcp_project_id,
    location=config.gcp_location,
    bucket_name=config.gcp_pixaris_bucket_name,
)

# %%
args = {
    "project": PROJECT,
    "dataset": DATASET,
    "experiment_run_name": "example-cluster",
}

# %%
if __name__ == "__main__":
    out = generate_images_on_cluster(
        data_loader=data_loader,
        image_generator=generator,
        experiment_handler=experiment_handler,
        metrics=[],
        args=args,
    )
    print(f"{out.name}: {out.place}, and here in {out.folder}")

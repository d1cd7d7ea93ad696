# The search of restore.yaml, written in Python: domains are Ray Tune's own functions, and Python can
# calculate.
#   pixaris dataset demo local_experiment_inputs/demo
#   pixaris search search_spaces/restore_in_python.py
from ray import tune

RADII = tune.randint(1, 6)
SIGMAS = tune.uniform(0.2, 2.0)

SPACE = {
    "blur_radius": ("Blur", "blur_radius", RADII),
    "blur_sigma": ("Blur", "sigma", SIGMAS),
    "sharpen_radius": ("Sharpen", "sharpen_radius", RADII),
    "sharpen_sigma": ("Sharpen", "sigma", SIGMAS),
    "amount": ("Sharpen", "alpha", tune.loguniform(0.01, 1.0)),
    "mix": ("Blend", "blend_factor", tune.quniform(0.3, 1.0, 0.05)),
    "mode": {"node_name": "Blend", "input": "blend_mode", "domain": tune.choice(["normal", "soft_light"])},
}

SEARCH = {
    "project": "demo",
    "dataset": "photos",
    "generator": {"type": "comfyui", "workflow": "workflows/restore_apiformat.json"},
    "endpoints": {"embedded": 2},
    "metrics": [{"type": "ssim", "reference": "Original"}],
    "objective": {"metric": "ssim"},
    "search": {"algorithm": "tpe", "num_samples": 24, "scheduler": "asha", "seed": 7},
}

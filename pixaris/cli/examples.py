"""What the help of each command ends with: calls to begin with."""

from __future__ import annotations

from collections.abc import Mapping

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "demo": ("pixaris demo", "pixaris demo my-files --files-only"),
    "search": (
        "pixaris search search_spaces/restore.yaml",
        "pixaris search mine.yaml --set budget.images=60 --endpoint http://gpu:8188",
        "pixaris search mine.yaml --resume",
    ),
    "submit": (
        "pixaris submit mine.yaml --address http://HEAD:8265 --follow",
        "pixaris submit --list",
    ),
    "run": ("pixaris run mine.yaml", "pixaris run mine.yaml --param radius=3 --name softer"),
    "runs": ("pixaris runs", "pixaris runs --delete demo/restore-2 --yes"),
    "show": (
        "pixaris show demo/restore",
        "pixaris show demo/restore 27",
        "pixaris show demo/restore --sort psnr --csv > trials.csv",
    ),
    "recheck": ("pixaris recheck demo/restore --top 3 --seeds 4",),
    "compare": (
        "pixaris compare demo/restore demo/restore-2",
        "pixaris compare demo/restore/trial_0000 demo/restore",
    ),
    "gate": (
        "pixaris gate mine.yaml --save baseline.json",
        "pixaris gate mine.yaml --baseline baseline.json --max-regression ssim=0.01",
    ),
    "report": ("pixaris report demo/restore --open", "pixaris report demo/restore -o to_mail.html"),
    "ui": ("pixaris ui", "pixaris ui --host 0.0.0.0 --token"),
    "tensorboard": ("pixaris tensorboard demo/restore",),
    "export": ("pixaris export demo/restore -o best_apiformat.json",),
    "check": (
        "pixaris check mine.yaml",
        "pixaris check mine.yaml --start",
        "pixaris check mine.yaml --json",
    ),
    "space": (
        "pixaris space workflow_apiformat.json --endpoint http://gpu:8188",
        "pixaris space saved.png --dataset photos --metric ssim -o mine.yaml",
        "pixaris space --around demo/restore",
    ),
    "schema": ("pixaris schema -o search-file.schema.json",),
    "endpoints": (
        "pixaris endpoints mine.yaml",
        "pixaris endpoints http://gpu:8188 --json",
    ),
    "pool": (
        "pixaris pool start shared dns://comfyui.batch.svc:8188 --address auto",
        "pixaris pool list --address auto",
        "pixaris pool end shared --address auto",
    ),
    "metrics": ("pixaris metrics", "pixaris metrics ssim"),
    "score": ("pixaris score out --reference originals --metric ssim --csv",),
    "cache": ("pixaris cache info", "pixaris cache prune --unused-for 30d"),
    "dataset": (
        "pixaris dataset check photos",
        "pixaris dataset demo local_experiment_inputs/demo",
        "pixaris dataset list gs://my-bucket",
    ),
    "results": (
        "pixaris results push demo/restore gs://my-bucket",
        "pixaris results pull gs://my-bucket/results/demo/restore",
    ),
    "doctor": ("pixaris doctor", "pixaris doctor mine.yaml --json"),
    "completion": ('eval "$(pixaris completion bash)"', "pixaris completion fish | source"),
    "serve": ("pixaris serve", "pixaris serve --port 8189 --verbose"),
}
"""Command to its examples."""

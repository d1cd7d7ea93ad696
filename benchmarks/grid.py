"""A 3×3 grid over 8 images of 512×512 on 4 endpoints, and 3 checkpoints × 3 cfg with model loads."""

from __future__ import annotations

from measure import ask, run, say, span
from sleepers import sleepers


def grid(seconds: float, limit: float) -> None:
    space = {"cfg": ("KSampler", "cfg", [4.0, 8.0, 12.0]), "steps": ("KSampler", "steps", [10, 20, 30])}
    with sleepers(4, seconds, kilobytes=400) as urls:
        result, _ = run(urls, space, items=8, algorithm="grid")
        stats = ask(urls)
    images = sum(s["prompts"] for s in stats)
    say(
        f"grid 3×3 × 8 images, 4 endpoints, {seconds} s an image ({images} images)",
        span(stats),
        72 * seconds / 4,
        limit,
    )
    print(
        f"  uploads {sum(s['uploads'] for s in stats)} (at most 8 items × 4 endpoints = 32), search"
        f" {result.seconds:.1f} s"
    )


def models() -> None:
    space = {
        "model": ("Model", "ckpt_name", ["a.safetensors", "b.safetensors", "c.safetensors"]),
        "cfg": ("KSampler", "cfg", [4.0, 8.0, 12.0]),
    }
    with sleepers(4, 0.5, load_seconds=5.0, kilobytes=400) as urls:
        run(urls, space, items=8, algorithm="grid")
        stats = ask(urls)
    loads = sum(s["loads"] for s in stats)
    print(f"3 checkpoints × 3 cfg × 8 images, 4 endpoints: {span(stats):.1f} s (≤ 20), {loads} loads (≤ 8)")


if __name__ == "__main__":
    grid(0.5, 1.07)
    grid(2.0, 1.03)
    models()

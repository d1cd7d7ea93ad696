"""Metrics import their libraries when they are first asked, in threads: no thread may see what another has
half imported.
"""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys, threading, time
from itertools import groupby
from PIL import Image
from pixaris.metrics.appearance import SharpnessMetric
from pixaris.metrics.boundary import BoundaryFMetric
from pixaris.metrics.color_difference import ColorDifferenceMetric
from pixaris.metrics.perceptual_hash import PerceptualHashMetric
from pixaris.metrics.similarity import PSNRMetric, SSIMMetric

class Watch:
    seen = []

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("scipy", "skimage", "cv2"):
            self.seen.append(threading.get_ident())
            if len(self.seen) == 1:
                time.sleep(0.3)  # meanwhile all the others want to import, too
            time.sleep(0.0005)

image = Image.effect_mandelbrot((64, 48), (-2.2, -1.1, 0.8, 0.9), 20).convert("RGB")
ours = (SSIMMetric, PSNRMetric, ColorDifferenceMetric, BoundaryFMetric, PerceptualHashMetric)
metrics = [one([image]) for one in ours]
metrics.append(SharpnessMetric())
assert not {"scipy", "skimage", "cv2"} & set(sys.modules), "importing a metric costs a second again"
sys.meta_path.insert(0, Watch())
threads = [threading.Thread(target=metric.calculate, args=([image],)) for metric in metrics]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
turns = [one for one, _ in groupby(Watch.seen)]
print("imported", len(Watch.seen), "turns", len(turns), "threads", len(set(turns)))
"""


def test_one_thread_imports_at_a_time() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    words = done.stdout.split()
    imported, turns, threads = (int(words[place]) for place in (1, 3, 5))
    assert imported > 100
    assert turns <= 2 * threads  # a metric may import twice; without the lock they take turns by the hundred

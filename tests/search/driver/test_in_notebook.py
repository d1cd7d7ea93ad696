"""A search in a notebook: what it says of how it goes stays."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[2]

NOTEBOOK = '''
"""As much of IPython as Ray asks for in a notebook; it tells when a cell's output is touched."""


class Events:
    def register(self, event: str, callback: object) -> None:
        pass


class ZMQInteractiveShell:
    events = Events()


def get_ipython() -> ZMQInteractiveShell:
    return ZMQInteractiveShell()
'''

DISPLAY = """
HTML = str


def clear_output(wait: bool = False) -> None:
    print("CLEARED")


def display(*shown: object, **options: object) -> None:
    print("DISPLAYED")
"""

CELL = """
import sys
from pathlib import Path

import IPython
from gray_kit import Blank
from ray import tune
from ray.widgets.util import in_notebook

from pixaris.experiment_handlers.local import LocalExperimentHandler
from pixaris.search import Search
from steering_kit import Painter, Redness

assert in_notebook()
results = Path("results")
result = Search(
    data_loader=Blank(2),
    image_generator=Painter(results / "made.jsonl"),
    space={"x": ("Any", "x", tune.uniform(0.0, 1.0))},
    metrics=[Redness()],
    objective="redness",
    experiment_handler=LocalExperimentHandler(results),
    num_samples=2,
    results_dir=results,
).run()
print(len(result.trials), "trials")
"""


def test_nothing_clears_what_is_told(tmp_path: Path) -> None:
    package = tmp_path / "stand_in" / "IPython"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(NOTEBOOK)
    (package / "display.py").write_text(DISPLAY)
    (tmp_path / "cell.py").write_text(CELL)
    paths = [str(package.parent), str(TESTS), str(TESTS.parent)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(
        [sys.executable, "cell.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "starting Ray …"
    assert lines[-1] == "3 trials"
    assert sum(line.startswith("trial_") for line in lines) == 3
    assert not {"CLEARED", "DISPLAYED"} & set(lines)

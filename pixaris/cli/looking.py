"""The last lines of a search: where to look at what it found, each a path or a command to paste."""

from __future__ import annotations

import shlex
from pathlib import Path

from pixaris.cli.invocation import command, shown
from pixaris.results.manifest import read_manifest
from pixaris.results.paths import SearchPaths
from pixaris.results.records import SearchResult
from pixaris.results.trial import TrialResult
from pixaris.search.export import as_param


def lines(result: SearchResult) -> list[str]:
    """The lines, the report last; what is not there is left out."""
    paths, best = SearchPaths(result.folder), result.best
    folder = shown(result.folder)
    rows: list[tuple[str, str | Path]] = []
    if best is not None:
        rows.append(("winner", command("show", folder, str(best.number))))
        images = paths.trial(best.number).images
        rows += [("images", _quoted(images))] if images.is_dir() else []
        rows += [("use it", using(result, best))] if using(result, best) else []
    if paths.tensorboard.is_dir():
        rows.append(("TensorBoard", command("tensorboard", folder)))
    if paths.comparison.is_file():
        rows.append(("picture", _quoted(paths.comparison)))
    if paths.report.is_file():
        rows.append(("open it", command("report", folder, "--open")))
        rows.append(("report", _quoted(paths.report)))
    return [f"  {name:<12} {what}" for name, what in rows]


def using(result: SearchResult, trial: TrialResult) -> str:
    """The command that uses a trial's parameters: its workflow written, or a run with its values; "" where
    there is no file to run.
    """
    paths = SearchPaths(result.folder)
    if paths.trial(trial.number).workflow.is_file():
        return command("export", shown(result.folder), "-o", "best_apiformat.json")
    file = read_manifest(paths).get("file")
    if not isinstance(file, str):
        return ""
    words = ["run", str(shown(Path(file)))]
    for name, value in trial.values.items():
        words += ["--param", f"{name}={as_param(value)}"]
    return command(*words)


def _quoted(path: Path) -> str:
    return shlex.quote(str(shown(path)))

"""Results as TensorBoard events: scores as curves, images side by side, one row per run in the HPARAMS tab.

The only module that imports TensorBoard. It writes TensorBoard's own protocol buffers; TensorFlow is not
needed.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.types_pb2 import DT_STRING
from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2
from tensorboard.plugins.hparams import metadata as hparams_metadata
from tensorboard.plugins.image import metadata as image_metadata
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.plugins.text.summary_v2 import text_pb
from tensorboard.util.tensor_util import make_tensor_proto

from pixaris.exceptions import ConfigurationError
from pixaris.experiment_handlers.base import ExperimentHandler
from pixaris.experiment_handlers.folders import read_marker, run_folder
from pixaris.experiment_handlers.records import RecordFile
from pixaris.files import JsonMapping, storing, write_json
from pixaris.images import EncodedImage
from pixaris.preview import preview
from pixaris.results.manifest import read_manifest
from pixaris.results.paths import SearchPaths
from pixaris.results.records import SearchResult
from pixaris.types import EvalItem, ItemResult, ParamValue, RunRecord, RunStatus

STATE_FILE = "pixaris.json"
_ALL = 100_000
"""Samples of a tag that TensorBoard shows: more than there ever are. (It takes 0 for none, not for all.)"""
_RANGES = (
    "uniform",
    "loguniform",
    "quniform",
    "qloguniform",
    "randint",
    "lograndint",
    "qrandint",
    "qlograndint",
)
_LISTS = ("choice", "grid_search")
_ENDED = {"finished": "STATUS_SUCCESS", "stopped": "STATUS_SUCCESS", "failed": "STATUS_FAILURE"}


def command(logdir: str | os.PathLike[str]) -> str:
    """Return the command that shows a folder in TensorBoard, with all images (by default it keeps ten at
    random).
    """
    return f"{_program()} --logdir {shlex.quote(os.fspath(logdir))} --samples_per_plugin images=1000"


def _program() -> str:
    """TensorBoard as it can be called here: by name, or beside this Python."""
    beside = Path(sys.executable).parent / "tensorboard"
    if shutil.which("tensorboard") or not beside.is_file():
        return "tensorboard"
    return shlex.quote(os.path.relpath(beside) if beside.is_relative_to(Path.cwd()) else str(beside))


def launch(logdir: str | os.PathLike[str], port: int | None = None) -> str:
    """Serve a folder on this machine alone, with all images (by default TensorBoard keeps ten at random).

    The server lives in threads of this process, and ends with it.

    Args:
        logdir: The folder.
        port: A free one by default.

    Returns:
        Its address.

    Raises:
        ConfigurationError: The port is taken.
    """
    from tensorboard import program

    board = program.TensorBoard()
    where = ["--logdir", os.fspath(logdir), "--host", "127.0.0.1", "--port", str(port or 0)]
    board.configure([None, *where, "--samples_per_plugin", f"images={_ALL},text={_ALL}"])
    try:
        address: str = board.launch()
    except program.TensorBoardServerException as error:
        raise ConfigurationError(f"TensorBoard cannot be served: {error.msg}") from None
    return address


@dataclass
class _Run:
    """What has been written of one run; kept in the run's folder, so that a resumed run goes on where it
    was.
    """

    folder: Path
    id: str
    hparams: bool  # whether what is told once, at the start, has been
    scalars: dict[str, int]  # metric to the last step
    images: dict[str, str]  # tag to the digest of the image shown
    ended: str
    writer: RecordFile | None = None

    def as_dict(self) -> dict[str, object]:
        return {
            "id": self.id,
            "hparams": self.hparams,
            "scalars": self.scalars,
            "images": self.images,
            "ended": self.ended,
        }


class TensorboardHandler(ExperimentHandler):
    """Writes each run into ``<logdir>/<run name>/``; look at it with the command that `command` returns.

    - **SCALARS**: each metric's mean so far; the step is the number of items that have the score.
    - **IMAGES**: one tag per item, ``images/<item name>``, so that runs lie side by side. Its samples are the
      inputs, the output and the references, in this order (the tag's description names them); they are
      previews of at most 768 pixels.
    - **HPARAMS**: one row per run. In a search, its columns are the search's parameters with their domains as
      filters, and its scores, the objective first; otherwise ``<node name>.<input>``, and the columns are
      left to TensorBoard, which takes them from all runs in the folder.
    - **TEXT**: the parameters, the workflow with their values, and at a search's end where and why a trial
      was stopped.

    A run that was interrupted has no end, because it can be resumed. A second run of the same name (another
    id) gets ``<run name>-2``.

    Args:
        logdir: The folder; relative to the working folder of the process that makes the handler.
        search: The folder of the search whose trials it stores, which says what varies and what is optimised.
    """

    def __init__(self, logdir: str | os.PathLike[str], search: str | os.PathLike[str] | None = None) -> None:
        self.logdir = Path(os.path.abspath(logdir))  # trial processes have other working folders
        self.search = None if search is None else Path(os.path.abspath(search))
        self._runs: dict[str, _Run] = {}
        self._previews: dict[
            str, bytes
        ] = {}  # by digest, of inputs and references: every run shows them again

    def store_results(self, run: RunRecord) -> None:
        """Write what is new of a run, and flush it.

        Raises:
            StorageError: The folder cannot be written.
        """
        with storing(self.logdir):
            self._store(run)

    def close(self) -> None:
        for state in self._runs.values():
            if state.writer is not None:
                state.writer.close()
        self._runs.clear()
        self._previews.clear()

    def search_ended(self, *, in_haste: bool) -> str:
        """Say in the events of stopped trials where and why they were."""
        return "" if self.search is None else write_stops(self.logdir, self.search)

    def folder_of(self, run: RunRecord) -> Path:
        """Return the folder of the run's events, which is made for it if it has none yet."""
        return self._state(run).folder

    def __getstate__(self) -> dict[str, object]:
        # what was written is on disk
        return {"logdir": self.logdir, "search": self.search, "_runs": {}, "_previews": {}}

    def _state(self, run: RunRecord) -> _Run:
        if run.id not in self._runs:
            folder = run_folder(self.logdir, run.name, STATE_FILE, {"id": run.id})
            kept = read_marker(folder / STATE_FILE)
            self._runs[run.id] = _Run(
                folder,
                run.id,
                hparams=bool(kept.get("hparams")),
                scalars=dict(kept.get("scalars") or {}),
                images=dict(kept.get("images") or {}),
                ended=str(kept.get("ended") or ""),
            )
        return self._runs[run.id]

    def _store(self, run: RunRecord) -> None:
        state = self._state(run)
        for step, summary in self._news(run, state):
            event = Event(wall_time=run.started + run.seconds, step=step, summary=summary)
            if state.writer is None:
                state.writer = _new_event_file(state.folder, event.wall_time)
            state.writer.write(event.SerializeToString())
        if state.writer is not None:
            state.writer.flush()
            write_json(state.folder / STATE_FILE, state.as_dict())
        if run.status != "running":
            if state.writer is not None:
                state.writer.close()
            del self._runs[run.id]

    def _news(self, run: RunRecord, state: _Run) -> Iterator[tuple[int, Summary]]:
        """Yield step and summary of everything in the run that is not in the state yet, and bring the state
        up to date.
        """
        if not state.hparams:
            state.hparams = True
            manifest = {} if self.search is None else read_manifest(SearchPaths(self.search))
            if manifest.get("space"):
                yield 0, _experiment(run, manifest)
            yield 0, _session_start(run)
            yield 0, text_pb("parameters", _table(run))
            if run.workflow is not None:
                yield 0, text_pb("workflow", _code(json.dumps(run.workflow, indent=2, ensure_ascii=False)))
        if run.workflow_image is not None and "workflow" not in state.images:
            state.images["workflow"] = run.workflow_image.digest
            yield (
                0,
                _images(
                    "workflow",
                    run.workflow_image.size,
                    [preview(run.workflow_image)],
                    "The workflow of this run.",
                ),
            )
        for item in run.items:
            for number, sample in enumerate(item.each, 1):
                tag = f"images/{item.name}" if number == 1 else f"images/{item.name} (seed {number})"
                if sample.generated is not None and state.images.get(tag) != sample.generated.image.digest:
                    state.images[tag] = sample.generated.image.digest
                    yield 0, self._item(tag, run.eval_set.items[item.index], sample, sample.generated.image)
        for name, metric in run.metrics.items():
            if metric.count > state.scalars.get(name, 0):
                state.scalars[name] = metric.count
                better = {"max": "higher is better", "min": "lower is better"}.get(
                    run.directions.get(name, ""), ""
                )
                yield metric.count, scalar_pb(name, metric.mean, description=better or None)
        if run.status in _ENDED and not state.ended:
            state.ended = run.status
            yield 0, _session_end(run.status, run.started + run.seconds)

    def _item(self, tag: str, item: EvalItem, result: ItemResult, output: EncodedImage) -> Summary:
        scores = ", ".join(f"{name} {value:.4g}" for name, value in result.scores.items())
        shown = {
            **{f"{folder} (input)": self._preview(image) for folder, image in item.inputs.items()},
            f"output ({scores})" if scores else "output": preview(output),
            **{f"{folder} (reference)": self._preview(image) for folder, image in item.references.items()},
        }
        listed = ", ".join(f"{number} {what}" for number, what in enumerate(shown, 1))
        return _images(tag, output.size, list(shown.values()), f"Samples: {listed}.")

    def _preview(self, image: EncodedImage) -> bytes:
        if image.digest not in self._previews:
            self._previews[image.digest] = preview(image)
        return self._previews[image.digest]


def write_stops(logdir: Path, search: Path) -> str:
    """Write beside the events of each trial that was stopped where and why, once.

    Args:
        logdir: Holds a folder for each trial.
        search: The folder of the search, which has ended.

    Returns:
        What kept it from being written, or "".
    """
    result = SearchResult.load(search)
    try:
        for trial in result.trials:
            folder = logdir / trial.name
            marker = read_marker(folder / STATE_FILE)
            if trial.stop is None or not marker or marker.get("stop"):
                continue
            words = trial.stop.describe(len(result.items))
            now = time.time()
            file = _new_event_file(folder, now)
            event = Event(wall_time=now, summary=text_pb("stopped", _cell(words)))
            file.write(event.SerializeToString())
            file.close()
            write_json(folder / STATE_FILE, {**marker, "stop": words})
    except OSError as error:
        return f"TensorBoard does not say which trials were stopped: {error}"
    return ""


def _new_event_file(folder: Path, wall_time: float) -> RecordFile:
    # Not TensorBoard's EventFileWriter: it names files by the second and process, and TensorBoard passes over
    # a file that sorts
    # before one it has read; it also writes in a thread, where an error has nobody to go to.
    for number in count(len(list(folder.glob("events.out.tfevents.*")))):
        try:
            file = RecordFile(folder / f"events.out.tfevents.{number:010d}")
        except FileExistsError:
            continue
        file.write(Event(wall_time=wall_time, file_version="brain.Event:2").SerializeToString())
        return file
    raise AssertionError("count() ended")


def _images(tag: str, size: tuple[int, int], pictures: Sequence[bytes], description: str) -> Summary:
    tensor = make_tensor_proto([b"%d" % size[0], b"%d" % size[1], *pictures], dtype=DT_STRING)
    described = image_metadata.create_summary_metadata(display_name=tag, description=description)
    return Summary(value=[Summary.Value(tag=tag, metadata=described, tensor=tensor)])


def _values(run: RunRecord) -> Mapping[str, ParamValue]:
    """A run's parameters: the search's, or else all that is bound."""
    return run.values or {f"{param.node_name}.{param.input}": param.value for param in run.params}


def _table(run: RunRecord) -> str:
    """The parameters as a table of Markdown."""
    rows = [f"| {_cell(name)} | {_cell(str(value))} |" for name, value in _values(run).items()]
    return "\n".join(["| parameter | value |", "| --- | --- |", *rows])


def _cell(text: str) -> str:
    """A text that ends no cell and is no Markdown."""
    words = " ".join(text.split()).replace("`", "'").replace("|", "\\|")
    return f"`{words}`" if words else ""


def _code(text: str) -> str:
    """A text as Markdown shows code; indented, because no text can end that."""
    return "\n".join(f"    {line}" for line in text.splitlines())


def _experiment(run: RunRecord, manifest: JsonMapping) -> Summary:
    """The columns of a search's table: its parameters and their domains, its scores, the objective first.

    It stands in every run, because that of a folder of its own would be shown as a run.
    """
    experiment = api_pb2.Experiment()
    for name, row in manifest.get("space", {}).items():
        experiment.hparam_infos.append(_column(name, row))
    objectives = [str(row.get("metric")) for row in manifest.get("objectives") or ()]
    for name in dict.fromkeys([*objectives, *run.directions, *run.metrics]):
        experiment.metric_infos.append(api_pb2.MetricInfo(name=api_pb2.MetricName(tag=name)))
    content = plugin_data_pb2.HParamsPluginData(experiment=experiment)
    return _hparams(hparams_metadata.EXPERIMENT_TAG, content)


def _column(name: str, domain: JsonMapping) -> api_pb2.HParamInfo:
    """A parameter with its domain, which TensorBoard filters by; without one where it is no range or list."""
    info = api_pb2.HParamInfo(name=name, type=api_pb2.DATA_TYPE_STRING)
    for kind in _RANGES:
        if kind in domain:
            info.type = api_pb2.DATA_TYPE_FLOAT64
            info.domain_interval.min_value, info.domain_interval.max_value = domain[kind][:2]
            return info
    listed = next((kind for kind in _LISTS if isinstance(domain.get(kind), list)), None)
    options: list[Any] = [] if listed is None else domain[listed]
    if options and all(isinstance(option, bool) for option in options):
        info.type = api_pb2.DATA_TYPE_BOOL
    elif options and all(isinstance(option, int | float) for option in options):
        info.type = api_pb2.DATA_TYPE_FLOAT64
    if all(isinstance(option, str | int | float) for option in options):
        info.domain_discrete.extend(options)
    return info


def _session_start(run: RunRecord) -> Summary:
    info = plugin_data_pb2.SessionStartInfo(start_time_secs=run.started)
    for name, value in _values(run).items():
        if isinstance(value, bool):
            info.hparams[name].bool_value = value
        elif isinstance(value, str):
            info.hparams[name].string_value = value
        else:
            info.hparams[name].number_value = value
    return _hparams(
        hparams_metadata.SESSION_START_INFO_TAG, plugin_data_pb2.HParamsPluginData(session_start_info=info)
    )


def _session_end(status: RunStatus, when: float) -> Summary:
    info = plugin_data_pb2.SessionEndInfo(status=api_pb2.Status.Value(_ENDED[status]), end_time_secs=when)
    return _hparams(
        hparams_metadata.SESSION_END_INFO_TAG, plugin_data_pb2.HParamsPluginData(session_end_info=info)
    )


def _hparams(tag: str, content: object) -> Summary:
    described = hparams_metadata.create_summary_metadata(content)
    return Summary(value=[Summary.Value(tag=tag, metadata=described, tensor=hparams_metadata.NULL_TENSOR)])

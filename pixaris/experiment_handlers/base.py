"""The seam for results."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pixaris.exceptions import ConfigurationError, PixarisError, StorageError
from pixaris.types import RunRecord

ORIGINAL = ("project", "dataset", "experiment_run_name", "image_name_pairs", "metric_values", "args")
"""What `store_results` of the original's handlers takes."""


class ExperimentHandler(ABC):
    """Keeps the results of experiment runs.

    Implement `store_results`. It is called in the process that runs the experiment, from one thread at a
    time, several times for one run: after every step with ``status == "running"`` and at the end with the
    final status. Store what is new since the last call for the same ``run.id``. A call may come again with
    nothing new (a resumed search), and must then change nothing. Handlers must pickle; open files and
    connections lazily.

    A class whose `store_results` takes what the original's did (`ORIGINAL`) works as well: see `adapted`.
    """

    @abstractmethod
    def store_results(self, run: RunRecord) -> None:
        """Store a run as it stands.

        Raises:
            PixarisError: It cannot be stored; the run ends with that error.
        """

    @property
    def results_dir(self) -> Path | None:
        """The folder under which it keeps files, if it does: a search then puts its own books beside them."""
        return None

    def search_started(self, folder: Path) -> None:  # noqa: B027  (optional to implement)
        """A search begins whose books and runs go to this folder; called where it was started, on another
        copy of this handler than the trials'.
        """

    def search_ended(self, *, in_haste: bool) -> str:
        """The search that was started has ended.

        Args:
            in_haste: It was interrupted: whoever did that does not want to wait.

        Returns:
            What is to be told of it, in a sentence, or "".
        """
        return ""

    def close(self) -> None:  # noqa: B027  (optional to implement)
        """Write what is buffered and let go of files. Called once, after the last run of a process."""


class ExperimentHandlers(ExperimentHandler):
    """Several handlers as one: each run is stored with each, in order."""

    def __init__(self, handlers: Sequence[ExperimentHandler]) -> None:
        self.handlers = tuple(handlers)

    def store_results(self, run: RunRecord) -> None:
        for handler in self.handlers:
            handler.store_results(run)

    @property
    def results_dir(self) -> Path | None:
        return next(
            (folder for handler in self.handlers if (folder := handler.results_dir) is not None), None
        )

    def search_started(self, folder: Path) -> None:
        for handler in self.handlers:
            handler.search_started(folder)

    def search_ended(self, *, in_haste: bool) -> str:
        told = [handler.search_ended(in_haste=in_haste) for handler in self.handlers]
        return "; ".join(sentence for sentence in told if sentence)

    def close(self) -> None:
        for handler in self.handlers:
            handler.close()


class OriginalHandler(ExperimentHandler):
    """A handler of the original's kind: it is called once for a run, when the run is over and has images.

    Args:
        handler: Its ``store_results`` takes any of `ORIGINAL`.
        takes: Those of them that it takes.
    """

    def __init__(self, handler: Any, takes: Sequence[str] = ORIGINAL) -> None:  # noqa: ANN401  (the user's own)
        self.handler = handler
        self.takes = tuple(takes)

    def store_results(self, run: RunRecord) -> None:
        if run.status in ("running", "interrupted") or not run.image_name_pairs:
            return
        given = _original_arguments(run)
        try:
            self.handler.store_results(**{name: given[name] for name in self.takes})
        except PixarisError:
            raise
        except Exception as error:
            # a user's own handler runs here
            kind = type(self.handler).__name__
            raise StorageError(f"{kind}.store_results raised {type(error).__name__}: {error}") from error

    def close(self) -> None:
        close = getattr(self.handler, "close", None)
        if callable(close):
            close()


def _original_arguments(run: RunRecord) -> Mapping[str, object]:
    if run.search:
        name = f"{run.search}_{run.name}"
    else:
        name = run.name
    args = {
        **run.args,
        "project": run.project,
        "dataset": run.eval_set.name,
        "experiment_run_name": name,
        "generation_params": [param.as_dict() for param in run.params],
    }
    return {
        "project": run.project,
        "dataset": run.eval_set.name,
        "experiment_run_name": name,
        "image_name_pairs": run.image_name_pairs,
        "metric_values": {score: summary.mean for score, summary in run.metrics.items()},
        "args": args,
    }


def adapted(handler: object) -> ExperimentHandler:
    """The handler, or one that stands in for a handler of the original's kind.

    Raises:
        ConfigurationError: It is neither: nothing could be stored.
    """
    kind = type(handler).__name__
    store = getattr(handler, "store_results", None)
    if not callable(store):
        raise ConfigurationError(
            f"{kind} has no store_results(run); inherit from {__name__}.ExperimentHandler",
            "experiment_handler",
        )
    named = inspect.signature(store).parameters
    parameters = list(named.values())
    takes = [name for name in ORIGINAL if name in named]
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters):
        takes = list(ORIGINAL)
    needed = [one.name for one in parameters if _must_be_given(one) and one.name not in takes]
    if takes and not needed:
        return OriginalHandler(handler, takes)
    if isinstance(handler, ExperimentHandler) and len(needed) <= 1 and not takes:
        return handler
    raise ConfigurationError(
        f"{kind}.store_results takes ({', '.join(named)}); it must take (run), or any of"
        f" ({', '.join(ORIGINAL)})",
        "experiment_handler",
    )


def _must_be_given(parameter: inspect.Parameter) -> bool:
    variable = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return parameter.default is inspect.Parameter.empty and parameter.kind not in variable

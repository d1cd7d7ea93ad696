"""Where in its file a search's settings stand: turns dotted paths into lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pixaris.exceptions import Problem
from pixaris.search.file.yaml_file import place
from pixaris.search.space.fit import Target

_FIXED = "generation_params."
_LEFT_OUT = (_FIXED, "parameters.")


@dataclass(frozen=True)
class FileSource:
    """A search file, as far as errors must know it.

    Attributes:
        path: The file.
        lines: Dotted path to line number, 0 for ``--set``.
        fixed_at: Indices, in the file's list, of the generation params that could be read.
        unbound: Dotted path to input, of parameters that are left out of the space because their values are
            wrong.
        faulty: Dotted paths that something was found wrong with while the file was read.
        changes: What the command line changes, as options of it: ``("--set", "name=other")``.
        unread: What was not looked into, because that would run code that the file names.
    """

    path: Path
    lines: Mapping[str, int] = field(default_factory=dict)
    fixed_at: tuple[int, ...] = ()
    unbound: Mapping[str, Target] = field(default_factory=dict)
    faulty: frozenset[str] = frozenset()
    changes: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()

    def located(self, problems: Iterable[Problem]) -> list[Problem]:
        """Problems of the file, with their lines."""
        found = []
        for problem in problems:
            if problem.path:
                path = place(problem.path, self.lines)
            else:
                path = ""
            found.append(replace(problem, path=path))
        return found

    def fresh(self, problems: Sequence[Problem]) -> list[Problem]:
        """Problems of the settings that were read, as problems of the file; without those that follow from
        what was found wrong with it already.

        Settings that cannot be read stand as something harmless, and what is wrong with that says nothing.
        Parameters and fixed values that cannot be read are left out, so whatever is said of one counts.
        """
        wrong = {path for path in self.faulty if not path.startswith(_LEFT_OUT)}
        if any(path == "metrics" or path.startswith("metrics.") for path in wrong):
            wrong.add("objective")  # nobody knows the scores of metrics that cannot be read
        written = [self._as_written(problem) for problem in problems]
        return [problem for problem in written if not self._follows(problem.path, wrong)]

    @staticmethod
    def _follows(path: str, wrong: set[str]) -> bool:
        while path:
            if path in wrong:
                return True
            path = path.rpartition(".")[0]
        return False

    def _as_written(self, problem: Problem) -> Problem:
        """A problem with the index that a generation param has in the file."""
        if not problem.path.startswith(_FIXED):
            return problem
        index, dot, rest = problem.path.removeprefix(_FIXED).partition(".")
        if not index.isdigit() or int(index) >= len(self.fixed_at):
            return problem
        path = f"{_FIXED}{self.fixed_at[int(index)]}{dot}{rest}"
        message = problem.message.replace(f"change {problem.path}", f"change {path}")
        return replace(problem, path=path, message=message)

"""A search as a notebook shows it: the verdict and the best sets, as plain HTML."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from pixaris.results.trial import TrialResult
from pixaris.results.verdict import Verdict
from pixaris.words import number

_ROWS = 12


def notebook_html(
    name: str, metric: str, verdict: Verdict, trials: Sequence[TrialResult], report: Path | None = None
) -> str:
    """The HTML.

    Args:
        name: The search's.
        metric: Name of the leading score.
        verdict: What the search says.
        trials: Those with a score, best first.
        report: The search's report; None where it has none yet.
    """
    parts = [f"<h4>{escape(name)}</h4>", verdict.html()]
    names = list(dict.fromkeys(key for trial in trials for key in trial.values))
    heads = "".join(f"<th>{escape(head)}</th>" for head in ("trial", "status", metric, "items", *names))
    rows = "".join(_row(trial, names) for trial in trials[:_ROWS])
    parts.append(f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>")
    if len(trials) > _ROWS:
        parts.append(f"<p>… and {len(trials) - _ROWS} more: <code>.table()</code></p>")
    if report is not None:
        parts.append(f"<p>The images, in any browser: <code>{escape(str(report))}</code></p>")
    return "".join(parts)


def _row(trial: TrialResult, names: Sequence[str]) -> str:
    if trial.objective is None:
        score = ""
    else:
        score = f"{trial.objective:.4f}"
    values = [number(trial.values[name]) if name in trial.values else "" for name in names]
    cells = [trial.name, trial.status, score, str(trial.scored), *values]
    return f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"

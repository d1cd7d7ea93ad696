"""What keeps votes from steering a search."""

from __future__ import annotations

import os

from pixaris.exceptions import PixarisError, Problem
from pixaris.feedback_handlers.base import FeedbackHandler
from pixaris.files import safe_name
from pixaris.metrics.base import Voting
from pixaris.results.paths import number_of
from pixaris.search.settings import SearchSettings
from pixaris.search.steering.settings import key_of, searches_of, voting_of

SUBMITTED = "PIXARIS_SUBMITTED_WITH"
"""Set in the jobs that ``pixaris submit`` has sent to a cluster."""

_SCHEDULERS = ("race", "fifo")


def steering_problems(settings: SearchSettings) -> list[Problem]:
    """Everything that keeps votes from steering a search; nothing of a search that has no votes."""
    voting = voting_of(settings)
    if voting is None:
        return []
    places = [place for place, metric in enumerate(settings.metrics) if metric.voting() is not None]
    path, handler = f"metrics.{places[0]}", settings.keeping.feedback
    problems = [*_of_the_objective(settings, voting, places), *_of_the_strategy(settings)]
    if handler is None:
        rule = (
            "keeps the votes, and there is none; give feedback_handler=LocalFeedbackHandler(results folder)"
        )
        problems.append(Problem("", rule, "feedback_handler"))
    # Only inside the job: `pixaris check` on a laptop reads the same file, and there the store is within
    # reach.
    elif handler.is_local and os.environ.get(SUBMITTED):
        problems.append(Problem("", out_of_reach(handler), path))
    # The store is asked last, and only for a sound search: it may be a table far away.
    elif not problems:
        problems += _of_the_iteration(settings, voting, handler, f"{path}.iteration")
    return problems


def out_of_reach(handler: FeedbackHandler) -> str:
    """Why votes of a job on a cluster cannot be kept in a store, and the way out."""
    return (
        f"{type(handler).__name__} keeps votes on the node that runs the job, where no review page of yours"
        " reads them; configure gcp_bq_feedback_table (and gcp_feedback_bucket), or run the search here:"
        " pixaris search"
    )


def _of_the_objective(settings: SearchSettings, voting: Voting, places: list[int]) -> list[Problem]:
    problems, score = [], voting.score
    if len(places) > 1:
        rule = "votes are told once; put all sets up in one iteration"
        problems.append(Problem("", rule, f"metrics.{places[1]}"))
    names = settings.objective.names
    if names and names != (score,):
        rule = (
            "votes steer a search alone, other scores are watched beside them; write objective: {metric:"
            f" {score}}}, or leave votes out (got {', '.join(names)})"
        )
        problems.append(Problem("", rule, "objective"))
    if settings.objective.given.get(score) == "min":
        rule = f"people prefer what is better, so {score} has direction: max; leave it out"
        problems.append(Problem("", rule, "objective.direction"))
    return problems


def _of_the_strategy(settings: SearchSettings) -> list[Problem]:
    problems = []
    scheduler, evidence = settings.strategy.scheduler, settings.evidence
    if scheduler.type not in _SCHEDULERS:
        rule = f"stops sets by scores, and votes come after the images; use fifo (got {scheduler.name})"
        problems.append(Problem("", rule, "search.scheduler"))
    if evidence.recheck is not None or evidence.holdout:
        rule = "runs sets once more without anybody's votes; leave it out, and let people vote more instead"
        problems.append(Problem("", rule, "recheck" if evidence.recheck is not None else "holdout"))
    handler = settings.keeping.feedback
    if settings.home.storage is not None and handler is not None and handler.is_local:
        rule = (
            f"keeps the search in a bucket, and {type(handler).__name__} keeps its votes on this machine,"
            " where no other one that goes on with it has them; configure gcp_bq_feedback_table (and"
            " gcp_feedback_bucket), or leave it out, and send the search there afterwards: pixaris results"
            " push"
        )
        problems.append(Problem("", rule, "storage"))
    if not settings.space.parameters or settings.strategy.num_samples == 0:
        rule = "there is the baseline alone, and nothing to compare it with; name parameters that vary"
        problems.append(Problem("", rule, "parameters"))
    return problems


def _of_the_iteration(
    settings: SearchSettings, voting: Voting, handler: FeedbackHandler, path: str
) -> list[Problem]:
    """The iteration is another's already, or the store cannot be asked."""
    key = key_of(settings, voting)
    try:
        # Asking a store that is not there yet would make it, and a check must leave nothing behind.
        if not handler.has_begun or key not in handler.iterations():
            return []
        searches = searches_of(handler.load(key).runs)
    except PixarisError as error:
        return [Problem("", f"the store of votes cannot be read: {error}", path)]
    # The search itself, under this name or as `name-2`, may go on with its own iteration.
    own = safe_name(settings.home.name)
    others = sorted(name for name in searches if number_of(name, own) is None)
    if not others:
        return []
    whose = ", ".join(name or "a folder of images" for name in others)
    rule = (
        f"project {key.project!r} has a feedback iteration {key.name!r} already, with images of {whose};"
        " give this one another name"
    )
    return [Problem("", rule, path)]

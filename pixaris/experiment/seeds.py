"""One item with several images, of several seeds or of one execution: their results as one result."""

from __future__ import annotations

import statistics
import threading
from collections.abc import Sequence
from concurrent.futures import Future

from pixaris.exceptions import AccountError, CancelledRequestError, NoEndpointError, PixarisError
from pixaris.types import ItemResult

ENDS_THE_RUN = (AccountError, NoEndpointError, CancelledRequestError)
"""What ends a whole run, not just an image."""


def averaged(samples: Sequence[ItemResult]) -> ItemResult:
    """An item's result over its images.

    A score counts where every image has it: a mean over those that went well could not be compared with
    another set's.
    """
    first = samples[0]
    if len(samples) == 1:
        return first
    scores = {}
    for name in first.scores:
        values = [sample.scores[name] for sample in samples if name in sample.scores]
        if len(values) == len(samples):
            scores[name] = statistics.fmean(values)
    made = (sample.generated for sample in samples if sample.generated is not None)
    errors: list[PixarisError] = [sample.error for sample in samples if sample.error is not None]
    # What ends the run first: it would be hidden behind an image's own failure.
    errors.sort(key=lambda error: not isinstance(error, ENDS_THE_RUN))
    return ItemResult(
        first.index,
        first.name,
        generated=next(made, None),
        error=errors[0] if errors else None,
        scores=scores,
        samples=tuple(one for sample in samples for one in sample.each),
    )


def together(results: Sequence[Future[ItemResult]]) -> Future[ItemResult]:
    """The result of all images once the last one is there; cancelling it cancels them all."""
    if len(results) == 1:
        return results[0]
    whole: Future[ItemResult] = Future()
    left, lock = len(results), threading.Lock()

    def one_more(_: Future[ItemResult]) -> None:
        nonlocal left
        with lock:
            left -= 1
            if left or not whole.set_running_or_notify_cancel():
                return
        try:
            whole.set_result(averaged([result.result() for result in results]))
        except BaseException as error:  # noqa: BLE001  (a callback's exception is lost, and the result would never come)
            whole.set_exception(error)

    def cancelled(_: Future[ItemResult]) -> None:
        if whole.cancelled():
            for result in results:
                result.cancel()

    whole.add_done_callback(cancelled)
    for result in results:
        result.add_done_callback(one_more)
    return whole

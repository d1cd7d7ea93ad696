"""The contract of what keeps feedback."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pixaris.exceptions import ConfigurationError
from pixaris.feedback_handlers.base import (
    Feedback,
    FeedbackHandler,
    FeedbackImage,
    Iteration,
    IterationKey,
    Retraction,
    Totals,
    Vote,
    votes_of,
)
from pixaris.testing import samples
from pixaris.testing.rules import copied, require

_RATERS = 6
_EACH = 5


def check_feedback_handler(make_handler: Callable[[], FeedbackHandler], folder: Path) -> None:
    """Check a handler against the contract of `FeedbackHandler`.

    Args:
        make_handler: Makes a handler; called several times, as if by several processes that share one store,
            which is empty.
        folder: An empty folder for images.

    Raises:
        ContractError: A rule is broken.
    """
    handler = copied(make_handler())
    require(list(handler.iterations()) == [], "an empty store has no iterations")
    wanted = _iteration(folder)
    kept = handler.create(wanted)
    require(kept.key == wanted.key, "what is created has the name that it was given")
    key = wanted.key
    require(list(make_handler().iterations()) == [key], "others see an iteration once it is created")
    for image in wanted.images:
        image.file.unlink()
    _check_images(make_handler().load(key), wanted)
    _refused(lambda: handler.create(kept), "an iteration's name is taken once")
    _refused(lambda: handler.load(IterationKey("nobody", "none")), "what there is not cannot be loaded")
    unknown = Feedback("ann", image="none.png", verdict="like")
    _refused(lambda: handler.write(key, unknown), "nothing can be said of an image that there is not")
    _check_feedback(make_handler, key)
    _check_votes(make_handler, key)
    _check_side_by_side(make_handler, key)
    if type(handler).extend is not FeedbackHandler.extend:
        _check_extended(make_handler, key, folder)
    handler.close()


def _iteration(folder: Path) -> Iteration:
    images = []
    for number, item in enumerate(samples.eval_set(2).items):
        for run in ("a", "b"):
            file = folder / f"{number}-{run}.png"
            file.write_bytes(item.inputs["Input"].data)
            scores = {"ssim": 0.5 + number / 8}
            name = f"{run}/{item.name} <i>'\";"
            images.append(FeedbackImage(name, file, item.name, f"search/{run}", "set", "", scores))
    return Iteration(IterationKey("prøject/..", "../first iteration"), tuple(images), 7.0, {"ssim": "max"})


def _check_images(loaded: Iteration, wanted: Iteration) -> None:
    require(loaded.created == wanted.created, "an iteration keeps when it was made")
    require(dict(loaded.directions) == dict(wanted.directions), "an iteration keeps what is better")
    facts = [(one.name, one.item, one.run, one.dataset, dict(one.scores)) for one in loaded.images]
    given = [(one.name, one.item, one.run, one.dataset, dict(one.scores)) for one in wanted.images]
    require(facts == given, "an iteration keeps its images in their order, with all that is known of them")
    for image in loaded.images:
        require(image.file.is_file(), f"{image.name} is there although the run's own image is gone")
        require(bool(image.digest), f"{image.name} has a digest")


def _check_feedback(make_handler: Callable[[], FeedbackHandler], key: IterationKey) -> None:
    one, other = make_handler(), make_handler()
    first, second = (image.name for image in one.load(key).images[:2])
    like = Feedback("ann", image=first, verdict="like", comment="<b>sharp</b> ü")
    one.write(key, like)
    other.write(key, like)
    other.write(key, Feedback("bob", image=first, verdict="like"))
    other.write(key, Feedback("bob", image=first, verdict="dislike"))
    one.write(key, Feedback("bob", image=second, verdict="neither", comment="dark"))
    found = make_handler().totals(key)
    rule = "an entry that is written twice counts once, and a person's last word counts"
    require(
        found.get(first) == Totals(1, 1, (("ann", "<b>sharp</b> ü"),)), f"{rule} (got {found.get(first)})"
    )
    require(found.get(second) == Totals(0, 0, (("bob", "dark"),)), "a comment needs no verdict")
    until = one.read(key).until
    require(one.read(key, until).entries == (), "nothing has come since what came last")
    other.write(key, Feedback("cid", image=second, verdict="like"))
    fresh = one.read(key, until)
    require(
        [entry.rater for entry in fresh.entries] == ["cid"], "what has come since is told, and nothing else"
    )
    require(fresh.until > until, "what is told next time comes after what was told now")


def _check_votes(make_handler: Callable[[], FeedbackHandler], key: IterationKey) -> None:
    handler = make_handler()
    left, right = (image for image in handler.load(key).images[:2])
    vote = Vote(
        "ann", 12.5, item=left.item, left=left.name, right=right.name, outcome="right", comment="eyes"
    )
    handler.write(key, vote)
    require(votes_of(make_handler().read(key).entries) == [vote], "a vote comes back as it was written")
    handler.write(key, Retraction("bob", vote=vote.id))
    require(len(votes_of(handler.read(key).entries)) == 1, "nobody takes back what another has said")
    handler.write(key, Retraction("ann", vote=vote.id))
    require(votes_of(handler.read(key).entries) == [], "a vote can be taken back")


def _check_side_by_side(make_handler: Callable[[], FeedbackHandler], key: IterationKey) -> None:
    image = make_handler().load(key).images[0]
    before = len(make_handler().read(key).entries)

    def vote(rater: int) -> None:
        handler = make_handler()
        for _ in range(_EACH):
            handler.write(key, Feedback(f"rater {rater}", image=image.name, verdict="like"))
        handler.close()

    with ThreadPoolExecutor(_RATERS) as threads:
        list(threads.map(vote, range(_RATERS)))
    written = len(make_handler().read(key).entries) - before
    require(written == _RATERS * _EACH, "nothing is lost where several write at once")


def _check_extended(make_handler: Callable[[], FeedbackHandler], key: IterationKey, folder: Path) -> None:
    handler = make_handler()
    before = handler.load(key).images
    file = folder / "late.png"
    file.write_bytes(samples.eval_set(3).items[2].inputs["Input"].data)
    late = [FeedbackImage(f"late {number}", file, f"item {number}", "search/c") for number in (2, 1)]
    handler.extend(key, [before[0], *late])
    found = make_handler().load(key).images
    names = [image.name for image in found]
    rule = "images that are added come after those that were there, each name once"
    require(names == [*(image.name for image in before), "late 2", "late 1"], f"{rule} (got {names})")
    require([image.run for image in found[-2:]] == ["search/c"] * 2, "what is known of added images is kept")
    handler.extend(key, late)
    require(len(make_handler().load(key).images) == len(found), "images that are added twice are there once")
    make_handler().write(key, Feedback("ann", image="late 1", verdict="like"))
    _refused(
        lambda: handler.extend(IterationKey("nobody", "none"), late), "what there is not cannot be added to"
    )


def _refused(action: Callable[[], object], rule: str) -> None:
    try:
        action()
    except ConfigurationError:
        return
    require(False, rule)

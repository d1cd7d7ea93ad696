"""What a pool actor keeps of images that their clients have already."""

from __future__ import annotations

from pixaris.endpoints.ray.mailbox import Kept
from pixaris.endpoints.ray.messages import ImageRef, Outcome
from pixaris.endpoints.ray.recent import MOST, SECONDS, Recent


def made(number: int, content: str) -> Kept:
    return Kept(Outcome(f"request {number}", ref=ImageRef("worker", number)), content)


def test_others_are_given_an_image_for_a_while_and_its_own_client_is_not() -> None:
    recent = Recent()
    one = made(1, "a")
    assert recent.add([one], "me", now=100.0) == []
    assert recent.image_of("a", "you") is one.outcome
    assert recent.image_of("a", "me") is None
    assert recent.image_of("b", "you") is None
    assert recent.take_old(100.0 + SECONDS) == []
    assert recent.take_old(100.1 + SECONDS) == [one.outcome.ref]
    assert recent.image_of("a", "you") is None
    assert recent.take_old(1000.0) == []


def test_what_nobody_else_is_given_is_released_at_once_and_errors_have_nothing_to_release() -> None:
    recent = Recent()
    followed, failed = made(2, ""), Kept(Outcome("request 3"), "c")
    assert recent.add([followed, failed], "me", now=0.0) == [followed.outcome.ref]
    assert recent.image_of("c", "you") is None


def test_only_the_latest_are_kept() -> None:
    recent = Recent()
    recent.add([made(number, str(number)) for number in range(MOST + 3)], "me", now=0.0)
    old = recent.take_old(0.0)
    assert [ref.number for ref in old] == [0, 1, 2]
    assert recent.image_of("3", "you") is not None

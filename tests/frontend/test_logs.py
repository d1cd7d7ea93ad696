"""What the page's server remembers of what was said."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from pixaris.feedback_handlers.base import Feedback, FeedbackImage, Iteration, IterationKey, Log
from pixaris.feedback_handlers.local import LocalFeedbackHandler
from pixaris.frontend.logs import Logs

KEY = IterationKey("shop", "first")


class Counting(LocalFeedbackHandler):
    """Counts how often it is read."""

    reads = 0

    def read(self, key: IterationKey, after: int = 0) -> Log:
        self.reads += 1
        return super().read(key, after)


@pytest.fixture
def handler(tmp_path: Path) -> Counting:
    file = tmp_path / "a.png"
    Image.new("RGB", (4, 4)).save(file)
    handler = Counting(tmp_path)
    handler.create(Iteration(KEY, (FeedbackImage("a.png", file),)))
    return handler


def said(rater: str) -> Feedback:
    return Feedback(rater, image="a.png", verdict="like")


def test_what_is_written_here_is_known_at_once_and_once(handler: Counting) -> None:
    logs, entry = Logs(handler), said("ann")
    logs.write(KEY, entry)
    logs.write(KEY, entry)
    assert list(logs.entries(KEY)) == [entry]
    assert list(logs.entries(KEY)) == [entry]


@pytest.mark.parametrize("look_seconds", [0.0, 3600.0])
def test_a_person_s_last_word_is_the_last_wherever_it_was_said(
    handler: Counting, look_seconds: float
) -> None:
    handler.look_seconds = look_seconds
    logs = Logs(handler)
    earlier = Feedback("ann", at=1.0, image="a.png", verdict="like")
    later = Feedback("ann", at=2.0, image="a.png", verdict="dislike")
    handler.write(KEY, earlier)  # by another page
    logs.write(KEY, later)
    assert list(logs.entries(KEY)) == [earlier, later]


def test_what_others_say_is_known_at_the_next_look(handler: Counting) -> None:
    logs, entry = Logs(handler), said("bob")
    assert list(logs.entries(KEY)) == []
    handler.write(KEY, entry)
    assert list(logs.entries(KEY)) == [entry]


def test_a_store_that_charges_for_a_look_is_seldom_looked_at(handler: Counting) -> None:
    handler.look_seconds = 3600.0
    logs, mine = Logs(handler), said("ann")
    for _ in range(5):
        logs.write(KEY, mine)
        assert list(logs.entries(KEY)) == [mine]
    handler.write(KEY, said("bob"))
    assert list(logs.entries(KEY)) == [mine]
    assert handler.reads == 1

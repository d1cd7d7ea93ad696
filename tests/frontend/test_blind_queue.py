"""Who is asked what, by a clock and a seed of the test's own."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from pixaris.feedback_handlers.base import FeedbackImage, Iteration, IterationKey, Vote
from pixaris.frontend.blind import APART, LEASE_SECONDS, BlindQueue, Lease
from pixaris.frontend.opinions import opinions


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def iteration(runs: int = 3, items: int = 4) -> Iteration:
    images = [
        FeedbackImage(
            f"{item}/{run}",
            Path(f"{item}-{run}.png"),
            f"item {item}",
            f"run {run}",
            "",
            "",
            {"ssim": run / 10},
        )
        for item in range(items)
        for run in range(runs)
    ]
    return Iteration(IterationKey("demo", "first"), tuple(images), 0.0, {"ssim": "max"})


@dataclass
class Session:
    """A queue, and the votes on what it asked."""

    queue: BlindQueue
    votes: list[Vote] = field(default_factory=list)

    def ask(self, rater: str = "ann") -> Lease:
        lease = self.queue.lend(rater, self.votes)
        assert lease is not None
        return lease

    def vote(self, lease: Lease, outcome: str = "tie") -> None:
        said = Vote(lease.rater, item=lease.left.item, left=lease.left.name, right=lease.right.name)
        self.votes.append(Vote(said.rater, 0.0, said.id, said.item, said.left, said.right, outcome))  # type: ignore[arg-type]
        self.queue.answered(lease.id)


def session(wanted: Iteration | None = None, clock: Clock | None = None, seed: int = 3) -> Session:
    seen = {"visible": lambda one, other: True, "seed": seed, "clock": clock or Clock()}
    return Session(BlindQueue(wanted or iteration(), **seen))  # type: ignore[arg-type]


def test_a_question_is_of_one_item_and_two_runs() -> None:
    asked = session()
    for _ in range(12):
        lease = asked.ask()
        assert lease.left.item == lease.right.item
        assert lease.left.run != lease.right.run
        asked.vote(lease)


def test_sides_are_random() -> None:
    asked = session(iteration(2, 200))
    for _ in range(100):
        asked.vote(asked.ask())
    left = Counter(vote.left.partition("/")[2] for vote in asked.votes)
    assert 30 <= left["0"] <= 70


def test_a_question_is_lent_to_one_person_at_a_time_and_comes_back_after_a_minute() -> None:
    clock = Clock()
    asked = session(iteration(2, 3), clock)
    held = [asked.ask("ann").question for _ in range(2)]
    last = asked.ask("bob").question
    assert last not in held
    assert asked.queue.lend("cid", asked.votes) is None
    clock.now = LEASE_SECONDS + 1
    assert asked.ask("cid").question in {*held, last}


def test_who_opens_the_page_anew_is_asked_what_they_had_not_answered() -> None:
    clock = Clock()
    asked = session(iteration(2, 3), clock)
    held = {asked.ask("ann").question for _ in range(3)}
    clock.now = 2 * LEASE_SECONDS
    assert asked.queue.lend("ann", asked.votes) is None, "the pair on the screen is not asked once more"
    asked.queue.release("ann")
    assert {asked.ask("ann").question for _ in range(3)} == held


def test_a_vote_that_comes_late_is_still_known_and_another_s_is_not() -> None:
    clock = Clock()
    asked = session(clock=clock)
    lease = asked.ask("ann")
    clock.now = 50 * LEASE_SECONDS
    assert asked.queue.lease(lease.id, "ann") == lease
    assert asked.queue.lease(lease.id, "bob") is None
    assert asked.queue.lease("0" * 20, "ann") is None


def test_images_that_look_alike_are_not_asked_about() -> None:
    seen = lambda one, other: "item 0" not in str(one) and not str(one).startswith("0-")  # noqa: E731
    queue = BlindQueue(iteration(2, 3), seen, seed=1, clock=Clock())
    asked = Session(queue)
    items = set()
    for _ in range(2):
        lease = asked.ask()
        items.add(lease.left.item)
        asked.vote(lease)
    assert items == {"item 1", "item 2"}
    assert queue.lend("bob", []) is not None


def test_somebody_is_asked_again_seldom_and_late_and_with_sides_swapped() -> None:
    asked = session(iteration(3, 100))
    for _ in range(150):
        asked.vote(asked.ask())
    seen: dict[frozenset[str], int] = {}
    again = 0
    for number, vote in enumerate(asked.votes):
        question = frozenset((vote.left, vote.right))
        if question in seen:
            again += 1
            assert number - seen[question] > APART
            first = asked.votes[seen[question]]
            assert (vote.left, vote.right) == (first.right, first.left)
        seen[question] = number
    assert 3 <= again <= 20


def test_opinions_tell_who_is_first_and_how_far_sides_and_metrics_and_people_can_be_trusted() -> None:
    wanted = iteration(3, 30)
    asked = session(wanted)
    for _ in range(60):
        lease = asked.ask()
        asked.vote(lease, "left" if lease.left.run > lease.right.run else "right")
    asked.votes.append(Vote("bob", 0, "x", "item 0", "0/0", "0/1", "left"))
    found = opinions(wanted, asked.votes)
    first = found.standing.places[0]
    assert wanted.runs[first.number] == "run 2"
    assert found.standing.needed == 0
    assert found.raters == {"ann": 60, "bob": 1}
    assert found.metrics["ssim"].share is not None
    assert found.metrics["ssim"].share > 0.95
    assert found.left.interval[0] < 0.5 < found.left.interval[1]
    assert found.agreement.share == 1.0 or found.agreement.of == 0


def test_sets_that_are_added_are_asked_about_and_pairs_that_look_alike_stay_out() -> None:
    asked: list[frozenset[Path]] = []

    def visible(one: Path, other: Path) -> bool:
        asked.append(frozenset((one, other)))
        return "0-" not in one.name

    queue = BlindQueue(iteration(runs=2, items=2), visible, seed=3)
    session = Session(queue)
    for rater in ("ann", "bob"):
        lease = queue.lend(rater, session.votes)
        assert lease is None or lease.left.item == "item 1"
    queue.take(iteration(runs=4, items=2))
    seen = {lease.left.run for rater in range(12) if (lease := queue.lend(f"rater {rater}", []))}
    assert "run 2" in seen or "run 3" in seen
    assert queue.runs == ["run 0", "run 1", "run 2", "run 3"]
    assert max(Counter(asked).values()) == 1

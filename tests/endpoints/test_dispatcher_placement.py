"""Who gets what, rule by rule."""

from __future__ import annotations

from collections import Counter

import pytest

from pixaris.endpoints.base import Endpoint
from pixaris.endpoints.dispatch.dispatcher import Dispatcher, Lease, Policy
from pixaris.exceptions import ExecutionError, InterruptedPromptError, PromptLostError, RateLimitedError


class Table:
    """A dispatcher and its clock; endpoints are called m0, m1, …."""

    def __init__(self, endpoints: int = 1, *, depth: int = 1, policy: Policy | None = None) -> None:
        self.dispatcher = Dispatcher(policy)
        self.now = 0.0
        self.asked: Counter[str] = Counter()
        for index in range(endpoints):
            self.dispatcher.join(Endpoint(f"m{index}", depth=depth), 0.0, healthy=True)

    def ask(self, owner: str, count: int = 1, *, model: str = "", priority: int = 0) -> None:
        for _ in range(count):
            self.asked[owner] += 1
            name = f"{owner}{self.asked[owner]}"
            assert self.dispatcher.submit(name, "comfyui", priority, self.now, owner=owner, affinity=model)

    def assign(self) -> dict[str, str]:
        """Request to endpoint, of the new leases."""
        return {lease.request_id: lease.url for lease in self.leases()}

    def leases(self) -> list[Lease]:
        return self.dispatcher.assign(self.now)

    def learn(self, *seconds: float, model: str = "", load: float | None = None) -> None:
        """Let each endpoint make two images, one after the other, at these seconds each; the first one needs
        a load.
        """
        for again in (False, True):
            for index in range(20):  # so many that the slow ones get some too
                assert self.dispatcher.submit(
                    f"lesson {again} {index}", "comfyui", -1, self.now, affinity=model
                )
            leases = {lease.url: lease for lease in self.leases()}
            assert len(leases) == len(seconds), "every endpoint has its lesson"
            for request_id in set(self.dispatcher.unanswered()).difference(
                lease.request_id for lease in leases.values()
            ):
                self.dispatcher.cancel(request_id)
            extra = 0.0 if again or load is None else load
            times = {url: one + extra for url, one in zip(sorted(leases), seconds, strict=True)}
            started = self.now
            for url in sorted(times, key=lambda url: times[url]):
                self.now = started + times[url]
                assert self.dispatcher.succeeded(leases[url], self.now)

    def end(self, *leases: Lease, after: float = 1.0) -> None:
        self.now += after
        for lease in leases:
            assert self.dispatcher.succeeded(lease, self.now)


def test_the_owner_that_is_nearest_to_its_decision_goes_first() -> None:
    table = Table()
    table.ask("big", 5)
    table.ask("small", 2)
    order = []
    for _ in range(7):
        (lease,) = table.leases()
        order.append(lease.request_id)
        table.end(lease)
    assert order == ["small1", "small2", "big1", "big2", "big3", "big4", "big5"]


def test_of_equals_the_older_one_goes_first_and_then_stays_ahead() -> None:
    table = Table()
    table.ask("a", 2)
    table.ask("b", 2)
    order = []
    for _ in range(4):
        (lease,) = table.leases()
        order.append(lease.request_id)
        table.end(lease)
    assert order == ["a1", "a2", "b1", "b2"]


def test_requests_that_run_already_count_for_their_owner_too() -> None:
    table = Table(3)
    table.ask("a", 3)
    table.assign()
    table.ask("a", 1)
    table.ask("b", 2)
    table.dispatcher.join(Endpoint("late", depth=1), table.now, healthy=True)
    assert table.assign() == {"b1": "late"}, "a waits for one, but four are unanswered"


def test_what_waited_longer_than_the_patience_goes_before_its_priority_but_no_other() -> None:
    table = Table(policy=Policy(patience=10.0))
    table.ask("big", 3)
    table.now = 11.0
    table.ask("small")
    table.ask("urgent", 4, priority=-1)
    order = []
    for _ in range(8):
        (lease,) = table.leases()
        order.append(lease.request_id)
        assert table.dispatcher.succeeded(lease, table.now)
    assert order == ["urgent1", "urgent2", "urgent3", "urgent4", "big1", "big2", "big3", "small1"]


def test_a_promoted_request_counts_where_it_is_now() -> None:
    table = Table()
    table.ask("a", 2)
    table.ask("b", 1)
    table.ask("b", 3, priority=10)
    for name in ("b2", "b3", "b4"):
        table.dispatcher.promote(name, 0)
    assert list(table.assign()) == ["a1"]


def test_the_last_request_waits_for_a_fast_endpoint_rather_than_go_to_a_slow_one() -> None:
    table = Table(2)
    table.learn(1.0, 5.0)
    table.ask("a", 2)
    assert table.assign() == {"a1": "m0"}
    assert table.dispatcher.next_event(table.now) == pytest.approx(1.0), (
        "it is looked at again, whatever happens"
    )
    table.ask("b", 5)
    assert table.assign() == {"b1": "m1"}, (
        "the slow one leaves the most urgent to the fast one, which has time for it"
    )


def test_an_endpoint_that_is_late_has_become_slow_and_the_others_take_over() -> None:
    table = Table(2)
    table.learn(1.0, 5.0)
    table.ask("a", 2)
    assert table.assign() == {"a1": "m0"}
    table.now += 3.0
    assert table.assign() == {"a2": "m1"}


def test_the_speed_is_learnt_from_successes_at_any_depth_and_shown() -> None:
    table = Table(1, depth=2)
    table.ask("a", 6)
    first, second = table.leases()
    table.end(first, after=3.0)
    assert table.dispatcher.health.status()[0].speed == pytest.approx(3.0)
    table.end(second, after=3.0)
    assert table.dispatcher.health.status()[0].speed == pytest.approx(3.0), (
        "the second one waited three of its six seconds"
    )


def test_whichever_is_answered_first_has_waited_for_the_models() -> None:
    table = Table(1, depth=2)
    table.ask("a", 8, model="A")
    leased_first, leased_second = table.leases()
    table.end(leased_second, after=6.0)  # it got there first
    assert table.dispatcher.health.status()[0].speed is None
    table.end(leased_first, after=1.0)
    assert table.dispatcher.health.status()[0].speed == pytest.approx(1.0)
    table.ask("b", 1, model="B", priority=-1)
    (lease, *_) = table.leases()
    assert lease.request_id.startswith("a"), "a load costs more than an image"


def test_failures_and_cancellations_teach_no_speed() -> None:
    table = Table(1, depth=2)
    table.ask("a", 6)
    first, second = table.leases()
    table.now += 9.0
    table.dispatcher.cancel(first.request_id)
    table.end(second, after=1.0)
    assert table.dispatcher.health.status()[0].speed is None
    first, second = table.leases()
    table.now += 2.0
    assert table.dispatcher.failed(first, ExecutionError("no"), table.now)
    table.end(second, after=3.0)
    assert table.dispatcher.health.status()[0].speed == pytest.approx(3.0)


def test_an_endpoint_prefers_work_whose_models_it_holds_whatever_is_older() -> None:
    table = Table(2)
    table.learn(1.0, 1.0)
    table.ask("a", 1, model="A")
    table.ask("b", 1, model="B")
    first = table.leases()
    assert {lease.request_id: lease.url for lease in first} == {"a1": "m0", "b1": "m1"}
    table.ask("c", 1, model="B")
    table.ask("d", 1, model="A")
    table.end(*first)
    assert table.assign() == {"d1": "m0", "c1": "m1"}
    assert [status.models for status in table.dispatcher.health.status()] == [("A",), ("B",)]


def test_models_that_nobody_holds_are_taken_over_by_whoever_has_nothing_else_to_do() -> None:
    table = Table(1)
    table.learn(1.0, model="A", load=5.0)
    table.ask("a", 1, model="A")
    table.ask("b", 1, model="B")
    for expected in ("a1", "b1"):
        (lease,) = table.leases()
        assert lease.request_id == expected
        table.end(lease)


def test_models_that_another_one_holds_are_taken_over_only_if_the_work_would_wait_longer_than_the_load() -> (
    None
):
    def taken(waiting: int) -> bool:
        table = Table(2)
        table.learn(1.0, 1.0, model="A", load=5.0)
        table.ask("b", 1, model="B")
        (lease,) = table.leases()
        table.end(lease, after=6.0)
        table.ask("b", waiting, model="B")
        return len(table.assign()) == 2

    assert [taken(waiting) for waiting in (2, 6, 10, 20, 40)] == [False, False, False, True, True]


def test_while_nobody_knows_what_a_load_costs_an_idle_endpoint_joins_and_a_busy_one_does_not() -> None:
    table = Table(2, depth=2)
    table.ask("a", 2, model="A")
    table.assign()
    table.ask("b", 1, model="B")
    assert table.assign() == {"b1": "m0"}, "nobody holds these"
    table.ask("b", 3, model="B")
    assert table.assign() == {}, "m1 has something to do; whether a load is worth it will be known soon"


def test_a_key_that_is_empty_is_indifferent() -> None:
    table = Table(1)
    table.learn(1.0, model="A", load=5.0)
    table.ask("a", 1)
    (lease,) = table.leases()
    table.end(lease)
    assert table.dispatcher.health.status()[0].models == ("A",)


def test_priority_comes_before_models_only_where_a_load_costs_less_than_an_image() -> None:
    def first(load: float) -> str:
        table = Table(1)
        table.learn(1.0, model="A", load=load)
        table.ask("a", 1, model="A", priority=10)
        table.ask("b", 1, model="B")
        return next(iter(table.assign()))

    assert (first(0.1), first(5.0)) == ("b1", "a1")


def test_models_that_nobody_holds_get_their_turn_though_others_never_run_out_of_work() -> None:
    table = Table(1, policy=Policy(patience=10.0))
    table.learn(0.1, model="A", load=1.0)
    table.ask("b", 1, model="B")
    for _ in range(300):
        table.ask("a", 1, model="A")
        (lease,) = table.leases()
        if lease.request_id == "b1":
            break
        table.end(lease, after=0.1)
    else:
        pytest.fail("b starves")
    assert 10.0 <= table.now <= 12.0


def test_the_models_of_an_endpoint_that_failed_are_gone() -> None:
    table = Table(1)
    table.ask("a", 1, model="A")
    (lease,) = table.leases()
    table.dispatcher.failed(lease, PromptLostError("restarted"), table.now)
    assert table.dispatcher.health.status()[0].models == ()


def test_several_models_can_be_held() -> None:
    table = Table(1, policy=Policy(models_held=2))
    for owner, model in (("a", "A"), ("b", "B"), ("c", "C"), ("d", "B")):
        table.ask(owner, 1, model=model)
        table.end(*table.leases())
    assert table.dispatcher.health.status()[0].models == ("B", "C")


def test_the_first_of_several_models_leaves_room_for_the_others() -> None:
    table = Table(4, depth=2, policy=Policy(models_at_once=3, head_start=10.0))
    table.ask("a", 8, model="A")
    assert set(table.assign().values()) == {"m0"}
    table.now = 1.0
    table.ask("b", 8, model="B")
    assert set(table.assign().values()) == {"m1"}
    table.now = 2.0
    table.ask("c", 8, model="C")
    assert set(table.assign().values()) == {"m2", "m3"}, "the last one to come has the most to do still"


def test_room_is_left_for_a_while_only() -> None:
    table = Table(4, policy=Policy(models_at_once=3, head_start=10.0))
    table.ask("a", 8, model="A")
    table.assign()
    table.now = 10.0
    assert set(table.assign().values()) == {"m1", "m2", "m3"}


def test_a_request_that_failed_goes_elsewhere_and_before_the_others() -> None:
    table = Table(2)
    table.ask("a", 1)
    (lease,) = table.leases()
    table.ask("b", 5)
    assert not table.dispatcher.failed(lease, InterruptedPromptError("by somebody"), table.now)
    assert table.assign() == {"a1": "m1", "b1": "m0"}


def test_a_request_that_failed_waits_for_another_that_holds_its_models_if_that_is_sooner() -> None:
    table = Table(3)
    table.learn(1.0, 1.0, 1.0, model="A", load=5.0)
    table.ask("b", 1, model="B")
    table.end(*table.leases(), after=6.0)  # now one of them holds B, the others A
    table.ask("a", 2, model="A")
    one, two = table.leases()
    assert not table.dispatcher.failed(one, PromptLostError("gone"), table.now)
    assert table.assign() == {}, "who holds B would load for five seconds"
    table.end(two)
    assert table.assign() == {one.request_id: two.url}


def test_an_endpoint_that_asked_to_be_left_alone_keeps_nobody_waiting() -> None:
    table = Table(2)
    table.learn(1.0, 5.0)
    table.ask("a", 1)
    (lease,) = table.leases()
    assert lease.url == "m0"
    assert not table.dispatcher.failed(lease, RateLimitedError("slow down", retry_after=60), table.now)
    assert table.assign() == {"a1": "m1"}


def test_a_request_found_on_an_endpoint_is_leased_to_it() -> None:
    table = Table(2)
    table.ask("a", 2, model="A")
    lease = table.dispatcher.claim("a2", "m1", table.now)
    assert lease is not None
    assert (lease.url, table.dispatcher.health.status()[1].models) == ("m1", ("A",))
    assert table.dispatcher.claim("a1", "m1", table.now) is None, "it has no place"
    table.end(lease)
    assert table.dispatcher.health.status()[1].speed is None, "when it began is not known"

"""The lease table: examples of each rule, and a state machine that tries everything in any order."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    precondition,
    rule,
)

from pixaris.endpoints.base import Endpoint
from pixaris.endpoints.dispatch.dispatcher import Dispatcher, Lease, Policy
from pixaris.exceptions import (
    BadImageError,
    ExecutionError,
    InterruptedPromptError,
    NoEndpointError,
    PixarisError,
    PromptLostError,
    RateLimitedError,
    UnreachableError,
)

A, B = Endpoint("http://a", depth=2), Endpoint("http://b", depth=2)


def pool(*endpoints: Endpoint, policy: Policy | None = None) -> Dispatcher:
    dispatcher = Dispatcher(policy)
    for endpoint in endpoints:
        dispatcher.join(endpoint, 0.0, healthy=True)
    return dispatcher


def submit(dispatcher: Dispatcher, *ids: str, priority: int = 0) -> None:
    for request_id in ids:
        assert dispatcher.submit(request_id, "comfyui", priority, 0.0)


def placed(leases: list[Lease]) -> list[tuple[str, str]]:
    return [(lease.request_id, lease.url) for lease in leases]


def test_requests_spread_over_endpoints_before_they_stack_up() -> None:
    dispatcher = pool(A, B)
    submit(dispatcher, *"123")
    assert placed(dispatcher.assign(0)) == [("1", A.url), ("2", B.url), ("3", A.url)]


def test_an_endpoint_is_never_given_more_than_its_depth() -> None:
    dispatcher = pool(A)
    submit(dispatcher, *"123")
    first = dispatcher.assign(0)
    assert len(first) == 2
    assert dispatcher.assign(0) == []
    assert dispatcher.succeeded(first[0], 0.0)
    assert placed(dispatcher.assign(0)) == [("3", A.url)]


def test_urgent_requests_go_first_and_equals_in_their_order() -> None:
    dispatcher = pool(Endpoint("http://a", depth=4))
    submit(dispatcher, "later", priority=10)
    submit(dispatcher, "first", "second")
    assert [lease.request_id for lease in dispatcher.assign(0)] == ["first", "second", "later"]


def test_a_promoted_request_overtakes() -> None:
    dispatcher = pool(Endpoint("http://a", depth=1))
    submit(dispatcher, "one", "two", priority=10)
    dispatcher.promote("two", 0)
    assert [lease.request_id for lease in dispatcher.assign(0)] == ["two"]


def test_a_request_goes_only_to_endpoints_of_its_kind() -> None:
    dispatcher = pool(A)
    assert dispatcher.submit("flux", "flux", 0, 0.0)
    submit(dispatcher, "comfy")
    assert placed(dispatcher.assign(0)) == [("comfy", A.url)]
    assert dispatcher.waiting == 1


def test_the_same_request_is_queued_once() -> None:
    dispatcher = pool(A)
    submit(dispatcher, "1")
    assert not dispatcher.submit("1", "comfyui", 0, 0.0)
    assert len(dispatcher.assign(0)) == 1


@pytest.mark.parametrize(
    "error",
    [UnreachableError("refused"), PromptLostError("lost"), BadImageError("cut")],
)
def test_an_endpoint_that_fails_rests_and_the_request_goes_elsewhere(error: PixarisError) -> None:
    dispatcher = pool(A, B)
    submit(dispatcher, "1")
    (lease,) = dispatcher.assign(0)
    assert not dispatcher.failed(lease, error, 1.0)
    (again,) = dispatcher.assign(1.0)
    assert (again.url, again.attempt) == (B.url, 2)
    assert [e.state for e in dispatcher.health.status()] == ["quarantined", "healthy"]
    assert dispatcher.health.events == [f"{A.url} is quarantined: {error.message}"]  # type: ignore[attr-defined]


def test_a_request_that_fails_the_same_way_everywhere_is_not_tried_again() -> None:
    dispatcher = pool(A, B)
    submit(dispatcher, "1")
    (lease,) = dispatcher.assign(0)
    assert dispatcher.failed(lease, ExecutionError("index 3 is out of bounds"), 0.0)
    assert dispatcher.assign(0) == []
    assert [e.state for e in dispatcher.health.status()] == ["healthy", "healthy"]
    assert (dispatcher.images, dispatcher.errors) == (0, 1)


def test_attempts_are_bounded() -> None:
    dispatcher = pool(A, policy=Policy(max_attempts=3, first_quarantine=1.0))
    submit(dispatcher, "1")
    now, finals = 0.0, []
    for _ in range(3):
        (lease,) = dispatcher.assign(now)
        finals.append(dispatcher.failed(lease, UnreachableError("refused"), now))
        now += 100
        for endpoint in dispatcher.health.probes(now):
            dispatcher.health.probed(endpoint.url, None, now)
    assert finals == [False, False, True]


def test_quarantine_ends_with_a_probe_and_doubles_while_probes_fail() -> None:
    dispatcher = pool(A, policy=Policy(first_quarantine=1.0, max_quarantine=3.0))
    submit(dispatcher, "1")
    (lease,) = dispatcher.assign(0)
    dispatcher.failed(lease, UnreachableError("refused"), 0.0)
    assert dispatcher.health.probes(0.9) == []
    assert dispatcher.next_event(0.25) == pytest.approx(0.75)
    now = 1.0
    for rest in (2.0, 3.0, 3.0):
        assert dispatcher.health.probes(now) == [A]
        assert dispatcher.health.probes(now) == [], "one probe at a time"
        dispatcher.health.probed(A.url, UnreachableError("still refused"), now)
        assert dispatcher.health.probes(now + rest - 0.01) == []
        now += rest
    assert dispatcher.health.probes(now) == [A]
    dispatcher.health.probed(A.url, None, now)
    assert dispatcher.health.events[-1] == f"{A.url} is back"
    assert placed(dispatcher.assign(now)) == [("1", A.url)]


def test_a_new_endpoint_gets_work_after_its_first_probe() -> None:
    dispatcher = Dispatcher()
    dispatcher.join(A, 0.0)
    submit(dispatcher, "1")
    assert dispatcher.assign(0) == []
    assert dispatcher.health.probes(0) == [A]
    dispatcher.health.probed(A.url, None, 0.1)
    assert len(dispatcher.assign(0.1)) == 1


def test_a_busy_server_that_asks_to_wait_is_not_blamed() -> None:
    dispatcher = pool(A, policy=Policy(max_attempts=1))
    submit(dispatcher, "1")
    (lease,) = dispatcher.assign(0)
    assert not dispatcher.failed(lease, RateLimitedError("slow down", retry_after=7), 0.0)
    assert dispatcher.assign(6.9) == []
    assert dispatcher.next_event(0.0) == pytest.approx(7.0)
    assert len(dispatcher.assign(7.0)) == 1


def test_a_rate_limit_that_asks_for_a_day_is_tried_again_before() -> None:
    dispatcher = pool(A)
    submit(dispatcher, "1")
    (lease,) = dispatcher.assign(0)
    assert not dispatcher.failed(lease, RateLimitedError("slow down", retry_after=86_400), 0.0)
    assert not dispatcher.assign(dispatcher.policy.max_rate_rest - 1)
    assert dispatcher.assign(dispatcher.policy.max_rate_rest)


def test_an_interrupted_prompt_is_tried_again_without_blame() -> None:
    dispatcher = pool(A)
    submit(dispatcher, "1")
    (lease,) = dispatcher.assign(0)
    assert not dispatcher.failed(lease, InterruptedPromptError("by somebody"), 0.0)
    assert dispatcher.health.status()[0].state == "healthy"
    assert len(dispatcher.assign(0)) == 1


def test_an_answer_after_the_endpoint_left_counts_for_nothing() -> None:
    dispatcher = pool(A, B)
    submit(dispatcher, "1")
    (old,) = dispatcher.assign(0)
    assert dispatcher.leave(A.url, 0.0) == [old]
    (new,) = dispatcher.assign(0)
    assert new.url == B.url
    assert not dispatcher.succeeded(old, 0.0)
    assert not dispatcher.failed(old, ExecutionError("late"), 0.0)
    assert dispatcher.succeeded(new, 0.0)
    assert dispatcher.images == 1


def test_a_cancelled_request_frees_its_place_and_its_answer_counts_for_nothing() -> None:
    dispatcher = pool(Endpoint("http://a", depth=1))
    submit(dispatcher, "1", "2")
    (lease,) = dispatcher.assign(0)
    assert dispatcher.cancel("1") == (True, lease)
    assert dispatcher.cancel("1") == (False, None)
    assert not dispatcher.succeeded(lease, 0.0)
    assert [one.request_id for one in dispatcher.assign(0)] == ["2"]


def test_a_request_whose_worker_died_waits_again_without_blame() -> None:
    dispatcher = pool(A)
    submit(dispatcher, "1")
    (lease,) = dispatcher.assign(0)
    dispatcher.returned(lease)
    assert dispatcher.health.status()[0].failures == 0
    assert len(dispatcher.assign(0)) == 1


def test_the_pool_gives_up_when_nothing_was_healthy_for_too_long() -> None:
    dispatcher = Dispatcher(Policy(wait_limit=10))
    dispatcher.join(A, 0.0)
    assert dispatcher.health.exhausted(1000.0) is None, "nobody waits"
    dispatcher.submit("1", "comfyui", 0, 1000.0)
    assert dispatcher.health.exhausted(1009.0) is None
    dispatcher.health.probes(1009.0)
    dispatcher.health.probed(A.url, UnreachableError("refused"), 1009.0)
    error = dispatcher.health.exhausted(1010.0)
    assert isinstance(error, NoEndpointError)
    assert "refused" in str(error)


def test_an_endpoint_that_is_probed_for_the_first_time_may_take_as_long_as_its_probe_does() -> None:
    dispatcher = Dispatcher(Policy(wait_limit=2))
    dispatcher.join(A, 0.0)
    submit(dispatcher, "1")
    dispatcher.health.probes(0.0)
    assert dispatcher.health.exhausted(5.0) is None
    assert dispatcher.next_event(5.0) is None, "nothing is due before the probe ends"
    dispatcher.health.probed(A.url, UnreachableError("refused"), 5.0)
    assert isinstance(dispatcher.health.exhausted(5.0), NoEndpointError)


def test_the_pool_gives_up_even_if_it_never_had_an_endpoint() -> None:
    dispatcher = Dispatcher(Policy(wait_limit=10))
    submit(dispatcher, "1")
    assert dispatcher.next_event(0.0) == pytest.approx(10.0)
    assert isinstance(dispatcher.health.exhausted(10.0), NoEndpointError)


def test_a_healthy_endpoint_of_another_kind_does_not_keep_a_request_waiting_for_ever() -> None:
    dispatcher = pool(A, policy=Policy(wait_limit=10))
    submit(dispatcher, "comfy")
    assert dispatcher.submit("flux", "flux", 0, 5.0)
    assert dispatcher.health.exhausted(14.0) is None
    assert dispatcher.next_event(14.0) == pytest.approx(1.0)
    assert isinstance(dispatcher.health.exhausted(15.0), NoEndpointError)
    dispatcher.cancel("flux")
    assert dispatcher.health.exhausted(15.0) is None


def test_nothing_is_due_once_every_request_is_withdrawn() -> None:
    dispatcher = Dispatcher(Policy(wait_limit=10))
    dispatcher.join(A, 0.0)
    dispatcher.health.probes(0.0)
    submit(dispatcher, "1", "2")
    dispatcher.cancel("1")
    dispatcher.cancel("2")
    assert dispatcher.next_event(1000.0) is None, "a pool that asks again at once would never rest"


def test_an_endpoint_that_answers_probes_and_makes_nothing_rests_longer_each_time() -> None:
    dispatcher = pool(A, policy=Policy(max_attempts=9, first_quarantine=1.0, max_quarantine=5.0))
    submit(dispatcher, "1", "2")
    now = 0.0
    for rest in (1.0, 2.0, 4.0, 5.0):
        lease, other = dispatcher.assign(now)
        dispatcher.failed(lease, BadImageError("cut"), now)
        assert dispatcher.health.probes(now + rest - 0.01) == []
        now += rest
        assert dispatcher.health.probes(now) == [A]
        dispatcher.health.probed(A.url, None, now)
        dispatcher.returned(other)
    lease, other = dispatcher.assign(now)
    assert dispatcher.succeeded(lease, 0.0)
    dispatcher.failed(other, BadImageError("cut"), now)
    assert dispatcher.health.probes(now + 1.0) == [A], "an image makes up for what was before"


def test_a_request_that_is_cancelled_and_comes_again_has_nothing_to_do_with_its_old_lease() -> None:
    dispatcher = pool(A)
    submit(dispatcher, "1")
    (old,) = dispatcher.assign(0)
    dispatcher.cancel("1")
    submit(dispatcher, "1")
    (new,) = dispatcher.assign(0)
    assert (old.url, old.attempt) == (new.url, new.attempt)
    assert not dispatcher.succeeded(old, 0.0)
    assert not dispatcher.failed(old, ExecutionError("late"), 0.0)
    assert dispatcher.succeeded(new, 0.0)


def test_a_request_that_kills_its_workers_is_given_up() -> None:
    dispatcher = pool(A, policy=Policy(max_attempts=3))
    submit(dispatcher, "1")
    finals = [dispatcher.returned(dispatcher.assign(0)[0]) for _ in range(3)]
    assert finals == [False, False, True]
    assert (dispatcher.unanswered(), dispatcher.errors) == ([], 1)


class LeaseTable(RuleBasedStateMachine):
    """Anything may happen at any time; no request is lost, none is answered twice, no endpoint is
    overfull.
    """

    leases = Bundle("leases")

    def __init__(self) -> None:
        super().__init__()
        self.table = Dispatcher(Policy(max_attempts=3, wait_limit=1e9, patience=20.0, models_at_once=2))
        self.now = 0.0
        self.endpoints: dict[str, Endpoint] = {}
        self.asked: set[str] = set()
        self.answered: list[str] = []
        self.resting: dict[str, float] = {}
        self.count = 0

    @rule(name=st.sampled_from("abcd"), depth=st.integers(1, 3), healthy=st.booleans())
    def join(self, name: str, depth: int, healthy: bool) -> None:
        endpoint = Endpoint(f"http://{name}", depth=depth)
        self.endpoints.setdefault(endpoint.url, endpoint)
        self.table.join(endpoint, self.now, healthy=healthy)

    @precondition(lambda self: self.endpoints)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        url = data.draw(st.sampled_from(sorted(self.endpoints)))
        del self.endpoints[url]
        self.table.leave(url, self.now)

    @rule(
        priority=st.integers(0, 2),
        owner=st.sampled_from("xyz"),
        affinity=st.sampled_from(["", "m", "n", "o"]),
        more=st.booleans(),
    )
    def ask(self, priority: int, owner: str, affinity: str, more: bool) -> None:
        for _ in range(4 if more else 1):
            self.count += 1
            request_id = f"r{self.count}"
            assert self.table.submit(
                request_id, "comfyui", priority, self.now, owner=owner, affinity=affinity
            )
            self.asked.add(request_id)

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), priority=st.integers(0, 2))
    def promote(self, data: st.DataObject, priority: int) -> None:
        self.table.promote(data.draw(st.sampled_from(sorted(self.asked))), priority)

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        request_id = data.draw(st.sampled_from(sorted(self.asked)))
        known, _ = self.table.cancel(request_id)
        assert known == (request_id not in self.answered)
        if known:
            self.answered.append(request_id)

    @rule(target=leases)
    def assign(self):  # type: ignore[no-untyped-def]
        leases = self.table.assign(self.now)
        for lease in leases:
            assert lease.request_id in self.asked
            assert lease.request_id not in self.answered
        idle = [e for e in self.table.health.status() if e.state == "healthy" and e.url not in self.busy]
        if self.table.waiting and not any(e.in_flight for e in self.table.health.status()):
            assert not idle, "an endpoint that may be used is idle, as all are, while work waits"
        return multiple(*leases)

    @property
    def busy(self) -> set[str]:
        """Endpoints that asked to be left alone for a while."""
        return {url for url, until in self.resting.items() if until > self.now}

    @rule(target=leases, data=st.data())
    def claim(self, data: st.DataObject):  # type: ignore[no-untyped-def]
        """A request turns up on an endpoint that has it already."""
        if not self.asked or not self.endpoints:
            return multiple()
        request_id, url = (
            data.draw(st.sampled_from(sorted(self.asked))),
            data.draw(st.sampled_from(sorted(self.endpoints))),
        )
        waits = request_id not in self.answered and self.table.lease(request_id) is None
        lease = self.table.claim(request_id, url, self.now)
        assert lease is None or (waits and self.table.lease(request_id) == lease and lease.url == url)
        return multiple(*([lease] if lease else []))

    @rule(lease=consumes(leases), seconds=st.floats(0, 9))
    def succeed(self, lease: Lease, seconds: float) -> None:
        self.now += seconds
        if self.table.succeeded(lease, self.now):
            self.answered.append(lease.request_id)

    @rule(
        lease=consumes(leases),
        error=st.sampled_from(
            [
                UnreachableError("x"),
                PromptLostError("x"),
                RateLimitedError("x"),
                ExecutionError("x"),
                InterruptedPromptError("x"),
            ]
        ),
    )
    def fail(self, lease: Lease, error: PixarisError) -> None:
        current = self.table.lease(lease.request_id) == lease
        if self.table.failed(lease, error, self.now):
            self.answered.append(lease.request_id)
        if current and isinstance(error, RateLimitedError):
            self.resting[lease.url] = self.now + 5.0

    @rule(lease=leases)
    def answer_twice(self, lease: Lease) -> None:
        if self.table.succeeded(lease, self.now):
            self.answered.append(lease.request_id)
        assert not self.table.succeeded(lease, self.now)

    @rule(lease=consumes(leases))
    def worker_dies(self, lease: Lease) -> None:
        if self.table.returned(lease):
            self.answered.append(lease.request_id)

    @precondition(lambda self: self.answered)
    @rule(data=st.data())
    def ask_again(self, data: st.DataObject) -> None:
        """An id that was answered may come again; what is still under way for the old one counts for
        nothing.
        """
        request_id = data.draw(st.sampled_from(sorted(self.answered)))
        assert self.table.submit(request_id, "comfyui", 0, self.now, owner="x", affinity="m")
        self.answered.remove(request_id)

    @rule(seconds=st.floats(0, 60), well=st.booleans())
    def time_passes(self, seconds: float, well: bool) -> None:
        self.now += seconds
        for endpoint in self.table.health.probes(self.now):
            self.table.health.probed(endpoint.url, None if well else UnreachableError("x"), self.now)

    @invariant()
    def nothing_is_lost_or_answered_twice(self) -> None:
        assert len(self.answered) == len(set(self.answered))
        assert set(self.table.unanswered()) == self.asked - set(self.answered)

    @invariant()
    def nothing_is_due_in_the_past_for_ever(self) -> None:
        for endpoint in self.table.health.probes(self.now):
            self.table.health.probed(endpoint.url, UnreachableError("x"), self.now)
        if self.table.health.exhausted(self.now) is None:
            due = self.table.next_event(self.now)
            assert due is None or due > 0

    @invariant()
    def no_endpoint_is_overfull(self) -> None:
        for status in self.table.health.status():
            assert status.in_flight <= self.endpoints[status.url].depth

    @invariant()
    def waiting_and_in_flight_make_up_the_unanswered(self) -> None:
        in_flight = sum(status.in_flight for status in self.table.health.status())
        assert in_flight + self.table.waiting == len(self.table.unanswered())
        assert self.table.waiting == sum(
            self.table.lease(request_id) is None for request_id in self.table.unanswered()
        )
        assert all(
            len(status.models) <= 1 and (status.speed is None or status.speed >= 0)
            for status in self.table.health.status()
        )

    def teardown(self) -> None:
        """Whatever happened: with one healthy endpoint everything is answered."""
        self.table.join(Endpoint("http://z", depth=3), self.now, healthy=True)
        for _ in range(5 * self.count + 50):
            self.now += 1000
            for endpoint in self.table.health.probes(self.now):
                self.table.health.probed(endpoint.url, None, self.now)
            for lease in self.table.assign(self.now):
                assert self.table.succeeded(lease, self.now)
            for status in self.table.health.status():
                if status.in_flight:
                    self.table.leave(status.url, self.now)  # what old leases hold comes back
        assert self.table.unanswered() == []


TestLeaseTable = LeaseTable.TestCase
TestLeaseTable.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)

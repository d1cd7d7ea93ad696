"""What every pool decides, played with a clock of the test's own: commands and outcomes in, actions out."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

import pytest

from pixaris.endpoints.actions import Answer, CancelOrphan, CancelRun, ProbeEndpoint, ReleaseEndpoint, Run
from pixaris.endpoints.apis.flux import FluxApi
from pixaris.endpoints.base import Cancel, Emit, Endpoint, Join, Leave, Promote, Submit, Switch
from pixaris.endpoints.core import PoolCore
from pixaris.endpoints.dispatch.policy import Policy
from pixaris.exceptions import (
    AccountError,
    CancelledRequestError,
    ExecutionError,
    NoEndpointError,
    UnreachableError,
)
from pixaris.results.evidence.events import Happened, Outage, outages

A, B = Endpoint("http://a", depth=1), Endpoint("http://b", depth=1)
ACCOUNT = Endpoint("http://flux", api=FluxApi(), depth=2)
POLICY = Policy(first_quarantine=1.0, wait_limit=10.0, client_limit=5.0, max_attempts=3)


@dataclass(frozen=True)
class Asked:
    """All that the core must know of a request."""

    id: str
    kind: str = "comfyui"
    affinity_key: str = ""
    content: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def cache_key(self) -> str:
        return self.content


class Played:
    """A core, its clock, and what it has decided since it was last asked."""

    def __init__(self, *endpoints: Endpoint, successor: bool = False) -> None:
        self.now = 0.0
        self.core: PoolCore[Asked] = PoolCore(POLICY, lambda: self.now, successor=successor)
        for endpoint in endpoints:
            self.core.perform(Join(endpoint))
        if not successor:
            self.wake()

    def wake(self) -> None:
        """Every endpoint answers its probe."""
        self.core.keep()
        for action in self.core.take_actions():
            if isinstance(action, ProbeEndpoint):
                self.core.probed(action.endpoint.url, None)

    def submit(self, *requests: Asked | str, owner: str = "", priority: int = 0) -> list[Any]:
        asked = tuple(Asked(one) if isinstance(one, str) else one for one in requests)
        self.core.perform(Submit(asked, priority), owner)
        return self.core.take_actions()

    def perform(self, command: Any, owner: str = "") -> list[Any]:
        self.core.perform(command, owner)
        return self.core.take_actions()

    def settle(self, run: Run[Asked], error: Any = None, **options: Any) -> tuple[bool, list[Any]]:
        final = self.core.settle(run, error, options.pop("cost", None), **options)
        return bool(final), self.core.take_actions()


def ran(actions: list[Any]) -> list[tuple[str, str]]:
    """Owner and id of what is to be run."""
    return [(action.owner, action.request.id) for action in actions if isinstance(action, Run)]


def test_a_request_is_run_settled_and_gone() -> None:
    played = Played(A)
    (run,) = played.submit("1")
    assert (run.endpoint, run.request.id, run.lease.attempt, run.resume) == (A, "1", 1, False)
    assert played.settle(run) == (True, [])
    status = played.core.status()
    assert (status.done, status.failed, status.waiting) == (1, 0, 0)
    assert played.settle(run) == (False, []), "an answer that comes twice counts once"
    assert played.core.status().done == 1


def test_actions_are_given_once() -> None:
    played = Played(A)
    assert len(played.submit("1")) == 1
    assert played.core.take_actions() == []


def test_the_same_id_of_two_owners_is_two_requests_and_each_cancels_its_own() -> None:
    played = Played(A, B)
    first = played.submit("1", owner="me")
    second = played.submit("1", owner="you")
    assert ran(first) + ran(second) == [("me", "1"), ("you", "1")]
    (cancelled,) = played.perform(Cancel(("1",)), owner="you")
    assert cancelled == CancelRun(second[0].lease, second[0].endpoint)
    assert played.settle(first[0])[0]
    assert not played.settle(second[0])[0], "nobody waits for it any more"


def test_who_cancels_is_not_answered_and_may_ask_again() -> None:
    played = Played(A)
    (run,) = played.submit("1")
    assert [type(action) for action in played.perform(Cancel(("1", "unknown")))] == [CancelRun]
    (again,) = played.submit("1")
    assert again.lease != run.lease
    assert played.settle(run, ExecutionError("late"))[0] is False
    assert played.settle(again)[0]


def test_promoted_requests_overtake_and_those_of_others_stay() -> None:
    played = Played(A)
    (run,) = played.submit("block")
    played.submit("x", "y", owner="me", priority=10)
    played.submit("y", owner="you", priority=10)
    assert played.perform(Promote(("y",)), owner="you") == []
    assert ran(played.settle(run)[1]) == [("you", "y")]


def test_what_an_endpoint_has_when_it_leaves_goes_elsewhere() -> None:
    played = Played(A)
    (run,) = played.submit("1")
    assert played.perform(Leave(A.url)) == [ReleaseEndpoint(A)]
    assert played.perform(Leave(A.url)) == [], "an unknown one is no error"
    played.core.perform(Join(B))
    played.wake()
    (again,) = played.core.take_actions()
    assert (again.endpoint, again.request.id) == (B, "1")
    assert played.settle(run)[0] is False


def test_a_failed_endpoint_rests_and_a_probe_brings_it_back() -> None:
    played = Played(A)
    (run,) = played.submit("1")
    assert played.settle(run, UnreachableError("gone")) == (False, [])
    assert played.core.keep() == pytest.approx(1.0)
    assert played.core.take_actions() == []
    played.now = 1.0
    assert played.core.keep() is not None
    assert played.core.take_actions() == [ProbeEndpoint(A)]
    played.core.probed(A.url, None)
    assert ran(played.core.take_actions()) == [("", "1")]
    assert played.core.status().events == (
        f"{A.url} is quarantined: gone",
        "no endpoint is healthy; trying again in 1 s, for 10 s at most",
        f"{A.url} is back",
    )
    told = [Happened(float(second), said) for second, said in enumerate(played.core.status().events)]
    assert outages(told) == {A.url: [Outage(0.0, 2.0)]}, "the report reads these words"


def test_without_a_healthy_endpoint_everything_is_answered_after_the_limit() -> None:
    played = Played()
    played.submit("1", owner="me")
    played.now = 9.9
    assert played.core.keep() == pytest.approx(0.1)
    assert played.core.take_actions() == []
    played.now = 10.0
    played.core.keep()
    (answer,) = played.core.take_actions()
    assert (answer.owner, answer.request.id) == ("me", "1")
    assert isinstance(answer.error, NoEndpointError)
    (late,) = played.submit("2")
    assert late.error is answer.error
    assert played.core.keep() is None, "nothing is due any more"


def test_a_refused_account_ends_what_waits_and_leaves_what_it_has_charged() -> None:
    played = Played(ACCOUNT, A)
    flux = [Asked(str(number), kind="flux") for number in range(4)]
    charged, refused = played.submit(*flux)
    (elsewhere,) = played.submit("comfy")
    final, actions = played.settle(refused, AccountError("no credits left"))
    assert final
    answered = {action.request.id for action in actions if isinstance(action, Answer)}
    assert answered == {"2", "3", "comfy"}
    assert CancelRun(elsewhere.lease, A) in actions
    assert played.settle(charged, cost=5.0) == (True, [])
    status = played.core.status()
    assert (status.cost, status.done) == (5.0, 1)
    assert isinstance(status.fatal, AccountError)


def test_what_is_charged_counts_though_nobody_waits_for_it() -> None:
    played = Played(ACCOUNT)
    (run,) = played.submit(Asked("1", kind="flux"))
    played.perform(Cancel(("1",)))
    assert played.settle(run, CancelledRequestError("cancelled"), cost=5.0) == (False, [])
    assert played.core.status().cost == 5.0


def test_stopping_answers_everybody_those_who_come_too() -> None:
    played = Played(A)
    (run,) = played.submit("1", owner="me")
    played.submit("2", owner="you")
    reason = CancelledRequestError("the search is stopping")
    played.core.stop(reason)
    actions = played.core.take_actions()
    assert {(a.owner, a.request.id, a.error) for a in actions if isinstance(a, Answer)} == {
        ("me", "1", reason),
        ("you", "2", reason),
    }
    assert CancelRun(run.lease, A) in actions
    assert [action.error for action in played.submit("3")] == [reason]
    assert played.core.status().fatal is None


def test_an_owner_who_is_gone_leaves_nothing_behind() -> None:
    played = Played(A)
    (run,) = played.submit("1", "2", owner="gone")
    played.submit("3", owner="here")
    played.core.release("gone")
    actions = played.core.take_actions()
    assert actions[0] == CancelRun(run.lease, A)
    assert ran(actions) == [("here", "3")]
    assert len(actions) == 2


def test_an_image_that_was_lost_on_its_way_counts_once() -> None:
    played = Played(A)
    (run,) = played.submit("1")
    played.settle(run)
    played.core.lost()
    (again,) = played.submit("1")
    played.settle(again)
    assert played.core.status().done == 1


def test_events_are_given_from_a_number_on_and_all_of_them_to_who_knew_another_pool() -> None:
    played = Played()
    for sentence in ("one", "two", "three"):
        played.perform(Emit(sentence))
    seen = [played.core.status(since) for since in (0, 2, 3, 40)]
    assert [(status.first_event, len(status.events)) for status in seen] == [(0, 3), (2, 1), (3, 0), (0, 3)]


# Processes that die


def test_what_a_dead_process_had_is_taken_over_where_it_is() -> None:
    played = Played(A, B)
    (run,) = played.submit("1")
    final, (again,) = played.settle(run, UnreachableError("its worker failed"), died=True)
    assert not final
    assert (again.endpoint, again.resume, again.lease.attempt) == (run.endpoint, True, 2)
    assert played.core.status().endpoints[0].failures == 0, "no endpoint is to blame"


def test_a_request_that_kills_its_processes_is_not_tried_for_ever() -> None:
    played = Played(A)
    (run,) = played.submit("1")
    finals = []
    for _ in range(3):
        final, actions = played.settle(run, UnreachableError("its worker failed"), died=True)
        finals.append(final)
        run = actions[0]
    assert finals == [False, False, True]
    assert actions == [CancelOrphan("1", A)], "what the last one left is taken off the endpoint"


def test_a_successor_looks_through_every_endpoint_before_it_gives_it_work() -> None:
    played = Played(A, successor=True)
    assert played.submit("1", "2", owner="me") == []
    played.core.keep()
    assert played.core.take_actions() == [ProbeEndpoint(A)]
    assert played.core.seeks_orphans(A.url)
    played.core.found_orphans(A.url, ("2", "3"))
    assert not played.core.seeks_orphans(A.url)
    played.core.probed(A.url, None)
    (run,) = played.core.take_actions()
    assert (run.request.id, run.resume) == ("2", True)
    played.now = 4.9
    played.core.keep()
    assert played.core.take_actions() == []
    played.now = 5.1  # longer than a client may be silent
    played.core.keep()
    assert CancelOrphan("3", A) in played.core.take_actions()


def test_an_endpoint_that_does_not_let_a_request_be_taken_over_is_looked_through_again() -> None:
    played = Played(A, B)
    (run,) = played.submit("1")
    _, (again,) = played.settle(run, UnreachableError("its worker failed"), died=True)
    assert again.resume
    assert not played.core.seeks_orphans(again.endpoint.url)
    played.settle(again, UnreachableError("frozen"))
    assert played.core.seeks_orphans(again.endpoint.url)


def same(request_id: str) -> Asked:
    """A request for the same image as all others of these."""
    return Asked(request_id, content="the same image")


def test_who_asks_for_what_is_being_made_gets_its_answer_and_it_is_made_once() -> None:
    played = Played(A, B)
    (run,) = played.submit(same("1"), owner="me")
    assert played.submit(same("2"), owner="you") == [], "though an endpoint is free"
    assert played.submit(same("2"), owner="you") == []
    answered = played.core.settle(run, None, None)
    assert [(one.owner, one.request.id) for one in answered] == [("me", "1"), ("you", "2")]
    assert played.core.status().done == 1
    assert len(played.submit(same("3"))) == 1, "what is asked for later is asked for anew"


def test_who_joins_gets_the_error_too() -> None:
    played = Played(A)
    (run,) = played.submit(same("1"), owner="me")
    played.submit(same("2"), owner="you")
    assert len(played.core.settle(run, ExecutionError("no"), None)) == 2
    assert played.core.status().failed == 1


def test_who_has_joined_goes_on_alone_when_the_other_one_cancels() -> None:
    played = Played(A)
    (run,) = played.submit(same("1"), owner="me")
    played.submit(same("2"), owner="you")
    played.submit(same("3"), owner="them")
    cancelled, again = played.perform(Cancel(("1",)), owner="me")
    assert isinstance(cancelled, CancelRun)
    assert isinstance(again, Run)
    assert (again.owner, again.request.id) == ("you", "2")
    assert played.settle(run) == (False, [])
    assert [one.request.id for one in played.core.settle(again, None, None)] == ["2", "3"]


def test_who_has_joined_may_cancel_without_harm_to_the_other() -> None:
    played = Played(A)
    (run,) = played.submit(same("1"), owner="me")
    played.submit(same("2"), owner="you")
    assert played.perform(Cancel(("2",)), owner="you") == []
    assert [one.request.id for one in played.core.settle(run, None, None)] == ["1"]


def test_who_joins_more_urgently_makes_the_other_one_urgent() -> None:
    played = Played(A)
    (run,) = played.submit("block")
    played.submit("early", priority=5)
    played.submit(same("1"), owner="me", priority=10)
    played.submit(same("2"), owner="you", priority=0)
    assert ran(played.settle(run)[1]) == [("me", "1")]


def test_all_who_joined_are_answered_when_the_pool_stops() -> None:
    played = Played(A)
    played.submit(same("1"), owner="me")
    played.submit(same("2"), owner="you")
    played.core.stop(CancelledRequestError("over"))
    answers = [action for action in played.core.take_actions() if isinstance(action, Answer)]
    assert [(one.owner, one.request.id) for one in answers] == [("me", "1"), ("you", "2")]


def test_an_owner_who_goes_takes_all_of_its_own_requests_along_and_no_others() -> None:
    played = Played(A)
    played.submit(same("1"), owner="me")
    played.submit(same("2"), owner="you")
    played.core.release("me")
    cancelled, run = played.core.take_actions()
    assert isinstance(cancelled, CancelRun)
    assert (run.owner, run.request.id) == ("you", "2")
    assert [one.request.id for one in played.core.settle(run, None, None)] == ["2"]


def test_who_asks_twice_wants_two_images() -> None:
    played = Played(A, B)
    assert len(played.submit(same("1"), same("2"), owner="me")) == 2


# Endpoints that somebody does not want to be used


def runs(actions: list[Any]) -> list[tuple[str, str]]:
    return [(one.request.id, one.endpoint.url) for one in actions if isinstance(one, Run)]


def test_a_drained_endpoint_ends_what_it_has_and_gets_no_more_until_it_is_enabled() -> None:
    played = Played(A, B)
    first, second = [one for one in played.submit("1", "2", "3") if isinstance(one, Run)]
    on_a, on_b = (first, second) if first.endpoint == A else (second, first)
    assert played.perform(Switch(A.url, "drain")) == []
    assert [one.state for one in played.core.status().endpoints] == ["drained", "healthy"]
    assert played.settle(on_a)[1] == [], "what it had is an image, and it gets no more"
    assert runs(played.settle(on_b)[1]) == [("3", B.url)]
    assert runs(played.submit("4")) == []
    assert runs(played.perform(Switch(A.url, "enable"))) == [("4", A.url)]
    assert played.core.status().events[-2:] == (
        f"{A.url} is drained: it ends what it has, and gets no more",
        f"{A.url} is enabled again",
    )


def test_a_disabled_endpoint_gives_what_it_has_to_others() -> None:
    played = Played(A)
    (run,) = [one for one in played.submit("1") if isinstance(one, Run)]
    (cancel,) = played.perform(Switch(A.url, "disable"))
    assert (cancel.lease, cancel.endpoint) == (run.lease, A)
    assert played.settle(run)[0] is False, "what it makes of it yet counts for nothing"
    assert "all are drained or disabled" in played.core.status().events[-1]
    played.now = 10 * POLICY.wait_limit
    played.core.keep()
    assert played.core.status().fatal is None, "whoever has switched it off knows why requests wait"
    played.core.perform(Join(B))
    played.core.keep()
    assert played.core.take_actions() == [ProbeEndpoint(B)]
    played.core.probed(B.url, None)
    assert runs(played.core.take_actions()) == [("1", B.url)]


def test_what_is_charged_is_not_taken_from_a_service_that_is_disabled() -> None:
    played = Played(ACCOUNT)
    (run,) = [one for one in played.submit(Asked("1", kind="flux")) if isinstance(one, Run)]
    assert played.perform(Switch(ACCOUNT.url, "disable")) == []
    assert played.settle(run)[0] is True


def test_an_endpoint_that_is_switched_off_stays_so_though_it_fails_and_comes_back() -> None:
    played = Played(A)
    (run,) = [one for one in played.submit("1") if isinstance(one, Run)]
    played.perform(Switch(A.url, "drain"))
    played.settle(run, UnreachableError("gone"))
    played.now += 2.0
    played.wake()
    assert runs(played.core.take_actions()) == []
    assert [one.state for one in played.core.status().endpoints] == ["drained"]
    assert played.perform(Switch("http://nobody", "drain")) == []
    assert runs(played.perform(Switch(A.url, "enable"))) == [("1", A.url)]

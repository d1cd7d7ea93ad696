"""What a pool that searches share keeps apart: what each is told, what ends it, and who is still there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from pool_kit import POLICY, colour, endpoint, until
from test_core import ACCOUNT, A, Asked, Played, ran

from pixaris.comfyui.server.inprocess import serve_in_thread
from pixaris.comfyui.server.worker import Options
from pixaris.endpoints.actions import Answer, CancelRun, Run
from pixaris.endpoints.base import Emit, Endpoint, Join
from pixaris.endpoints.core import PoolCore
from pixaris.endpoints.ray import RayPoolConfig, start_pool
from pixaris.endpoints.ray.messages import client_of, search_of
from pixaris.endpoints.ray.pool import RayPool
from pixaris.endpoints.ray.presence import Presence
from pixaris.exceptions import AccountError, CancelledRequestError, NoEndpointError, UnreachableError

ONE, OTHER = client_of("one", "trial"), client_of("other", "trial")


def played(*endpoints: Endpoint) -> Played:
    """A core whose owners belong to searches."""
    made = Played()
    made.core = PoolCore(POLICY, lambda: made.now, search_of=search_of)
    for one in endpoints:
        made.core.perform(Join(one))
    made.wake()
    return made


def test_a_client_belongs_to_the_search_that_its_name_begins_with() -> None:
    assert search_of(client_of("restore|2", "run-7")) == "restore|2"
    assert search_of(client_of("", "run-7")) == ""


def test_searches_take_turns_whoever_has_queued_more() -> None:
    pool = played(A)
    begun = pool.submit(*(f"{number}" for number in range(4)), owner=ONE)
    pool.submit("x", "y", owner=OTHER)
    order = []
    while begun:
        ((owner, request),) = ran(begun)
        order.append((search_of(owner), request))
        (run,) = [action for action in begun if isinstance(action, Run)]
        begun = pool.settle(run)[1]
    assert order == [("one", "0"), ("other", "x"), ("one", "1"), ("other", "y"), ("one", "2"), ("one", "3")]


def test_each_search_is_told_of_endpoints_since_it_came_and_of_itself() -> None:
    pool = played(A)
    pool.perform(Emit("before anybody"), "")
    assert pool.core.status(search="one").events == ()
    pool.perform(Emit("of one"), ONE)
    pool.perform(Emit("of all"), "")
    assert pool.core.status(search="one").events == ("of one", "of all")
    assert pool.core.status(search="other").events == ()
    pool.perform(Emit("later"), "")
    assert pool.core.status(1, search="one").events == ("of all", "later")
    assert pool.core.status(search="other").events == ("later",)


def test_each_search_counts_its_own_images_and_failures() -> None:
    pool = played(A)
    (first,) = pool.submit("a", owner=ONE)
    assert pool.submit("b", owner=OTHER) == [], "it waits for the only slot"
    _, (second,) = pool.settle(first)
    pool.settle(second, AccountError("no"))
    one, other = pool.core.status(search="one"), pool.core.status(search="other")
    assert (one.done, one.failed, one.fatal, one.endpoints[0].done) == (1, 0, None, 1)
    assert (other.done, other.failed, other.endpoints[0].done) == (0, 1, 0)
    assert isinstance(other.fatal, AccountError), "it ends the search whose request was refused, and no other"
    pool.core.lost(ONE)
    assert pool.core.status(search="one").done == 0


def test_no_endpoint_for_too_long_ends_the_searches_that_wait_and_none_that_comes_later() -> None:
    pool = played(A)
    (run,) = pool.submit("a", owner=ONE)
    pool.settle(run, UnreachableError("gone"))
    pool.core.keep()
    pool.now = 60.0
    pool.core.keep()
    (answer,) = [action for action in pool.core.take_actions() if isinstance(action, Answer)]
    assert isinstance(answer.error, NoEndpointError)
    assert isinstance(pool.core.status(search="one").fatal, NoEndpointError)
    assert pool.submit("b", owner=OTHER) == [], "it waits"
    assert pool.core.status(search="other").fatal is None


def test_a_search_that_stops_or_leaves_takes_only_its_own_requests() -> None:
    pool = played(replace(A, depth=2))
    mine, theirs = pool.submit("a", owner=ONE), pool.submit("b", owner=OTHER)
    pool.submit("c", owner=ONE)
    pool.core.stop(CancelledRequestError("over"), "one")
    actions = pool.core.take_actions()
    assert {action.request.id for action in actions if isinstance(action, Answer)} == {"a", "c"}
    assert [action.lease for action in actions if isinstance(action, CancelRun)] == [mine[0].lease]
    assert pool.settle(theirs[0]) == (True, [])
    assert isinstance(pool.submit("d", owner=ONE)[0], Answer)
    pool.core.leave("one")
    assert pool.core.searches.names == ("other",)
    assert ran(pool.submit("e", owner=ONE)) == [(ONE, "e")], "one of that name that comes anew begins anew"


def test_what_a_search_left_on_an_account_is_charged_to_nobody_else() -> None:
    pool = played(ACCOUNT)
    (run,) = pool.submit(Asked("a", kind="flux"), owner=ONE)
    pool.core.leave("one")
    pool.settle(run, cost=3.0)
    assert pool.core.searches.names == ()


def test_a_search_is_gone_when_its_job_has_ended_or_its_driver_is_silent() -> None:
    now = [0.0]
    presence = Presence(30.0, lambda: now[0])
    presence.hear("one", "job 1")
    presence.hear("other", "job 2")
    presence.hear("")
    assert presence.gone({"job 2"}) == ["other"]
    presence.leave("other")
    presence.hear("other")  # a trial's process that outlives its driver
    now[0] = 29.0
    presence.hear("one")
    assert presence.gone(()) == []
    now[0] = 31.0
    presence.hear("other")
    assert presence.gone(()) == ["one", "other"], "a trial's word is not its driver's"


@pytest.fixture(scope="module")
def shared(ray_session: None) -> Iterator[tuple[RayPoolConfig, RayPool]]:
    """A pool on a server."""
    with serve_in_thread(Options(faults=[])) as server:
        config, pool = start_pool([endpoint(server.url)], policy=POLICY)
        yield config, pool
        pool.shut_down()


@pytest.mark.slow
def test_searches_that_ask_for_the_same_image_have_one_each(shared: tuple[RayPoolConfig, RayPool]) -> None:
    config, pool = shared
    asked = colour(0x224466)
    searches = [replace(config, search=name) for name in ("one", "other")]
    clients = [search.connect() for search in searches]
    for client in clients:
        (future,) = client.submit([asked.request])
        assert future.result(30).endpoint == pool.status().endpoints[0].url
    assert [client.status().done for client in clients] == [1, 1]
    assert pool.status().endpoints[0].done == 2
    clients[0].stop()
    assert clients[0].stopping
    assert not clients[1].stopping
    clients[0].shut_down()
    until(lambda: pool.searches() == ("other",))
    (future,) = clients[1].submit([colour(0x224467).request])
    assert future.result(30)
    clients[1].shut_down()
    until(lambda: pool.searches() == ())

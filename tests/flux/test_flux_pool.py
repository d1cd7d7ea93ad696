"""Flux accounts in a pool: one limiter, beside ComfyUI servers, each for its own requests."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flux_kit import KEY, request, standing_in
from kit import WORKFLOW

from pixaris.comfyui.server.inprocess import serve_in_thread
from pixaris.endpoints.apis.flux import flux_endpoint
from pixaris.endpoints.base import Endpoint, EndpointPool
from pixaris.endpoints.dispatch.policy import Policy
from pixaris.endpoints.local import LocalPool
from pixaris.exceptions import AccountError, ChargedError, ModeratedError
from pixaris.flux.server.app import Server
from pixaris.generation.base import ItemArgs
from pixaris.generation.comfyui import ComfyGenerator
from pixaris.images import EncodedImage
from pixaris.testing import samples
from pixaris.types import GenerationRequest


@contextmanager
def pool_of(*endpoints: Endpoint, **policy: Any) -> Iterator[LocalPool]:
    pool = LocalPool(endpoints, policy=Policy(**{"wait_limit": 60.0, "first_quarantine": 0.1, **policy}))
    try:
        yield pool
    finally:
        pool.close()


def account(server: Server, key: str = KEY, depth: int = 24) -> Endpoint:
    return flux_endpoint(key, server.places.api, depth=depth)


def workflow_request(item: str) -> GenerationRequest:
    args = ItemArgs({}, item=item, images={"Load Input Image": EncodedImage.of(samples.picture(1))})
    return ComfyGenerator(WORKFLOW).request(args)


def done(pool: EndpointPool, requests: list[GenerationRequest]) -> list[Any]:
    return [future.exception(60) or future.result() for future in pool.submit(requests)]


def test_flux_and_comfyui_share_a_pool_and_each_gets_its_own_requests() -> None:
    with standing_in() as server, serve_in_thread() as comfy:
        with pool_of(account(server), Endpoint(comfy.url)) as pool:
            requests = [request(f"flux {i}") for i in range(6)] + [
                workflow_request(f"comfy {i}") for i in range(6)
            ]
            made = done(pool, requests[::2] + requests[1::2])
            by_item = {image.item: image for image in made}
            status = pool.status()
    assert {image.endpoint for item, image in by_item.items() if item.startswith("flux")} == {
        server.places.api
    }
    assert {image.endpoint for item, image in by_item.items() if item.startswith("comfy")} == {comfy.url}
    assert {item: image.cost for item, image in by_item.items()} == {
        r.item: 5.0 if r.kind == "flux" else None for r in requests
    }
    assert status.cost == 30.0
    assert server.account.submitted == 6


def test_an_account_never_has_more_tasks_than_its_places() -> None:
    with standing_in(seconds=0.2) as server, pool_of(account(server, depth=3)) as pool:
        assert len(done(pool, [request(str(i)) for i in range(12)])) == 12
        assert server.account.most_active <= 3


def test_who_is_told_to_wait_waits_and_holds_up_nobody_else() -> None:
    with standing_in({"fault": "busy", "times": 2, "seconds": 1.0}) as server, serve_in_thread() as comfy:
        with pool_of(account(server, depth=2), Endpoint(comfy.url)) as pool:
            flux = pool.submit([request(str(i)) for i in range(4)])
            others = pool.submit([workflow_request(str(i)) for i in range(4)])
            assert [future.result(60).endpoint for future in others] == [comfy.url] * 4
            assert not all(future.done() for future in flux)
            assert [future.result(60).attempts for future in flux].count(1) >= 2
            states = {one.url: one.state for one in pool.status().endpoints}
            assert states[server.places.api] == "healthy"  # busy is no illness
        assert server.account.submitted == 4


def test_without_credits_everything_stops_and_what_was_made_is_kept() -> None:
    with standing_in(credits=22.0) as server, pool_of(account(server, depth=1)) as pool:
        outcomes = done(pool, [request(str(i)) for i in range(8)])
        fatal = pool.status().fatal
    assert [type(one).__name__ for one in outcomes] == ["GeneratedImage"] * 4 + ["AccountError"] * 4
    assert isinstance(fatal, AccountError)
    assert "no credits left" in str(fatal)


def test_what_an_account_has_charged_is_waited_for_when_its_credits_run_out() -> None:
    with standing_in({"fault": "no_credits", "after": 4, "times": None}, seconds=1.0) as server:
        with pool_of(account(server, depth=8)) as pool:
            outcomes = done(pool, [request(str(i)) for i in range(12)])
            (late,) = done(pool, [request("late")])
            assert pool.status().cost == 20.0
    assert [type(one).__name__ for one in outcomes].count("GeneratedImage") == 4, "all that was paid for"
    assert [type(one).__name__ for one in outcomes].count("AccountError") == 8
    assert isinstance(late, AccountError)


def test_a_bad_key_stops_everything_at_the_probe() -> None:
    with standing_in() as server, pool_of(account(server, "another-key")) as pool:
        (error,) = done(pool, [request()])
    assert isinstance(error, AccountError)
    assert "another-key" not in str(error)
    assert server.account.submitted == 0


def test_a_bad_key_matters_to_nobody_who_asks_for_comfyui() -> None:
    with standing_in() as server, serve_in_thread() as comfy:
        with pool_of(account(server, "another-key"), Endpoint(comfy.url)) as pool:
            (made,) = done(pool, [workflow_request("photo")])
            until = time.monotonic() + 20
            while not any(one.last_failure for one in pool.status().endpoints) and time.monotonic() < until:
                time.sleep(0.05)
            assert pool.status().fatal is None
    assert made.endpoint == comfy.url


def test_a_lost_answer_fails_its_item_and_the_account_goes_on() -> None:
    with standing_in({"fault": "lose", "after": 1}) as server, pool_of(account(server, depth=1)) as pool:
        outcomes = done(pool, [request(str(i)) for i in range(4)])
        assert [type(one).__name__ for one in outcomes] == [
            "GeneratedImage",
            "ChargedError",
            *["GeneratedImage"] * 2,
        ]
        assert server.account.submitted == 4  # the lost one among them: none twice
    assert isinstance(outcomes[1], ChargedError)


def test_a_moderated_item_costs_nothing_and_the_account_stays_healthy() -> None:
    with standing_in({"fault": "request", "after": 1}) as server, pool_of(account(server, depth=1)) as pool:
        outcomes = done(pool, [request(str(i)) for i in range(3)])
        (status,) = pool.status().endpoints
    assert [isinstance(one, ModeratedError) for one in outcomes] == [False, True, False]
    assert (status.state, status.cost, server.account.credits) == ("healthy", 10.0, 990.0)


def test_images_that_are_withdrawn_are_counted_where_they_were_paid() -> None:
    with standing_in(seconds=30.0) as server, pool_of(account(server)) as pool:
        requests = [request(str(i)) for i in range(3)]
        pool.submit(requests)
        until = time.monotonic() + 30
        while server.account.submitted < 3 and time.monotonic() < until:
            time.sleep(0.02)
        pool.cancel([one.id for one in requests])
        while pool.status().cost != 15.0 and time.monotonic() < until:
            time.sleep(0.02)
        assert pool.status().cost == 15.0


@pytest.mark.parametrize("key", ["", "  ", "two words", "smörgås"])
def test_a_key_that_cannot_be_one_is_told_without_it(key: str) -> None:
    with pytest.raises(Exception, match="PIXARIS_FLUX_API_KEY") as raised:
        flux_endpoint(key)
    assert key.strip() == "" or key not in str(raised.value)

"""Where the key may go, and what answers mean, without a network."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixaris.exceptions import AccountError, ConfigurationError, PixarisError
from pixaris.flux.protocol import Missing, Ready, Waiting, gist, read_state, read_submission
from pixaris.flux.trust import base_url, may_have_key
from pixaris.http import Reply

BASE = "https://api.bfl.ai"


def reply(status: int, body: Any) -> Reply:
    return Reply(status, json.dumps(body).encode())


@pytest.mark.parametrize(
    "url",
    [
        "https://api.us1.bfl.ai/v1/get_result?id=1",
        "https://api.eu4.bfl.ai:443/v1/get_result",
        "https://bfl.ai/x",
        "https://API.BFL.AI/x",
    ],
)
def test_the_key_may_go_to_the_makers_hosts(url: str) -> None:
    assert may_have_key(url, BASE)
    assert may_have_key(url, "http://localhost:8189")


@pytest.mark.parametrize(
    "url",
    [
        "http://api.bfl.ai/x",
        "https://bfl.ai.example.com/x",
        "https://evilbfl.ai/x",
        "https://example.com/bfl.ai",
        "https://api.bfl.ai@example.com/x",
        "https://example.com#@api.bfl.ai/",
        "https://example.com\\@api.bfl.ai/",
        "https://example.com\t.bfl.ai/",
        "ftp://api.bfl.ai/x",
        "//api.bfl.ai/x",
        "https://[::1/x",
        "https:///x",
        "",
    ],
)
def test_the_key_goes_nowhere_else(url: str) -> None:
    assert not may_have_key(url, BASE)


def test_a_configured_host_gets_the_key_on_its_own_port_and_never_in_the_clear_if_it_was_not() -> None:
    assert may_have_key("http://127.0.0.1:1/x", "http://127.0.0.1:1")
    assert may_have_key("https://proxy.example.com/y", "https://proxy.example.com/x")
    assert not may_have_key("http://proxy.example.com/y", "https://proxy.example.com/x")
    assert not may_have_key("http://localhost:1/x", "http://127.0.0.1:1")


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://127.0.0.1:2/x", "http://127.0.0.1:1"),
        ("http://127.0.0.1/x", "http://127.0.0.1:1"),
        ("https://proxy.example.com:8443/x", "https://proxy.example.com"),
        ("https://api.bfl.ai:8443/x", BASE),
        ("https://proxy.example.com:99999/x", "https://proxy.example.com"),
    ],
)
def test_another_port_is_another_server(url: str, base: str) -> None:
    assert not may_have_key(url, base)


def test_the_port_of_the_scheme_is_the_same_port_given_or_not() -> None:
    assert may_have_key("https://proxy.example.com:443/x", "https://proxy.example.com")
    assert may_have_key("http://proxy.example.com/x", "http://proxy.example.com:80")
    assert may_have_key("https://proxy.example.com/x", "http://proxy.example.com")
    assert may_have_key("https://api.bfl.ai:8443/x", "https://api.bfl.ai:8443")


@given(host=st.from_regex(r"[a-z0-9.-]{1,30}", fullmatch=True), path=st.text(max_size=20))
def test_only_the_makers_domain_is_trusted_whatever_follows(host: str, path: str) -> None:
    url = f"https://{host}/{path}"
    if may_have_key(url, BASE):
        assert (urlsplit(url).hostname or "").rstrip(".").split(".")[-2:] == ["bfl", "ai"]


@pytest.mark.parametrize(
    "text", ["", "api.bfl.ai", "ftp://x", "https://u:secret@x", "https://x?a=b", "https://x y", "https://x:p"]
)
def test_a_base_url_that_cannot_be_one_is_told_without_credentials(text: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        base_url(text)
    assert "secret" not in str(raised.value)


def test_a_base_url_is_kept_as_it_is() -> None:
    assert base_url(" https://api.eu.bfl.ai/ ") == "https://api.eu.bfl.ai"
    assert base_url("http://[::1]:8189/flux/") == "http://[::1]:8189/flux"


@pytest.mark.parametrize("code", [200, 400, 403, 404, 500, 503])
def test_a_bodys_status_counts_before_the_http_code(code: int) -> None:
    ready = {"id": "1", "status": "Ready", "result": {"sample": "https://delivery.bfl.ai/x", "duration": 2.5}}
    assert read_state(reply(code, ready), BASE) == Ready("https://delivery.bfl.ai/x", 2.5)
    for status in ("Pending", "Reasoning", "Generating"):
        assert read_state(reply(code, {"id": "1", "status": status}), BASE) == Waiting(known=True)
    assert read_state(reply(code, {"id": "1", "status": "Task not found"}), BASE) == Missing()
    with pytest.raises(PixarisError, match="out of luck"):
        read_state(reply(code, {"id": "1", "status": "Failed", "details": "out of luck"}), BASE)


@pytest.mark.parametrize(
    ("code", "lasting"), [(302, True), (404, True), (429, False), (500, False), (503, False)]
)
def test_an_answer_without_a_status_decides_nothing_at_once(code: int, lasting: bool) -> None:
    state = read_state(reply(code, {"detail": "?"}), BASE)
    assert isinstance(state, Waiting)
    assert (state.lasting, state.known) == (lasting, False)


def test_a_refused_key_is_the_accounts_fault_only_where_it_was_sent() -> None:
    refusal = reply(403, {"detail": "Not authenticated"})
    with pytest.raises(AccountError):
        read_state(refusal, BASE)
    assert isinstance(read_state(refusal, BASE, with_key=False), Waiting)


def test_errors_are_read_in_every_shape_they_come_in() -> None:
    listed = {
        "detail": [
            {"loc": ["body", "steps"], "msg": "too many"},
            {"loc": ["body", "seed"], "msg": "no number"},
        ]
    }
    assert gist(reply(422, listed)) == "HTTP 422: steps: too many; seed: no number"
    assert gist(reply(400, {"detail": "bad\nimage"})) == "HTTP 400: bad image"
    assert (
        gist(reply(429, {"error": "rate_limit", "message": "slow down", "retry_after": 3}))
        == "HTTP 429: slow down"
    )
    assert gist(Reply(500, b"<html>")) == "HTTP 500 Internal Server Error"


KEYS = st.sampled_from(["id", "status", "result", "details", "detail", "cost", "polling_url"])
SCALARS = st.none() | st.booleans() | st.floats() | st.text(max_size=12)
BODIES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4)
)


@given(body=BODIES, code=st.sampled_from([200, 302, 400, 402, 422, 429, 500, 502, 503]))
def test_any_answer_is_a_task_a_state_or_a_typed_error(body: Any, code: int) -> None:
    answer = Reply(code, json.dumps(body).encode())
    for read in (read_submission, read_state):
        try:
            read(answer, BASE)
        except PixarisError as error:
            assert str(error)  # noqa: PT017  (whether it is raised is what is varied)

"""Base paths, authentication, TLS, and what gateways and other servers make of the protocol."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from comfy_kit import IMPATIENT, QUICK, Server, encoded, in_thread, inverted, picture, pixel, until
from gateway import LAST, Gateway, gateway, keep_session, lying, serving

from pixaris.comfyui.address import Timeouts
from pixaris.comfyui.client import ComfyClient
from pixaris.exceptions import (
    BadImageError,
    EndpointError,
    PromptLostError,
    PromptRejectedError,
    RateLimitedError,
    UnreachableError,
)

Connect = Callable[..., ComfyClient]
TLS = Path(__file__).parents[1] / "data" / "tls"


@pytest.fixture
def front(server: Server) -> Iterator[Gateway]:
    with gateway(server.url) as made:
        yield made


def html(status: int = 200) -> web.Response:
    return web.Response(status=status, text="<html><body>Sign in</body></html>", content_type="text/html")


# Ways in


def test_a_base_path_and_a_header_serve_http_and_websocket(server: Server, connect: Connect) -> None:
    with gateway(server.url, prefix="/team/comfy", headers={"X-Api-Key": "k3y"}) as front:
        client = connect(f"{front.url}/", headers={"X-Api-Key": "k3y"})
        client.probe()
        assert pixel(client.run(inverted(encoded("#ff8000")))) == (0, 126, 255)  # ComfyUI truncates
        assert client.url == front.url
        assert len(front.opened) == 1
        assert client._listener.connected
        assert front.origins == []


@pytest.mark.parametrize("secret", ["s3cr3t-token", "Bearer s3cr3t-token"])
def test_a_server_that_quotes_the_headers_it_got_does_not_show_the_secret(
    front: Gateway, connect: Connect, secret: str
) -> None:
    client = connect(front.url, headers={"Authorization": secret})
    words = f"you sent Authorization: {secret}"
    front.play("/prompt", web.Response(status=400, text=json.dumps({"error": {"message": words}})))
    with pytest.raises(PromptRejectedError) as caught:
        client.run(picture(1))
    assert "you sent Authorization:" in str(caught.value)
    assert "***" in str(caught.value)
    assert "s3cr3t" not in str(caught.value)
    for status in (503, 200):
        front.play("/system_stats", web.Response(status=status, text=words))
        with pytest.raises(EndpointError) as refused:
            client.probe()
        assert "s3cr3t" not in str(refused.value)


def test_a_balancers_cookie_leads_the_websocket_to_the_same_server(front: Gateway, connect: Connect) -> None:
    front.sticky = "two"
    client = connect(front.url)
    client.probe()
    client.run(picture(1))
    assert front.cookies == ["backend=two"]


def test_without_cookies_the_websocket_sends_none(front: Gateway, connect: Connect) -> None:
    connect(front.url).run(picture(1))
    assert front.cookies == [""]


def test_credentials_in_the_url_become_basic_authentication(server: Server, connect: Connect) -> None:
    with gateway(server.url, headers={"Authorization": "Basic am9lOnAvdw=="}) as front:  # joe:p/w
        client = connect(front.url.replace("//", "//joe:p%2Fw@"))
        assert pixel(client.run(picture(3))) == (0, 0, 3)
        assert "p/w" not in repr(client)
        with pytest.raises(UnreachableError, match=r"refused the credentials \(HTTP 401\)") as caught:
            connect(front.url.replace("//", "//joe:wr0ng@")).run(picture(3))
        assert "wr0ng" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_https_with_a_certificate_of_ones_own(server: Server, connect: Connect) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(TLS / "cert.pem", TLS / "key.pem")
    with gateway(server.url, context=context) as front:
        for verify in (str(TLS / "cert.pem"), False):
            client = connect(front.url, verify=verify)
            assert pixel(client.run(picture(4))) == (0, 0, 4)
            assert client._listener.connected
        with pytest.raises(UnreachableError, match=r"cannot be trusted: .*certificate"):
            connect(front.url).run(picture(4))


def test_without_websockets_prompts_are_polled_for(server: Server, connect: Connect) -> None:
    with gateway(server.url, websockets=False) as front:
        client = connect(front.url)
        assert [pixel(client.run(picture(color))) for color in (5, 6)] == [(0, 0, 5), (0, 0, 6)]
        assert not client._listener.connected


def test_one_websocket_serves_many_prompts(front: Gateway, connect: Connect) -> None:
    client = connect(
        front.url, timeouts=Timeouts(quiet=30.0, lively=30.0)
    )  # nothing is looked for, however busy the machine is
    for future in [in_thread(client, picture(color)) for color in range(12)]:
        future.result(20)
    assert len(front.opened) == 1
    assert front.count("POST /prompt") == front.count("GET /history") == front.count("GET /view") == 12
    assert front.count("GET /queue") == 0


def test_silent_prompts_of_one_server_are_looked_for_together_and_less_and_less_often(
    server: Server, front: Gateway, connect: Connect
) -> None:
    client = connect(front.url, timeouts=Timeouts(quiet=0.1, lively=60.0))
    server.fault("delay", seconds=3.0)
    for future in [in_thread(client, picture(color)) for color in (1, 2)]:
        future.result(20)
    assert 2 <= front.count("GET /queue") <= 8, (
        "after 0.1, 0.3, 0.7, 1.5 s and so on, not thirty times for each of them"
    )


def test_an_answer_about_the_queue_serves_whoever_asked_before_it_came(
    front: Gateway, connect: Connect
) -> None:
    api = connect(front.url)._api
    asked = time.monotonic()
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(api.queue_since, [asked] * 4))
    assert all(answer is answers[0] for answer in answers)
    assert front.count("GET /queue") == 1
    api.queue_since(time.monotonic())
    assert front.count("GET /queue") == 2


def test_two_looks_at_a_frozen_server_wait_together(server: Server, front: Gateway, connect: Connect) -> None:
    api = connect(front.url, timeouts=IMPATIENT)._api
    server.fault("hang", route="/queue", seconds=8.0, times=None)

    def look() -> BaseException | None:
        try:
            api.queue_since(time.monotonic())
        except UnreachableError as error:
            return error
        return None

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(look)
        until(lambda: front.count("GET /queue") == 1)
        second = threads.submit(look)  # later than the first one asked, and earlier than it gives up
        assert first.result(20) is second.result(20) is not None
    assert front.count("GET /queue") == 1


# Submissions that may or may not have arrived


def test_a_submission_whose_reply_is_lost_runs_once(server: Server, front: Gateway, connect: Connect) -> None:
    client = connect(front.url)
    front.play("/prompt", "drop after")
    assert pixel(client.run(picture(7))) == (0, 0, 7)
    assert front.count("POST /prompt") == 1


def test_a_submission_that_did_not_arrive_is_sent_once_more(front: Gateway, connect: Connect) -> None:
    client = connect(front.url)
    front.play("/prompt", "drop")
    assert pixel(client.run(picture(8))) == (0, 0, 8)
    assert front.count("POST /prompt") == 2
    front.play("/prompt", "drop", "drop", "drop")
    with pytest.raises(UnreachableError):
        client.run(picture(9))
    assert front.count("POST /prompt") == 4


def test_a_reply_that_is_nonsense_does_not_make_it_run_twice(front: Gateway, connect: Connect) -> None:
    client = connect(front.url)
    front.play("/prompt", html(), web.Response(text="{"))
    with pytest.raises(UnreachableError, match="not JSON"):
        client.run(picture(10))


def test_a_server_that_chooses_the_id_itself_is_followed(front: Gateway, connect: Connect) -> None:
    client = connect(front.url)
    front.play("/prompt", "other id", "other id")
    assert pixel(client.run(picture(11))) == (0, 0, 11)
    assert pixel(client.run(picture(12))) == (0, 0, 12)


# Nonsense


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (html(), "HTML page"),
        (web.Response(text="{"), "not JSON"),
        (web.Response(text="[]"), "not ComfyUI's"),
        (web.Response(text="[" * 100_000), "not JSON"),
        (html(404), "HTTP 404"),
        (html(502), "proxy"),
        (html(503), "not available"),
        (web.Response(status=403), r"refused the credentials \(HTTP 403\)"),
        (web.Response(status=302, headers={"Location": "http://elsewhere/?secret=1"}), "redirects elsewhere"),
    ],
)
def test_what_is_no_comfyui_is_unreachable(answer: web.Response, says: str) -> None:
    async def handle(request: web.Request) -> web.Response:
        return web.Response(status=answer.status, text=answer.text, headers=answer.headers)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    with serving(app) as url, ComfyClient(url, timeouts=QUICK) as client:
        for call in (client.probe, client.object_info, lambda: client.run(picture(1)), client.queue):
            with pytest.raises(UnreachableError, match=says) as caught:
                call()
            assert "secret" not in str(caught.value)
            assert type(caught.value) is UnreachableError


def test_a_host_that_refuses_and_a_name_that_does_not_exist() -> None:
    for url, says in [
        ("http://127.0.0.1:1", "refused"),
        ("http://no-such-host.invalid", "cannot be reached"),
    ]:
        with ComfyClient(url, timeouts=QUICK) as client:
            for call in (client.probe, lambda c=client: c.run(picture(1))):
                with pytest.raises(UnreachableError, match=says):
                    call()


def test_a_server_that_never_answers_is_left_after_the_time_out() -> None:
    async def handle(request: web.Request) -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    with serving(app) as url, ComfyClient(url, timeouts=IMPATIENT) as client:
        started = time.monotonic()
        with pytest.raises(UnreachableError, match=r"did not answer within 0\.6 s"):
            client.probe()
        assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7.0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0), ("soon", None), (None, None)]
)
def test_a_rate_limit_says_how_long_to_wait(
    front: Gateway, connect: Connect, header: str | None, seconds: float | None
) -> None:
    front.play("/prompt", web.Response(status=429, headers={"Retry-After": header} if header else {}))
    with pytest.raises(RateLimitedError) as caught:
        connect(front.url).run(picture(1))
    assert caught.value.retry_after == seconds


def test_one_failed_look_does_not_fail_a_prompt(server: Server, connect: Connect) -> None:
    with gateway(server.url, websockets=False) as front:
        server.fault("delay", seconds=0.6)
        front.play("/queue", html(502), html(502))  # the first is repeated at once
        assert pixel(connect(front.url).run(picture(13))) == (0, 0, 13)


def test_400_that_does_not_explain_itself_is_still_the_prompts_fault(
    front: Gateway, connect: Connect
) -> None:
    for answer, says in [
        (html(400), "HTTP 400"),
        (
            web.Response(status=413, text="Maximum request body size 10 exceeded."),
            "Maximum request body size",
        ),
        (web.json_response({"error": "quota: 3 prompts"}, status=400), "quota: 3 prompts"),
        (
            web.json_response(
                {"error": {"message": "No."}, "node_errors": {"1": 7, "2": {"errors": "x"}}}, status=400
            ),
            "No.",
        ),
    ]:
        front.play("/prompt", answer)
        with pytest.raises(PromptRejectedError, match=says):
            connect(front.url).run(picture(1))


# Servers that lie


def outcome(app: web.Application) -> EndpointError:
    with serving(app) as url, ComfyClient(url, timeouts=QUICK) as client:
        with pytest.raises(EndpointError) as caught:
            client.run(picture(1))
    return caught.value


@pytest.mark.parametrize(
    "image",
    [
        {"filename": "../../etc/passwd"},
        {"filename": "a/b.png"},
        {"filename": ""},
        {"filename": 5},
        {"filename": "a\0.png"},
        {"filename": "a.png", "subfolder": "../x"},
        {"filename": "a.png", "subfolder": "/etc"},
        {"filename": "a.png", "subfolder": "..\\x"},
        {"filename": "a.png", "type": "secret"},
        {"filename": "a.png", "type": None},
    ],
)
def test_odd_file_names_are_not_asked_for(image: dict[str, Any]) -> None:
    app = lying({"2": {"images": [{"subfolder": "", "type": "output", **image}]}})
    error = outcome(app)
    assert isinstance(error, UnreachableError)
    assert "names an image" in str(error)
    assert "view" not in app[LAST]


def test_an_answer_that_is_no_image_is_a_bad_image() -> None:
    for body in (b"", b"<html>", b"\x89PNG\r\n\x1a\n" + b"0" * 50):
        error = outcome(lying({"2": {"images": [{"filename": "a.png"}]}}, web.Response(body=body)))
        assert isinstance(error, BadImageError)


def test_a_file_that_is_gone_for_good_is_a_bad_image() -> None:
    error = outcome(lying({"2": {"images": [{"filename": "a.png"}]}}, web.Response(status=404)))
    assert isinstance(error, BadImageError)
    assert "does not have" in str(error)


def test_a_history_without_a_status_is_taken_for_success(server: Server) -> None:
    data = encoded("#010203").data
    app = lying(
        {"2": {"images": [{"filename": "a.png", "subfolder": "sub\\dir", "type": "temp"}]}},
        web.Response(body=data),
    )
    with serving(app) as url, ComfyClient(url, timeouts=QUICK) as client:
        made = client.run(picture(1))
    assert pixel(made) == (1, 2, 3)
    assert made.seconds > 0
    assert "type=temp" in app[LAST]["view"]


def test_a_server_that_forgets_everything_loses_the_prompt(front: Gateway, connect: Connect) -> None:
    front.play("/prompt", web.json_response({"prompt_id": "1" * 36, "number": 1, "node_errors": {}}))
    with pytest.raises(PromptLostError):
        connect(front.url).run(picture(1))


def test_a_socket_that_goes_deaf_is_replaced_under_a_new_id(server: Server, connect: Connect) -> None:
    deaf = web.Application()
    sockets: list[str] = []

    async def greet_and_fall_silent(request: web.Request) -> web.StreamResponse:
        sockets.append(request.query["clientId"])
        made = web.WebSocketResponse()
        await made.prepare(request)
        await made.send_bytes(b"\0\0\0\1preview")
        await made.send_str("no json")
        await made.send_str(json.dumps({"type": "executing", "data": {"node": "4"}}))
        async for _ in made:
            pass
        return made

    front = Gateway(server.url)
    deaf.router.add_get("/ws", greet_and_fall_silent)
    deaf.router.add_route("*", "/{path:.*}", front.handle)
    deaf.cleanup_ctx.append(keep_session)
    with serving(deaf) as url, ComfyClient(url, timeouts=QUICK) as client:
        assert pixel(client.run(picture(14))) == (0, 0, 14)
        assert pixel(client.run(picture(15))) == (0, 0, 15)
    assert len(set(sockets)) == len(sockets) >= 2

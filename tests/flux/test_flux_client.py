"""The Flux client against the stand-in, over real sockets."""

from __future__ import annotations

import base64
import io
import pickle
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from flux_kit import KEY, QUICK, client, request, standing_in
from PIL import Image

from pixaris.exceptions import (
    AccountError,
    CancelledRequestError,
    ChargedError,
    ExecutionError,
    ModeratedError,
    PixarisError,
    PromptRejectedError,
    RateLimitedError,
    UnreachableError,
)
from pixaris.flux.client import FluxClient
from pixaris.flux.journal import Journal
from pixaris.flux.models import KONTEXT_MAX
from pixaris.images import digest
from pixaris.testing import samples


def test_an_image_is_submitted_polled_where_the_answer_says_and_fetched_with_its_cost() -> None:
    with standing_in() as server:
        made = client(server).run(request("photo 1", steps=20))
        assert (made.item, made.cost, made.endpoint, made.attempts) == ("photo 1", 5.0, server.places.api, 1)
        assert made.image.size == (48, 32)
        assert made.seconds == 0.05  # what the API says that it worked, not what it was waited for
        places = list(dict.fromkeys((asked.place, asked.method) for asked in server.account.asked))
        assert places == [("api", "POST"), ("region", "GET"), ("delivery", "GET")]
        assert server.account.credits == 995.0


def test_images_are_sent_by_their_field_without_loss_and_a_mask_in_gray() -> None:
    with standing_in() as server:
        client(server).run(request(seed=3))
        body = server.account.asked[0].body
    image, mask = (Image.open(io.BytesIO(base64.b64decode(body[name]))) for name in ("image", "mask"))
    assert digest(image) == digest(samples.picture(3))
    assert mask.mode == "L"
    assert mask.tobytes() == samples.mask(3).tobytes()


def test_the_key_goes_to_the_api_and_its_region_and_never_to_the_delivery() -> None:
    with standing_in() as server:
        client(server).run(request())
        assert {asked.place: asked.key for asked in server.account.asked} == {
            "api": KEY,
            "region": KEY,
            "delivery": "",
        }


@pytest.mark.parametrize(("fault", "reached"), [("redirect", UnreachableError), ("elsewhere", ChargedError)])
def test_the_key_follows_no_redirect(fault: str, reached: type[PixarisError]) -> None:
    with standing_in({"fault": fault, "times": None}) as server, pytest.raises(reached) as raised:
        client(server).run(request())
    assert KEY not in str(raised.value)


class Listener:
    """Records what arrives at a port that has nothing to do with the API."""

    def __init__(self) -> None:
        self.heard = b""
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                self.heard += connection.recv(65536)
                connection.sendall(
                    b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                )

    def close(self) -> None:
        self._socket.close()


def test_a_polling_url_on_another_host_is_asked_without_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    other = Listener()
    monkeypatch.setattr(
        "pixaris.flux.server.app.FOREIGN", f"http://localhost:{other.port}"
    )  # not 127.0.0.1, the API's host
    try:
        with (
            standing_in({"fault": "stranger"}) as server,
            pytest.raises(ChargedError, match="on a host that the key is not sent to"),
        ):
            client(server).run(request())
    finally:
        other.close()
    assert b"GET /v1/get_result?id=" in other.heard
    assert KEY.encode() not in other.heard


@pytest.mark.parametrize(
    ("fault", "kind", "words", "cost"),
    [
        ("request", ModeratedError, "withheld the request (Violence, Derivative Works Filter)", 0.0),
        ("content", ModeratedError, "withheld the image (Violence, Derivative Works Filter)", 0.0),
        ("error", ExecutionError, "the GPU caught fire", 5.0),
        ("failed", ExecutionError, "the GPU caught fire", 5.0),
        ("unavailable", ExecutionError, "the GPU caught fire", 5.0),  # HTTP 503 with the normal JSON
        ("unknown", ChargedError, "does not know the task", 5.0),
        ("expire", ChargedError, "HTTP 403", 5.0),
        ("truncate", ChargedError, "not a readable image", 5.0),
        ("cut", ChargedError, "could not be fetched", 5.0),
    ],
)
def test_a_task_that_gives_no_image_is_an_error_of_its_kind_with_its_cost(
    fault: str, kind: type[PixarisError], words: str, cost: float
) -> None:
    with standing_in({"fault": fault, "times": None}) as server:
        with pytest.raises(kind) as raised:
            client(server).run(request())
        assert words in str(raised.value)
        assert server.account.submitted == 1
    for error in (raised.value, pickle.loads(pickle.dumps(raised.value))):
        assert (type(error), error.cost) == (kind, cost)


@pytest.mark.parametrize(
    "fault", ["late", "stuttering", "poll_busy", "truncate", "cut", "expire", "no_cost", "no_polling_url"]
)
def test_what_passes_is_waited_for_and_never_paid_twice(fault: str) -> None:
    with standing_in({"fault": fault, "times": 1}) as server:
        made = client(server).run(request())
        assert made.image.size == (48, 32)
        assert made.cost == (None if fault == "no_cost" else 5.0)
        assert server.account.submitted == 1


@pytest.mark.parametrize("fault", ["lose", "gateway", "garbage", "hang"])
def test_a_submit_whose_answer_is_lost_may_have_been_charged_and_is_not_repeated(fault: str) -> None:
    with standing_in({"fault": fault, "times": None, "seconds": 30}) as server:
        with pytest.raises(ChargedError, match="may have been charged, and is not sent again") as raised:
            client(server, timeouts=replace(QUICK, transfer=0.5, read=0.5)).run(request())
        assert raised.value.cost is None
        assert server.account.submitted == 1


def test_what_never_got_there_was_not_charged() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(UnreachableError, match="refused"):
        FluxClient(f"http://127.0.0.1:{port}", KEY, timeouts=QUICK).run(request())


@pytest.mark.parametrize(
    ("rule", "kind", "words"),
    [
        ({"fault": "busy"}, RateLimitedError, "Too many active tasks"),
        ({"fault": "no_credits"}, AccountError, "no credits left"),
        ({"fault": "bad_key"}, AccountError, "refuses the key"),
        ({"fault": "error500"}, UnreachableError, "HTTP 500"),
    ],
)
def test_a_refused_submit_is_told_in_the_apis_words_and_without_the_key(
    rule: dict[str, object], kind: type[PixarisError], words: str
) -> None:
    with standing_in(rule) as server:
        with pytest.raises(kind) as raised:
            client(server).run(request())
        assert words in str(raised.value)
        assert KEY not in str(raised.value)  # though the API quotes it
        assert server.account.submitted == 0


def test_how_long_to_wait_is_passed_on() -> None:
    with standing_in({"fault": "busy", "seconds": 7}) as server, pytest.raises(RateLimitedError) as raised:
        client(server).run(request())
    assert raised.value.retry_after == 7.0


def test_a_wrong_field_is_refused_with_the_apis_own_words() -> None:
    with (
        standing_in() as server,
        pytest.raises(PromptRejectedError, match="HTTP 422: steps: Input must be at most 50"),
    ):
        client(server).run(request(steps=51))


def test_an_account_has_as_many_tasks_as_its_model_allows() -> None:
    with standing_in(seconds=3.0) as server, ThreadPoolExecutor(8) as threads:
        one = client(server)
        runs = [threads.submit(one.run, request(str(i), model=KONTEXT_MAX)) for i in range(8)]
        errors = [run.exception() for run in runs]
    assert sorted(type(error).__name__ for error in errors if error) == ["RateLimitedError"] * 2


def test_a_request_that_is_cancelled_ends_at_once_and_says_what_it_cost() -> None:
    with standing_in(seconds=30.0) as server, ThreadPoolExecutor(1) as threads:
        one = client(server)
        run = threads.submit(one.run, request())
        while not any(asked.place == "region" for asked in server.account.asked):
            time.sleep(0.01)
        one.cancel("request-photo-1")
        error = run.exception(timeout=5)
    assert isinstance(error, CancelledRequestError)
    assert error.cost == 5.0


def test_a_task_that_takes_too_long_is_given_up() -> None:
    with standing_in({"fault": "strange"}) as server, pytest.raises(ChargedError, match="'Philosophising'"):
        client(server, timeouts=replace(QUICK, generation=0.5)).run(request())


def test_the_balance_and_the_probe() -> None:
    with standing_in(credits=12.5) as server:
        client(server).probe()
        assert client(server).credits() == 12.5
        with pytest.raises(AccountError) as raised:
            client(server, key="another-key").probe()
        assert "another-key" not in str(raised.value)


def test_who_takes_over_follows_what_was_sent_and_sends_nothing_twice(tmp_path: Path) -> None:
    session = f"test-{tmp_path.name}-{time.time_ns()}"
    with standing_in(seconds=0.3) as server:
        first = client(server, session=session)
        task = first._submit(request(), threading.Event())  # … and then its process died
        assert client(server, session=session).orphans() == ("request-photo-1",)
        second = client(server, session=session)
        made = second.resume(request())
        assert (made.cost, server.account.submitted) == (5.0, 1)
        assert task.id in server.account.works
        assert second.resume(request("never sent")).item == "never sent"
        Journal(session).sending("request-half-1")
        with pytest.raises(ChargedError, match="ended before the answer came"):
            second.resume(request("half"))
        second.close()
        elsewhere = client(server, session=f"{session}-other")
        with pytest.raises(ChargedError):  # on another machine nobody knows
            elsewhere.resume(request())
        elsewhere.close()

"""One HTTP exchange, against sockets that say exactly what a server says, byte by byte where that matters."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from pixaris import http as wire

BODY = bytes(range(256)) * 600


class Raw:
    """Answers every request with given bytes, some at a time; counts connections."""

    def __init__(self) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listening.getsockname()[1]}/x"
        self.connections = 0
        self.requests: list[bytes] = []
        self.pieces: list[bytes] = []
        self.pause = 0.0
        self.closing = False
        threading.Thread(target=self._accept, daemon=True).start()

    def says(self, *pieces: bytes, pause: float = 0.0, closing: bool = False) -> None:
        self.pieces, self.pause, self.closing = list(pieces), pause, closing

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection, connection.makefile("rb") as lines:  # the client may have left
            while line := lines.readline():
                head, length = line, 0
                while (line := lines.readline()) not in (b"\r\n", b""):
                    head += line
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                self.requests.append(head + lines.read(length))
                for piece in self.pieces:
                    connection.sendall(piece)
                    time.sleep(self.pause)
                if self.closing:
                    return


@pytest.fixture
def server() -> Iterator[Raw]:
    raw = Raw()
    yield raw
    raw.listening.close()


Ask = Callable[..., wire.Reply]


@pytest.fixture
def ask(server: Raw) -> Iterator[Ask]:
    session = wire.open_session({})
    yield lambda method="GET", limits=None, **more: wire.exchange(
        session, method, server.url, limits or wire.Limits(), **more
    )
    session.close()


def head(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in ("HTTP/1.1 200 OK", *lines, "")).encode()


def chunked(*chunks: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))


PLAIN = head(f"Content-Length: {len(BODY)}") + BODY
PACKED = gzip.compress(BODY)


@pytest.mark.parametrize(
    "answer",
    [
        PLAIN,
        head("Transfer-Encoding: chunked") + chunked(BODY[:7], BODY[7:100_000], BODY[100_000:]),
        head("Content-Encoding: gzip", f"Content-Length: {len(PACKED)}") + PACKED,
        head("Content-Encoding: gzip", "Transfer-Encoding: chunked") + chunked(PACKED[:5], PACKED[5:]),
    ],
    ids=["plain", "chunked", "gzip", "gzip, chunked"],
)
def test_a_body_comes_whole_however_it_is_sent_and_the_connection_is_kept(
    server: Raw, ask: Ask, answer: bytes
) -> None:
    server.says(answer)
    assert [ask().body for _ in range(3)] == [BODY] * 3
    assert server.connections == 1


def test_an_answer_without_a_length_ends_with_its_connection(server: Raw, ask: Ask) -> None:
    server.says(head() + BODY, closing=True)
    assert ask().body == BODY


@pytest.mark.parametrize("way", ["Content-Length: 1000", "Transfer-Encoding: chunked"])
def test_an_answer_that_trickles_is_given_up_at_the_deadline(server: Raw, ask: Ask, way: str) -> None:
    byte = b"x" if way.startswith("Content") else b"1\r\nx\r\n"
    server.says(head(way), *[byte] * 100, pause=0.1)
    started = time.monotonic()
    with pytest.raises(wire.Failure, match="took too long") as caught:
        ask(limits=wire.Limits(read=1.0, seconds=1.0))
    assert caught.value.kind == "timed out"
    assert time.monotonic() - started < 5.0, "of the ten seconds it would take"


def test_a_head_that_trickles_is_given_up_at_the_deadline(server: Raw, ask: Ask) -> None:
    server.says(*[bytes([byte]) for byte in head("X-Slow: " + "y" * 60)], pause=0.1)
    started = time.monotonic()
    with pytest.raises(wire.Failure, match=r"did not answer within 1 s") as caught:
        ask(limits=wire.Limits(read=1.0, seconds=1.0))
    assert caught.value.kind == "timed out"
    assert time.monotonic() - started < 4.0, "of the eight seconds it would take"


def redirect(location: bytes, length: int = 0) -> bytes:
    return b"HTTP/1.1 302 Found\r\nLocation: " + location + b"\r\nContent-Length: %d\r\n\r\n" % length


@pytest.mark.parametrize(
    "location", [b"/login", b"http://[bad", b"http://x/\xff"], ids=["good", "no URL", "not UTF-8"]
)
def test_a_redirect_is_an_answer_wherever_it_leads(server: Raw, ask: Ask, location: bytes) -> None:
    server.says(redirect(location, 2) + b"go")
    reply = ask()
    assert (reply.status, reply.body) == (302, b"go")


def test_a_redirect_is_bounded_in_size_and_time_too(server: Raw, ask: Ask) -> None:
    server.says(redirect(b"/login", len(BODY)) + BODY)
    with pytest.raises(wire.Failure, match="more than 100,000 bytes"):
        ask(limits=wire.Limits(size=100_000))
    server.says(redirect(b"/login", 100), *[b"x"] * 100, pause=0.1)
    started = time.monotonic()
    with pytest.raises(wire.Failure, match="took too long"):
        ask(limits=wire.Limits(read=1.0, seconds=1.0))
    assert time.monotonic() - started < 5.0, "of the ten seconds it would take"


@pytest.mark.parametrize("host", ["a..b", "a" * 300])
def test_a_host_name_that_cannot_be_is_not_sent(host: str) -> None:
    with pytest.raises(wire.Failure, match="cannot be reached") as caught:
        wire.exchange(wire.open_session({}), "GET", f"http://{host}/", wire.Limits())
    assert caught.value.kind == "not sent"


@pytest.mark.parametrize(
    "answer",
    [
        PLAIN[:-1],
        head("Transfer-Encoding: chunked") + chunked(BODY)[:-5],
        head("Content-Encoding: gzip") + PACKED[:9] + b"?" * 40,
    ],
    ids=["plain", "chunked", "gzip"],
)
def test_an_answer_that_is_cut_short_or_garbled_is_broken_off(server: Raw, ask: Ask, answer: bytes) -> None:
    server.says(answer, closing=True)
    with pytest.raises(wire.Failure) as caught:
        ask()
    assert caught.value.kind == "broken off"


def test_a_silent_body_is_a_time_out(server: Raw, ask: Ask) -> None:
    server.says(head("Content-Length: 5") + b"x")
    with pytest.raises(wire.Failure, match=r"did not answer within 0\.5 s") as caught:
        ask(limits=wire.Limits(read=0.5, seconds=0.5))
    assert caught.value.kind == "timed out"


def test_more_bytes_than_allowed_are_not_taken_unpacked_either(server: Raw, ask: Ask) -> None:
    bomb = gzip.compress(bytes(10_000_000))
    for answer in (PLAIN, head("Content-Encoding: gzip", f"Content-Length: {len(bomb)}") + bomb):
        server.says(answer)
        with pytest.raises(wire.Failure, match="more than 100,000 bytes") as caught:
            ask(limits=wire.Limits(size=100_000))
        assert caught.value.kind == "too large"


def test_what_is_sent(server: Raw, ask: Ask) -> None:
    server.says(PLAIN)
    ask("POST", params={"a": "1 ü"}, data=BODY, headers={"X-One": "two"})
    sent = server.requests[0]
    lines = sent.split(b"\r\n")
    assert lines[0] == b"POST /x?a=1+%C3%BC HTTP/1.1"
    assert b"X-One: two" in lines
    assert b"User-Agent: pixaris" in lines
    assert sent.endswith(BODY)


def test_cookies_are_sent_back_as_gateways_that_share_out_sessions_need(server: Raw, ask: Ask) -> None:
    server.says(head("Set-Cookie: lane=7", "Content-Length: 0"))
    ask()
    ask()
    assert [b"Cookie: lane=7" in request for request in server.requests] == [False, True]

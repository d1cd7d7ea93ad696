"""Who comes in, what cannot be fetched, and what other sites cannot do."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from page_kit import Visitor, new_iteration, page, results_of, search_id

from pixaris.cli import main
from pixaris.exceptions import ConfigurationError
from pixaris.frontend.server.live import MOST_STREAMS
from pixaris.frontend.sessions import Attempts, Keyring, clean_name
from pixaris.frontend.settings import PageSettings

PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("review") / "results"
    (folder.parent / "config.yaml").write_text("flux_api_key: hidden-treasure\n")
    return results_of(folder)


def test_nobody_sees_anything_before_they_say_who_they_are(root: str) -> None:
    stranger = Visitor(root)
    answer = stranger.get("/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?following=/")
    assert stranger.get("/image/0123456789abcdef0123-1/0/128").status_code == 401
    assert stranger.post("/feedback", {"name": "x", "runs": []}).status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "/static/../page.css",
        "/static/..%2f..%2fmain.py",
        "/static/%2e%2e/%2e%2e/main.py",
        "/static//etc/passwd",
        "/image/..%2f..%2fconfig.yaml/0/128",
        "/image/%2fetc%2fpasswd/0/0",
        "/given/../../config.yaml/0/0/0",
        "/config.yaml",
        "/.review.key",
        "/feedback.sqlite",
        "/demo/restore/search.yaml",
        "/openapi.json",
        "/docs",
    ],
)
def test_no_path_leads_to_a_file(ann: Visitor, path: str) -> None:
    request = requests.Request("GET", ann.root + path, cookies=ann.session.cookies).prepare()
    request.url = ann.root + path  # as it is, not tidied up
    answer = ann.session.send(request, timeout=30, allow_redirects=False)
    assert answer.status_code in (404, 422)
    for secret in ("hidden-treasure", "root:", "def launch_ui", "SQLite format"):
        assert secret not in answer.text


@pytest.mark.parametrize("index", ["-1", "99", "1e3", "0x0", "../0"])
def test_an_image_that_is_not_there_is_told(ann: Visitor, index: str) -> None:
    answer = ann.get(f"/image/{search_id(ann)}-1/{index}/128")
    assert answer.status_code in (404, 422)
    assert "Traceback" not in answer.text


def test_a_vote_of_another_site_is_refused(ann: Visitor) -> None:
    url = new_iteration(ann, [0, 1], "cross-site")
    said = {"id": "ab" * 10, "image": 0, "verdict": "like"}
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {},
        {"Origin": ann.root, "Sec-Fetch-Site": "cross-site"},
    ):
        assert ann.post(f"{url}/say", said, headers).status_code == 403
    assert ann.post(f"{url}/say", said).status_code == 200


def test_only_this_machine_s_names_lead_here(ann: Visitor) -> None:
    assert ann.get("/", Host="evil.example").status_code == 421
    cookie = "; ".join(f"{name}={value}" for name, value in ann.session.cookies.items())
    here = f"localhost:{ann.root.rpartition(':')[2]}"
    assert requests.get(ann.root, headers={"Host": here, "Cookie": cookie}, timeout=30).status_code == 200


def test_a_forged_or_old_cookie_is_nobody_s(root: str) -> None:
    keyring, other = Keyring(b"a" * 32), Keyring(b"b" * 32)
    cookie = keyring.session("ann", 1000.0)
    assert keyring.name(cookie, 1001.0) == "ann"
    assert keyring.name(cookie, 1000.0 + 40 * 86_400) is None
    assert other.name(cookie, 1001.0) is None
    assert keyring.name(cookie.replace(".1000.", ".9000."), 9001.0) is None
    for forged in (other.session("ann", 1000.0), "ann", "a.b.c", "", "é.1.x", "." * 300):
        answer = requests.get(
            root,
            cookies={"pixaris_review": forged.encode().decode("latin-1")},
            timeout=30,
            allow_redirects=False,
        )
        assert answer.status_code == 303


def test_huge_bodies_are_refused_also_those_of_unknown_length(ann: Visitor) -> None:
    url = new_iteration(ann, [0, 1], "huge")
    assert ann.post(f"{url}/say", {"comment": "x" * 100_000}).status_code == 413

    def pieces() -> Iterator[bytes]:
        for _ in range(64):
            yield b"x" * 4096

    answer = ann.session.post(f"{ann.root}{url}/say", data=pieces(), headers=ann.own, timeout=30)
    assert answer.status_code == 413


def test_what_is_not_as_the_page_makes_it_is_refused_without_a_traceback(ann: Visitor) -> None:
    url = new_iteration(ann, [0, 1], "malformed")
    for body in (
        [],
        {"id": "x"},
        {"id": "ab" * 10, "image": "no", "verdict": "like"},
        {"id": "ab" * 10, "image": 0, "verdict": "love"},
        {"id": "ab" * 10, "image": 77, "verdict": "like"},
    ):
        answer = ann.post(f"{url}/say", body)
        assert answer.status_code in (404, 422)
        assert "Traceback" not in answer.text


def test_script_in_names_and_comments_stays_text(ann: Visitor, results: Path) -> None:
    url = new_iteration(ann, [0, 1], "<script>alert(1)</script>")
    evil = "</script><script>alert(2)</script>"
    assert ann.post(f"{url}/say", {"id": "cd" * 10, "image": 0, "verdict": "like", "comment": evil}).ok
    html = ann.get(url).text
    assert "<script>alert" not in html
    mallory = Visitor(ann.root)
    mallory.enter("<img src=x onerror=alert(3)>")
    assert "<img src=x" not in mallory.get("/").text


def test_the_policy_lets_only_our_own_scripts_in(ann: Visitor) -> None:
    answer = ann.get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in policy


@pytest.mark.slow
def test_a_thousand_open_streams_end_nothing(ann: Visitor) -> None:
    url = new_iteration(ann, [0, 1], "streams")
    cookie = "; ".join(f"{name}={value}" for name, value in ann.session.cookies.items())
    host, port = ann.root.removeprefix("http://").split(":")
    request = f"GET {url}/live HTTP/1.1\r\nHost: {host}:{port}\r\nCookie: {cookie}\r\n\r\n".encode()
    opened = []
    try:
        for _ in range(1000):
            stream = socket.create_connection((host, int(port)), timeout=30)
            stream.sendall(request)
            opened.append(stream)
        answers = [stream.recv(12) for stream in opened]  # they are not answered in their order
        assert Counter(answers) == {b"HTTP/1.1 200": MOST_STREAMS, b"HTTP/1.1 503": 1000 - MOST_STREAMS}
        assert ann.get("/").status_code == 200
        assert ann.post(f"{url}/say", {"id": "ef" * 10, "image": 0, "verdict": "like"}).status_code == 200
    finally:
        for stream in opened:
            stream.close()


def test_where_somebody_goes_on_is_always_this_page(root: str) -> None:
    for following in ("https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)"):
        stranger = Visitor(root)
        form = {"name": "ann", "following": following}
        answer = stranger.session.post(
            f"{root}/login", form, headers=stranger.own, allow_redirects=False, timeout=30
        )
        assert answer.headers["location"] == "/"


def test_the_key_can_be_read_by_its_owner_alone(ann: Visitor, results: Path) -> None:
    assert (results / ".review.key").stat().st_mode & 0o777 == 0o600


def test_a_password_is_asked_for_behind_a_proxy_and_guessing_is_slowed_down(results: Path) -> None:
    settings = PageSettings(password=PASSWORD, token="a-token-of-mine", root_path="/review", https=True)
    with page(results, settings) as root:
        guest = Visitor(root)
        assert guest.get("/").headers["location"].startswith("/review/login")
        for secret in (PASSWORD, "a-token-of-mine"):
            entered = guest.enter("ann", secret)
            assert entered.headers["location"] == "/review/"
            cookie = entered.headers["set-cookie"].lower()
            for part in ("secure", "httponly", "samesite=strict", "path=/review"):
                assert part in cookie
        inside = {"Cookie": entered.headers["set-cookie"].partition(";")[0]}  # it is for TLS alone
        html = requests.get(f"{root}/feedback", headers=inside, timeout=30).text
        assert 'href="/review/feedback"' in html
        assert requests.get(f"{root}/static/page.js", timeout=30).status_code == 200
        for _ in range(5):
            assert guest.enter("ann", "wrong").status_code == 403
        assert guest.enter("ann", PASSWORD).status_code == 429


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (PageSettings(host="0.0.0.0"), "needs|give it a password"),
        (PageSettings(host="0.0.0.0", password="short"), "at least 8 characters"),
        (PageSettings(root_path="review/"), "must begin with a slash"),
        (PageSettings(port=99_999), "from 0 to 65535"),
    ],
)
def test_a_page_that_would_be_open_to_all_is_refused(settings: PageSettings, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        settings.check()


def test_a_port_that_is_taken_is_told_in_a_line(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert main(["ui", "--results", str(results), "--port", str(port)]) == 2
    assert f"port {port} of 127.0.0.1 cannot be listened on" in capsys.readouterr().err


def test_tries_come_back_after_a_minute() -> None:
    now = [0.0]
    attempts = Attempts(lambda: now[0])
    for _ in range(5):
        assert attempts.wait("a") == 0
        attempts.failed("a")
    assert attempts.wait("a") == 60
    assert attempts.wait("b") == 0
    now[0] = 61
    assert attempts.wait("a") == 0


def test_a_name_is_one_short_line() -> None:
    assert clean_name(" ann\n\x00 b ") == "ann b"
    assert clean_name("\u202e") == ""
    assert len(clean_name("x" * 500)) == 40

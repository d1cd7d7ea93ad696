"""One ComfyUI that several use at once: two pools, and a person with a browser."""

from __future__ import annotations

import threading
import uuid
from contextlib import closing

import requests
from pool_kit import (
    COLOUR,
    POLICY,
    Servers,
    answers,
    colour,
    endpoint,
    fault,
    idle,
    mixed,
    queued,
    ran,
    until,
)

from pixaris.endpoints.local import LocalPool


class Person:
    """Queues prompts as the browser does: no name of ours, no tag."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.prompts: dict[str, int] = {}

    def queue(self, number: int) -> None:
        graph = COLOUR.as_dict()
        graph = {**graph, "1": {**graph["1"], "inputs": {**graph["1"]["inputs"], "color": number}}}
        body = {"prompt": graph, "client_id": uuid.uuid4().hex}
        reply = requests.post(f"{self.url}/prompt", json=body, timeout=10)
        reply.raise_for_status()
        self.prompts[reply.json()["prompt_id"]] = number

    def outcomes(self) -> dict[int, str]:
        """What became of them; those that have not ended are absent."""
        rows = {
            key: requests.get(f"{self.url}/history/{key}", timeout=10).json().get(key) for key in self.prompts
        }
        return {self.prompts[key]: row["status"]["status_str"] for key, row in rows.items() if row}


def test_two_pools_and_a_person_share_one_server_and_nobodys_prompts_are_touched(servers: Servers) -> None:
    (url,) = servers(1)
    fault(url, "delay", seconds=0.05, times=None)
    person = Person(url)
    with (
        closing(LocalPool([endpoint(url)], policy=POLICY)) as one,
        closing(LocalPool([endpoint(url)], policy=POLICY)) as other,
    ):
        mine, theirs, given_up = mixed(20, 1000), mixed(20, 2000), mixed(10, 3000)
        futures = one.submit([asked.request for asked in mine])
        their_futures = other.submit([asked.request for asked in theirs])
        dropped = other.submit([asked.request for asked in given_up], priority=10)
        browser = threading.Thread(target=lambda: [person.queue(4000 + number) for number in range(10)])
        browser.start()
        answers(mine[:5], futures[:5])
        other.cancel(
            [asked.id for asked in given_up]
        )  # what runs or waits there of it is withdrawn; the rest is others'
        answers(mine, futures)
        answers(theirs, their_futures)
        browser.join()
        until(lambda: queued(url) == 0)
        assert all(future.done() for future in dropped)
        for pool in (one, other):
            status = pool.status()
            assert idle(pool)
            assert (status.failed, status.endpoints[0].failures) == (0, 0)
        assert (one.status().done, other.status().done) == (20, 20)
    assert person.outcomes() == {4000 + number: "success" for number in range(10)}


def test_a_pool_that_closes_takes_its_own_prompts_along_and_leaves_the_others(servers: Servers) -> None:
    (url,) = servers(1)
    fault(url, "delay", seconds=0.4, times=None)
    person = Person(url)
    with closing(LocalPool([endpoint(url)], policy=POLICY)) as one:
        kept = [colour(5000 + number) for number in range(4)]
        futures = one.submit([asked.request for asked in kept])
        with closing(LocalPool([endpoint(url)], policy=POLICY)) as other:
            other.submit([colour(6000 + number).request for number in range(6)])
            person.queue(7000)
            until(lambda: queued(url) >= 4)
        answers(kept, futures)
        until(lambda: queued(url) == 0)
    assert person.outcomes() == {7000: "success"}
    assert len({number for number in ran(url) if number >= 6000} - {7000}) <= 2, (
        "what a closed pool had is withdrawn"
    )


def test_what_somebody_else_clears_or_interrupts_is_made_again(servers: Servers) -> None:
    (url,) = servers(1)
    fault(url, "delay", seconds=0.3, times=6)
    with closing(LocalPool([endpoint(url)], policy=POLICY)) as pool:
        asked = mixed(8, 8000)
        futures = pool.submit([one.request for one in asked])
        until(lambda: queued(url) == 2)
        requests.post(f"{url}/queue", json={"clear": True}, timeout=5).raise_for_status()
        requests.post(f"{url}/interrupt", json={}, timeout=5).raise_for_status()
        answers(asked, futures)
        assert (pool.status().done, pool.status().failed) == (8, 0)

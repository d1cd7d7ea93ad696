"""A job server whose nodes do not take jobs yet."""

from __future__ import annotations

import pytest

from pixaris.exceptions import ClusterError
from pixaris.search.driver.jobs import client
from pixaris.search.driver.jobs.client import Jobs

NO_AGENT = "Request failed with status code 500: No available agent to submit job, please try again later.."


class LateAgent:
    """Answers as Ray 2.60's client does while no node's agent is up.

    Args:
        refusals: How often.
        words: What it says.
    """

    def __init__(self, refusals: int, words: str = NO_AGENT) -> None:
        self.left = refusals
        self.words = words
        self.submitted: list[str] = []

    def submit_job(self, *, submission_id: str, **given: object) -> None:
        if self.left:
            self.left -= 1
            raise RuntimeError(self.words)
        self.submitted.append(submission_id)


def jobs(server: LateAgent) -> Jobs:
    found = Jobs.__new__(Jobs)
    found.address = "http://head:8265"
    found._client = server  # type: ignore[assignment]
    return found


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_AGAIN_SECONDS", 0.01)


def test_a_job_waits_for_the_agent_that_takes_it() -> None:
    server = LateAgent(3)
    jobs(server).submit("one", ["true"], ".", search="tests/cells", variables={})
    assert (server.left, server.submitted) == (0, ["one"])


def test_it_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_AGENT_SECONDS", 0.05)
    with pytest.raises(
        ClusterError, match=r"no node of the cluster at http://head:8265 takes jobs.*_agent\.log"
    ):
        jobs(LateAgent(10_000)).submit("one", ["true"], ".", search="tests/cells", variables={})


def test_another_refusal_is_told_at_once() -> None:
    server = LateAgent(1, "status code 400: that is not a job")
    with pytest.raises(ClusterError, match=r"says: .*that is not a job"):
        jobs(server).submit("one", ["true"], ".", search="tests/cells", variables={})
    assert server.submitted == []

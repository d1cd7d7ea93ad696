"""What is said of nodes that come and go."""

from __future__ import annotations

from typing import Any

from pixaris.search.driver.session.nodes import NodeBook


def node(number: int, *, alive: bool = True, reason: int = 0, name: str = "") -> dict[str, Any]:
    return {
        "NodeID": f"id-{number}",
        "Alive": alive,
        "NodeManagerAddress": f"10.0.0.{number}",
        "NodeName": name or f"10.0.0.{number}",
        "DeathReason": reason,
        "Resources": {"CPU": 4.0, "GPU": 1.0} if alive else {},
    }


def test_every_change_is_told_once() -> None:
    book = NodeBook()
    assert book.look([node(1)]) == [], "what is there from the start is no news"
    assert book.look([node(1), node(2, name="worker")]) == [
        "the node worker (10.0.0.2) has joined: 4 CPU, 1 GPU"
    ]
    assert book.look([node(1), node(2, name="worker")]) == []
    gone = [node(1), node(2, alive=False, reason=2, name="worker")]
    assert book.look(gone) == ["the node worker (10.0.0.2) is lost; what ran there runs again elsewhere"]
    assert book.look(gone) == []


def test_a_node_that_was_let_go_is_not_called_lost() -> None:
    book = NodeBook()
    book.look([node(1), node(2), node(3)])
    told = book.look([node(1), node(2, alive=False, reason=4)])
    assert sorted(told) == [
        "the node 10.0.0.2 has left; what ran there runs again elsewhere",
        "the node 10.0.0.3 is lost; what ran there runs again elsewhere",
    ]

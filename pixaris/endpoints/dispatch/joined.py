"""Requests of several owners for the same image at the same time: one is run, all get its answer. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class _Shared:
    """What several ask for.

    Attributes:
        leader: The request that is run.
        owner: Whose it is.
        followers: Those that get its answer, in the order they came.
    """

    leader: str
    owner: str
    followers: list[str] = field(default_factory=list)


class Joined:
    """Who leads and who follows whom, by what the requests ask for. Not thread-safe.

    Requests of one owner are never joined: who asks twice wants two images, of a model without a seed for
    instance.
    """

    def __init__(self) -> None:
        self._by_content: dict[str, _Shared] = {}
        self._by_key: dict[str, tuple[str, _Shared]] = {}

    def enter(self, key: str, content: str, owner: str) -> bool:
        """Take a request.

        Args:
            key: The request.
            content: Equal for requests whose images are equal.
            owner: Whose it is.

        Returns:
            Whether it follows another one, and need not be run.
        """
        shared = self._by_content.get(content)
        if shared is None:
            shared = self._by_content[content] = _Shared(key, owner)
        # Not noted either: it runs by itself, and nobody may follow it under this content.
        elif shared.owner == owner:
            return False
        else:
            shared.followers.append(key)
        self._by_key[key] = content, shared
        return shared.leader != key

    def leader(self, key: str) -> str:
        """The request whose answer a request will get: its own, where it follows nobody."""
        if key in self._by_key:
            return self._by_key[key][1].leader
        return key

    def leave(self, key: str) -> list[str]:
        """Keep a request no longer; gives its followers, who then follow nobody."""
        if key not in self._by_key:
            return []
        content, shared = self._by_key.pop(key)
        if shared.leader != key:
            # The leader goes on: it has an owner of its own who waits.
            shared.followers.remove(key)
            return []
        # Whoever asks for the same from now on leads anew; the followers are handed back to be run or
        # answered.
        del self._by_content[content]
        for follower in shared.followers:
            del self._by_key[follower]
        return shared.followers

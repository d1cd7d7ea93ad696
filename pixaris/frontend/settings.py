"""Where the review page is reached, and who may come in."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

from pixaris.exceptions import ConfigurationError, Problem

PORT = 8080
"""Where `pixaris ui` is reached unless it is told otherwise."""

_SHORTEST = 8


@dataclass(frozen=True)
class PageSettings:
    """How the review page is served.

    Attributes:
        host: The address that it listens on.
        port: The port; 0 takes a free one.
        password: What everybody must know to come in; "" where the page is this machine's own.
        token: Lets in whoever opens the address with it; "" for none.
        root_path: Where a proxy shows the page: ``/review``, or "".
        https: Whether people reach it by https, through a proxy.
    """

    host: str = "127.0.0.1"
    port: int = PORT
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    root_path: str = ""
    https: bool = False

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def is_closed(self) -> bool:
        """Whether one must know something to come in."""
        return bool(self.password or self.token)

    def check(self) -> None:
        """Return if the page may be served so.

        Raises:
            ConfigurationError: It may not, with all reasons.
        """
        problems = []
        if not self.is_local and not self.is_closed:
            words = (
                "other machines reach it, so it needs a password (--password-file FILE) or a token (--token)"
            )
            problems.append(Problem(f"host {self.host}", words))
        if self.password and len(self.password) < _SHORTEST:
            problems.append(Problem("password", f"must have at least {_SHORTEST} characters"))
        if not 0 <= self.port <= 65535:
            problems.append(Problem("port", f"must be from 0 to 65535 (got {self.port})"))
        if self.root_path and not (self.root_path.startswith("/") and not self.root_path.endswith("/")):
            words = f"must begin with a slash and end without one, like /review (got {self.root_path!r})"
            problems.append(Problem("root path", words))
        if problems:
            raise ConfigurationError(problems)

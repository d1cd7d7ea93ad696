"""Where a server is and how to be let in: a URL split from its credentials, and the time it is given."""

from __future__ import annotations

import base64
import dataclasses
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, quote, unquote, urlsplit

from pixaris.exceptions import ConfigurationError

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Timeouts:
    """How long a server is waited for, in seconds.

    Attributes:
        connect: For a connection.
        read: For the answer to a short call; a frozen server is noticed by it.
        transfer: For a whole upload or download.
        generation: That a prompt may run, from the start of its execution; the wait in the server's queue
            does not count.
        lost_after: Between two looks that find a prompt neither queued nor in the history, after which it is
            lost.
        dead_worker: That a prompt may be pending while nothing runs, after which the server's worker thread
            is dead.
        quiet: Silence on the websocket after which the prompt is looked for over HTTP; doubled with every
            look in silence.
        lively: Between looks at most, and while the websocket brings messages.
    """

    connect: float = 5.0
    read: float = 10.0
    transfer: float = 120.0
    generation: float = 3600.0
    lost_after: float = 0.5
    dead_worker: float = 5.0
    quiet: float = 2.0
    lively: float = 5.0

    def __post_init__(self) -> None:
        for each in dataclasses.fields(self):
            value = getattr(self, each.name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                raise ConfigurationError(
                    f"the time-out {each.name!r} must be a number of seconds above 0 (got {value!r})"
                )


@dataclass(frozen=True)
class Address:
    """A server's base URL and what every request to it carries.

    Attributes:
        url: Scheme, host, port and base path, without credentials and without a slash at the end.
        headers: Sent with every request, the one that opens the websocket among them; never shown.
        verify: Whether TLS certificates are checked, or the path of the certificate (or CA bundle) to trust.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    verify: bool | str = True

    @classmethod
    def parse(
        cls, base_url: str, headers: Mapping[str, str] | None = None, verify: bool | str = True
    ) -> Address:
        """Read a URL: ``localhost:8188`` gets ``http://``, ``user:password@`` becomes basic authentication.

        Raises:
            ConfigurationError: It cannot be the URL of a server, or a header cannot be sent. Credentials are
                not shown.
        """
        text = base_url.strip()
        try:
            # Without a scheme, "localhost:8188" would have the scheme "localhost".
            parts = urlsplit(text if "://" in text else f"http://{text}")
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise ConfigurationError(f"the URL {_shown(text)!r} cannot be read: {error}") from None
        if parts.scheme not in ("http", "https") or not host or any(letter.isspace() for letter in text):
            raise ConfigurationError(
                f"the URL {_shown(text)!r} must be like http://host:8188 or https://host/path"
            )
        # Paths are put behind it, so a query would end in the middle of an address.
        if parts.query or parts.fragment:
            raise ConfigurationError(f"the URL {_shown(text)!r} must end with its path; pass keys in headers")
        # A header that was given wins over credentials in the URL.
        sent = {**_basic(parts), **(headers or {})}
        for name, value in sent.items():
            _check_header(name, value)
        if ":" in host:
            shown_host = f"[{host}]"
        else:
            shown_host = host
        if port is not None:
            place = f"{shown_host}:{port}"
        else:
            place = shown_host
        return cls(
            f"{parts.scheme}://{place}{quote(parts.path.rstrip('/'), safe='/%:@!$&()*+,;=~')}", sent, verify
        )

    @property
    def host(self) -> str:
        """Host name or IP address."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """The port, given or the scheme's own."""
        return urlsplit(self.url).port or (443 if self.is_tls else 80)

    @property
    def is_tls(self) -> bool:
        """Whether it is reached over TLS."""
        return self.url.startswith("https:")

    @property
    def is_loopback(self) -> bool:
        """Whether it is this machine, so that no proxy can be meant."""
        return self.host in _LOOPBACK or self.host.startswith("127.")

    def websocket_url(self, client_id: str) -> str:
        """Where the websocket of a client id is opened."""
        return f"ws{self.url.removeprefix('http')}/ws?clientId={quote(client_id)}"

    def tls_context(self, trusted: str) -> ssl.SSLContext:
        """A TLS context for this address.

        Args:
            trusted: CA bundle to use where `verify` names none.

        Raises:
            OSError: The certificate file cannot be read.
        """
        if self.verify is False:
            context = ssl.create_default_context()
            # In this order: Python refuses to drop the certificate while the name is checked.
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            return context
        return ssl.create_default_context(cafile=self.verify if isinstance(self.verify, str) else trusted)


def _basic(parts: SplitResult) -> dict[str, str]:
    if parts.username is None and parts.password is None:
        return {}
    pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def _check_header(name: str, value: str) -> None:
    fits = (
        isinstance(name, str)
        and isinstance(value, str)
        and name.isascii()
        and name.strip() == name != ""
        and ":" not in name
    )
    if not fits or any(letter in name + value for letter in "\r\n\0") or not value.isascii():
        raise ConfigurationError(
            f"the header {name!r} must be one line of ASCII text (its value is not shown)"
        )


def _shown(url: str) -> str:
    """A URL for an error: without what may be a secret (everything before the last @, and the query)."""
    scheme, mark, rest = url.rpartition("://")
    return (scheme + mark + rest.rpartition("@")[2]).partition("?")[0]

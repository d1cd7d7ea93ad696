"""Where the account's key may go. Pure.

A polling URL is part of an answer, and an image's URL too: what they name is not trusted with the key just
because they name it.
"""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from pixaris.exceptions import ConfigurationError

DEFAULT_URL = "https://api.bfl.ai"
_DOMAIN = "bfl.ai"


def base_url(text: str) -> str:
    """Read the API's base URL: without credentials, query and a slash at the end.

    Raises:
        ConfigurationError: It is none.
    """
    url = text.strip()
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigurationError(
            f"the URL of the Flux API cannot be read: {error}; write {DEFAULT_URL}"
        ) from None
    if "@" in parts.netloc:
        raise ConfigurationError(
            "the URL of the Flux API must hold no credentials (not shown); set PIXARIS_FLUX_API_KEY"
        )
    if (
        parts.scheme not in ("http", "https")
        or not host
        or parts.query
        or parts.fragment
        or any(map(str.isspace, url))
    ):
        raise ConfigurationError(f"the URL of the Flux API must be like {DEFAULT_URL} (got {url!r})")
    if ":" in host:
        shown = f"[{host}]"
    else:
        shown = host
    return f"{parts.scheme}://{shown}{f':{port}' if port is not None else ''}{parts.path.rstrip('/')}"


def maker(base: str) -> str:
    """Who makes the images, for their cache: "" for the API itself, whatever the region, else the server that
    stands there.

    >>> maker("https://api.eu.bfl.ai")
    ''
    >>> maker("http://127.0.0.1:8189")
    'http://127.0.0.1:8189'
    """
    url = base_url(base)
    host = urlsplit(url).hostname or ""
    if host == _DOMAIN or host.endswith(f".{_DOMAIN}"):
        return ""
    return url


def may_have_key(url: str, base: str) -> bool:
    """Whether a request to a URL may carry the key: the configured base URL's host and port, or https to
    ``bfl.ai`` and below it, on the port of https.

    >>> may_have_key("https://api.us1.bfl.ai/v1/get_result?id=1", "https://api.bfl.ai")
    True
    >>> may_have_key("https://api.bfl.ai.example.com/v1/get_result?id=1", "https://api.bfl.ai")
    False
    >>> may_have_key("http://api.bfl.ai/v1/get_result?id=1", "https://api.bfl.ai")
    False
    >>> may_have_key("https://api.bfl.ai:8443/v1/get_result?id=1", "https://api.bfl.ai")
    False
    """
    if any(letter.isspace() or letter == "\\" or not letter.isprintable() for letter in url):
        return False  # what two parsers may read differently
    try:
        there, here = urlsplit(url), urlsplit(base)
        host, port, own_port = (there.hostname or "").rstrip("."), _port(there), _port(here)
    except ValueError:
        return False
    if not host or "@" in there.netloc:
        return False
    if there.scheme == "https" and port is None and (host == _DOMAIN or host.endswith(f".{_DOMAIN}")):
        return True
    safe = there.scheme == "https" or (there.scheme == here.scheme == "http")
    return safe and host == (here.hostname or "").rstrip(".") and port == own_port


def _port(parts: SplitResult) -> int | None:
    """A URL's port; None for its scheme's own, given or not.

    Raises:
        ValueError: It is none.
    """
    own = {"http": 80, "https": 443}.get(parts.scheme)
    if parts.port == own:
        return None
    return parts.port


def shown(url: str) -> str:
    """A URL for a message: without its query, which may be a signature."""
    return url.partition("?")[0][:200]

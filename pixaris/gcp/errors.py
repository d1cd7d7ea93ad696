"""What errors of Google's libraries mean to a user, in a sentence with the way out."""

from __future__ import annotations

_LOGIN = "run: gcloud auth application-default login"


def words_of(error: BaseException) -> str:
    """What an error says, in one line."""
    said = getattr(error, "message", None) or (str(error.args[0]) if error.args else str(error))
    first = next((line.strip() for line in str(said).splitlines() if line.strip()), type(error).__name__)
    return first[:300]


def credential_errors() -> tuple[type[Exception], ...]:
    """Errors that say that the credentials are missing, expired or refused."""
    from google.api_core.exceptions import Unauthorized
    from google.auth.exceptions import DefaultCredentialsError, RefreshError

    return DefaultCredentialsError, RefreshError, Unauthorized


def passing_errors() -> tuple[type[Exception], ...]:
    """Errors after which the same may succeed later: no answer, or one that says so."""
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import TransportError
    from requests import RequestException

    return GoogleAPIError, TransportError, RequestException, TimeoutError


def of_credentials(error: BaseException) -> str:
    """What to do about credentials that do not work; a wrong clock shows as a refused token."""
    said = words_of(error)
    if "iat" in said or "clock" in said:
        clock = " (is this machine's clock right?)"
    else:
        clock = ""
    return f"no valid Google credentials: {said}{clock}; {_LOGIN}"

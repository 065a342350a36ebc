"""Why an HTTP request got no answer, in words without URLs: those of object stores hold signatures."""

from __future__ import annotations

from urllib.parse import urlsplit

import requests
from urllib3.exceptions import MaxRetryError, ReadTimeoutError


def reason(error: Exception, connect_seconds: float, read_seconds: float) -> str:
    """What kept `requests` from an answer, given how long it waited for a connection and for the next bytes."""
    server = _server(error)
    match error:
        case requests.ConnectTimeout():
            return f"no connection within {connect_seconds:g} seconds to {server}"
        case requests.RequestException() if _timed_out(error):
            return f"no answer within {read_seconds:g} seconds from {server}"
        case requests.exceptions.SSLError():
            return f"the certificate of {server} is not trusted; REQUESTS_CA_BUNDLE may name the file of one that is"
        case requests.exceptions.ChunkedEncodingError() | requests.exceptions.ContentDecodingError():
            return f"the connection to {server} broke off in the middle of the answer"
        case requests.ConnectionError():
            return f"cannot connect to {server}"
        case requests.TooManyRedirects():
            return f"redirected in a circle by {server}"
        case _:
            return type(error).__name__


def _server(error: Exception) -> str:
    """Host and port that were asked: a registry of a default, or the token service that a registry named."""
    request = getattr(error, "request", None)
    return urlsplit(request.url or "").netloc.rpartition("@")[2] if request else "the server"


def _timed_out(error: requests.RequestException) -> bool:
    """requests says "ConnectionError" for a read that timed out at the last retry or within the body."""
    cause = error.args[0] if error.args else None
    found = cause.reason if isinstance(cause, MaxRetryError) else cause
    return isinstance(error, requests.ReadTimeout) or isinstance(found, ReadTimeoutError)

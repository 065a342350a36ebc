"""Why an HTTP request got no answer, in words without URLs: those of object stores hold signatures."""

from __future__ import annotations

import requests
from urllib3.exceptions import MaxRetryError, ReadTimeoutError


def reason(error: Exception, connect_seconds: float, read_seconds: float) -> str:
    """What kept `requests` from an answer, given how long it waited for a connection and for the next bytes."""
    match error:
        case requests.ConnectTimeout():
            return f"no connection within {connect_seconds:g} seconds"
        case requests.RequestException() if _timed_out(error):
            return f"no answer within {read_seconds:g} seconds"
        case requests.exceptions.SSLError():
            return "its certificate is not trusted; REQUESTS_CA_BUNDLE may name the file of one that is"
        case requests.exceptions.ChunkedEncodingError() | requests.exceptions.ContentDecodingError():
            return "the connection broke off in the middle of the answer"
        case requests.ConnectionError():
            return "cannot connect"
        case requests.TooManyRedirects():
            return "redirected in a circle"
        case _:
            return type(error).__name__


def _timed_out(error: requests.RequestException) -> bool:
    """requests says "ConnectionError" for a read that timed out at the last retry or within the body."""
    cause = error.args[0] if error.args else None
    found = cause.reason if isinstance(cause, MaxRetryError) else cause
    return isinstance(error, requests.ReadTimeout) or isinstance(found, ReadTimeoutError)

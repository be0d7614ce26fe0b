"""Sends a JSON summary somewhere, and never waits long or fails for it.

The address may be a secret: nothing but its host is ever shown, also not by an error's words.
"""

from __future__ import annotations

import base64
import threading
import time
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

TIMEOUT_SECONDS = 5.0
RETRIES = 2
PAUSE_SECONDS = 1.0


class _NoRedirect(HTTPRedirectHandler):
    """Following would turn the POST into a GET, and what it says would be lost."""

    def redirect_request(self, *_args: Any, **_more: Any) -> None:
        return None


def shown(url: str) -> str:
    """An address without what may be secret: user, password, path and query."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "the address that is set"
    return f"{parts.scheme}://{parts.hostname}{port}"


def notify(url: str, body: bytes) -> str:
    """POST JSON; what went wrong the last time, or an empty text. Raises nothing."""
    wrong = ""
    for attempt in range(1 + RETRIES):
        if attempt:
            time.sleep(PAUSE_SECONDS)
        wrong = _within(TIMEOUT_SECONDS, url, body)
        if not wrong:
            return ""
    return f"{shown(url)} {wrong} ({1 + RETRIES} attempts)"


def _within(seconds: float, url: str, body: bytes) -> str:
    """One attempt. In a thread, because looking up a name, and an answer that comes byte by byte,
    obey no timeout of a socket.
    """
    told: list[str] = []
    attempt = threading.Thread(target=lambda: told.append(_post(url, body)), daemon=True)
    attempt.start()
    attempt.join(seconds + 0.5)
    return told[0] if told else f"did not answer within {seconds:g} s"


def _post(url: str, body: bytes) -> str:
    try:
        with build_opener(_NoRedirect).open(_request(url, body), timeout=TIMEOUT_SECONDS):
            return ""
    except HTTPError as error:
        error.close()
        return f"answered {error.code}"
    except TimeoutError:
        return f"did not answer within {TIMEOUT_SECONDS:g} s"
    except URLError as error:
        return _reason(error.reason)
    except (OSError, HTTPException, ValueError) as error:
        return _reason(error)


def _reason(error: BaseException | str) -> str:
    """Words of the operating system; of others only their kind, for they may quote the address."""
    if isinstance(error, TimeoutError):
        return f"did not answer within {TIMEOUT_SECONDS:g} s"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be reached: {error.strerror}"
    kind = "" if isinstance(error, str) else f": {type(error).__name__}"
    return f"cannot be used{kind}"


def _request(url: str, body: bytes) -> Request:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    headers = {"Content-Type": "application/json", "User-Agent": "gateway-assets"}
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    address = urlunsplit((parts.scheme, host, parts.path, parts.query, ""))
    return Request(address, data=body, headers=headers, method="POST")  # noqa: S310  http only

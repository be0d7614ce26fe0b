"""One page over HTTP: whole, bounded, in time, or a short word why not."""

from __future__ import annotations

import base64
import http.client
import time
from contextlib import closing
from typing import NamedTuple

from gateway_assets.collect.deadline import Watch, connected, shut_down_at

MOST_BYTES = 16 * 2**20
_CHUNK = 64 * 1024


class FetchError(Exception):
    """Why there is no page, in a few words. ``is_denied``: the server wants other credentials."""

    def __init__(self, text: str, *, is_denied: bool = False) -> None:
        super().__init__(text)
        self.is_denied = is_denied


class Page(NamedTuple):
    """A page, and what is to be said when it is not whole.

    It is whole when it has the length that was announced, or, where none was, when it ends with a
    newline: a number cut in two would be a smaller number.
    """

    body: bytes
    cut: str = ""


def fetch(host: str, port: int, path: str, user: str, password: bytes, seconds: float) -> Page:
    """GET a page with Basic authentication; no redirect is followed. Raises FetchError."""
    deadline = time.monotonic() + seconds
    try:
        with closing(http.client.HTTPConnection(host, port)) as connection:
            connection.sock = connected(host, port, deadline)
            with shut_down_at(connection.sock, deadline) as watch:
                return _answer(connection, path, user, password, watch)
    except TimeoutError:
        raise FetchError("timed out") from None
    except OSError as error:
        raise FetchError((error.strerror or str(error)).lower()) from None
    except http.client.HTTPException as error:
        raise FetchError(f"no HTTP: {type(error).__name__}") from None
    except ValueError:  # a host's name that cannot be one, a length that is no number
        raise FetchError("no HTTP: a name or a length is wrong") from None


def _answer(
    connection: http.client.HTTPConnection, path: str, user: str, password: bytes, watch: Watch
) -> Page:
    token = base64.b64encode(user.encode() + b":" + password).decode()
    headers = {"Authorization": f"Basic {token}", "Connection": "close"}
    try:
        connection.request("GET", path, headers=headers)
        with connection.getresponse() as response:
            page = _page(response)
    except (OSError, http.client.HTTPException, FetchError):
        if watch.fired:
            raise FetchError("timed out") from None
        raise
    if watch.fired:  # without a length, what the watch has cut looks like an end
        raise FetchError("timed out")
    return page


def _page(response: http.client.HTTPResponse) -> Page:
    if response.status in {401, 403}:
        raise FetchError(f"denied: HTTP {response.status}", is_denied=True)
    if response.status != 200:
        raise FetchError(f"HTTP {response.status}")
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise FetchError("compressed")
    is_announced = response.length is not None or response.chunked
    body = bytearray()
    try:
        while chunk := response.read(_CHUNK):
            body += chunk
            if len(body) > MOST_BYTES:
                raise FetchError(f"more than {MOST_BYTES // 2**20} MiB")
    except http.client.IncompleteRead as error:
        return _cut(body + error.partial)
    ends_well = not body or body.endswith(b"\n")
    if response.length or not (is_announced or ends_well):
        return _cut(body)
    return Page(bytes(body))


def _cut(body: bytearray) -> Page:
    return Page(bytes(body), f"cut after {len(body)} bytes")

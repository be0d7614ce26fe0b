"""JSON by POST, signed, within a deadline that no answer can stretch.

The body in the spirit of Alertmanager's webhook
(https://prometheus.io/docs/alerting/latest/configuration/#webhook_config), with names of our own;
the signature in the form of Stripe's (https://docs.stripe.com/webhooks#verify-manually).
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import socket
import ssl
import time
from collections.abc import Sequence
from contextlib import closing
from email.utils import parsedate_to_datetime
from typing import NamedTuple
from urllib.parse import urlsplit

from gateway_assets.collect.deadline import Watch, connected, shut_down_at
from gateway_assets.errors import SinkRefused, SinkUnavailable
from gateway_assets.notify.sink import VERSION, Message, State, key_of

LONGEST_RETRY_AFTER = 3600.0
SIGNATURE = "X-Gateway-Signature"
KEY = "Idempotency-Key"
_LATER = {408, 425, 429}
_PORTS = {"http": 80, "https": 443}


class Webhook(NamedTuple):
    """A URL that takes POSTs, its secret ("": not signed), and the seconds that a call may take.

    No redirect is followed and no proxy is used. An error names the host only, because the path of
    a URL may be a secret.
    """

    url: str
    secret: str
    seconds: float

    def send(self, messages: Sequence[Message]) -> str:
        """Raises SinkRefused and SinkUnavailable."""
        body = body_of(messages)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "gateway-assets",
            "Connection": "close",
            KEY: key_of(messages),
        }
        if self.secret:
            headers[SIGNATURE] = signature(self.secret, int(time.time()), body)
        self._post(body, headers)
        return ""

    def _post(self, body: bytes, headers: dict[str, str]) -> None:
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        deadline = time.monotonic() + self.seconds
        watch = Watch()
        try:
            with (
                connected(host, parts.port or _PORTS[parts.scheme], deadline) as plain,
                shut_down_at(plain, deadline) as watch,
                closing(http.client.HTTPConnection(host, parts.port)) as connection,
            ):
                connection.sock = _secured(plain, host) if parts.scheme == "https" else plain
                path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
                connection.request("POST", path, body, headers)
                with connection.getresponse() as answer:  # of its body nothing is needed
                    status, retry_after = answer.status, answer.headers.get("Retry-After")
        except (OSError, http.client.HTTPException, ValueError) as error:
            told = "did not answer in time" if watch.fired else _told(error)
            raise SinkUnavailable(f"{host} {told}") from None
        if watch.fired:  # what the watch has cut looks like an end
            raise SinkUnavailable(f"{host} did not answer in time")
        _judge(host, status, retry_after)


def body_of(messages: Sequence[Message]) -> bytes:
    """The JSON of a call; the same bytes whenever the same messages are sent."""
    over = all(message.state == State.RESOLVED for message in messages)
    content = {
        "version": VERSION,
        "key": key_of(messages),
        "group_key": messages[0].group_key,
        "status": State.RESOLVED if over else State.FIRING,
        "alerts": [message.to_dict() for message in messages],
    }
    return json.dumps(content, ensure_ascii=False, allow_nan=False).encode()


def signature(secret: str, moment: int, body: bytes) -> str:
    """``t=<seconds since 1970>,v1=<HMAC-SHA-256 of "t.body" in hex>``."""
    digest = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256)
    return f"t={moment},v1={digest.hexdigest()}"


def _secured(plain: socket.socket, host: str) -> ssl.SSLSocket:
    return ssl.create_default_context().wrap_socket(plain, server_hostname=host)


def _judge(host: str, status: int, retry_after: str | None) -> None:
    told = f"{host} answered {status}"
    if 200 <= status < 300:
        return
    if status in _LATER or status >= 500:
        raise SinkUnavailable(told, retry_after=_seconds(retry_after))
    if 300 <= status < 400:
        told += ", a redirect, and none is followed"
    raise SinkRefused(told, hint="look at the channel's url and secret")


def _seconds(retry_after: str | None) -> float | None:
    """Seconds to wait: a number or a date (RFC 9110, 10.2.3), an hour at most."""
    if retry_after is None:
        return None
    try:
        seconds = float(retry_after) if retry_after.isdecimal() else _until(retry_after)
    except (ValueError, OverflowError):
        return None
    return min(max(0.0, seconds), LONGEST_RETRY_AFTER)


def _until(date: str) -> float:
    return parsedate_to_datetime(date).timestamp() - time.time()


def _told(error: Exception) -> str:
    """Words of the operating system; of others only their kind, for they may quote the URL."""
    if isinstance(error, TimeoutError):
        return "did not answer in time"
    if isinstance(error, ssl.SSLError):
        return f"has no good TLS: {getattr(error, 'verify_message', '') or error.reason}"
    if isinstance(error, http.client.HTTPException):
        return f"does not answer in HTTP: {type(error).__name__}"
    if isinstance(error, OSError):
        return f"cannot be reached: {(error.strerror or type(error).__name__).lower()}"
    return f"cannot be used: {type(error).__name__}"

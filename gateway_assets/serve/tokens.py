"""Who may write: anybody on this host, or who has one of the tokens of a file.

A token comes as ``Authorization: Token …`` or ``Bearer …``, as the password of Basic, as the ``p``
of version 1's query, or after the colon of version 1's ``Token user:password``. User names are not
looked at.
"""

from __future__ import annotations

import base64
import hmac
import ipaddress
from pathlib import Path

from starlette.requests import Request

from gateway_assets.accounts.roles import Scope
from gateway_assets.errors import ConfigError
from gateway_assets.serve.gate import unauthorized
from gateway_assets.settings import Settings


class Tokens:
    """The tokens of ``serve_tokens_file``, one a line; read once.

    Raises ConfigError when the file cannot be used, or when there is none and others than this
    host's own programs could write.
    """

    def __init__(self, settings: Settings) -> None:
        path = settings.serve_tokens_file
        if path is None and not _is_loopback(settings.serve_host):
            raise ConfigError(
                f"serve_host = {settings.serve_host!r} lets anybody write",
                hint="name a file of tokens, one a line: GATEWAY_SERVE_TOKENS_FILE",
            )
        self._tokens = _read(path) if path else []

    async def check(self, request: Request, scope: Scope | None) -> None:
        """Raises Refusal (401) when there are tokens and the request has none of them. How the
        service is doing may be read by whoever can connect.
        """
        if not self._tokens or scope is Scope.POINTS_READ:
            return
        given = _given(request)
        # Every token is compared, so that time tells nothing.
        same = [hmac.compare_digest(one, token) for one in given for token in self._tokens]
        if any(same):
            return
        raise unauthorized(request, given=bool(given))


def _read(path: Path) -> list[bytes]:
    try:
        lines = [line.strip() for line in path.read_bytes().splitlines()]
    except OSError as error:
        raise ConfigError(
            f"{path}: {error.strerror}", hint="see GATEWAY_SERVE_TOKENS_FILE"
        ) from None
    tokens = [line for line in lines if line and not line.startswith(b"#")]
    if not tokens:
        raise ConfigError(f"{path} has no token", hint="one a line, such as: openssl rand -hex 32")
    if any(len(token.split()) > 1 for token in tokens):
        raise ConfigError(f"{path} has a line of several words", hint="a token is one word")
    return tokens


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _given(request: Request) -> list[bytes]:
    """Whatever in the request may be a token."""
    found = [request.query_params.get("p", "").encode()]
    header = request.headers.get("authorization", "").encode("latin-1")
    scheme, _, value = header.partition(b" ")
    value = value.strip()
    if scheme.lower() in {b"token", b"bearer"}:
        found += [value, value.partition(b":")[2]]
    elif scheme.lower() == b"basic":
        found.append(_decoded(value).partition(b":")[2])
    return [token for token in found if token]


def _decoded(value: bytes) -> bytes:
    try:
        return base64.b64decode(value)
    except ValueError:
        return b""

"""What a request shows of who sends it, and what that one may do.

A token (``Token …``, ``Bearer …``), or a username with a password or an API token (Basic, version
1's ``u`` and ``p``, ``Token user:password``).
"""

from __future__ import annotations

import base64

from starlette.requests import Request

from gateway_assets.accounts.identity import Given, Identity
from gateway_assets.accounts.roles import Scope
from gateway_assets.registry.audit import Actor
from gateway_assets.serve.refusal import Refusal, api_of

_MOST_ADDRESS, _MOST_AGENT = 45, 200


def allow(request: Request, identity: Identity, scope: Scope | None) -> None:
    """Raises Refusal (403) for an identity that may not."""
    if identity.must_change:
        raise Refusal(403, "the password must be changed first: POST /api/password")
    if scope is None or scope in identity.scopes:
        return
    api = api_of(request.url.path)
    if scope is Scope.POINTS_WRITE and api == 2:
        raise Refusal(403, "insufficient permissions for write")
    if scope is Scope.POINTS_WRITE and api == 1:
        database = request.query_params.get("db", "")
        told = f'"{identity.username}" user is not authorized to write to database "{database}"'
        raise Refusal(403, told)
    raise Refusal(403, f"{identity.username} lacks the scope {scope}")


def actor_of(request: Request, identity: Identity | None = None) -> Actor:
    """Who asks, as the audit names it."""
    ip = request.client.host[:_MOST_ADDRESS] if request.client else None
    agent = request.headers.get("user-agent", "")[:200] or None
    if identity is None:
        return Actor("?", None, ip, agent)
    return Actor(identity.username, identity.user_id, ip, agent)


def given_by(request: Request) -> Given | None:
    """What a request shows; what stands in the address goes first, as in InfluxDB 1."""
    asked = request.query_params
    if asked.get("p"):
        return Given(asked["p"], asked.get("u", ""))
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    value = value.strip()
    if scheme.lower() == "basic":
        return _pair(_decoded(value))
    if scheme.lower() not in {"token", "bearer"} or not value:
        return None
    value = _text(value.encode("latin-1"))
    return _pair(value) if ":" in value else Given(value)


def _pair(text: str) -> Given | None:
    username, colon, secret = text.partition(":")
    return Given(secret, username) if colon and secret else None


def _decoded(value: str) -> str:
    try:
        return _text(base64.b64decode(value.encode("latin-1")))
    except ValueError:
        return ""


def _text(data: bytes) -> str:
    """UTF-8, or the Latin-1 that some clients still send: RFC 7617 leaves it open."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")

"""What decides who may do what: a file of tokens, or the registry's users."""

from __future__ import annotations

from typing import Protocol

from starlette.requests import Request

from gateway_assets.accounts.roles import Scope
from gateway_assets.serve.refusal import Refusal, api_of


class Gate(Protocol):
    async def check(self, request: Request, scope: Scope | None) -> None:
        """Raises Refusal when the request may not do what has this scope; without a scope, when
        nobody known stands behind it.
        """


def unauthorized(request: Request, *, given: bool) -> Refusal:
    """The words of each version for a request that shows nothing, or what is wrong."""
    if api_of(request.url.path) != 1:
        return Refusal(401, "unauthorized access")
    what = "authorization failed" if given else "unable to parse authentication credentials"
    return Refusal(401, what)

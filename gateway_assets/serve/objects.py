"""Bodies that are JSON objects, small ones, and what every route of JSON answers a refusal with.

They have room of their own, so that neither they nor writes keep the other out.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from gateway_assets.serve.body import Bodies
from gateway_assets.serve.refusal import Refusal, response
from gateway_assets.serve.room import Room

_BODY_BYTES, _AT_ONCE = 16_384, 64


class Objects:
    """Reads bodies, each of which has ``seconds`` to arrive."""

    def __init__(self, seconds: float) -> None:
        self._bodies = Bodies(_BODY_BYTES, seconds)
        self._room = Room(_AT_ONCE * _BODY_BYTES, _AT_ONCE)

    async def read(self, request: Request) -> dict[str, Any] | None:
        """None for what is no JSON object. Raises Refusal: 413, 503."""
        with self._room.share() as share:
            body = await self._bodies.read(request, share)
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None


async def told(answer: Callable[[Request], Awaitable[Response]], request: Request) -> Response:
    try:
        return await answer(request)
    except Refusal as refusal:
        return response(refusal, 1)

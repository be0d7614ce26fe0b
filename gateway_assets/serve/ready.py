"""What clients ask before they write: whether somebody is there, and for a database.

Version 1's /query is here for the statements that clients send when they connect. Questions are
asked with ``gateway points`` and ``gateway query``.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway_assets.serve.body import Bodies
from gateway_assets.serve.gate import Gate
from gateway_assets.serve.named import VERSION
from gateway_assets.serve.refusal import Refusal, response
from gateway_assets.serve.room import Room

_CREATE = re.compile(r"\s*CREATE\s+DATABASE\s+.+", re.IGNORECASE | re.DOTALL)
_SHOW = re.compile(r"\s*SHOW\s+DATABASES\s*;?\s*", re.IGNORECASE)
_STATEMENT_BYTES = 65_536


class Ready:
    """The endpoints and what they share; ``databases`` are those that may be written."""

    def __init__(self, gate: Gate, room: Room, seconds: float, databases: list[str]) -> None:
        self._gate, self._room, self._databases = gate, room, databases
        self._forms = Bodies(_STATEMENT_BYTES, seconds)
        self.router = APIRouter()
        for path, answer, methods in (
            ("/ping", _ping, ["GET", "HEAD"]),
            ("/health", _health, ["GET", "HEAD"]),
            ("/query", self._query, ["GET", "POST"]),
        ):
            self.router.add_api_route(path, answer, methods=methods)

    async def _query(self, request: Request) -> Response:
        try:
            await self._gate.check(request, None)
            return JSONResponse(self._answered(await self._statement(request)))
        except Refusal as refusal:
            return response(refusal, 1)

    async def _statement(self, request: Request) -> str:
        text = request.query_params.get("q", "")
        if not text and request.method == "POST":
            with self._room.share() as share:
                form = await self._forms.read(request, share)
            text = parse_qs(form.decode("utf-8", "replace")).get("q", [""])[0]
        return text

    def _answered(self, statement: str) -> dict[str, Any]:
        if not statement:
            raise Refusal(400, 'missing required parameter "q"')
        if _CREATE.fullmatch(statement):
            return {"results": [{"statement_id": 0}]}
        if _SHOW.fullmatch(statement):
            series = {
                "name": "databases",
                "columns": ["name"],
                "values": [[one] for one in self._databases],
            }
            return {"results": [{"statement_id": 0, "series": [series]}]}
        raise Refusal(400, "InfluxQL is not spoken here; ask with: gateway points, gateway query")


async def _ping(request: Request) -> Response:
    if request.query_params.get("verbose", "") in {"", "0", "false"}:
        return Response(status_code=204)
    return JSONResponse({"version": VERSION})


async def _health(_: Request) -> Response:
    told = {
        "name": "influxdb",
        "message": "ready for queries and writes",
        "status": "pass",
        "checks": [],
        "version": VERSION,
        "commit": "",
    }
    return JSONResponse(told)

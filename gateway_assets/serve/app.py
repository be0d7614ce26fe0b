"""The routes of ``gateway serve`` together."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from fastapi import APIRouter, FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from gateway_assets import __version__
from gateway_assets.frames.log import FrameLog
from gateway_assets.serve.accept import Acceptor
from gateway_assets.serve.body import Bodies
from gateway_assets.serve.counts import Counts
from gateway_assets.serve.gate import Gate
from gateway_assets.serve.named import Named
from gateway_assets.serve.ready import Ready
from gateway_assets.serve.refusal import Refusal, api_of, response
from gateway_assets.serve.room import Room
from gateway_assets.serve.status import Status
from gateway_assets.serve.types import FieldTypes
from gateway_assets.serve.write import Writes
from gateway_assets.settings import Settings


def make_app(
    settings: Settings,
    log: FrameLog,
    connection: sqlite3.Connection,
    bodies: Bodies,
    gate: Gate,
    others: Sequence[APIRouter],
) -> Named:
    """``connection`` is one to points.db that any thread may use; ``others`` are more routes."""
    counts = Counts()
    room = Room(settings.serve_bodies, settings.serve_max_writes)
    acceptor = Acceptor(log, FieldTypes(connection), counts)
    databases, seconds = settings.serve_databases, settings.serve_receive_seconds
    app = FastAPI(
        title="gateway serve",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(Exception, _failed)
    app.include_router(Writes(acceptor, gate, bodies, room, counts, databases).router)
    app.include_router(Ready(gate, room, seconds, databases).router)
    app.include_router(Status(settings, gate, counts, room).router)
    for router in others:
        app.include_router(router)
    return Named(app)


async def _refused(request: Request, error: Exception) -> Response:
    """No such path, or not with this method."""
    assert isinstance(error, HTTPException)
    answer = response(Refusal(error.status_code, error.detail.lower()), api_of(request.url.path))
    answer.headers.update(error.headers or {})
    return answer


async def _failed(request: Request, _: Exception) -> Response:
    """A mistake of this program, which the server logs."""
    return response(Refusal(500, "internal error"), api_of(request.url.path))

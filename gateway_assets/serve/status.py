"""How the service is doing: /metrics for Prometheus, /api/status as JSON.

https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from gateway_assets import __version__
from gateway_assets.accounts.roles import Scope
from gateway_assets.errors import GatewayError
from gateway_assets.points.waiting import waiting_bytes
from gateway_assets.serve.counts import Counts
from gateway_assets.serve.gate import Gate
from gateway_assets.serve.refusal import Refusal, response
from gateway_assets.serve.room import Room
from gateway_assets.settings import Settings

_METRICS = (
    ("points_total", "counter", "Values of fields that were accepted."),
    ("lines_total", "counter", "Lines that were accepted."),
    ("rejects_total", "counter", "Lines that were refused."),
    ("bytes_total", "counter", "Bytes of line protocol that came, inflated."),
    ("overloads_total", "counter", "Writes that were told to come again for want of room."),
    ("bytes_in_flight", "gauge", "Bytes of bodies that arrive or are being stored."),
    ("waiting_bytes", "gauge", "Bytes of the log that are not loaded yet."),
)


class Status:
    def __init__(self, settings: Settings, gate: Gate, counts: Counts, room: Room) -> None:
        self._settings, self._gate = settings, gate
        self._counts, self._room = counts, room
        self.router = APIRouter()
        self.router.add_api_route("/metrics", self._metrics, methods=["GET"])
        self.router.add_api_route("/api/status", self._status, methods=["GET"])

    async def _metrics(self, request: Request) -> Response:
        try:
            await self._gate.check(request, Scope.POINTS_READ)
        except Refusal as refusal:
            return response(refusal, 1)
        told = await asyncio.to_thread(self._told)
        return PlainTextResponse(_prometheus(told), media_type="text/plain; version=0.0.4")

    async def _status(self, request: Request) -> Response:
        try:
            await self._gate.check(request, Scope.POINTS_READ)
        except Refusal as refusal:
            return response(refusal, 1)
        return JSONResponse(await asyncio.to_thread(self._told))

    def _told(self) -> dict[str, Any]:
        counts = self._counts
        try:
            waiting: int | None = waiting_bytes(self._settings)
        except GatewayError:
            waiting = None  # the database or the log cannot be read now
        return {
            "version": __version__,
            "points_total": counts.points,
            "lines_total": counts.lines,
            "rejects_total": counts.rejects,
            "bytes_total": counts.bytes,
            "overloads_total": self._room.refused,
            "bytes_in_flight": self._room.bytes,
            "waiting_bytes": waiting,
            "requests": [
                {"path": path, "status": status, "count": count}
                for (path, status), count in sorted(counts.requests.items())
            ],
        }


def _prometheus(told: dict[str, Any]) -> str:
    lines = []
    for name, kind, about in _METRICS:
        if told[name] is not None:
            full = f"gateway_serve_{name}"
            lines += [f"# HELP {full} {about}", f"# TYPE {full} {kind}", f"{full} {told[name]}"]
    full = "gateway_serve_requests_total"
    lines += [f"# HELP {full} Writes by path and status.", f"# TYPE {full} counter"]
    lines += [
        f'{full}{{path="{one["path"]}",status="{one["status"]}"}} {one["count"]}'
        for one in told["requests"]
    ]
    return "\n".join(lines) + "\n"

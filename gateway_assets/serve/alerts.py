"""``GET /api/alerts``: the history of alerts, the newest first.

``status`` and ``level`` choose, ``limit`` is 100 unless told and 1,000 at most.
"""

from __future__ import annotations

import math
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any, TypeVar

from fastapi import APIRouter
from sqlalchemy import select
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway_assets.accounts.roles import Scope
from gateway_assets.registry.alerts import Alert
from gateway_assets.registry.database import Registry
from gateway_assets.registry.words import AlertLevel, AlertStatus
from gateway_assets.serve.refusal import Refusal, response
from gateway_assets.serve.users import Users

_LIMIT, _MOST = 100, 1_000
_SHOWN = (
    "id", "rule_id", "rule_name", "device_id", "device_name", "tag_id", "tag_name", "level",
    "status", "message", "fired_at", "resolved_at", "acknowledged_at", "acknowledged_by",
    "ack_note", "triggered_value", "threshold_value", "last_value", "peak_value", "shelved_until",
    "is_stale", "duration",
)  # fmt: skip
Word = TypeVar("Word", bound=StrEnum)


class Alerts:
    def __init__(self, users: Users) -> None:
        self._users = users
        self.router = APIRouter()
        self.router.add_api_route("/api/alerts", self._alerts, methods=["GET"])

    async def _alerts(self, request: Request) -> Response:
        try:
            await self._users.check(request, Scope.ALERTS_READ)
            asked = request.query_params
            work = partial(
                _found,
                self._users.registry,
                _word(AlertStatus, "status", asked.get("status")),
                _word(AlertLevel, "level", asked.get("level")),
                _limit(asked.get("limit")),
            )
            return JSONResponse({"alerts": await self._users.run(work)})
        except Refusal as refusal:
            return response(refusal, 1)


def _found(
    registry: Registry, status: AlertStatus | None, level: AlertLevel | None, limit: int
) -> list[dict[str, Any]]:
    asked = select(Alert).order_by(Alert.fired_at.desc(), Alert.id).limit(limit)
    if status is not None:
        asked = asked.where(Alert.status == status)
    if level is not None:
        asked = asked.where(Alert.level == level)
    with registry.reading() as session:
        return [shown(one) for one in session.scalars(asked)]


def shown(alert: Alert) -> dict[str, Any]:
    """An alert as JSON; moments as ISO 8601, ``duration`` in milliseconds."""
    return {name: _plain(getattr(alert, name)) for name in _SHOWN}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    # JSON has no word for what PostgreSQL keeps as NaN.
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _word(kind: type[Word], name: str, text: str | None) -> Word | None:
    if text is None:
        return None
    try:
        return kind(text.upper())
    except ValueError:
        raise Refusal(400, f"{name} is one of {', '.join(kind)}") from None


def _limit(text: str | None) -> int:
    if text is None:
        return _LIMIT
    if not (text.isascii() and text.isdigit() and 1 <= len(text) <= 4 and 1 <= int(text) <= _MOST):
        raise Refusal(400, f"limit is a number from 1 to {_MOST}")
    return int(text)

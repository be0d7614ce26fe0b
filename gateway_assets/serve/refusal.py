"""Refusals in the form of each version of InfluxDB's API.

Codes and forms: https://docs.influxdata.com/influxdb/v1/tools/api/#write-http-endpoint,
https://docs.influxdata.com/influxdb/v2/api/v2/#operation/PostWrite and
https://docs.influxdata.com/influxdb3/core/write-data/http-api/v3-write-lp/.
"""

from __future__ import annotations

import json
import re
from typing import Any

from starlette.responses import Response

_CODES = {
    400: "invalid",
    401: "unauthorized",
    403: "forbidden",
    404: "not found",
    405: "method not allowed",
    409: "conflict",
    413: "request too large",
    422: "unprocessable entity",
    503: "unavailable",
}
RETRY_SECONDS = 2
_MOST_IN_HEADER = 1024
_NOT_IN_HEADER = re.compile(r"[^\x20-\x7e]")


class Refusal(Exception):
    """A request that is not carried out, or not whole; ``data`` are the details of version 3.

    With ``closes`` the connection ends, because the rest of the request is not waited for.
    """

    def __init__(
        self, status: int, message: str, data: Any = None, *, closes: bool = False
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.data, self.closes = status, message, data, closes


def response(refusal: Refusal, api: int) -> Response:
    """The answer as a client of this version expects it."""
    status, message = refusal.status, refusal.message
    headers = {}
    if api == 2:
        code = _CODES.get(status, "internal error")
        body: dict[str, Any] = {"code": code, "message": message}
        headers["X-Platform-Error-Code"] = code
    else:
        body = {"error": message}
        if refusal.data is not None:
            body["data"] = refusal.data
        headers["X-Influxdb-Error"] = _NOT_IN_HEADER.sub("?", message[:_MOST_IN_HEADER])
    if status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="InfluxDB"' if api == 1 else "Token"
    if status == 503:
        headers["Retry-After"] = str(RETRY_SECONDS)
    if refusal.closes:
        headers["Connection"] = "close"
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return Response(content, status, headers, media_type="application/json")


def api_of(path: str) -> int:
    """Which version of the API a path belongs to."""
    return 2 if path.startswith("/api/v2") else 3 if path.startswith("/api/v3") else 1

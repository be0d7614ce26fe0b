"""Headers that every answer has: which InfluxDB is spoken, and the name of the request.

A client that gives its request a name finds it again; others get one, as InfluxDB 1.8 does:
https://docs.influxdata.com/influxdb/v1/tools/api/#http-headers.
"""

from __future__ import annotations

import re
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

VERSION = "1.8.10"  # of the version 1 API that is spoken here, which clients read
_NAME = re.compile(r"[\x21-\x7e]{1,200}")


class Named:
    """The application with these headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = Headers(scope=scope)
        name = asked.get("x-request-id") or asked.get("request-id") or ""
        if not _NAME.fullmatch(name):
            name = str(uuid4())

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Influxdb-Version"] = VERSION
                headers["X-Influxdb-Build"] = "OSS"
                headers["Request-Id"] = headers["X-Request-Id"] = name
            await send(message)

        await self._app(scope, receive, told)

"""The write endpoints of InfluxDB 1, 2 and 3.

Version 1 stores the lines that it can read and tells of the others with 400; version 2 stores
nothing of a body with such a line; version 3 does as it is asked. A point whose field has another
type is left out by versions 1 and 2, and told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gateway_assets.accounts.roles import Scope
from gateway_assets.points.line import Reject
from gateway_assets.serve.accept import Accepted, Acceptor, Refused, Whole
from gateway_assets.serve.body import Bodies, encoding_of, inflated
from gateway_assets.serve.counts import Counts
from gateway_assets.serve.gate import Gate
from gateway_assets.serve.refusal import Refusal, response
from gateway_assets.serve.room import Room, Share

_MOST_TOLD = 100
_PRECISIONS_1 = {"": "ns", "n": "ns", "ns": "ns", "u": "us", "us": "us", "µ": "us", "ms": "ms"}
_PRECISIONS_1 |= {"s": "s", "m": "m", "h": "h"}
_PRECISIONS_2 = {"": "ns", "ns": "ns", "us": "us", "ms": "ms", "s": "s"}
_PRECISIONS_3 = {"nanosecond": "ns", "microsecond": "us", "millisecond": "ms", "second": "s"}
_PRECISIONS_3 |= {**_PRECISIONS_2, "": "auto", "auto": "auto"}


class Writes:
    """The endpoints and what they share."""

    def __init__(
        self,
        acceptor: Acceptor,
        gate: Gate,
        bodies: Bodies,
        room: Room,
        counts: Counts,
        databases: list[str],
    ) -> None:
        self._acceptor, self._gate, self._bodies = acceptor, gate, bodies
        self._room, self._counts = room, counts
        self._databases = set(databases)
        self._threads = ThreadPoolExecutor(max_workers=16, thread_name_prefix="write")
        self.router = APIRouter()
        for path, version, answer in (
            ("/write", 1, self._write_1),
            ("/api/v2/write", 2, self._write_2),
            ("/api/v3/write_lp", 3, self._write_3),
        ):
            self.router.add_api_route(
                path, partial(self._told, path, version, answer), methods=["POST"]
            )

    async def _told(
        self,
        path: str,
        version: int,
        write: Callable[[Request], Awaitable[None]],
        request: Request,
    ) -> Response:
        try:
            await self._gate.check(request, Scope.POINTS_WRITE)
            await write(request)
            answer = Response(status_code=204)
        except Refusal as refusal:
            answer = response(refusal, version)
        self._counts.answered(path, answer.status_code)
        return answer

    async def _write_1(self, request: Request) -> None:
        asked = request.query_params
        database = asked.get("db", "")
        if not database:
            raise Refusal(400, "database is required")
        if self._databases and database not in self._databases:
            raise Refusal(404, f'database not found: "{database}"')
        precision = _PRECISIONS_1.get(asked.get("precision", ""))
        if precision is None:
            told = f'invalid precision "{asked["precision"]}" (use n, u, ms, s, m or h)'
            raise Refusal(400, told)
        done = await self._accepted(request, precision, Whole.NEVER)
        if done.conflicts.count:
            raise Refusal(400, _conflicts(done.conflicts))
        if done.unread.count:
            told = _unable(done.unread)
            # What version 1 says, also that nothing was dropped.
            raise Refusal(400, f"partial write: {told} dropped=0" if done.lines else told)

    async def _write_2(self, request: Request) -> None:
        asked = request.query_params
        bucket = asked.get("bucket", "")
        if not bucket:
            raise Refusal(404, "bucket not found")
        # Version 1.8 names a bucket after a database and a retention policy.
        if self._databases and not {bucket, bucket.partition("/")[0]} & self._databases:
            raise Refusal(404, f'bucket "{bucket}" not found')
        precision = _PRECISIONS_2.get(asked.get("precision", ""))
        if precision is None:
            raise Refusal(400, "invalid precision; valid precision units are ns, us, ms, and s")
        done = await self._accepted(request, precision, Whole.READABLE)
        if done.unread.count:
            raise Refusal(400, _unable(done.unread))
        if done.conflicts.count:
            told = _conflicts(done.conflicts)
            raise Refusal(422, f"failure writing points to database: {told}")

    async def _write_3(self, request: Request) -> None:
        asked = request.query_params
        database = asked.get("db", "")
        if not database:
            raise Refusal(400, "missing query parameter: db")
        if self._databases and database not in self._databases:
            raise Refusal(404, f"the requested resource was not found: database {database}")
        precision = _PRECISIONS_3.get(asked.get("precision", ""))
        if precision is None:
            raise Refusal(400, f"invalid precision {asked['precision']!r}")
        is_partial = asked.get("accept_partial", "true").lower() != "false"
        done = await self._accepted(request, precision, Whole.NEVER if is_partial else Whole.ALL)
        refused = [_detail(one) for one in done.refused[:_MOST_TOLD]]
        if refused and is_partial:
            raise Refusal(400, "partial write of line protocol occurred", refused)
        if refused:
            raise Refusal(400, "parsing failed for write_lp endpoint", refused[0])

    async def _accepted(self, request: Request, precision: str, whole: Whole) -> Accepted:
        encoding = encoding_of(request)
        with self._room.share() as share:
            body = await self._bodies.read(request, share)
            with self._room.writing():
                work = partial(self._stored, body, encoding, precision, whole, share)
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _stored(
        self, body: bytes, encoding: str, precision: str, whole: Whole, share: Share
    ) -> Accepted:
        if encoding == "gzip":
            body = inflated(body, self._bodies.most, share)
        return self._acceptor.accept(body, precision, whole)


def _unable(refused: Refused) -> str:
    lines = [f"unable to parse '{one.text}': {one.reason}" for one in refused.first[:_MOST_TOLD]]
    return "\n".join(lines)


def _conflicts(refused: Refused) -> str:
    return f"partial write: {refused.first[0].reason} dropped={refused.count}"


def _detail(one: Reject) -> dict[str, Any]:
    return {
        "original_line": one.text,
        "line_number": one.number,
        "error_message": one.reason,
    }

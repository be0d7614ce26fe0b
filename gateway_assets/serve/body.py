"""A request's body, whole: in time, of bounded size, and inflated."""

from __future__ import annotations

import asyncio
import zlib

from starlette.requests import ClientDisconnect, Request

from gateway_assets.serve.refusal import Refusal
from gateway_assets.serve.room import Share

TOO_LARGE = "unable to read data: points batch is too large"
_GZIP = 31  # zlib's window for the gzip format
_PIECE = 2**20


class Bodies:
    """Reads bodies of at most ``most`` bytes, each of which has ``seconds`` to arrive."""

    def __init__(self, most: int, seconds: float) -> None:
        self.most, self._seconds = most, seconds
        self._arriving = set[asyncio.Timeout]()

    async def read(self, request: Request, share: Share) -> bytes:
        """The body as it was sent. Raises Refusal: 413, or 503 when it does not come in time."""
        if int(request.headers.get("content-length", 0)) > self.most:
            raise Refusal(413, TOO_LARGE)
        parts = []
        try:
            async with asyncio.timeout(self._seconds) as patience:
                self._arriving.add(patience)
                try:
                    async for chunk in request.stream():
                        if share.bytes + len(chunk) > self.most:
                            raise Refusal(413, TOO_LARGE)
                        share.take(len(chunk))
                        parts.append(chunk)
                finally:
                    self._arriving.remove(patience)
        except TimeoutError:
            raise Refusal(503, "the body did not arrive in time", closes=True) from None
        except ClientDisconnect:
            raise Refusal(400, "the client went away") from None
        return b"".join(parts)

    def wait_no_more(self) -> None:
        """Give up those that are arriving: their clients are told to come again."""
        for patience in self._arriving:
            patience.reschedule(0)


def encoding_of(request: Request) -> str:
    """``gzip``, or an empty text for a body as it is. Raises Refusal (400) for others."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding in {"", "identity"}:
        return ""
    if encoding in {"gzip", "x-gzip"}:
        return "gzip"
    raise Refusal(400, f"content encoding {encoding!r} is not supported; use gzip")


def inflated(data: bytes, most: int, share: Share) -> bytes:
    """Gzip of one or several members, of at most ``most`` bytes inflated.

    Raises Refusal: 413 when it is larger, 400 when it is no gzip, or not to its end.
    """
    parts, size = [], 0
    try:
        while data:
            member = zlib.decompressobj(_GZIP)
            while not member.eof:
                part = member.decompress(data, _PIECE)
                data = member.unconsumed_tail
                if not part and not data and not member.eof:
                    raise Refusal(400, "gzip: unexpected end")
                size += len(part)
                if size > most:
                    raise Refusal(413, TOO_LARGE)
                share.take(len(part))
                parts.append(part)
            data = member.unused_data
    except zlib.error as error:
        raise Refusal(400, f"gzip: {error}") from None
    return b"".join(parts)

"""A connection that does not wait for ever, and whose memory is bounded.

What uvicorn leaves open: how long the head of a request may take, how large it may be, how many
requests may be sent ahead, how long answers may be left unread, and what becomes of connections
beyond those that can be held. Bodies are bounded in ``body``.
"""

from __future__ import annotations

import asyncio
import time

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

MOST_CONNECTIONS = 1_000
MOST_HEAD_BYTES = 65_536
_MOST_AHEAD = 100  # requests
_IDLE_SECONDS = 75  # between two requests


class Connection(HttpToolsProtocol):
    """One connection. It has ``receive_seconds`` for the head of its first request, however that
    comes, and for reading its answers.
    """

    receive_seconds: float
    _running: RequestResponseCycle | None = None
    _timer: asyncio.TimerHandle | None = None
    _idle_since: float | None = None
    _in_head = _has_begun = False
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            self._make_room()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_timer()
        self._answer_no_more()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._has_begun = False
        super().data_received(data)
        if self._in_head and not self._has_begun:  # all of this belongs to one head
            self._head_bytes += len(data)
        if self._head_bytes > MOST_HEAD_BYTES or len(self.pipeline) > _MOST_AHEAD:
            self._end()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._watch()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = self._has_begun = True
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._in_head, self._head_bytes = False, 0
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def _watch(self) -> None:
        """One timer for what the client is to do now; none while it has an answer to get."""
        self._cancel_timer()
        is_first = self.cycle is None
        if is_first or self.cycle.response_complete:
            self._idle_since = time.monotonic()
        else:
            self._idle_since = None
        if is_first or self.flow.write_paused:
            self._timer = self.loop.call_later(self.receive_seconds, self._end)
        elif self._idle_since is not None:
            self._timer = self.loop.call_later(_IDLE_SECONDS, self._end)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _make_room(self) -> None:
        """End the connection that has been without a request for longest, or this one."""
        idle = [
            (one._idle_since, id(one), one)
            for one in self.connections
            if isinstance(one, Connection)
            and one._idle_since is not None
            and not one.transport.is_closing()
        ]
        min(idle, default=(0, 0, self))[2]._end()

    def _end(self) -> None:
        self._answer_no_more()
        self.transport.abort()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _answer_no_more(self) -> None:
        """Not what is being carried out either, which may be older than what came last."""
        if self._running is not None:
            self._running.disconnected = True

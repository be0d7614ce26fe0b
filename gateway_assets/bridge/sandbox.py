"""SQL from anywhere, answered by processes of its own: no statement can hurt this one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Condition
from types import TracebackType
from typing import Any, NamedTuple, Self

import pyarrow as pa

from gateway_assets.bridge.child import Child
from gateway_assets.bridge.spill import remove_forgotten
from gateway_assets.errors import Busy, QueryError
from gateway_assets.settings import Settings


class Reply(NamedTuple):
    """An answer, and what the bridge tells of how it was made."""

    table: pa.Table
    explained: dict[str, Any]


class Sandbox:
    """A few warm child processes, at most ``query_max_workers``. For any number of threads.

    Each child answers one statement at a time, so a heavy one holds up no other. A child that
    dies, takes too long or answers nonsense is replaced at the next question.
    """

    def __init__(self, settings: Settings, timezone: str = "UTC") -> None:
        self._settings = settings
        self._timezone = timezone
        self._changed = Condition()
        self._idle: list[Child] = []
        self._busy: set[Child] = set()
        self._starting = 0
        self._cancels = 0
        self._is_closed = False
        # The kernel ends a child with the thread that started it: one thread, until the end.
        self._starter = ThreadPoolExecutor(max_workers=1)
        remove_forgotten(settings.query_spill)

    def ask(self, text: str, params: Sequence[Any] = (), max_rows: int | None = None) -> Reply:
        """The answer of one statement, of at most ``max_rows`` (None: ``query_max_rows``).

        Raises what the bridge raises; QueryError also when the statement took too long, needed
        too much, crashed its process or was cancelled; Busy when no process became free in
        ``query_timeout_seconds``.
        """
        rows = self._settings.query_max_rows if max_rows is None else max_rows
        child = self._taken()
        try:
            return Reply(*child.ask(text, params, rows))
        finally:
            self._give_back(child)

    def cancel(self) -> None:
        """End every statement that runs or waits; each raises QueryError."""
        with self._changed:
            self._cancels += 1
            for child in self._busy:
                child.cancel()
            self._changed.notify_all()

    def close(self) -> None:
        """End all children, with what they run. Nothing can be asked any more."""
        self._is_closed = True
        self.cancel()
        with self._changed:
            while self._idle:
                self._idle.pop().end()
            self._changed.wait_for(lambda: not self._busy and not self._starting)
        self._starter.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _taken(self) -> Child:
        """A child that nobody else asks: an idle one, a new one, or one that becomes free."""
        deadline = time.monotonic() + self._settings.query_timeout_seconds
        with self._changed:
            cancels = self._cancels
            while True:
                self._check_wanted(cancels)
                child = self._usable()
                if child:
                    self._busy.add(child)
                    return child
                if len(self._busy) + self._starting < self._settings.query_max_workers:
                    break
                if not self._changed.wait(deadline - time.monotonic()):
                    raise Busy(
                        "all processes for queries are busy",
                        hint="try again later, or raise query_max_workers",
                    )
            self._starting += 1
        return self._started(cancels)

    def _usable(self) -> Child | None:
        while self._idle:
            child = self._idle.pop()
            if child.is_usable():
                return child
            child.end()
        return None

    def _started(self, cancels: int) -> Child:
        started: Future[Child] | None = None
        try:
            started = self._starter.submit(Child, self._settings, self._timezone)
            child = started.result()
            with self._changed:
                self._check_wanted(cancels)
                self._busy.add(child)
        except BaseException:
            if started:
                started.add_done_callback(_discard)
            raise
        finally:
            with self._changed:
                self._starting -= 1
                self._changed.notify_all()
        return child

    def _check_wanted(self, cancels: int) -> None:
        if self._is_closed:
            raise QueryError("no more queries are answered: this sandbox is closed")
        if cancels != self._cancels:
            raise QueryError("the query was cancelled", hint="run it again")

    def _give_back(self, child: Child) -> None:
        with self._changed:
            self._busy.remove(child)
            if child.is_usable():
                self._idle.append(child)
            else:
                child.end()
            self._changed.notify_all()


def _discard(started: Future[Child]) -> None:
    if not started.cancelled() and not started.exception():
        started.result().end()

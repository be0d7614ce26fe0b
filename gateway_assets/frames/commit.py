"""Many threads append, one at a time syncs for all that wait.

Whoever appends gives its frames to the kernel and, where the log is to be durable at once, waits
for its turn to sync. Who has the turn syncs everything that was written so far, for all that wait,
who then go on at once; what was written meanwhile is for the next turn. So however many append,
there is one fdatasync at a time, and a single writer waits for no other thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

from gateway_assets.errors import FrameError, FramesUnavailable
from gateway_assets.frames.frame import Draft
from gateway_assets.frames.reading import segments
from gateway_assets.frames.record import check
from gateway_assets.frames.refusals import refused


class Tail(Protocol):
    """The end of a log, to which frames are appended. All methods raise OSError."""

    next_seq: int
    synced: int  # every frame below this seq is on disk

    def is_due(self) -> bool: ...
    def write(self, drafts: Sequence[Draft]) -> None: ...
    def sync(self) -> None: ...
    def seal(self) -> None: ...
    def abandon(self) -> None: ...


class GroupCommit:
    """A log of any backend; ``open_tail`` begins its next part."""

    def __init__(
        self,
        directory: Path,
        next_seq: int,
        open_tail: Callable[[int], Tail],
        *,
        durable_at_once: bool,
        tick: float,  # seconds between two looks at what is due: a sync, a seal
        held: ExitStack,  # closed with the log
    ) -> None:
        self._directory = directory
        self._next_seq = next_seq
        self._durable_seq = next_seq - 1
        self._open_tail = open_tail
        self._at_once = durable_at_once
        self._held = held
        self._tail: Tail | None = None
        self._failure: FramesUnavailable | None = None
        self._syncing = False  # by one thread; _turn guards it and tells of its end
        self._turn = threading.Condition()
        self._writing = threading.Lock()  # taken last
        self._closing = threading.Event()
        self._keeper = threading.Thread(
            target=self._keep, args=(tick,), name="frame-log", daemon=True
        )
        self._keeper.start()

    @property
    def first_seq(self) -> int:
        """The seq of the oldest frame that is still there; next_seq when there is none."""
        found = segments(self._directory)
        return found[0].first_seq if found else self.next_seq

    @property
    def next_seq(self) -> int:
        tail = self._tail
        return self._next_seq if tail is None else tail.next_seq

    @property
    def durable_seq(self) -> int:
        """The last seq that is known to be on disk."""
        return self._durable_seq

    def append(self, kind: int, payload: bytes, time: int) -> int:
        return self.append_many(((kind, payload, time),))[0]

    def append_many(self, drafts: Sequence[Draft]) -> range:
        for draft in drafts:
            check(draft)
        if not drafts:
            return range(self.next_seq, self.next_seq)
        tail, seqs = self._write(drafts)
        if self._at_once and self._take_turn(lambda: tail.synced >= seqs.stop):
            try:
                self._sync(tail)
            finally:
                self._end_turn()
        return seqs

    def close(self) -> None:
        if self._closing.is_set():
            return
        self._closing.set()
        self._keeper.join()
        with self._held, self._sole(), self._writing:
            self._retire()
        if self._failure is not None:
            raise self._failure

    def _write(self, drafts: Sequence[Draft]) -> tuple[Tail, range]:
        while True:
            with self._writing:
                tail = self._tail
                if tail is not None and not tail.is_due():
                    first = tail.next_seq
                    try:
                        tail.write(drafts)
                    except OSError as error:
                        raise refused("write", self._directory, error) from error
                    return tail, range(first, tail.next_seq)
            self._renew(tail)

    def _renew(self, old: Tail | None) -> None:
        """Begin the next part of the log, unless another thread has done so."""
        with self._sole(), self._writing:
            if self._closing.is_set():
                raise FrameError(f"the frame log {self._directory} is closed")
            if self._failure is not None:
                failure, self._failure = self._failure, None
                raise failure
            if self._tail is old:
                self._retire()
                with self._explained():
                    self._tail = self._open_tail(self._next_seq)

    def _retire(self) -> None:
        """Seal the tail. This thread has the turn and holds ``_writing``."""
        tail, self._tail = self._tail, None
        if tail is not None:
            self._next_seq = tail.next_seq
            with self._explained():
                tail.seal()
            self._durable_seq = tail.synced - 1

    def _sync(self, tail: Tail) -> None:
        """Sync for all that wait; leave a tail that cannot be synced. This thread has the turn."""
        try:
            with self._explained():
                tail.sync()
        except FramesUnavailable:
            with self._writing:
                if self._tail is tail:
                    self._tail, self._next_seq = None, tail.next_seq
                tail.abandon()
            raise
        self._durable_seq = tail.synced - 1

    def _take_turn(self, is_done: Callable[[], bool]) -> bool:
        """Wait until no other thread syncs; False when there is nothing left to do by then."""
        with self._turn:
            self._turn.wait_for(lambda: is_done() or not self._syncing)
            if is_done():
                return False
            self._syncing = True
            return True

    def _end_turn(self) -> None:
        with self._turn:
            self._syncing = False
            self._turn.notify_all()

    @contextmanager
    def _sole(self) -> Iterator[None]:
        self._take_turn(lambda: False)
        try:
            yield
        finally:
            self._end_turn()

    def _keep(self, tick: float) -> None:
        while not self._closing.wait(tick):
            with self._sole():
                tail = self._tail
                try:
                    if tail is not None and not self._at_once and tail.synced < tail.next_seq:
                        self._sync(tail)
                    with self._writing:
                        if self._tail is not None and self._tail.is_due():
                            self._retire()
                except FramesUnavailable as error:
                    # Frames that were acknowledged may be lost: whoever appends next is told.
                    self._failure = error

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise refused("write", self._directory, error) from error

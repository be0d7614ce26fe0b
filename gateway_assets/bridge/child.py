"""One child process that answers SQL: started, asked, and killed when it does not behave."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import pyarrow as pa

from gateway_assets.bridge import wire
from gateway_assets.bridge.spill import SpillFolder
from gateway_assets.bridge.wire import LENGTH, Nonsense
from gateway_assets.errors import QueryError
from gateway_assets.settings import PREFIX, Settings, config_file

# -P: what lies in the current directory is no module of the child.
COMMAND = (sys.executable, "-P", "-m", "gateway_assets.bridge.worker")
STARTUP_SECONDS = 60
# The child's own time limit comes first and says more; this one needs no cooperation.
GRACE_SECONDS = 1
_HINT = "narrow the query, or raise query_memory_limit"
_READ_SIZE = 2**20


class _Gone(Exception):
    """The child has closed its pipes."""


class Child:
    """A process and its pipes; asked by one thread at a time, cancelled by any.

    A new one must be made by a thread that lives on: the kernel kills it with that thread.
    """

    def __init__(self, settings: Settings, timezone: str) -> None:
        self._settings = settings
        self._greeting = wire.message(
            {"settings": settings.model_dump(mode="json"), "timezone": timezone}
        )
        self._lock = Lock()  # no signal may go to a process id that is no longer the child's
        self._cancelled = False
        self._ended = False
        self._folder = SpillFolder(settings.query_spill)
        try:
            with (self._folder.path / "stderr").open("wb") as said:
                self._process = subprocess.Popen(
                    [*COMMAND, str(os.getpid())],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=said,
                    bufsize=0,
                    cwd=self._folder.path,
                    env=_environment(),
                    pass_fds=[self._folder.descriptor],
                    start_new_session=True,
                )
        except BaseException:
            self._folder.remove()
            raise
        assert self._process.stdin
        assert self._process.stdout
        self._to, self._from = self._process.stdin.fileno(), self._process.stdout.fileno()
        for pipe in (self._to, self._from):
            os.set_blocking(pipe, False)

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_usable(self) -> bool:
        return not self._ended and not self._cancelled and self._process.poll() is None

    def ask(
        self, text: str, params: Sequence[Any], max_rows: int
    ) -> tuple[pa.Table, dict[str, Any]]:
        """The answer and what explains it.

        Raises what the child raises, and QueryError when it died, was cancelled, took too long or
        answered nonsense; it has ended then.
        """
        question = wire.message(
            {"text": text, "params": wire.encoded(params), "max_rows": max_rows}
        )
        keep = False
        try:
            self._greet()
            deadline = self._deadline(self._settings.query_timeout_seconds + GRACE_SECONDS)
            self._write(question, deadline)
            answer = self._message(deadline)
            told = wire.told(answer)
            if told.error:
                keep = answer.get("last") is False
                raise told.error
            table = _table(self._body(deadline))
            keep = answer.get("last") is False
        except _Gone:
            raise self._epitaph() from None
        except TimeoutError:
            limit = f"{self._settings.query_timeout_seconds:g} s"
            raise QueryError(
                f"the query took longer than {limit}",
                hint="narrow the time range, or raise query_timeout_seconds",
            ) from None
        except Nonsense as error:
            raise QueryError(
                f"the process of the query answered nonsense: {error}", hint="run it again"
            ) from None
        finally:
            if not keep:
                self.end()
        return table, told.explained

    def cancel(self) -> None:
        """Kill the process at once; the thread that asks it raises QueryError."""
        self._cancelled = True
        self._kill()

    def end(self) -> None:
        """Kill the process if it is still there, and give everything back. Not while it is asked
        by another thread.
        """
        if self._ended:
            return
        self._ended = True
        self._kill()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            pipe.close()
        self._folder.remove()

    def _kill(self) -> None:
        with self._lock:
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()

    def _greet(self) -> None:
        """Wait until a new child is there, before any time limit of a query begins."""
        if not self._greeting:
            return
        deadline = self._deadline(STARTUP_SECONDS)
        self._write(self._greeting, deadline)
        answer = self._message(deadline)
        if "ready" not in answer:
            error = wire.told(answer).error
            raise error or Nonsense("an answer to no question")
        self._greeting = b""

    def _epitaph(self) -> QueryError:
        """What became of the child, as far as the kernel tells."""
        if self._cancelled:
            return QueryError("the query was cancelled", hint="run it again")
        with self._lock:
            try:
                status = self._process.wait(timeout=GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                return QueryError("the process of the query hung up", hint="run it again")
        if self._greeting:
            said = (self._folder.path / "stderr").read_text("utf-8", "replace").strip()
            last = said.rpartition("\n")[2]
            return QueryError(f"no process for queries could start: {last}", hint=_HINT)
        if status == -signal.SIGKILL:
            return QueryError(
                "the process of the query was killed (SIGKILL), most likely for want of memory",
                hint=_HINT,
            )
        if status < 0:
            name = signal.Signals(-status).name
            what = f"crashed ({name}), most likely for want of memory or nested too deeply"
            return QueryError(f"the process of the query {what}", hint=_HINT)
        return QueryError(f"the process of the query ended with status {status}", hint=_HINT)

    @staticmethod
    def _deadline(seconds: float) -> float:
        return time.monotonic() + seconds

    def _write(self, content: bytes, deadline: float) -> None:
        rest = memoryview(content)
        while rest:
            _wait(self._to, select.POLLOUT, deadline)
            try:
                rest = rest[os.write(self._to, rest) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                raise _Gone from None

    def _message(self, deadline: float) -> dict[str, Any]:
        return wire.content_of(self._frame(deadline, wire.MOST_JSON))

    def _body(self, deadline: float) -> bytearray:
        """The frames up to the empty one. The child counts the bytes of its answer, too."""
        # Twice: what surrounds the values takes space that the child does not count.
        most = 2 * self._settings.query_memory
        body = bytearray()
        while frame := self._frame(deadline, wire.FRAME):
            body += frame
            if len(body) > most:
                raise Nonsense("it does not end")
        return body

    def _frame(self, deadline: float, most: int) -> bytearray:
        (length,) = LENGTH.unpack(self._read(LENGTH.size, deadline))
        if length > most:
            raise Nonsense(f"a frame of {length} bytes")
        return self._read(length, deadline)

    def _read(self, size: int, deadline: float) -> bytearray:
        content = bytearray()
        while len(content) < size:
            _wait(self._from, select.POLLIN, deadline)
            try:
                piece = os.read(self._from, min(size - len(content), _READ_SIZE))
            except BlockingIOError:
                continue
            if not piece:
                raise _Gone
            content += piece
        return content


def _wait(pipe: int, event: int, deadline: float) -> None:
    """Until something can be done with a pipe; also when its other end is closed."""
    remaining = deadline - time.monotonic()
    poll = select.poll()
    poll.register(pipe, event)
    if remaining <= 0 or not poll.poll(remaining * 1000):
        raise TimeoutError


def _table(body: bytearray) -> pa.Table:
    """The table in an Arrow IPC stream, all of it checked. Raises Nonsense."""
    try:
        with pa.ipc.open_stream(pa.py_buffer(body)) as reader:
            table = reader.read_all()
        table.validate(full=True)
    except (pa.ArrowException, MemoryError, OSError, ValueError) as error:
        raise Nonsense(f"no table: {str(error).partition(chr(10))[0]}") from None
    return table


def _environment() -> dict[str, str]:
    """That of this process, for a child that works in another directory.

    An allocator that reserves address space in advance would use up the child's limit of it.
    """
    return {
        **os.environ,
        PREFIX + "CONFIG": str(Path(config_file()).absolute()),
        "ARROW_DEFAULT_MEMORY_POOL": "system",
        "MALLOC_ARENA_MAX": "2",
    }

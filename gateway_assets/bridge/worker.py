"""The child process: answers SQL over pipes, within limits that the kernel keeps.

``python -m gateway_assets.bridge.worker PARENT`` is started by ``child``; PARENT is the process
id without which it ends. It reads settings, says that it is ready, then answers one question
after the other until its standard input ends.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import duckdb
import pyarrow as pa
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from gateway_assets.bridge import wire
from gateway_assets.bridge.bounded import bounded
from gateway_assets.bridge.cache import AnswerCache
from gateway_assets.bridge.databases import Databases
from gateway_assets.bridge.engine import Engine
from gateway_assets.bridge.statement import Statements
from gateway_assets.bridge.wire import LENGTH
from gateway_assets.errors import GatewayError, QueryError
from gateway_assets.settings import Settings
from gateway_assets.tiers.catalog import catalog

Answer = Callable[[str, Sequence[Any], int], tuple[pa.Table, dict[str, Any]]]

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_NICE = 5
# Measured with a limit of 32 MB and two processors: 128 MB suffice for everyday statements, 64 do
# not.
_SLACK = 256 * 2**20
_PER_THREAD = 16 * 2**20
# JSON of a statement is some four levels deep for one of SQL, of which DuckDB allows a thousand.
_RECURSION = 10_000


class _Given(Settings):
    """Settings exactly as the parent has them, whatever environment and files say."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  the library's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


def answering(settings: Settings, timezone: str, *, once: bool = False) -> Answer:
    """What answers statements: the one place that knows the bridge. ``once`` keeps no answer."""
    databases = Databases(settings)
    engine = Engine(settings, timezone)
    statements = Statements(settings, databases, engine, AnswerCache(settings))

    def answer(text: str, params: Sequence[Any], max_rows: int) -> tuple[pa.Table, dict[str, Any]]:
        take = partial(bounded, rows=max_rows, size=settings.query_memory)
        keep_as = "" if once else f"{max_rows} rows"
        table, explained = statements.ask(text, params, take, keep_as)
        return table, explained.to_dict()

    return answer


def streaming(
    settings: Settings, timezone: str
) -> Callable[[str, Sequence[Any], Callable[[duckdb.DuckDBPyRelation], int]], int]:
    """The same for an answer of any length, which a function takes batch by batch."""
    databases = Databases(settings)
    engine = Engine(settings, timezone)
    statements = Statements(settings, databases, engine, AnswerCache(settings))

    def answer(
        text: str, params: Sequence[Any], take: Callable[[duckdb.DuckDBPyRelation], int]
    ) -> int:
        return statements.ask(text, params, take)[0]

    return answer


def main() -> None:
    questions, answers = _own_pipes()
    end_with(int(sys.argv[1]))
    sys.setrecursionlimit(_RECURSION)
    given = wire.content_of(_frame(questions))
    try:
        settings = _Given(**given["settings"])
        answer = answering(settings, given["timezone"])
        worn_out = limit(settings)
    except GatewayError as error:
        _write(answers, wire.message(wire.error_content(error)))
        return
    _write(answers, wire.message({"ready": True}))
    while frame := _frame(questions):
        told, table = _answered(answer, wire.content_of(frame))
        # DuckDB keeps address space that it has had: the next question would find too little.
        told["last"] = "last" in told or _address_space() > worn_out
        _write(answers, wire.message(told))
        if table is not None:
            _write_table(answers, table)
        if told["last"]:
            return


def _answered(answer: Answer, question: dict[str, Any]) -> tuple[dict[str, Any], pa.Table | None]:
    """What to tell, and the table if it is no error; ``last`` when this process is spent."""
    params = wire.decoded(question["params"])
    try:
        table, explained = answer(question["text"], params, question["max_rows"])
    except GatewayError as error:
        told = wire.error_content(error)
        # DuckDB refuses everything after such an error.
        if isinstance(error.__cause__, duckdb.FatalException | duckdb.InternalException):
            told["last"] = True
        return told, None
    except MemoryError:
        return _last("the query needs more memory than it may use"), None
    except Exception as error:  # noqa: BLE001  the parent raises it
        return _last(f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"), None
    return {"explained": explained}, table


def _last(what: str) -> dict[str, Any]:
    error = QueryError(what, hint="narrow the query, or raise query_memory_limit")
    return {**wire.error_content(error), "last": True}


def _write_table(answers: int, table: pa.Table) -> None:
    frames = wire.Frames(partial(_write, answers))
    with pa.ipc.new_stream(frames, table.schema) as stream:
        stream.write_table(table)
    frames.close()


def _write(answers: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(answers, rest) :]


def _frame(questions: BinaryIO) -> bytes:
    """The next question; empty when there are no more."""
    length = questions.read(LENGTH.size)
    return questions.read(LENGTH.unpack(length)[0]) if len(length) == LENGTH.size else b""


def _own_pipes() -> tuple[BinaryIO, int]:
    """Questions and answers; what anything prints goes elsewhere from here on."""
    questions, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return os.fdopen(questions, "rb"), answers


def end_with(parent: int) -> None:
    """The kernel kills this process with its parent, who may be dead already."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the parent is gone")


def limit(settings: Settings) -> int:
    """What no statement can get around, whatever it makes the engine do. Returns the address space
    from which on too little is left for another statement.

    Address space: what is there now; DuckDB's own limit; as much again for what DuckDB does not
    count, hot rows on their way in and the answer on its way out, both in Arrow; and slack for the
    allocator and for stack and arena of DuckDB's threads.
    """
    start = _address_space()
    slack = _SLACK + (os.cpu_count() or 1) * _PER_THREAD
    space = start + 2 * settings.query_memory + slack
    for what, most in (
        (resource.RLIMIT_AS, space),
        (resource.RLIMIT_FSIZE, settings.query_temp + _largest_database(settings)),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (limit, limit))
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    Path("/proc/self/oom_score_adj").write_text("1000")
    os.nice(_NICE)
    return start + slack + settings.query_memory // 2


def _address_space() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def _largest_database(settings: Settings) -> int:
    """Bytes. Who closes a database last writes its log into it, at any place."""
    paths = {declared.database for declared in catalog(settings)}
    return max((path.stat().st_size for path in paths if path.exists()), default=0)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    main()

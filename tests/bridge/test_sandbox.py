"""SQL in processes of its own: what it may cost, what ends it, and what comes back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from gateway_assets.bridge import child, wire
from gateway_assets.bridge.sandbox import Sandbox
from gateway_assets.bridge.wire import Nonsense, decoded, encoded
from gateway_assets.errors import ArchiveDamaged, Busy, ConfigError, GatewayError, QueryError
from gateway_assets.hot.load import load
from gateway_assets.hot.store import open_store
from gateway_assets.settings import Settings, load_settings
from gateway_assets.tables import IP_TRAFFIC
from tests.traffic import TODAY, land_days

ENDLESS = "SELECT count(*) FROM range(1000000) AS a, range(1000000) AS b, range(1000000) AS c"


@pytest.fixture
def sandbox(settings: Settings) -> Iterator[Sandbox]:
    with Sandbox(settings) as opened:
        yield opened


def only(sandbox: Sandbox, text: str, *params: Any) -> Any:
    """The only value of an answer."""
    (row,) = sandbox.ask(text, params).table.to_pylist()
    (value,) = row.values()
    return value


def pid_of(sandbox: Sandbox) -> int:
    """The child that the next question will be put to."""
    assert only(sandbox, "SELECT 1") == 1
    return sandbox._idle[-1].pid


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(3000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it never came true")


def is_there(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
    except FileNotFoundError:
        return False
    return state != "Z" or threads > 1  # those may outlive the first for a moment


def asked_in_thread(sandbox: Sandbox, text: str) -> tuple[threading.Thread, list[GatewayError]]:
    raised: list[GatewayError] = []

    def ask() -> None:
        try:
            sandbox.ask(text)
        except GatewayError as error:
            raised.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    return thread, raised


PARAMETERS = [
    None,
    True,
    False,
    0,
    -(2**63),
    2**63 - 1,
    2**100,
    0.1,
    -0.0,
    float("inf"),
    float("-inf"),
    "",
    "it's; -- 'é' 漢 \U0001f600\n\t\\",
    b"",
    bytes(range(256)),
    date(1, 1, 1),
    date(2026, 2, 28),
    datetime(2026, 1, 2, 3, 4, 5, 678901),
    datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=-7, minutes=-30))),
    Decimal("1.10"),
    Decimal("-12345678901234567890.123456789"),
    [],
    [1, 2, None],
    [["a"], []],
]


@pytest.mark.parametrize("value", PARAMETERS, ids=repr)
def test_a_parameter_keeps_value_and_type(value: Any) -> None:
    (back,) = decoded(wire.content_of(wire.message({"params": encoded([value])})[4:])["params"])
    assert back == value
    assert type(back) is type(value)
    assert repr(back) == repr(value)


def test_what_is_not_equal_to_itself_or_has_a_named_zone_travels_too() -> None:
    summer = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=0)
    winter = summer.replace(fold=1)
    nan, first, second, read_only = decoded(
        encoded([float("nan"), summer, winter, memoryview(b"ab")])
    )
    assert nan != nan  # noqa: PLR0124  which is what makes it one
    assert second - first == timedelta(hours=1)
    assert read_only == b"ab"


def test_parameters_reach_the_engine_with_their_types(sandbox: Sandbox) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2)))
    values = [True, 7, 1.5, "x", b"\0\xff", date(2026, 1, 2), moment, Decimal("1.10"), [1, 2]]
    texts = [only(sandbox, "SELECT typeof($1)", value) for value in values]
    assert texts == [
        "BOOLEAN",
        "INTEGER",
        "DOUBLE",
        "VARCHAR",
        "BLOB",
        "DATE",
        "TIMESTAMP WITH TIME ZONE",
        "DECIMAL(3,2)",
        "INTEGER[]",
    ]
    for value in values:
        assert only(sandbox, "SELECT ?", value) == value
    assert only(sandbox, "SELECT isnan(?)", float("nan")) is True
    assert only(sandbox, "SELECT ? IS NULL", None) is True


@pytest.mark.parametrize("value", [Ellipsis, {1: 2}, {1}, timedelta(1), 1j], ids=repr)
def test_other_types_are_refused_here(sandbox: Sandbox, value: object) -> None:
    with pytest.raises(QueryError, match=f"cannot be a {type(value).__name__}"):
        sandbox.ask("SELECT ?", [value])
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(QueryError, match="within itself"):
        sandbox.ask("SELECT ?", [endless])
    assert only(sandbox, "SELECT 1") == 1


def test_declared_tables_are_answered_and_explained(settings: Settings, sandbox: Sandbox) -> None:
    with open_store(settings.hot_database) as store:
        land_days(settings.landing, range(TODAY - 1, TODAY + 1))
        load(store, IP_TRAFFIC, settings)
    reply = sandbox.ask("SELECT id, time, remote_ip FROM ip_traffic WHERE id > ? ORDER BY id", [5])
    assert reply.table.column("id").to_pylist() == list(range(6, 241))
    assert str(reply.table.schema.field("time").type) == "timestamp[us, tz=UTC]"
    assert reply.explained["tables"][0]["table"] == "ip_traffic"


def test_an_error_keeps_class_message_and_hint(settings: Settings, sandbox: Sandbox) -> None:
    with pytest.raises(QueryError) as refused:
        sandbox.ask("SELECT nothing FROM ip_traffic")
    assert "nothing" in refused.value.message
    assert refused.value.hint
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    (settings.data_dir / "tables.toml").write_text("[[tables]]\nname = 1")
    with pytest.raises(ConfigError, match=r"tables\.toml"):
        sandbox.ask("SELECT 1 AS a FROM ip_traffic")


def test_only_errors_of_the_table_are_raised() -> None:
    def raised(name: str) -> GatewayError | None:
        return wire.told({"error": name, "message": "m", "hint": "h"}).error

    assert type(raised("ArchiveDamaged")) is ArchiveDamaged
    assert type(raised("SystemExit")) is QueryError
    assert str(raised("KeyboardInterrupt")) == "m (h)"


def test_settings_are_those_of_the_parent(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = load_settings(query_memory_limit="123MB", query_max_rows=3, hot_days={"ip_traffic": 5})
    monkeypatch.setenv("GATEWAY_QUERY_MAX_ROWS", "1")
    monkeypatch.setenv("DUCKDB_MEMORY_LIMIT", "5GB")
    monkeypatch.setenv("GATEWAY_HOT_DAYS", '{"other": 1}')
    Path("gateway.toml").write_text("query_max_rows = 2")
    with Sandbox(given) as sandbox:
        assert sandbox.ask("FROM range(3)").table.num_rows == 3
        with pytest.raises(QueryError, match="more than 3 rows"):
            sandbox.ask("FROM range(4)")


@pytest.mark.parametrize("timezone", ["UTC", "America/St_Johns"])
def test_the_time_zone_is_the_given_one(settings: Settings, timezone: str) -> None:
    with Sandbox(settings, timezone) as sandbox:
        moment = only(sandbox, "SELECT '2026-01-01 00:00:00'::TIMESTAMPTZ")
    assert moment == datetime(2026, 1, 1, tzinfo=ZoneInfo(timezone))


def test_an_unknown_time_zone_is_an_error(settings: Settings) -> None:
    with (
        Sandbox(settings, "Nowhere/Land") as sandbox,
        pytest.raises(QueryError, match="Nowhere/Land"),
    ):
        sandbox.ask("SELECT 1")


def test_rows_are_limited_before_they_are_there(sandbox: Sandbox) -> None:
    pid = pid_of(sandbox)
    # Ten trillion rows fit nowhere: this ends because reading does.
    with pytest.raises(QueryError, match="more than 1,000,000 rows") as refused:
        sandbox.ask("FROM range(10000000000000)")
    assert "gateway export" in refused.value.hint
    with pytest.raises(QueryError, match="more than 5 rows"):
        sandbox.ask("FROM range(6)", max_rows=5)
    assert sandbox.ask("FROM range(5)", max_rows=5).table.num_rows == 5
    assert sandbox.ask("FROM range(0)", max_rows=5).table.column_names == ["range"]
    assert sandbox.ask("FROM range(10000000000000) LIMIT 7").table.num_rows == 7
    assert pid_of(sandbox) == pid


def test_bytes_are_limited(settings: Settings) -> None:
    given = settings.model_copy(update={"query_memory_limit": "64MB"})
    with Sandbox(given) as sandbox:
        with pytest.raises(QueryError, match="bytes"):
            sandbox.ask("SELECT repeat('x', 1000) FROM range(200000)")
        assert only(sandbox, "SELECT 1") == 1


def test_the_kernel_limits_a_child(settings: Settings, sandbox: Sandbox) -> None:
    pid = pid_of(sandbox)
    limits = {
        line[:26].strip(): line[26:].split()[:2]
        for line in Path(f"/proc/{pid}/limits").read_text().splitlines()[1:]
    }
    space = int(limits["Max address space"][0])
    assert limits["Max address space"] == [str(space)] * 2
    assert 2 * settings.query_memory < space < 8 * settings.query_memory
    assert limits["Max core file size"] == ["0", "0"]
    size = int(limits["Max file size"][0])
    assert settings.query_temp <= size < 2 * settings.query_temp
    assert Path(f"/proc/{pid}/oom_score_adj").read_text().strip() == "1000"
    assert "NoNewPrivs:\t1" in Path(f"/proc/{pid}/status").read_text()
    assert os.getpriority(os.PRIO_PROCESS, pid) == os.getpriority(os.PRIO_PROCESS, 0) + 5
    assert os.getpgid(pid) == pid
    # A query cannot read what it is not given: the pipes, its folder, nothing of the parent.
    open_files = {str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()}
    folder = str(next(settings.query_spill.iterdir()))
    assert {name for name in open_files if not name.startswith("pipe:")} <= {
        "/dev/null",
        folder,
        f"{folder}/stderr",
        *(f"{settings.hot_database}{ending}" for ending in ("", "-wal", "-shm")),
    }


@pytest.mark.parametrize(
    "text",
    [
        "SELECT list(a) FROM range(1000000000) t(a)",
        "SELECT string_agg(repeat('x', 1000), ',') FROM range(10000000)",
        "SELECT lpad('a', 2000000000, 'b')",
        "SELECT printf('%2000000000d', 1)",
        "SELECT generate_series(1, 1000000000)",
    ],
)
def test_too_much_memory_is_an_error_and_no_more(settings: Settings, text: str) -> None:
    given = settings.model_copy(update={"query_memory_limit": "100MB"})
    with Sandbox(given) as sandbox:
        with pytest.raises(QueryError):
            sandbox.ask(text)
        assert only(sandbox, "SELECT count(*) FROM (SELECT DISTINCT a FROM range(500000) t(a))")


def test_a_child_that_has_grown_is_asked_no_more(sandbox: Sandbox) -> None:
    pid = pid_of(sandbox)
    with pytest.raises(QueryError, match="Out of Memory"):
        sandbox.ask("SELECT list(a) FROM range(1000000000) AS t(a)")
    assert pid_of(sandbox) != pid


def test_a_query_that_takes_too_long_is_stopped(settings: Settings) -> None:
    given = settings.model_copy(update={"query_timeout_seconds": 0.3})
    with Sandbox(given) as sandbox:
        with pytest.raises(QueryError, match="query_timeout_seconds"):
            sandbox.ask(ENDLESS)
        # The engine looks at no clock while it resolves a name: only the kill ends this.
        pid = pid_of(sandbox)
        with pytest.raises(QueryError, match=r"longer than 0\.3 s.*query_timeout_seconds"):
            sandbox.ask("SELECT x" + ".y" * 30_000)
        assert not is_there(pid)
        assert pid_of(sandbox) != pid


@pytest.mark.parametrize(
    ("number", "said"), [(signal.SIGKILL, "SIGKILL.*memory"), (signal.SIGSEGV, "SIGSEGV")]
)
def test_a_child_that_dies_is_told_and_replaced(
    sandbox: Sandbox, number: signal.Signals, said: str
) -> None:
    pid = pid_of(sandbox)
    thread, raised = asked_in_thread(sandbox, ENDLESS)
    wait_until(lambda: bool(sandbox._busy))
    os.kill(pid, number)
    thread.join()
    (error,) = raised
    assert isinstance(error, QueryError)
    wait_until(lambda: not is_there(pid))
    with pytest.raises(QueryError, match=said):
        raise error
    assert "query_memory_limit" in error.hint
    assert only(sandbox, "SELECT 1") == 1


def test_a_child_that_died_idle_is_replaced_unseen(sandbox: Sandbox) -> None:
    pid = pid_of(sandbox)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_there(pid))
    assert pid_of(sandbox) != pid


def test_nesting_that_overflows_the_stack_kills_the_child_only(sandbox: Sandbox) -> None:
    deep = 100_000
    with pytest.raises(QueryError, match="SIGSEGV"):
        sandbox.ask("SELECT * FROM " + "(SELECT * FROM " * deep + "(SELECT 1)" + ")" * deep)
    assert only(sandbox, "SELECT 1") == 1


def test_one_child_is_used_again_and_a_heavy_query_blocks_none(sandbox: Sandbox) -> None:
    pid = pid_of(sandbox)
    assert pid_of(sandbox) == pid
    thread, raised = asked_in_thread(sandbox, ENDLESS)
    wait_until(lambda: bool(sandbox._busy))
    other = pid_of(sandbox)
    assert other != pid
    assert thread.is_alive()
    sandbox.cancel()
    thread.join()
    assert "cancelled" in str(raised[0])
    assert pid_of(sandbox) == other


def test_cancel_ends_all_that_run_or_wait(settings: Settings) -> None:
    given = settings.model_copy(update={"query_max_workers": 1})
    with Sandbox(given) as sandbox:
        pid = pid_of(sandbox)
        running = asked_in_thread(sandbox, ENDLESS)
        wait_until(lambda: bool(sandbox._busy))
        waiting = asked_in_thread(sandbox, "SELECT 1")
        wait_until(lambda: bool(sandbox._changed._waiters))  # type: ignore[attr-defined]
        sandbox.cancel()
        for thread, raised in (running, waiting):
            thread.join()
            assert isinstance(raised[0], QueryError)
            assert "cancelled" in raised[0].message
        assert not is_there(pid)
        assert only(sandbox, "SELECT 1") == 1


def test_who_finds_all_busy_for_too_long_is_told(settings: Settings) -> None:
    given = settings.model_copy(update={"query_max_workers": 1, "query_timeout_seconds": 2.0})
    with Sandbox(given) as sandbox:
        pid_of(sandbox)
        child_of_another = sandbox._taken()
        with pytest.raises(Busy, match="query_max_workers"):
            sandbox.ask("SELECT 1")
        sandbox._give_back(child_of_another)
        assert only(sandbox, "SELECT 1") == 1


def test_many_threads_share_few_children(settings: Settings) -> None:
    given = settings.model_copy(update={"query_max_workers": 2})
    answers: list[int] = []
    with Sandbox(given) as sandbox:
        threads = [
            threading.Thread(target=lambda n=n: answers.append(only(sandbox, "SELECT ?", n)))
            for n in range(20)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(sandbox._idle) <= 2
    assert sorted(answers) == list(range(20))


def test_a_child_outlives_the_thread_that_asked_first(sandbox: Sandbox) -> None:
    pids: list[int] = []
    thread = threading.Thread(target=lambda: pids.append(pid_of(sandbox)))
    thread.start()
    thread.join()
    assert pid_of(sandbox) == pids[0]


def test_close_ends_everything(settings: Settings) -> None:
    sandbox = Sandbox(settings)
    pid = pid_of(sandbox)
    thread, raised = asked_in_thread(sandbox, ENDLESS)
    wait_until(lambda: bool(sandbox._busy))
    other = pid_of(sandbox)
    sandbox.close()
    thread.join()
    assert isinstance(raised[0], QueryError)
    for ended in (pid, other):
        assert not Path(f"/proc/{ended}").exists()  # not even a zombie
    assert list(settings.query_spill.iterdir()) == []
    with pytest.raises(QueryError, match="closed"):
        sandbox.ask("SELECT 1")
    sandbox.close()


PARENT = """
import sys
from gateway_assets.bridge.sandbox import Sandbox
from gateway_assets.settings import load_settings
sandbox = Sandbox(load_settings())
sandbox.ask("SELECT 1")
print(sandbox._idle[0].pid, flush=True)
sandbox.ask(sys.argv[1])
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_child_dies_with_its_parent(settings: Settings, number: signal.Signals) -> None:
    program = [sys.executable, "-c", PARENT, ENDLESS]
    with subprocess.Popen(
        program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        wait_until(lambda: is_running(pid))
        parent.send_signal(number)
        parent.wait()
    wait_until(lambda: not is_there(pid))

    def is_tidy() -> bool:
        Sandbox(settings).close()
        return list(settings.query_spill.iterdir()) == []

    # What it left behind is gone with the next start, once its last thread has let go of it.
    wait_until(is_tidy)


def is_running(pid: int) -> bool:
    """Whether a process computes: it has used more than a little time by now."""
    times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(times[11]) > 150


def test_the_folder_of_another_program_that_lives_is_left_alone(settings: Settings) -> None:
    with Sandbox(settings) as first:
        pid = pid_of(first)
        folder = next(settings.query_spill.iterdir())
        with Sandbox(settings):
            assert folder.is_dir()
        assert folder.is_dir()
        assert pid_of(first) == pid


NOISY = """
import os, sys
import pyarrow as pa
from gateway_assets.bridge import worker
def answering(settings, timezone):
    def answer(text, params, max_rows):
        os.write(1, b"noise on 1"); os.write(2, b"noise on 2"); print("printed", flush=True)
        assert sys.stdin.read() == ""
        return pa.table({"a": [text]}), {}
    return answer
worker.answering = answering
worker.main()
"""


def test_what_a_child_prints_disturbs_nothing(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "COMMAND", (sys.executable, "-c", NOISY))
    assert only(sandbox, "SELECT 1") == "SELECT 1"
    assert only(sandbox, "SELECT 2") == "SELECT 2"


# What stands between "ready" and the end: sent by a child that is no honest one.
FRAME = "lambda b: struct.pack('>I', len(b)) + b"
LIES = {
    "text": "b'Hello, world! ' * 100",
    "no JSON": "frame(b'{')",
    "no object": "frame(b'[]')",
    "deep JSON": "frame(b'[' * 1000000)",
    "nothing known": "frame(b'{}')",
    "error without text": """frame(b'{"error": "QueryError", "message": 1, "hint": ""}')""",
    "explained is a list": """frame(b'{"explained": []}')""",
    "huge frame": "struct.pack('>I', 2**32 - 1)",
    "no table": """frame(b'{"explained": {}}') + frame(b'') """,
    "table of noise": """frame(b'{"explained": {}}') + frame(os.urandom(1000)) + frame(b'')""",
    "cut table": """frame(b'{"explained": {}}') + frame(table[:-300]) + frame(b'')""",
    "bad text": """frame(b'{"explained": {}}') + frame(bad) + frame(b'')""",
    "endless table": """frame(b'{"explained": {}}') + frame(b'x' * 2**20) * 300""",
}
LIAR = """
import json, os, struct, sys, time
import pyarrow as pa
frame = {frame}
def stream(array):
    sink = pa.BufferOutputStream()
    table = pa.table({{"a": array}})
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()
table = stream(pa.array(range(1000)))
bad = stream(pa.array([b"\\xff\\xfe"]).view(pa.string()))
os.read(0, 100000)
os.write(1, frame(b'{{"ready": true}}'))
os.read(0, 100000)
lie = {lie}
while lie:
    lie = lie[os.write(1, lie):]
time.sleep(100)
"""


@pytest.mark.parametrize("lie", LIES)
def test_a_child_that_lies_is_ended(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, lie: str
) -> None:
    given = settings.model_copy(update={"query_memory_limit": "100MB"})
    with Sandbox(given) as sandbox:
        with monkeypatch.context() as patched:
            program = LIAR.format(frame=FRAME, lie=LIES[lie])
            patched.setattr(child, "COMMAND", (sys.executable, "-c", program))
            with pytest.raises(QueryError, match="nonsense"):
                sandbox.ask("SELECT 1")
        assert not sandbox._idle
        assert only(sandbox, "SELECT 1") == 1


def test_a_child_that_cannot_start_says_why(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "COMMAND", (sys.executable, "-c", "import no_such_module"))
    with pytest.raises(QueryError, match="no_such_module"):
        sandbox.ask("SELECT 1")


def test_a_module_in_the_current_directory_is_none_of_the_child(sandbox: Sandbox) -> None:
    Path("duckdb.py").write_text("raise SystemExit(7)")
    assert only(sandbox, "SELECT 1") == 1


def test_a_statement_without_end_is_refused_here(sandbox: Sandbox) -> None:
    with pytest.raises(QueryError, match="the statement takes"):
        sandbox.ask("SELECT '" + "x" * 20_000_000 + "'")
    assert only(sandbox, "SELECT length($1)", "x" * 10_000_000) == 10_000_000


def test_questions_and_answers_of_nonsense() -> None:
    nonsense: list[Any] = [None, 1, ["x"], [["float", "x"]], [["no type", 1]], [[]]]
    for params in nonsense:
        with pytest.raises(Nonsense):
            decoded(params)

"""SELECTs: the asked tables are filled into SQLite, which then answers.

So every statement works that both dialects read, not only those that this project asks. Tables and
columns that a version lacks are missing here, too; the releases are those of the documents, where
they say so, else inferred.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timezone
from math import floor

from gateway_assets.clock import SECOND
from gateway_assets.simulated import pages
from gateway_assets.simulated.model import GB, Frontend, RoutineLoad, View, World
from gateway_assets.simulated.mysql import Result, SqlError, Value
from gateway_assets.simulated.series import BE, Version
from gateway_assets.simulated.show import query_id
from gateway_assets.simulated.texts import moment, short_size, zone_of

Rows = list[tuple[Value, ...]]
_NAMED = re.compile(r"\b(information_schema|starrocks_audit_db__)`?\.`?(\w+)", re.IGNORECASE)
_WHEN = r"`timestamp` {} '(\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d)'"
_SINCE, _UNTIL = re.compile(_WHEN.format(">=")), re.compile(_WHEN.format("<"))
_VARIABLE = re.compile(r"@@(?:session\.|global\.)?(\w+)", re.IGNORECASE)


class Asked:
    """A SELECT: who asks whom, and when."""

    def __init__(
        self, world: World, fe: Frontend, zone_name: str, audit_zone: str, statement: str
    ) -> None:
        zone, audit = zone_of(zone_name), zone_of(audit_zone)
        assert zone is not None
        assert audit is not None
        self.world, self.release, self.skew = world, fe.release, fe.skew
        self.zone, self.audit_zone = zone, audit
        self.statement = statement
        since, until = _SINCE.search(statement), _UNTIL.search(statement)
        self.since = _parsed(since[1], audit) if since else 0
        self.until = _parsed(until[1], audit) if until else 2**63

    def moment(self, time: int | None) -> str | None:
        return None if time is None else moment(time, self.zone)


def _parsed(text: str, zone: timezone) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()) * SECOND


def select(asked: Asked, variables: dict[str, str]) -> Result:
    """The rows of a SELECT. Raises SqlError 1064 and 1146 as a frontend does."""
    text = _VARIABLE.sub(lambda found: _literal(variables, found[1]), asked.statement)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
        _functions(database, asked, variables)
        for schema in ("information_schema", "starrocks_audit_db__"):
            database.execute(f"ATTACH ':memory:' AS {schema}")
        for schema, table in {(a.lower(), b.lower()) for a, b in _NAMED.findall(text)}:
            _fill(database, asked, schema, table)
        try:
            cursor = database.execute(text)
            rows = cursor.fetchall()
        except sqlite3.Error as error:
            raise _refusal(str(error)) from None
    columns = tuple(column[0] for column in cursor.description or ())
    if not columns:
        raise SqlError(1064, "Getting syntax error. Detail message: only SELECT is simulated.")
    return Result(columns, rows, is_typed=True)


def _literal(variables: dict[str, str], name: str) -> str:
    if name.lower() not in variables:
        raise SqlError(1193, f"Unknown system variable '{name}'")
    value = variables[name.lower()].replace("'", "''")
    return f"'{value}'"


def _functions(database: sqlite3.Connection, asked: Asked, variables: dict[str, str]) -> None:
    now = asked.world.now + asked.skew
    fixed: dict[str, Value] = {
        "now": moment(now, asked.zone),
        "utc_timestamp": moment(now, UTC),
        "version": variables["version"],
        "current_version": variables["current_version"],
        "unix_timestamp": now // SECOND,
        "connection_id": int(variables["connection_id"]),
        "database": variables["database"],
        "user": variables["user"],
    }
    for name, value in fixed.items():
        database.create_function(name, 0, lambda value=value: value)
    database.create_function("floor", 1, lambda value: None if value is None else floor(value))
    database.create_function("greatest", -1, lambda *values: max(values))


def _refusal(message: str) -> SqlError:
    if message.startswith("no such table: "):
        table = message.removeprefix("no such table: ")
        return SqlError(1146, f"Getting analyzing error. Detail message: Unknown table '{table}'.")
    if message.startswith("no such column: "):
        column = message.removeprefix("no such column: ")
        text = f"Getting analyzing error. Detail message: Column '{column}' cannot be resolved."
        return SqlError(1064, text)
    return SqlError(1064, f"Getting syntax error. Detail message: {message}.")


def _fill(database: sqlite3.Connection, asked: Asked, schema: str, table: str) -> None:
    known = _TABLES.get((schema, table))
    if known is None or asked.release < known[0]:
        return
    columns, rows = known[1](asked)
    names = ", ".join(f'"{name}"' for name in columns)
    database.execute(f'CREATE TABLE {schema}."{table}" ({names})')
    marks = ", ".join("?" * len(columns))
    database.execute("BEGIN")
    database.executemany(f'INSERT INTO {schema}."{table}" VALUES ({marks})', rows)
    database.execute("COMMIT")


# one function a table: its columns and rows -------------------------------------------------------

Filled = tuple[list[str], Rows]


def _tables(asked: Asked) -> Filled:
    columns = ["TABLE_CATALOG", "TABLE_SCHEMA", "TABLE_NAME", "TABLE_TYPE", "ENGINE", "VERSION"]
    columns += ["ROW_FORMAT", "TABLE_ROWS", "AVG_ROW_LENGTH", "DATA_LENGTH", "MAX_DATA_LENGTH"]
    columns += ["INDEX_LENGTH", "DATA_FREE", "CREATE_TIME", "UPDATE_TIME"]
    now, born = asked.moment(asked.world.now), asked.moment(asked.world.born)
    rows: Rows = [
        (
            "def", one.database, one.name, "BASE TABLE", "StarRocks", None, None, one.rows,
            one.bytes // max(one.rows, 1), one.bytes, None, None, None, born, now,
        )
        for one in asked.world.tables
    ]  # fmt: skip
    empty = (None,) * 9
    rows.append(("def", "information_schema", "loads", "SYSTEM VIEW", "MEMORY", None, *empty))
    return columns, rows


def _partitions(asked: Asked) -> Filled:
    has_sizes = asked.release >= (3, 4)
    columns = ["DB_NAME", "TABLE_NAME", "PARTITION_NAME", "PARTITION_ID", "VISIBLE_VERSION"]
    columns += ["BUCKETS", "REPLICATION_NUM", "DATA_SIZE", "ROW_COUNT", "AVG_CS", "P50_CS"]
    columns += ["MAX_CS", "STORAGE_PATH", *(["STORAGE_SIZE"] if has_sizes else [])]
    rows: Rows = []
    for one in asked.world.tables:
        size, score = short_size(one.bytes), round(one.score, 1)
        path = f"s3://simulated/{one.database}/{one.id}" if asked.world.shared_data else ""
        row = one.database, one.name, one.name, one.id + 1, 2, 12, 3, size, one.rows
        scores = round(score / 2, 1), round(score / 2, 1), score
        rows.append((*row, *scores, path, *([size] if has_sizes else [])))
    return columns, rows


def _views(asked: Asked) -> Filled:
    columns = ["MATERIALIZED_VIEW_ID", "TABLE_SCHEMA", "TABLE_NAME", "REFRESH_TYPE", "IS_ACTIVE"]
    columns += ["INACTIVE_REASON", "PARTITION_TYPE", "TASK_ID", "TASK_NAME"]
    columns += ["LAST_REFRESH_START_TIME", "LAST_REFRESH_FINISHED_TIME", "LAST_REFRESH_DURATION"]
    columns += ["LAST_REFRESH_STATE", "LAST_REFRESH_ERROR_CODE", "LAST_REFRESH_ERROR_MESSAGE"]
    columns += ["TABLE_ROWS"]
    return columns, [_view(asked, one) for one in asked.world.views]


def _view(asked: Asked, one: View) -> tuple[Value, ...]:
    why = "" if one.is_active else "base-table dropped: orders"
    end = one.refreshed + int(one.seconds * SECOND)
    return (
        str(one.id), one.database, one.name, "ASYNC", "true" if one.is_active else "false", why,
        "UNPARTITIONED", str(one.id + 1), f"mv-{one.id}", asked.moment(one.refreshed),
        asked.moment(end), f"{one.seconds:.3f}", one.state, "-1" if one.error else "0", one.error,
        str(one.rows),
    )  # fmt: skip


def _task_runs(asked: Asked) -> Filled:
    columns = ["QUERY_ID", "TASK_NAME", "CREATE_TIME", "FINISH_TIME", "STATE", "DATABASE"]
    columns += ["DEFINITION", "EXPIRE_TIME", "ERROR_CODE", "ERROR_MESSAGE", "PROGRESS"]
    columns += ["EXTRA_MESSAGE", "PROPERTIES"]
    rows: Rows = []
    for run in asked.world.runs:
        done = run.finished <= asked.world.now
        state, end = (run.state, asked.moment(run.finished)) if done else ("RUNNING", None)
        name, sql = f"mv-{run.view.id}", f"insert overwrite `{run.view.name}` SELECT 1"
        what = query_id(run.number), name, asked.moment(run.created), end, state, run.view.database
        code = -1 if run.error else 0
        rows.append((*what, sql, None, code, run.error or None, "100%" if done else "0%", "", ""))
    return columns, rows


def _loads(asked: Asked) -> Filled:
    columns = ["JOB_ID" if asked.release < (3, 3) else "ID", "LABEL", "DB_NAME", "STATE"]
    columns += ["PROGRESS", "TYPE", "PRIORITY", "FILTERED_ROWS", "CREATE_TIME"]
    columns += ["LOAD_FINISH_TIME", "ERROR_MSG"]
    rows: Rows = []
    for number, time, state, kind in asked.world.loads:
        when = asked.moment(time)
        is_open = state not in {"FINISHED", "CANCELLED"}
        why, bad = ("too many filtered rows", 500) if state == "CANCELLED" else (None, 0)
        what = number, f"simulated_{number}", "sales", state, "0%" if is_open else "100%", kind
        rows.append((*what, "NORMAL", bad, when, None if is_open else when, why))
    return columns, rows


def _routine_loads(asked: Asked) -> Filled:
    columns = ["ID", "NAME", "CREATE_TIME", "PAUSE_TIME", "END_TIME", "DB_NAME", "TABLE_NAME"]
    columns += ["STATE", "DATA_SOURCE_TYPE", "CURRENT_TASK_NUM", "JOB_PROPERTIES"]
    columns += ["DATA_SOURCE_PROPERTIES", "CUSTOM_PROPERTIES", "STATISTICS", "PROGRESS"]
    columns += ["REASONS_OF_STATE_CHANGED", "ERROR_LOG_URLS", "TRACKING_SQL", "OTHER_MSG"]
    columns += ["LATEST_SOURCE_POSITION"]
    has_lag = asked.release >= (3, 4)
    columns += ["OFFSET_LAG", "TIMESTAMP_PROGRESS"] if has_lag else []
    return columns, [_routine_load(asked, one, has_lag) for one in asked.world.routine_loads]


def _routine_load(asked: Asked, one: RoutineLoad, has_lag: bool) -> tuple[Value, ...]:
    done = one.loaded + one.refused
    statistics = {
        "receivedBytes": done * 210, "errorRows": one.refused, "committedTaskNum": one.committed,
        "loadedRows": one.loaded, "loadRowsRate": 0, "abortedTaskNum": 0, "totalRows": done,
        "unselectedRows": 0, "receivedBytesRate": 0, "taskExecuteTimeMs": one.committed * 690,
    }  # fmt: skip
    tasks = 1 if one.state == "RUNNING" else 0
    what = one.id, one.name, asked.moment(one.created), asked.moment(one.paused_at), None
    where = one.database, one.table, one.state, "KAFKA", tasks, "{}", "{}", "{}"
    how = _json(statistics), _json({"0": str(done)}), one.reason, "", "", ""
    common = *what, *where, *how, _json({"0": str(done + one.lag)})
    if not has_lag:
        return common
    return *common, _json({"0": str(one.lag)}), _json({"0": str(asked.world.now // 1000)})


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _transactions(asked: Asked) -> Filled:
    columns = ["TXN_ID", "LABEL", "DB_NAME", "STATE", "PREPARE_TIME", "PENDING_PUBLISH_MS"]
    now = asked.moment(asked.world.now)
    numbered = [name for name, count in asked.world.running_txns.items() for _ in range(count)]
    rows: Rows = [
        (at, f"simulated_{at}", name, "PREPARE", now, 0) for at, name in enumerate(numbered, 7_001)
    ]
    return columns, rows


def _be_compactions(asked: Asked) -> Filled:
    columns = ["BE_ID", "CANDIDATES_NUM", "BASE_COMPACTION_CONCURRENCY"]
    columns += ["CUMULATIVE_COMPACTION_CONCURRENCY", "LATEST_COMPACTION_SCORE"]
    columns += ["CANDIDATE_MAX_SCORE"]
    rows: Rows = [
        (node.id, 12, 1, 2, float(node.score) / 2, float(node.score))
        for node in asked.world.workers
        if node.is_alive
    ]
    return columns, rows


_SETTINGS = {"mem_limit": "90%", "storage_root_path": "/data1;/data2", "write_buffer_size": str(GB)}


def _be_configs(asked: Asked) -> Filled:
    columns = ["BE_ID", "NAME", "TYPE", "VALUE", "DEFAULT", "MUTABLE"]
    rows: Rows = []
    for node in asked.world.workers:
        settings = _SETTINGS | asked.world.settings_of.get(node.id, {})
        if node.is_alive:
            rows += [(node.id, key, "string", text, "", 1) for key, text in settings.items()]
    return columns, rows


def _fe_metrics(asked: Asked) -> Filled:
    rows: Rows = []
    for fe in asked.world.frontends:
        page = pages.frontend_page(asked.world, fe, "", clean=False) if fe.is_alive else ""
        rows += [(str(fe.id), *sample) for sample in pages.samples(page)]
    return ["FE_ID", "NAME", "LABELS", "VALUE"], rows


def _be_metrics(asked: Asked) -> Filled:
    rows: Rows = []
    for node in asked.world.workers:
        page = pages.worker_page(asked.world, node, clean=True) if node.is_alive else ""
        for name, labels, value in pages.samples(page):
            rows.append((node.id, name.removeprefix(BE), labels, value))
    return ["BE_ID", "NAME", "LABELS", "VALUE"], rows


def _audit(asked: Asked) -> Filled:
    columns = ["queryId", "timestamp", "queryType", "clientIp", "user", "authorizedUser"]
    columns += ["resourceGroup", "catalog", "db", "state", "errorCode", "queryTime", "scanBytes"]
    columns += ["scanRows", "returnRows", "cpuCostNs", "memCostBytes", "stmtId", "isQuery", "feIp"]
    columns += ["stmt", "digest"]
    rows: Rows = []
    for one in asked.world.queries:
        if not asked.since <= one.time < asked.until:
            continue  # SQLite would leave it out, too, but an hour's rows are many
        took, when = one.milliseconds, moment(one.time, asked.audit_zone)
        kind = "slow_query" if took >= asked.world.workload.slow_ms else "query"
        code = "" if one.state == "EOF" else "ANALYSIS_ERR"
        who = query_id(one.number), when, kind, "10.9.0.1:40001", one.user, one.user
        what = "default_wg", "default_catalog", one.database, one.state, code, took
        cost = took * 40_000, took * 2_000, took % 1_000, took * 8_000_000, took * 100_000
        digest = f"{sum(one.statement.encode()):032x}"
        rows.append((*who, *what, *cost, one.number, 1, one.frontend, one.statement, digest))
    return columns, rows


_INFO, _ALL = "information_schema", (2, 2)
_TABLES: dict[tuple[str, str], tuple[Version, Callable[[Asked], Filled]]] = {
    (_INFO, "tables"): (_ALL, _tables),
    (_INFO, "materialized_views"): ((2, 5), _views),
    (_INFO, "task_runs"): ((2, 5), _task_runs),
    (_INFO, "be_metrics"): ((3, 1), _be_metrics),
    (_INFO, "fe_metrics"): ((3, 1), _fe_metrics),
    (_INFO, "be_configs"): ((3, 1), _be_configs),
    (_INFO, "be_compactions"): ((3, 1), _be_compactions),
    (_INFO, "partitions_meta"): ((3, 1), _partitions),
    (_INFO, "loads"): ((3, 1), _loads),
    (_INFO, "routine_load_jobs"): ((3, 1), _routine_loads),
    (_INFO, "running_transactions"): ((4, 1), _transactions),
    ("starrocks_audit_db__", "starrocks_audit_tbl__"): (_ALL, _audit),
}

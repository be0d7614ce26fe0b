"""Rows of ``job_samples``: routine loads, materialized views and refreshes that failed."""

from __future__ import annotations

import json
from typing import Any

from gateway_assets.clock import SECOND
from gateway_assets.collect.observed import Record
from gateway_assets.starrocks import formats

_REMEMBERED = 10_000  # as many runs as one answer holds


def jobs(
    answers: dict[str, list[Record]], reported: list[str]
) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of one look, and the numbers of the failed refreshes that have had one."""
    views = [_lower(row) for row in answers.get("materialized_views", [])]
    rows = [_routine_load(_lower(row)) for row in answers.get("routine_loads", [])]
    rows += map(_view, views)
    names = {view.get("task_name"): _name(view) for view in views if view.get("task_name")}
    told = dict.fromkeys(reported)
    for run in map(_lower, answers.get("task_runs", [])):
        number = run.get("query_id")
        name = _refreshed(run, names)
        if number and name and number not in told and (run.get("state") or "") == "FAILED":
            told[number] = None
            rows.append(_failed(run, name))
    return [row for row in rows if row["name"]], list(told)[-_REMEMBERED:]


def _lower(row: Record) -> Record:
    return {name.lower(): formats.known(text) for name, text in row.items()}


def _get(row: Record, *names: str) -> str | None:
    return next((text for name in names if (text := row.get(name)) is not None), None)


def _name(row: Record) -> str | None:
    """Database and name; old versions put ``default_cluster:`` before databases."""
    name = _get(row, "table_name", "name") if "table_schema" in row else row.get("name")
    database = _get(row, "table_schema", "db_name", "dbname", "database")
    if name is None:
        return None
    return f"{database.removeprefix('default_cluster:')}.{name}" if database else name


def _routine_load(row: Record) -> dict[str, Any]:
    statistics = _json(_get(row, "statistics", "statistic"))
    state = row.get("state")
    is_told = state not in {"RUNNING", "NEED_SCHEDULE"}
    reason = _get(row, "reasons_of_state_changed", "reasonofstatechanged", "other_msg", "othermsg")
    return {
        "kind": "routine_load",
        "name": _name(row),
        "state": state,
        "lag": _lag(row),
        "rows": _whole(statistics.get("loadedRows")),
        "error_rows": _whole(statistics.get("errorRows")),
        "error": reason if is_told else None,
    }


def _lag(row: Record) -> int | None:
    """OFFSET_LAG where there is one, else latest minus last consumed: of all partitions.

    The latest position is that of the message to come, the progress that of the last one taken.
    """
    told = [_whole(lag) for lag in _json(row.get("offset_lag")).values()]
    if told and None not in told:
        return sum(max(lag or 0, 0) for lag in told)
    latest = _json(_get(row, "latest_source_position", "latestsourceposition"))
    progress = _json(row.get("progress"))
    behind = []
    for partition, position in latest.items():
        end, taken = _whole(position), _whole(progress.get(partition))
        if end is None or taken is None:
            return None
        behind.append(max(end - taken - 1, 0))
    return sum(behind) if behind else None


def _view(row: Record) -> dict[str, Any]:
    is_active = formats.flag(row.get("is_active"))
    why = row.get("last_refresh_error_message")
    return {
        "kind": "materialized_view",
        "name": _name(row),
        "state": row.get("last_refresh_state"),
        "is_active": is_active,
        "rows": formats.whole(_get(row, "table_rows", "rows")),
        "seconds": formats.number(row.get("last_refresh_duration")),
        "error": _get(row, "inactive_reason") if is_active is False else why,
    }


def _refreshed(run: Record, names: dict[str | None, str | None]) -> str | None:
    """The view that a run refreshed; None for a task that is no refresh."""
    task = run.get("task_name")
    if task in names:
        return names[task]
    if task and task.startswith("mv-"):
        database = run.get("database")
        return f"{database.removeprefix('default_cluster:')}.{task}" if database else task
    return None


def _failed(run: Record, name: str) -> dict[str, Any]:
    began, ended = formats.moment(run.get("create_time")), formats.moment(run.get("finish_time"))
    took = (ended - began) / SECOND if began is not None and ended is not None else None
    return {
        "kind": "refresh",
        "name": name,
        "state": "FAILED",
        "seconds": took if took is not None and took >= 0 else None,
        "error": run.get("error_message"),
    }


def _json(text: str | None) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _whole(value: Any) -> int | None:
    return formats.whole(str(value)) if isinstance(value, int | float | str) else None

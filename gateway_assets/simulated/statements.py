"""A statement's way to its answer, or to the error that StarRocks gives."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway_assets.simulated import show
from gateway_assets.simulated.model import Frontend, World
from gateway_assets.simulated.mysql import Result, Session, SqlError
from gateway_assets.simulated.schema import Asked, select
from gateway_assets.simulated.series import FE
from gateway_assets.simulated.texts import zone_of
from gateway_assets.simulated.work import record

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_ASSIGNMENT = re.compile(
    r"^(?:@@)?(?:session |global |session\.|global\.)?(\w+)\s*(?::=|=)\s*(.*)$", re.IGNORECASE
)
_PROC = re.compile(r"""^SHOW PROC ['"](.*?)/?['"]$""", re.IGNORECASE)
_VARIABLES = re.compile(r"^SHOW (?:SESSION |GLOBAL )?VARIABLES(?: LIKE '(.*)')?$", re.IGNORECASE)
_CONFIG = re.compile(r"^ADMIN SHOW FRONTEND CONFIG(?: LIKE '(.*)')?$", re.IGNORECASE)
_KNOWN = {
    "autocommit", "character_set_results", "forward_to_leader", "forward_to_master",
    "interactive_timeout", "net_read_timeout", "net_write_timeout", "query_timeout", "sql_mode",
    "time_zone", "wait_timeout", "enable_profile", "transaction_isolation",
}  # fmt: skip
_NEW_SPELLING = (3, 1)  # from here on forward_to_leader is known, the old one its alias
_LEADERS_VIEW = (3, 3)  # from here on SHOW asks the leader, SHOW PROC still does not


@dataclass
class Manners:
    """How the cluster answers; change it while it runs."""

    user: str = "monitor"
    privileged: bool = True  # False: no right to OPERATE
    refuses_time_zone: bool = False
    locale_comma: bool = False
    audit_zone: str = ""  # of the audit table's times; empty: each session's own


def answer(
    world: World, fe: Frontend, manners: Manners, session: Session, text: str
) -> Result | None:
    """The rows; None: OK without rows. Raises SqlError. Counts the statement where it is asked."""
    statement = " ".join(_COMMENT.sub(" ", text).split())
    with world.lock:
        if not statement.upper().startswith(("SELECT", "WITH")):
            fe.count(f"{FE}request_total")
            return _other(world, fe, manners, session, statement)
        failed = ""
        try:
            values = _values(fe, manners, session)
            asked = Asked(world, fe, session.time_zone, values["system_time_zone"], statement)
            return select(asked, values)
        except SqlError:
            failed = "query_analysis_err"
            raise
        finally:
            database = session.database or "information_schema"
            record(world, fe, world.now, 3, failed, manners.user, database, statement)


def _other(
    world: World, fe: Frontend, manners: Manners, session: Session, statement: str
) -> Result | None:
    upper = statement.upper()
    if upper.startswith("SET "):
        _set(fe, manners, session, statement[4:])
        return None
    if upper.startswith("USE "):
        session.database = statement[4:].strip("` ")
        return None
    if upper in {"COMMIT", "ROLLBACK", "BEGIN"} or upper.startswith("KILL "):
        return None
    if upper.startswith(("SHOW ", "ADMIN SHOW ")):
        return _show(world, fe, manners, session, statement)
    raise show.syntax_error(statement)


def _set(fe: Frontend, manners: Manners, session: Session, text: str) -> None:
    if text.upper().startswith("NAMES"):
        return
    for part in text.split(","):
        found = _ASSIGNMENT.match(part.strip())
        if not found:
            raise show.syntax_error(f"SET {part}")
        _assign(fe, manners, session, found[1].lower(), found[2].strip("'\" "))


def _assign(fe: Frontend, manners: Manners, session: Session, name: str, value: str) -> None:
    is_new = name == "forward_to_leader" and fe.release < _NEW_SPELLING
    if name not in _KNOWN or is_new:
        raise SqlError(1193, f"Unknown system variable '{name}'")
    if name == "time_zone":
        if manners.refuses_time_zone or zone_of(value) is None:
            raise SqlError(1064, f"Unknown or incorrect time zone: '{value}'")
        session.time_zone = value
    session.variables[name.replace("forward_to_master", "forward_to_leader")] = value


def _values(fe: Frontend, manners: Manners, session: Session) -> dict[str, str]:
    """What @@name and functions of the session give."""
    given = {
        "version": "8.0.33",
        "version_comment": f"simulated StarRocks version {fe.full_version}",
        "current_version": f"{fe.version} simulated",
        "connection_id": str(session.number),
        "database": session.database,
        "user": f"'{manners.user}'@'%'",
        "autocommit": "true",
        "query_timeout": "300",
        "sql_mode": "ONLY_FULL_GROUP_BY",
        "tx_isolation": "REPEATABLE-READ",
        "lower_case_table_names": "0",
        "max_allowed_packet": "33554432",
        "time_zone": session.time_zone,
        "system_time_zone": manners.audit_zone or session.time_zone,
    }
    spelling = "forward_to_leader" if fe.release >= _NEW_SPELLING else "forward_to_master"
    given[spelling] = "false"
    if fe.release >= _NEW_SPELLING:
        given["forward_to_master"] = session.variables.get("forward_to_leader", "false")
    own = {key: value for key, value in session.variables.items() if key != "forward_to_leader"}
    return given | own | {spelling: session.variables.get("forward_to_leader", "false")}


_SHOWN = {
    "SHOW FRONTENDS": show.frontends,
    "SHOW BACKENDS": show.backends,
    "SHOW COMPUTE NODES": show.compute_nodes,
}


def _show(world: World, fe: Frontend, manners: Manners, session: Session, statement: str) -> Result:
    upper = statement.upper()
    if upper.startswith(("SHOW PROCESSLIST", "SHOW FULL PROCESSLIST")):
        view = show.View(world, fe, fe, session, manners.locale_comma)
        return show.processlist(view, statement)
    if upper.startswith("SHOW PROFILELIST"):
        return show.profiles(show.View(world, fe, fe, session, manners.locale_comma))
    if found := _VARIABLES.match(statement):
        return _variables(fe, manners, session, found[1])
    if upper == "SHOW DATABASES":
        return Result(("Database",), [(name,) for name in world.databases()])
    if found := _CONFIG.match(statement):
        _check_rights(manners)
        return _config(world, _owner(world, fe, session, is_proc=True), found[1])
    path = _PROC.match(statement)
    if not path and upper not in _SHOWN:
        raise show.syntax_error(statement)
    _check_rights(manners)
    owner = _owner(world, fe, session, is_proc=bool(path))
    view = show.View(world, fe, owner, session, manners.locale_comma)
    if path:
        return show.node_list(view, path[1])
    if upper == "SHOW COMPUTE NODES" and owner.release < (2, 4):
        raise show.syntax_error(statement)
    return _SHOWN[upper](view)


def _check_rights(manners: Manners) -> None:
    if not manners.privileged:
        text = "Access denied; you need (at least one of) the OPERATE privilege(s) on SYSTEM"
        raise SqlError(1227, f"{text} for this operation.")


def _owner(world: World, fe: Frontend, session: Session, *, is_proc: bool) -> Frontend:
    """Who knows what is asked: the leader, or the asked frontend with its own view."""
    if session.forwards and world.leader is None:
        raise SqlError(1064, "Cannot open null host")
    asks_leader = session.forwards or (not is_proc and fe.release >= _LEADERS_VIEW)
    return (world.leader or fe) if asks_leader else fe


def _variables(fe: Frontend, manners: Manners, session: Session, pattern: str | None) -> Result:
    fits = re.compile((pattern or "%").replace("%", ".*"), re.IGNORECASE)
    values = _values(fe, manners, session)
    rows = [(key, value) for key, value in sorted(values.items()) if fits.fullmatch(key)]
    return Result(("Variable_name", "Value"), list(rows))


_SETTINGS = {"qe_max_connection": "4096", "tablet_sched_max_balancing_tablets": "500"}


def _config(world: World, owner: Frontend, pattern: str | None) -> Result:
    """Those of one frontend: ADMIN SET changes them in the memory of one."""
    fits = re.compile((pattern or "%").replace("%", ".*"))
    mode = "shared_data" if world.shared_data else "shared_nothing"
    own = {**_SETTINGS, "run_mode": mode, **world.settings_of.get(owner.id, {})}
    rows = [(key, "[]", value, "String", "false", "") for key, value in sorted(own.items())]
    columns = "Key", "AliasNames", "Value", "Type", "IsMutable", "Comment"
    return Result(columns, [row for row in rows if fits.fullmatch(row[0])])

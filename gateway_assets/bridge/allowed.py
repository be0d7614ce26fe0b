"""What a statement may name: declared tables, and functions that compute and nothing else.

The archive's files must be open to the engine, because the views read them; so the engine alone
cannot keep a statement from reading, or by ``WITH x AS (COPY …)`` from overwriting them. Here its
parsed form is walked, as DuckDB's own parser gives it. Whatever is not known to be harmless is
refused, also what a later DuckDB may add to the language.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple

import duckdb

from gateway_assets.errors import QueryError

Ctes = frozenset[str]


def check_allowed(
    session: duckdb.DuckDBPyConnection, text: str, declared_names: Iterable[str]
) -> None:
    """Raise QueryError unless the text is one SELECT of declared tables and harmless functions.

    Nothing of the text is bound or run. ``session`` is asked for the functions of this project
    that were made in it.
    """
    judge = _Judge(session, frozenset(map(_folded, declared_names)))
    to_do: list[tuple[Any, Ctes]] = [(_parsed(session, text), frozenset())]
    while to_do:
        node, ctes = to_do.pop()
        if isinstance(node, list):
            to_do.extend((item, ctes) for item in node)
        elif isinstance(node, dict):
            to_do.extend(judge.checked(node, ctes))


class _Judge(NamedTuple):
    session: duckdb.DuckDBPyConnection
    declared: frozenset[str]

    def checked(self, node: dict[str, Any], ctes: Ctes) -> list[tuple[Any, Ctes]]:
        """Judge one node; what stands below it, with the CTEs that can be seen there."""
        kind = node.get("type")
        _check_kind(kind, node.get("class"))
        if kind == "BASE_TABLE":
            self._check_table(node, ctes)
        elif kind == "SHOW_REF":
            _check_show(node)
        elif kind == "TABLE_FUNCTION":
            called = node["function"]
            self._check_function(called, _TABLE_FUNCTIONS, "table_macro")
            below = [*called.values(), *_others(node, "function").values()]
            return [(below, ctes)]
        elif node.get("class") in {"FUNCTION", "WINDOW"}:
            self._check_function(node, _scalars(), "macro")
        elif "cte_map" in node:
            return _scoped(node, ctes)
        return [(list(node.values()), ctes)]

    def _check_table(self, node: dict[str, Any], ctes: Ctes) -> None:
        *place, name = map(_folded, node["qualified_name"]["path"])
        if place in _PLACES and name in self.declared:
            return
        if place or name not in ctes:
            raise QueryError(
                f"there is no table {name!r}", hint="see which tables there are: gateway tables"
            )

    def _check_function(self, node: dict[str, Any], known: frozenset[str], own_type: str) -> None:
        name = _folded(node["qualified_name"]["path"][-1])
        if name not in known and name not in self._own_functions(own_type):
            raise QueryError(f"function {name!r} is not allowed", hint=_EXAMPLE)

    def _own_functions(self, function_type: str) -> set[str]:
        """Functions that this project made; a statement cannot make any."""
        query = (
            "SELECT function_name FROM duckdb_functions() WHERE NOT internal AND function_type = $1"
        )
        found = self.session.execute(query, [function_type]).fetchall()
        return {_folded(name) for (name,) in found}


def _parsed(session: duckdb.DuckDBPyConnection, text: str) -> Any:
    if "\0" in text:
        raise QueryError("the statement holds a NUL character", hint=_EXAMPLE)
    try:
        ((written,),) = session.execute("SELECT json_serialize_sql($1::VARCHAR)", [text]).fetchall()
        parsed = json.loads(written)
    except RecursionError:
        raise QueryError("the statement is nested too deeply", hint=_EXAMPLE) from None
    except (duckdb.Error, UnicodeError) as error:
        raise QueryError(str(error).partition("\n")[0], hint=_EXAMPLE) from None
    if parsed["error"]:
        pivot = "pivot" in text.lower()
        raise QueryError(parsed["error_message"], hint=_PIVOT if pivot else _EXAMPLE)
    if len(parsed["statements"]) != 1:
        count = len(parsed["statements"])
        raise QueryError(f"one statement is expected, not {count}", hint=_EXAMPLE)
    return parsed["statements"]


def _check_kind(kind: Any, expression_class: Any) -> None:
    if expression_class is None:
        is_known = not isinstance(kind, str) or kind in _TYPES
    else:
        is_known = expression_class in _CLASSES
    if not is_known:
        name = str(kind).removesuffix("_QUERY_NODE")
        raise QueryError(f"{name} is not allowed, only reading is", hint=_EXAMPLE)


def _scoped(node: dict[str, Any], ctes: Ctes) -> list[tuple[Any, Ctes]]:
    """A CTE is seen by those after it and by the query, and by itself when it is recursive.

    Elsewhere its name would mean what stands outside: with a file's name, that file.
    """
    below: list[tuple[Any, Ctes]] = []
    seen = ctes
    for entry in node["cte_map"]["map"]:
        name, cte = _folded(entry["key"]), entry["value"]
        query = cte["query_node"]
        below.append((_others(cte, "query_node"), seen))
        if query["type"] == "RECURSIVE_CTE_NODE":
            below.append((query["right"], seen | {name}))
            query = _others(query, "right")
        below.append((query, seen))
        seen |= {name}
    return [*below, (_others(node, "cte_map"), seen)]


def _others(node: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in node.items() if key != name}


def _check_show(node: dict[str, Any]) -> None:
    """DESCRIBE and SUMMARIZE have the query that they look at; others look at the engine."""
    if node["show_type"] not in {"DESCRIBE", "SUMMARY"} or not isinstance(node["query"], dict):
        raise QueryError(
            "SHOW is not allowed", hint="see: gateway tables, or DESCRIBE with a table's name"
        )


def _folded(name: str) -> str:
    """Small letters of ASCII only: no other letter is taken for one of a declared name."""
    return name.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")


@cache
def _scalars() -> frozenset[str]:
    """DuckDB's scalar functions, aggregates and macros, without those that do more than compute."""
    kinds = ("scalar", "aggregate", "window", "macro")
    query = "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type IN $1"
    with duckdb.connect() as own:
        found = own.execute(query, [kinds]).fetchall()
    names = {name.lower() for (name,) in found} - _DENIED
    return frozenset(
        name for name in names if not name.startswith(_DENIED_PREFIXES) or name in _HARMLESS
    ) | {"unnest"}


_TABLE_FUNCTIONS = frozenset(
    {
        "generate_series",
        "json_each",
        "json_tree",
        "pg_timezone_names",
        "range",
        "repeat",
        "repeat_row",
        "unnest",
    }
)
_DENIED = frozenset(
    {
        # settings, the session, other statements
        "current_connection_id",
        "current_query",
        "current_query_id",
        "current_setting",
        "current_transaction_id",
        "getvariable",
        "in_search_path",
        "txid_current",
        # the catalog, which holds the views with the paths of their files
        "col_description",
        "currval",
        "format_type",
        "get_block_size",
        "index_key",
        "map_to_pg_oid",
        "nextval",
        "obj_description",
        "setval",
        "shobj_description",
        # SQL as a text, that is bound or run out of sight of this check
        "json_deserialize_sql",
        "json_serialize_plan",
        "json_serialize_sql",
        # write, or wait
        "parse_duckdb_log_message",
        "sleep_ms",
        "write_log",
        # states of aggregates from bytes that nobody checks
        "combine",
        "combine_aggr",
        "finalize",
        "to_aggregate_state",
    }
)
_DENIED_PREFIXES = ("__internal_", "has_", "inet_", "pg_")
_HARMLESS = frozenset({"pg_size_pretty", "pg_typeof"})
_PLACES: tuple[list[str], ...] = ([], ["main"], ["memory"], ["memory", "main"])
_TYPES = frozenset(
    {
        "SELECT_NODE",
        "SET_OPERATION_NODE",
        "RECURSIVE_CTE_NODE",
        "BASE_TABLE",
        "EMPTY",
        "EXPRESSION_LIST",
        "JOIN",
        "PIVOT",
        "SHOW_REF",
        "SUBQUERY",
        "TABLE_FUNCTION",
        "DISTINCT_MODIFIER",
        "LIMIT_MODIFIER",
        "LIMIT_PERCENT_MODIFIER",
        "ORDER_MODIFIER",
        "ASCENDING",
        "DESCENDING",
        "ORDER_DEFAULT",
    }
)
_CLASSES = frozenset(
    {
        "BETWEEN",
        "CASE",
        "CAST",
        "COLLATE",
        "COLUMN_REF",
        "COMPARISON",
        "CONJUNCTION",
        "CONSTANT",
        "DEFAULT",
        "FUNCTION",
        "LAMBDA",
        "OPERATOR",
        "PARAMETER",
        "POSITIONAL_REFERENCE",
        "STAR",
        "SUBQUERY",
        "TYPE",
        "WINDOW",
    }
)
_EXAMPLE = 'try: gateway query "SELECT * FROM ip_traffic LIMIT 5"'
_PIVOT = "a PIVOT names its values: PIVOT ip_traffic ON proto IN ('tcp', 'udp') USING count(*)"

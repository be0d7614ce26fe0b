"""The bridge's views in a DuckDB connection of somebody's own, as of one moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb

from gateway_assets.bridge.databases import Databases
from gateway_assets.bridge.derived import derived_of
from gateway_assets.bridge.macros import MACROS
from gateway_assets.bridge.patience import patiently
from gateway_assets.bridge.scans import everything
from gateway_assets.bridge.statement import PARTS
from gateway_assets.bridge.tiers import Tiers, read_tiers
from gateway_assets.bridge.views import show
from gateway_assets.settings import Settings
from gateway_assets.tiers.catalog import Declared


def add_views(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    databases: Databases,
    tables: Sequence[Any] = (),
) -> None:
    """Make every declared table, or some, a view there, with its two tiers apart beside it, and the
    views of points under other names.

    Hot rows are copied as they are now; archived ones are read from their files when they are
    asked for. Raises ArchiveDamaged for a file that is missing or altered.
    """
    connection.execute("SET TimeZone = 'UTC'")
    for macro in MACROS:
        connection.execute(macro.create.replace("CREATE MACRO", "CREATE OR REPLACE MACRO"))
    known = databases.catalog()
    derived = derived_of(settings, known)
    views = [derived[one] for one in tables or derived if isinstance(one, str) and one in derived]
    plain = [one for one in tables or known if not (isinstance(one, str) and one in derived)]
    # A view's table comes with it: read at one moment, for all of its views.
    found = [databases.find(one) for one in (*plain, *(view.base for view in views))]
    for declared in {one.name: one for one in found}.values():
        _add(connection, settings, databases, declared)
    for view in views:
        connection.execute(view.create(view.base))


def _add(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    databases: Databases,
    declared: Declared,
) -> None:
    database = databases.of(declared)

    def attempt() -> None:
        with database.reading(declared) as snapshot:
            look = snapshot.look(declared)
            whole = everything(look.table)
            tiers: Tiers = read_tiers(snapshot, look, whole, whole, settings.archive)
        show(connection, tiers, {declared.name + ending: parts for ending, parts in PARTS.items()})

    patiently(attempt, lambda: database.version(declared))

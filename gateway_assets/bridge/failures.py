"""Why DuckDB could not answer: the statement's own fault, or a file that is damaged or has gone."""

from __future__ import annotations

import duckdb

from gateway_assets.archive import manifest
from gateway_assets.archive.source import file_fields
from gateway_assets.bridge.databases import Databases
from gateway_assets.bridge.guard import refusal
from gateway_assets.bridge.tiers import Tiers, damaged
from gateway_assets.settings import Settings
from gateway_assets.tiers.catalog import open_database

# What a statement can bring about with all files whole.
_OWN_ERRORS = (
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.ConversionException,
    duckdb.InterruptException,
    duckdb.OutOfMemoryException,
    duckdb.OutOfRangeException,
    duckdb.ParserException,
    duckdb.PermissionException,
)


class Failures:
    """Turns errors of DuckDB into QueryError or ArchiveDamaged."""

    def __init__(self, settings: Settings, databases: Databases) -> None:
        self._settings = settings
        self._databases = databases

    def explained(self, error: duckdb.Error, tiers: list[Tiers]) -> Exception:
        """An error of reading a file names the file; any other is the query's own.

        A file that is whole now was replaced while it was read: asked again, it answers.
        """
        if isinstance(error, _OWN_ERRORS) or not any(tier.opened for tier in tiers):
            return refusal(error)
        for tier in tiers:
            found = self._damage(tier)
            if found:
                return damaged(tier.table, found)
        if not _is_of_a_file(error, tiers):
            return refusal(error)
        read = next(tier.table for tier in tiers if tier.opened)
        return damaged(read, f"archived rows of {read.name} cannot be read: {error}")

    def _damage(self, tiers: Tiers) -> str:
        """What is wrong with the first damaged file; a monthly copy is dropped by name only."""
        # Heavy to load, and seldom needed.
        from gateway_assets.archive.parquet import is_parquet  # noqa: PLC0415
        from gateway_assets.archive.verify import damage  # noqa: PLC0415

        declared = self._databases.find(tiers.table.name)
        with open_database(declared) as connection:
            for live in tiers.live:
                file = manifest.file_numbered(connection, live.number)
                if file is not None:
                    fields = file_fields(connection, file)
                    found = damage(file, fields, self._settings.archive)
                    if found:
                        return found
        for part in tiers.opened:
            if "months" in part.path.parts and not is_parquet(part.path):
                return f"{part.path} cannot be read; it is a copy: remove it"
        return ""


def _is_of_a_file(error: duckdb.Error, tiers: list[Tiers]) -> bool:
    """Parquet's own reader says "TProtocolException" of a footer that is none, or raises an error
    of no class.
    """
    said = str(error)
    return (
        isinstance(error, duckdb.IOException)
        or type(error) is duckdb.Error
        or "TProtocol" in said
        or any(file.path.name in said for tier in tiers for file in tier.opened)
    )

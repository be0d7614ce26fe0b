"""Columns that PostgreSQL and SQLite store in different ways and programs see as the same.

``Moment`` is TIMESTAMPTZ there, and here text of a fixed length in UTC, such as
``2026-03-01T12:00:00.000000Z``, which sorts by time. ``Id`` is UUID, and here its 36 characters.
``Document`` is JSONB, and here JSON as text.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import JSON, Connection, DateTime, Dialect, Enum, String, TypeDecorator
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine

Word = TypeVar("Word", bound=StrEnum)

Document = JSON().with_variant(postgresql.JSONB(), "postgresql")


class Moment(TypeDecorator[datetime]):
    """A moment in UTC, to the microsecond."""

    impl = String(27)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(DateTime(timezone=True))
        return dialect.type_descriptor(String(27))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        utc = value.astimezone(UTC)
        return utc if dialect.name == "postgresql" else written(utc)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        moment = value if dialect.name == "postgresql" else datetime.fromisoformat(value)
        return moment.astimezone(UTC)


def written(moment: datetime) -> str:
    """A moment in UTC as SQLite keeps it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Id(TypeDecorator[str]):
    """A UUID, as text with hyphens in Python."""

    impl = String(36)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.UUID(as_uuid=False))
        return dialect.type_descriptor(String(36))

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else str(UUID(value))


def words(kind: type[Word], name: str) -> Enum:
    """The words of an enumeration: a type of its own in PostgreSQL, a CHECK in SQLite."""
    return Enum(
        kind,
        name=name,
        values_callable=lambda members: [member.value for member in members],
        create_constraint=True,
        validate_strings=True,
    )


def create_words(connection: Connection, *kinds: Enum) -> None:
    """The types of enumerations, which PostgreSQL wants before a table has them."""
    if connection.dialect.name != "postgresql":
        return
    for kind in kinds:
        listed = ", ".join(f"'{word}'" for word in kind.enums)
        connection.exec_driver_sql(f"CREATE TYPE {kind.name} AS ENUM ({listed})")

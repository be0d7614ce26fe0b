"""What every table of the registry shares."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

from sqlalchemy import CheckConstraint, MetaData
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from gateway_assets.registry.types import Id, Moment

NAMES = {
    "ix": "idx_%(table_name)s_%(column_0_N_name)s",
    "uq": "%(table_name)s_%(column_0_N_name)s_unique",
    "ck": "%(table_name)s_%(constraint_name)s",
    "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
    "pk": "%(table_name)s_pkey",
}


class Model(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMES)


def new_id() -> str:
    return str(uuid4())


def utc_now() -> datetime:
    return datetime.now(UTC)


def not_empty(column: str) -> CheckConstraint:
    return CheckConstraint(f"length(trim({column})) > 0", name=f"{column}_not_empty")


class Identified:
    """A row with an id of its own."""

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)


class Timed:
    """``updated_at`` is also set by a trigger, for changes by others than this program."""

    created_at: Mapped[datetime] = mapped_column(Moment, default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(Moment, default=utc_now, onupdate=utc_now)


class SoftlyDeleted:
    """A row that is deleted stays, because history speaks of it; its name is free again."""

    deleted_at: Mapped[datetime | None] = mapped_column(Moment)

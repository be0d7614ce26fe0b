"""Rows by id or name, and the nearest name for one that is not there."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from gateway_assets.errors import RegistryError
from gateway_assets.registry.alerts import AlertRule, Channel
from gateway_assets.registry.devices import Device, DriverConfig, Tag
from gateway_assets.registry.entries import ID

Row = TypeVar("Row", Device, Tag, AlertRule, Channel, DriverConfig)
Kept = TypeVar("Kept", Device, Tag, AlertRule)

WORDS: dict[type[Any], str] = {
    Device: "device",
    Tag: "tag",
    AlertRule: "rule",
    Channel: "channel",
    DriverConfig: "driver",
}
DELETED = " (deleted)"  # after the name of what a rule looks at
_COMPARED = 5_000


def is_living(model: type[Any]) -> list[ColumnElement[bool]]:
    """Conditions under which a row is not deleted."""
    return [model.deleted_at.is_(None)] if hasattr(model, "deleted_at") else []


def is_named(model: type[Any], name: str) -> ColumnElement[bool]:
    """Whether a row has a name, as the unique index of its table sees it."""
    if hasattr(model, "deleted_at"):
        return func.lower(model.name) == func.lower(name)
    same: ColumnElement[bool] = model.name == name
    return same


def find(
    session: Session, model: type[Row], which: str, *among: ColumnElement[bool], lock: bool = False
) -> Row:
    """The living row of this id or name ``among`` some; ``lock`` keeps it for this transaction.

    Raises RegistryError naming what is nearest.
    """
    row = look_up(session, select(model).where(*is_living(model), *among), model, which, lock=lock)
    if row is None:
        raise unknown(session, model, which, *among)
    return row


def find_deleted(
    session: Session, model: type[Kept], which: str, *among: ColumnElement[bool]
) -> Kept:
    """The deleted row of this id, or the last deleted one of this name. Raises RegistryError."""
    gone = select(model).where(model.deleted_at.is_not(None), *among)
    row = look_up(session, gone.order_by(model.deleted_at.desc()), model, which, lock=True)
    if row is None:
        word = WORDS[model]
        raise RegistryError(
            f"there is no deleted {word} {which!r}", hint=f"see: gateway {word}s list --deleted"
        )
    return row


def look_up(
    session: Session, rows: Select[Row], model: type[Row], which: str, *, lock: bool
) -> Row | None:
    if lock:
        rows = rows.with_for_update()
    if ID.fullmatch(which):
        return session.scalars(rows.where(model.id == which.lower())).first()
    return session.scalars(rows.where(is_named(model, which))).first()


def unknown(
    session: Session, model: type[Any], which: str, *among: ColumnElement[bool]
) -> RegistryError:
    names = session.scalars(
        select(model.name).where(*is_living(model), *among).limit(_COMPARED)
    ).all()
    word = WORDS[model]
    return RegistryError(
        f"there is no {word} {which!r}", hint=nearest(which, names) or f"see: gateway {word}s list"
    )


def nearest(name: str, names: Iterable[str]) -> str:
    """What somebody who wrote ``name`` may have meant, as a hint; empty when nothing is near."""
    spelled = {one.lower(): one for one in names}
    found = difflib.get_close_matches(name.lower(), spelled, n=1)
    return f"did you mean {spelled[found[0]]!r}?" if found else ""


def must_be_free(
    session: Session,
    model: type[Any],
    name: str,
    *among: ColumnElement[bool],
    but: str | None = None,
) -> None:
    """Raises RegistryError when another living row, but the one of id ``but``, has the name."""
    rows = select(model.id, model.name).where(*is_living(model), is_named(model, name), *among)
    for id_, taken in session.execute(rows):
        if id_ != but:
            raise RegistryError(
                f"there is a {WORDS[model]} {taken!r} already",
                hint=f"take another name, or: gateway {WORDS[model]}s edit",
            )

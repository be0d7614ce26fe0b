"""What every change of a row has in common: only what differs is written, and it is audited."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError
from sqlalchemy.orm import Session

from gateway_assets.errors import RegistryError
from gateway_assets.registry.audit import Actor, record
from gateway_assets.registry.entries import Entry, canonical
from gateway_assets.registry.find import WORDS
from gateway_assets.registry.hidden import HIDDEN, shown
from gateway_assets.registry.model import new_id

Checked = TypeVar("Checked", bound=Entry)
Fields = dict[str, tuple[Any, Any]]


class Deleted(NamedTuple):
    """What went with a row, or came back with it: names."""

    name: str
    tags: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()


def checked(entry: type[Checked], fields: Mapping[str, Any]) -> Checked:
    """Fields as an entry. Raises RegistryError with everything that is wrong with them."""
    try:
        return entry.model_validate(dict(fields))
    except ValidationError as error:
        hint = f"fields: {', '.join(entry.model_fields)}"
        raise RegistryError("; ".join(problems(error)), hint=hint) from None


def problems(error: ValidationError) -> list[str]:
    return [told(one["loc"], one["msg"]) for one in error.errors(include_input=False)]


def told(place: tuple[int | str, ...], message: str) -> str:
    what = message.removeprefix("Value error, ").removeprefix("Input should be ")
    what = f"must be {what}" if message.startswith("Input should be ") else what
    where = ".".join(str(part) for part in place)
    return f"{where}: {what}" if where else what


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> Fields:
    """The fields whose values differ, each with the old and the new one."""
    return {
        name: (before.get(name), value)
        for name, value in after.items()
        if canonical(before.get(name)) != canonical(value)
    }


def visible(fields: Fields) -> dict[str, list[Any]]:
    """Differences as the audit keeps them: old, new, neither with a secret."""
    return {name: _pair(name, old, new) for name, (old, new) in fields.items()}


def _pair(name: str, old: Any, new: Any) -> list[Any]:
    before, after = shown(old, name), shown(new, name)
    if canonical(before) == canonical(after):  # only what is hidden differs
        after = f"{HIDDEN} changed"
    return [before, after]


def audited(
    session: Session, actor: Actor, row: Any, deed: str, details: Mapping[str, Any] | None = None
) -> None:
    """Append to the audit that ``actor`` did something to a row."""
    record(
        session,
        actor,
        f"{WORDS[type(row)]}.{deed}",
        kind=row.__tablename__,
        id=row.id,
        details={"name": row.name, **(details or {})},
    )


def set_fields(session: Session, actor: Actor, row: Any, fields: Fields, reason: str = "") -> None:
    """Write what differs and audit it; nothing happens when nothing differs."""
    if not fields:
        return
    for name, (_, value) in fields.items():
        setattr(row, name, value)
    signed(row, actor)
    session.flush()
    told = {"reason": reason} if reason else {}
    audited(session, actor, row, "update", {"fields": visible(fields), **told})


def created(session: Session, actor: Actor, row: Any, fields: Mapping[str, Any]) -> None:
    """Add a row and audit it with its fields. The caller flushes: of many rows at once."""
    row.id = new_id()
    signed(row, actor, is_new=True)
    session.add(row)
    given = {name: shown(value, name) for name, value in fields.items() if value is not None}
    audited(session, actor, row, "create", {"fields": given})


def signed(row: Any, actor: Actor, *, is_new: bool = False) -> None:
    """Note who changed a row, where its table keeps that."""
    if hasattr(row, "updated_by"):
        row.updated_by = actor.username
        if is_new:
            row.created_by = actor.username

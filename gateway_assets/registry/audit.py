"""The log of what was done and what was refused: appended in the transaction of the deed itself."""

from __future__ import annotations

import getpass
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from gateway_assets.registry.users import AuditLog


class Actor(NamedTuple):
    """Who does something: a user of the registry, or, by its name alone, one of this host."""

    username: str
    user_id: str | None = None
    ip_address: str | None = None
    user_agent: str | None = None


def this_host() -> Actor:
    """Who runs this process."""
    try:
        return Actor(f"os:{getpass.getuser()}")
    except (KeyError, OSError):  # a container may run as a number without a name
        return Actor("os:unknown")


def record(
    session: Session,
    actor: Actor,
    action: str,
    *,
    kind: str | None = None,
    id: str | None = None,  # noqa: A002  the column's word
    details: dict[str, Any] | None = None,
    error: str | None = None,
) -> None:
    """Append a row: ``action`` such as ``device.update`` on the row ``id`` of a ``kind`` such as
    ``devices``; with ``error`` it was refused, for that reason.
    """
    session.add(
        AuditLog(
            user_id=actor.user_id,
            username=actor.username,
            action=action,
            resource_type=kind,
            resource_id=id,
            details=details or {},
            ip_address=actor.ip_address,
            user_agent=actor.user_agent,
            success=error is None,
            error_message=error,
        )
    )

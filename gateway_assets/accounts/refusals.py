"""What was refused, in the audit: in a transaction of its own, because the other one is undone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gateway_assets.errors import RegistryError, UsageError
from gateway_assets.registry.audit import Actor, record
from gateway_assets.registry.database import Registry

_MOST_CHARACTERS = 255  # of columns that PostgreSQL limits


@contextmanager
def refusals_recorded(
    registry: Registry, actor: Actor, action: str, username: str
) -> Iterator[None]:
    """Note an error of this project about ``username`` and let it pass."""
    try:
        yield
    except (RegistryError, UsageError) as error:
        if not error.transient:
            with registry.writing() as session:
                record(
                    session,
                    actor,
                    action,
                    kind="users",
                    details={"username": clean(username)},
                    error=error.message,
                )
        raise


def clean(text: str | None) -> str | None:
    """Text of strangers as both databases take it, and terminals bear it."""
    if text is None:
        return None
    return "".join(c if c.isprintable() else "?" for c in text[:_MOST_CHARACTERS])

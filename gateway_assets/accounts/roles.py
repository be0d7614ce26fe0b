"""What each role may do. A token may have fewer scopes than its user's role, never more."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from gateway_assets.registry.words import Role


class Scope(StrEnum):
    """One thing that may be done."""

    POINTS_WRITE = "points:write"
    POINTS_READ = "points:read"
    ALERTS_READ = "alerts:read"
    ALERTS_ACK = "alerts:ack"
    REGISTRY_READ = "registry:read"
    REGISTRY_WRITE = "registry:write"
    USERS_ADMIN = "users:admin"


_READ = frozenset({Scope.POINTS_READ, Scope.ALERTS_READ, Scope.REGISTRY_READ})
SCOPES: dict[Role, frozenset[Scope]] = {
    Role.ADMIN: frozenset(Scope),
    Role.OPERATOR: _READ | {Scope.ALERTS_ACK},
    Role.MAINTENANCE: _READ | {Scope.REGISTRY_WRITE, Scope.POINTS_WRITE},
    Role.VIEWER: _READ,
}


def scopes_of(role: Role, granted: Iterable[str]) -> frozenset[Scope]:
    """What is left of the scopes of a token, as the role is now."""
    wanted = set(granted)
    return frozenset(scope for scope in SCOPES[role] if scope in wanted)

"""Tokens of programs: shown once, kept as a hash, limited to scopes, revoked at any time.

A token outlives a lock-out and a password that has expired, because it is neither: a program must
not lose its data because somebody guesses at passwords.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import or_, select, update

from gateway_assets.accounts.bearer import API_TOKEN, hash_of, new_secret
from gateway_assets.accounts.refusals import refusals_recorded
from gateway_assets.accounts.roles import SCOPES, Scope
from gateway_assets.accounts.users import found_user
from gateway_assets.errors import LoginRefused, RegistryError, UsageError
from gateway_assets.registry.audit import Actor, record
from gateway_assets.registry.database import Registry
from gateway_assets.registry.model import utc_now
from gateway_assets.registry.users import ApiToken, User
from gateway_assets.registry.words import UserStatus

_NOTED_EVERY = timedelta(minutes=1)
_KIND = "api_tokens"
_MOST_NAME = 100


def add_token(
    registry: Registry,
    actor: Actor,
    username: str,
    name: str,
    scopes: Iterable[Scope],
    *,
    expires_at: datetime | None = None,
    now: datetime | None = None,
) -> tuple[ApiToken, str]:
    """The token and its text, which is kept nowhere. Raises UsageError for scopes that the user's
    role lacks, RegistryError for a name that the user has a token of already.
    """
    moment, secret, wanted = now or utc_now(), new_secret(API_TOKEN), sorted(set(scopes))
    with refusals_recorded(registry, actor, "token.add", username):
        _check(name, wanted, expires_at, moment)
        with registry.writing() as session:
            user = found_user(session, username, locked=True)
            lacking = [scope for scope in wanted if scope not in SCOPES[user.role]]
            if lacking:
                raise UsageError(
                    f"{user.username} is {user.role} and has no {', '.join(lacking)}",
                    hint=f"its scopes: {', '.join(sorted(SCOPES[user.role]))}",
                )
            living = select(ApiToken.id).where(
                ApiToken.user_id == user.id, ApiToken.name == name, ApiToken.revoked_at.is_(None)
            )
            if session.scalars(living).first():
                raise RegistryError(
                    f"{user.username} has a token {name!r} already",
                    hint=f"end it: gateway users token revoke {user.username} {name}",
                )
            token = ApiToken(
                user_id=user.id,
                name=name,
                token_hash=hash_of(secret),
                scopes=[scope.value for scope in wanted],
                created_at=moment,
                expires_at=expires_at,
            )
            session.add(token)
            session.flush()
            details = {"username": user.username, "name": name, "scopes": token.scopes}
            record(session, actor, "token.add", kind=_KIND, id=token.id, details=details)
    return token, secret


def list_tokens(registry: Registry, username: str | None = None) -> list[tuple[ApiToken, User]]:
    """All tokens, or those of one user, with their users. Raises RegistryError."""
    asked = select(ApiToken, User).join(User, User.id == ApiToken.user_id)
    with registry.reading() as session:
        if username is not None:
            asked = asked.where(ApiToken.user_id == found_user(session, username).id)
        ordered = asked.order_by(User.username, ApiToken.created_at, ApiToken.id)
        return [(token, user) for token, user in session.execute(ordered)]


def revoke_token(
    registry: Registry, actor: Actor, username: str, name: str, *, now: datetime | None = None
) -> ApiToken:
    """Raises RegistryError when the user has no such token that is not revoked yet."""
    with (
        refusals_recorded(registry, actor, "token.revoke", username),
        registry.writing() as session,
    ):
        user = found_user(session, username, locked=True)
        asked = select(ApiToken).where(
            ApiToken.user_id == user.id, ApiToken.name == name, ApiToken.revoked_at.is_(None)
        )
        token = session.scalars(asked).one_or_none()
        if token is None:
            raise RegistryError(
                f"{user.username} has no token {name!r}",
                hint=f"see: gateway users token list {user.username}",
            )
        token.revoked_at = now or utc_now()
        details = {"username": user.username, "name": name}
        record(session, actor, "token.revoke", kind=_KIND, id=token.id, details=details)
    return token


def check_token(
    registry: Registry, secret: str, *, now: datetime | None = None
) -> tuple[ApiToken, User]:
    """The token and its user; notes that it is used, once a minute at most. Raises LoginRefused."""
    moment = now or utc_now()
    with registry.reading() as session:
        asked = select(ApiToken, User).join(User, User.id == ApiToken.user_id)
        row = session.execute(asked.where(ApiToken.token_hash == hash_of(secret))).one_or_none()
    if row is None:
        raise LoginRefused("there is no such token")
    token, user = row
    if token.revoked_at is not None:
        raise LoginRefused(f"the token {token.name!r} of {user.username} is revoked")
    if token.expires_at is not None and token.expires_at <= moment:
        raise LoginRefused(f"the token {token.name!r} of {user.username} has expired")
    if user.status is UserStatus.INACTIVE:
        raise LoginRefused(f"the user {user.username} is inactive")
    if token.last_used is None or token.last_used + _NOTED_EVERY <= moment:
        is_older = or_(ApiToken.last_used.is_(None), ApiToken.last_used < moment)
        with registry.writing() as session:
            session.execute(
                update(ApiToken).where(ApiToken.id == token.id, is_older).values(last_used=moment)
            )
    return token, user


def _check(name: str, scopes: list[Scope], expires_at: datetime | None, moment: datetime) -> None:
    if not name.strip() or not name.isprintable() or len(name) > _MOST_NAME:
        raise UsageError(f"{name!r} cannot be a token's name", hint="such as: telegraf")
    if not scopes:
        raise UsageError("a token needs a scope", hint="such as: --scope points:write")
    if expires_at is not None and expires_at <= moment:
        raise UsageError("the token would have expired already", hint="such as: --expires 90d")

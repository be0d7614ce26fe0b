"""A user and a password, checked. Who guesses is locked out, for longer each time.

A refusal tells the client nothing and takes the same time whatever its reason is, which is in the
audit. argon2 runs outside of transactions; what it found is counted in one that holds the user's
row, so that attempts at the same time are counted one after the other.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func, select

from gateway_assets.accounts import passwords
from gateway_assets.accounts.refusals import clean
from gateway_assets.errors import LoginRefused
from gateway_assets.registry.audit import Actor, record
from gateway_assets.registry.database import Registry
from gateway_assets.registry.model import utc_now
from gateway_assets.registry.users import User
from gateway_assets.registry.words import UserStatus
from gateway_assets.settings import Settings

LOGIN = "login"
REQUEST = "request"  # a password that comes with each request; successes are not in the audit
_DAY_MINUTES = 1_440
_MOST_DOUBLINGS = 20


def verify(
    registry: Registry,
    settings: Settings,
    username: str,
    password: str,
    *,
    actor: Actor | None = None,
    action: str = LOGIN,
    now: datetime | None = None,
) -> User:
    """The user whose password it is. ``actor`` tells where the attempt comes from.

    Raises LoginRefused, RegistryUnavailable and Busy. A user whose password has expired is let in,
    and may only change it.
    """
    moment = now or utc_now()
    seen = _user_of(registry, username)
    is_right = passwords.matches(seen.password_hash if seen else None, password)
    outdated = seen is not None and is_right and passwords.is_outdated(seen.password_hash)
    rehashed = passwords.hashed(password) if outdated else None
    named = clean(username) or "?"
    who = Actor(named) if actor is None else actor._replace(username=named, user_id=None)
    user, reason = None, "there is no such user"
    with registry.writing() as session:
        if seen is not None:
            user = session.get_one(User, seen.id, with_for_update=True)
            if user.password_hash != seen.password_hash:  # it was changed meanwhile
                is_right, rehashed = passwords.matches(user.password_hash, password), None
            reason = _counted(user, settings, moment, is_right=is_right)
            if rehashed and not reason:
                user.password_hash = rehashed
            who = who._replace(user_id=user.id, username=user.username)
        if reason or action == LOGIN:
            found = user.id if user else None
            record(session, who, action, kind="users", id=found, error=reason or None)
    if user is None or reason:
        raise LoginRefused(reason)
    return user


def _user_of(registry: Registry, username: str) -> User | None:
    if clean(username) != username:  # neither database has such a name
        return None
    with registry.reading() as session:
        asked = select(User).where(func.lower(User.username) == username.lower())
        return session.scalars(asked).one_or_none()


def _counted(user: User, settings: Settings, moment: datetime, *, is_right: bool) -> str:
    """Why the user is not let in, or nothing; the row says it, too."""
    if user.status is UserStatus.INACTIVE:
        return "the user is inactive"
    if user.locked_until is not None and moment < user.locked_until:
        return "the user is locked out"
    if not is_right:
        user.failed_login_attempts += 1
        too_many = user.failed_login_attempts - settings.login_attempts
        if too_many >= 0:
            user.status = UserStatus.LOCKED
            user.locked_until = moment + _lock(settings, too_many)
        return "wrong password"
    expires = user.password_expires_at
    has_expired = expires is not None and expires <= moment
    user.status = UserStatus.EXPIRED if has_expired else UserStatus.ACTIVE
    user.failed_login_attempts, user.locked_until = 0, None
    user.last_login = moment
    return ""


def _lock(settings: Settings, doublings: int) -> timedelta:
    minutes = settings.login_lock_minutes * 2 ** min(doublings, _MOST_DOUBLINGS)
    return timedelta(minutes=min(minutes, _DAY_MINUTES))

"""Adding and changing users. Nobody is removed, because the audit speaks of them.

One ADMIN who is ACTIVE always stays, so that a registry cannot lock everybody out.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from gateway_assets.accounts import passwords
from gateway_assets.accounts.login import verify
from gateway_assets.accounts.refusals import refusals_recorded
from gateway_assets.accounts.sessions import close_sessions
from gateway_assets.errors import RegistryError, UsageError
from gateway_assets.registry.audit import Actor, record
from gateway_assets.registry.database import Registry
from gateway_assets.registry.model import utc_now
from gateway_assets.registry.users import User
from gateway_assets.registry.words import Role, UserStatus
from gateway_assets.settings import Settings

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_MOST_CHARACTERS = 255
_USERNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}", re.ASCII)
_KIND = "users"


def list_users(registry: Registry) -> list[User]:
    with registry.reading() as session:
        return list(session.scalars(select(User).order_by(func.lower(User.username))))


def get_user(registry: Registry, username: str) -> User:
    """Raises RegistryError when there is none."""
    with registry.reading() as session:
        return found_user(session, username)


def found_user(session: Session, username: str, *, locked: bool = False) -> User:
    """``locked``: nobody else changes the row until the transaction ends. Raises RegistryError."""
    asked = select(User).where(func.lower(User.username) == username.lower())
    if locked:
        asked = asked.with_for_update().execution_options(populate_existing=True)
    user = session.scalars(asked).one_or_none() if _USERNAME.fullmatch(username) else None
    if user is None:
        raise RegistryError(f"there is no user {username!r}", hint="see: gateway users list")
    return user


def add_user(
    registry: Registry,
    settings: Settings,
    actor: Actor,
    username: str,
    role: Role,
    password: str,
    *,
    full_name: str | None = None,
    email: str | None = None,
    must_change: bool = True,
    now: datetime | None = None,
) -> User:
    """Raises UsageError for a username or password that may not be, RegistryError for one that is
    there already.
    """
    moment = now or utc_now()
    with refusals_recorded(registry, actor, "user.add", username):
        if not _USERNAME.fullmatch(username):
            hint = "1 to 64 letters, digits and . _ @ -, beginning with a letter or digit"
            raise UsageError(f"{username!r} cannot be a username", hint=hint)
        _check_profile(full_name, email)
        user = User(
            username=username,
            role=role,
            full_name=full_name or None,
            email=email or None,
            created_by=actor.user_id,
            created_at=moment,
            updated_at=moment,
            **_fresh(settings, username, password, moment),
            must_change_password=must_change,
        )
        with registry.writing() as session:
            taken = select(User.id).where(func.lower(User.username) == username.lower())
            if session.scalars(taken).first():
                raise RegistryError(
                    f"there is a user {username!r} already", hint="see: gateway users list"
                )
            _check_email_free(session, email, None)
            session.add(user)
            session.flush()
            details = {"username": username, "role": role.value}
            record(session, actor, "user.add", kind=_KIND, id=user.id, details=details)
    return user


def edit_user(
    registry: Registry,
    actor: Actor,
    username: str,
    *,
    role: Role | None = None,
    status: UserStatus | None = None,
    full_name: str | None = None,
    email: str | None = None,
    now: datetime | None = None,
) -> User:
    """Change what is given; an empty name or e-mail removes it. A change of role or status ends
    all sessions of the user. Raises RegistryError when no active ADMIN would be left, UsageError
    for a status that only logins set.
    """
    moment = now or utc_now()
    with refusals_recorded(registry, actor, "user.edit", username):
        if status not in {None, UserStatus.ACTIVE, UserStatus.INACTIVE}:
            raise UsageError(f"{status} is set by logins only", hint="ACTIVE or INACTIVE")
        _check_profile(full_name, email)
        with registry.writing() as session:
            admins = _active_admins(session)
            user = found_user(session, username, locked=True)
            _check_email_free(session, email, user.id)
            wanted = {
                "role": role,
                "status": status,
                "full_name": None if full_name is None else full_name or None,
                "email": None if email is None else email or None,
            }
            given = {"role": role, "status": status, "full_name": full_name, "email": email}
            changes = {
                name: value
                for name, value in wanted.items()
                if given[name] is not None and getattr(user, name) != value
            }
            stays_admin = changes.get("role", user.role) is Role.ADMIN
            stays_active = changes.get("status", user.status) is not UserStatus.INACTIVE
            was_admin = user.role is Role.ADMIN and user.status is not UserStatus.INACTIVE
            if was_admin and not (stays_admin and stays_active) and not admins - {user.id}:
                raise RegistryError(
                    f"{user.username} is the last active ADMIN",
                    hint="make another one: gateway users add NAME --role ADMIN",
                )
            details = {"username": user.username}
            for name, value in changes.items():
                details[name] = f"{getattr(user, name)} -> {value}"
                setattr(user, name, value)
            if changes:
                user.updated_at = moment
            if "status" in changes:
                user.failed_login_attempts, user.locked_until = 0, None
            if changes.keys() & {"role", "status"}:
                close_sessions(session, user.id)
            record(session, actor, "user.edit", kind=_KIND, id=user.id, details=details)
    return user


def unlock_user(registry: Registry, actor: Actor, username: str) -> User:
    """Let somebody in again who was locked out. Raises RegistryError."""
    with refusals_recorded(registry, actor, "user.unlock", username), registry.writing() as session:
        user = found_user(session, username, locked=True)
        user.failed_login_attempts, user.locked_until = 0, None
        if user.status is UserStatus.LOCKED:
            user.status = UserStatus.ACTIVE
        record(
            session,
            actor,
            "user.unlock",
            kind=_KIND,
            id=user.id,
            details={"username": user.username},
        )
    return user


def set_password(
    registry: Registry,
    settings: Settings,
    actor: Actor,
    username: str,
    password: str,
    *,
    must_change: bool = True,
    now: datetime | None = None,
) -> User:
    """By an administrator. All sessions of the user end, and so does a lock-out.

    Raises UsageError for a password that may not be, RegistryError when there is no such user.
    """
    moment = now or utc_now()
    with refusals_recorded(registry, actor, "user.password", username):
        fresh = _fresh(settings, username, password, moment)
        with registry.writing() as session:
            user = found_user(session, username, locked=True)
            for name, value in fresh.items():
                setattr(user, name, value)
            user.must_change_password, user.updated_at = must_change, moment
            user.failed_login_attempts, user.locked_until = 0, None
            if user.status is not UserStatus.INACTIVE:
                user.status = UserStatus.ACTIVE
            close_sessions(session, user.id)
            details = {"username": user.username}
            record(session, actor, "user.password", kind=_KIND, id=user.id, details=details)
    return user


def change_password(
    registry: Registry,
    settings: Settings,
    actor: Actor,
    old: str,
    new: str,
    *,
    now: datetime | None = None,
) -> User:
    """By the user: ``actor`` is who it is. The old one counts as a login, also when it is wrong.

    Raises LoginRefused for the old one, UsageError for the new one.
    """
    moment = now or utc_now()
    action = "password.change"
    verify(registry, settings, actor.username, old, actor=actor, action=action, now=moment)
    if old == new:
        with refusals_recorded(registry, actor, action, actor.username):
            raise UsageError("the new password is the old one", hint="choose another")
    return set_password(
        registry, settings, actor, actor.username, new, must_change=False, now=moment
    )


def must_change(user: User, now: datetime) -> bool:
    """Whether a user may do nothing but change the password."""
    expires = user.password_expires_at
    return user.must_change_password or (expires is not None and expires <= now)


def _check_profile(full_name: str | None, email: str | None) -> None:
    for what, text in (("a name", full_name), ("an e-mail address", email)):
        if text and not (text.isprintable() and len(text) <= _MOST_CHARACTERS):
            hint = f"one line of {_MOST_CHARACTERS} characters at most"
            raise UsageError(f"{text[:40]!r} cannot be {what}", hint=hint)
    if email and not _EMAIL.fullmatch(email):
        raise UsageError(f"{email!r} is no e-mail address", hint="such as: ann@example.org")


def _check_email_free(session: Session, email: str | None, user_id: str | None) -> None:
    if not email:
        return
    other = session.scalars(select(User).where(func.lower(User.email) == email.lower())).first()
    if other is not None and other.id != user_id:
        raise RegistryError(
            f"{email} is the e-mail address of {other.username}", hint="see: gateway users list"
        )


def _fresh(
    settings: Settings, username: str, password: str, moment: datetime
) -> dict[str, str | datetime | None]:
    """What is kept of a new password. Raises UsageError."""
    passwords.check_policy(password, username, settings.password_min_length)
    days = settings.password_max_days
    return {
        "password_hash": passwords.hashed(password),
        "password_changed_at": moment,
        "password_expires_at": moment + timedelta(days=days) if days else None,
    }


def _active_admins(session: Session) -> set[str]:
    """Their ids. They cannot change until the transaction ends, so of two that would each remove
    the other only one does.
    """
    asked = select(User).where(User.role == Role.ADMIN, User.status == UserStatus.ACTIVE)
    return {user.id for user in session.scalars(asked.order_by(User.id).with_for_update())}

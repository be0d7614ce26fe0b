"""Logins that last for a while. A session ends by its age, by lying idle, or by being closed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from gateway_assets.accounts.bearer import SESSION, hash_of, new_secret
from gateway_assets.accounts.refusals import clean
from gateway_assets.errors import LoginRefused
from gateway_assets.registry.audit import Actor, record
from gateway_assets.registry.database import Registry
from gateway_assets.registry.model import utc_now
from gateway_assets.registry.users import User, UserSession
from gateway_assets.registry.words import UserStatus
from gateway_assets.settings import Settings

_NOTED_EVERY = timedelta(minutes=1)


class Opened(NamedTuple):
    """A session's token, which is kept nowhere, and when it ends at the latest."""

    token: str
    expires_at: datetime


def open_session(
    registry: Registry,
    settings: Settings,
    known: User,
    *,
    ip: str | None = None,
    agent: str | None = None,
    now: datetime | None = None,
) -> Opened:
    """For a user as the password was right; the oldest session ends when there are too many.

    Raises LoginRefused for one who has become inactive, or has another password, meanwhile.
    """
    moment = now or utc_now()
    token, expires_at = new_secret(SESSION), moment + timedelta(hours=settings.session_hours)
    with registry.writing() as session:
        user = session.get_one(User, known.id, with_for_update=True)
        if user.status is UserStatus.INACTIVE:
            raise LoginRefused("the user is inactive")
        if user.password_changed_at != known.password_changed_at:
            raise LoginRefused("the password was changed meanwhile")
        purge_sessions(session, settings, moment)
        asked = select(UserSession).where(UserSession.user_id == user.id)
        others = session.scalars(asked.order_by(UserSession.created_at.desc(), UserSession.id))
        for old in others.all()[settings.sessions_per_user - 1 :]:
            session.delete(old)
        session.add(
            UserSession(
                user_id=user.id,
                token_hash=hash_of(token),
                ip_address=ip,
                user_agent=clean(agent),
                created_at=moment,
                last_activity=moment,
                expires_at=expires_at,
            )
        )
    return Opened(token, expires_at)


def check_session(
    registry: Registry, settings: Settings, token: str, *, now: datetime | None = None
) -> User:
    """Whose session it is; notes that it is used, once a minute at most. Raises LoginRefused."""
    moment = now or utc_now()
    with registry.reading() as session:
        asked = select(UserSession, User).join(User, User.id == UserSession.user_id)
        row = session.execute(asked.where(UserSession.token_hash == hash_of(token))).one_or_none()
    if row is None:
        raise LoginRefused("there is no such session")
    found: UserSession = row[0]
    user: User = row[1]
    idle = timedelta(minutes=settings.session_idle_minutes)
    if not found.is_active:
        raise LoginRefused("the session is closed")
    if found.expires_at <= moment or found.last_activity + idle <= moment:
        raise LoginRefused("the session has ended")
    if user.status is UserStatus.INACTIVE:
        raise LoginRefused("the user is inactive")
    if found.last_activity + _NOTED_EVERY <= moment:
        with registry.writing() as session:
            session.execute(
                update(UserSession)
                .where(UserSession.id == found.id, UserSession.last_activity < moment)
                .values(last_activity=moment)
            )
    return user


def close_session(registry: Registry, actor: Actor, token: str) -> bool:
    """Whether there was one to close."""
    with registry.writing() as session:
        asked = select(UserSession).where(
            UserSession.token_hash == hash_of(token), UserSession.is_active
        )
        found = session.scalars(asked.with_for_update()).one_or_none()
        if found is None:
            return False
        found.is_active = False
        record(session, actor, "logout", kind="user_sessions", id=found.id)
    return True


def close_sessions(session: Session, user_id: str) -> int:
    """All of a user, in the transaction of what ends them; how many there were."""
    asked = select(UserSession).where(UserSession.user_id == user_id, UserSession.is_active)
    found = session.scalars(asked.with_for_update()).all()
    for one in found:
        one.is_active = False
    return len(found)


def list_sessions(
    registry: Registry, settings: Settings, user_id: str | None = None, now: datetime | None = None
) -> list[tuple[UserSession, str]]:
    """Sessions that have not ended, with the names of their users, the last used first."""
    moment = now or utc_now()
    idle_since = moment - timedelta(minutes=settings.session_idle_minutes)
    asked = (
        select(UserSession, User.username)
        .join(User, User.id == UserSession.user_id)
        .where(
            UserSession.is_active,
            UserSession.expires_at > moment,
            UserSession.last_activity > idle_since,
        )
        .order_by(UserSession.last_activity.desc(), UserSession.id)
    )
    if user_id is not None:
        asked = asked.where(UserSession.user_id == user_id)
    with registry.reading() as session:
        return [(found, username) for found, username in session.execute(asked)]


def purge_sessions(session: Session, settings: Settings, now: datetime) -> None:
    """Remove those that have ended; the audit keeps who came and went."""
    idle_since = now - timedelta(minutes=settings.session_idle_minutes)
    session.execute(
        delete(UserSession)
        .where(
            or_(
                UserSession.is_active.is_(False),
                UserSession.expires_at <= now,
                UserSession.last_activity <= idle_since,
            )
        )
        .execution_options(synchronize_session=False)
    )

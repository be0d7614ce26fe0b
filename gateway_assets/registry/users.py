"""Tables of users, their sessions and tokens, and the log of what was done and what was refused."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from gateway_assets.registry.alerts import Number
from gateway_assets.registry.model import Identified, Model, Timed, not_empty, utc_now
from gateway_assets.registry.types import Document, Id, Moment, words
from gateway_assets.registry.words import Role, UserStatus


class User(Identified, Timed, Model):
    """A person or program. Nobody is deleted, because the audit speaks of them: INACTIVE."""

    __tablename__ = "users"

    username: Mapped[str] = mapped_column(String(255))
    email: Mapped[str | None] = mapped_column(String(255))
    password_hash: Mapped[str] = mapped_column(String(255))
    full_name: Mapped[str | None] = mapped_column(String(255))
    role: Mapped[Role] = mapped_column(words(Role, "user_role"), default=Role.VIEWER)
    status: Mapped[UserStatus] = mapped_column(
        words(UserStatus, "user_status"), default=UserStatus.ACTIVE
    )
    last_login: Mapped[datetime | None] = mapped_column(Moment)
    failed_login_attempts: Mapped[int] = mapped_column(default=0)
    locked_until: Mapped[datetime | None] = mapped_column(Moment)
    password_changed_at: Mapped[datetime] = mapped_column(Moment, default=utc_now)
    password_expires_at: Mapped[datetime | None] = mapped_column(Moment)
    must_change_password: Mapped[bool] = mapped_column(default=False)
    created_by: Mapped[str | None] = mapped_column(Id, ForeignKey("users.id"))

    __table_args__ = (
        not_empty("username"),
        CheckConstraint("email IS NULL OR email LIKE '%_@_%._%'", name="email_format"),
        CheckConstraint("failed_login_attempts >= 0", name="failed_attempts_non_negative"),
        Index("users_username_unique", text("lower(username)"), unique=True),
        Index("users_email_unique", text("lower(email)"), unique=True),
        Index(None, "role"),
        Index(None, "status"),
    )


class UserSession(Identified, Model):
    """A login. Only the SHA-256 of its token is kept."""

    __tablename__ = "user_sessions"

    user_id: Mapped[str] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    ip_address: Mapped[str | None] = mapped_column(String(45))
    user_agent: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Moment, default=utc_now)
    expires_at: Mapped[datetime] = mapped_column(Moment)
    last_activity: Mapped[datetime] = mapped_column(Moment, default=utc_now)
    is_active: Mapped[bool] = mapped_column(default=True)

    __table_args__ = (
        CheckConstraint("expires_at > created_at", name="expires_after_created"),
        Index(None, "user_id"),
        Index(None, "is_active", "expires_at"),
    )


class ApiToken(Identified, Model):
    """A token of a program, with the scopes that it has. Only its SHA-256 is kept."""

    __tablename__ = "api_tokens"

    user_id: Mapped[str] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(255))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[list[str]] = mapped_column(Document)
    created_at: Mapped[datetime] = mapped_column(Moment, default=utc_now)
    expires_at: Mapped[datetime | None] = mapped_column(Moment)
    last_used: Mapped[datetime | None] = mapped_column(Moment)
    revoked_at: Mapped[datetime | None] = mapped_column(Moment)

    __table_args__ = (not_empty("name"), Index(None, "user_id"))


class AuditLog(Model):
    """What somebody did or was refused. A trigger refuses changes, and removal within a day."""

    __tablename__ = "audit_logs"

    id: Mapped[int] = mapped_column(Number, primary_key=True, autoincrement=True)
    user_id: Mapped[str | None] = mapped_column(Id, ForeignKey("users.id"))
    username: Mapped[str | None] = mapped_column(String(255))
    action: Mapped[str] = mapped_column(String(100))
    resource_type: Mapped[str | None] = mapped_column(String(100))
    resource_id: Mapped[str | None] = mapped_column(String(255))
    details: Mapped[dict[str, Any]] = mapped_column(Document, default=dict)
    ip_address: Mapped[str | None] = mapped_column(String(45))
    user_agent: Mapped[str | None] = mapped_column(Text)
    success: Mapped[bool]
    error_message: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Moment, default=utc_now)

    __table_args__ = (
        not_empty("action"),
        Index(None, "user_id", "action"),
        Index(None, "created_at"),
        Index(None, "resource_type", "resource_id"),
    )

"""Users, sessions, tokens and the audit."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway_assets.registry import types

revision = "0003"
down_revision: str | None = "0002"
branch_labels = None
depends_on = None

USER_ROLE = sa.Enum(
    "ADMIN",
    "OPERATOR",
    "MAINTENANCE",
    "VIEWER",
    name="user_role",
    create_constraint=True,
    create_type=False,
)
USER_STATUS = sa.Enum(
    "ACTIVE",
    "INACTIVE",
    "LOCKED",
    "EXPIRED",
    name="user_status",
    create_constraint=True,
    create_type=False,
)
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    types.create_words(op.get_bind(), USER_ROLE, USER_STATUS)
    op.create_table(
        "users",
        sa.Column("username", sa.String(length=255), nullable=False),
        sa.Column("email", sa.String(length=255), nullable=True),
        sa.Column("password_hash", sa.String(length=255), nullable=False),
        sa.Column("full_name", sa.String(length=255), nullable=True),
        sa.Column("role", USER_ROLE, nullable=False),
        sa.Column("status", USER_STATUS, nullable=False),
        sa.Column("last_login", types.Moment(), nullable=True),
        sa.Column("failed_login_attempts", sa.Integer(), nullable=False),
        sa.Column("locked_until", types.Moment(), nullable=True),
        sa.Column("password_changed_at", types.Moment(), nullable=False),
        sa.Column("password_expires_at", types.Moment(), nullable=True),
        sa.Column("must_change_password", sa.Boolean(), nullable=False),
        sa.Column("created_by", types.Id(), nullable=True),
        sa.Column("id", types.Id(), nullable=False),
        sa.Column("created_at", types.Moment(), nullable=False),
        sa.Column("updated_at", types.Moment(), nullable=False),
        sa.CheckConstraint(
            "email IS NULL OR email LIKE '%_@_%._%'", name=op.f("users_email_format")
        ),
        sa.CheckConstraint(
            "failed_login_attempts >= 0", name=op.f("users_failed_attempts_non_negative")
        ),
        sa.CheckConstraint("length(trim(username)) > 0", name=op.f("users_username_not_empty")),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name=op.f("users_created_by_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("users_pkey")),
    )
    op.create_index(op.f("idx_users_role"), "users", ["role"], unique=False)
    op.create_index(op.f("idx_users_status"), "users", ["status"], unique=False)
    op.create_table(
        "api_tokens",
        sa.Column("user_id", types.Id(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("scopes", types.Document, nullable=False),
        sa.Column("created_at", types.Moment(), nullable=False),
        sa.Column("expires_at", types.Moment(), nullable=True),
        sa.Column("last_used", types.Moment(), nullable=True),
        sa.Column("revoked_at", types.Moment(), nullable=True),
        sa.Column("id", types.Id(), nullable=False),
        sa.CheckConstraint("length(trim(name)) > 0", name=op.f("api_tokens_name_not_empty")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("api_tokens_user_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("api_tokens_pkey")),
        sa.UniqueConstraint("token_hash", name=op.f("api_tokens_token_hash_unique")),
    )
    op.create_index(op.f("idx_api_tokens_user_id"), "api_tokens", ["user_id"], unique=False)
    op.create_table(
        "audit_logs",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("user_id", types.Id(), nullable=True),
        sa.Column("username", sa.String(length=255), nullable=True),
        sa.Column("action", sa.String(length=100), nullable=False),
        sa.Column("resource_type", sa.String(length=100), nullable=True),
        sa.Column("resource_id", sa.String(length=255), nullable=True),
        sa.Column("details", types.Document, nullable=False),
        sa.Column("ip_address", sa.String(length=45), nullable=True),
        sa.Column("user_agent", sa.Text(), nullable=True),
        sa.Column("success", sa.Boolean(), nullable=False),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("created_at", types.Moment(), nullable=False),
        sa.CheckConstraint("length(trim(action)) > 0", name=op.f("audit_logs_action_not_empty")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("audit_logs_user_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("audit_logs_pkey")),
    )
    op.create_index(op.f("idx_audit_logs_created_at"), "audit_logs", ["created_at"], unique=False)
    op.create_index(
        op.f("idx_audit_logs_resource_type_resource_id"),
        "audit_logs",
        ["resource_type", "resource_id"],
        unique=False,
    )
    op.create_index(
        op.f("idx_audit_logs_user_id_action"), "audit_logs", ["user_id", "action"], unique=False
    )
    op.create_table(
        "user_sessions",
        sa.Column("user_id", types.Id(), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("ip_address", sa.String(length=45), nullable=True),
        sa.Column("user_agent", sa.Text(), nullable=True),
        sa.Column("created_at", types.Moment(), nullable=False),
        sa.Column("expires_at", types.Moment(), nullable=False),
        sa.Column("last_activity", types.Moment(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("id", types.Id(), nullable=False),
        sa.CheckConstraint(
            "expires_at > created_at", name=op.f("user_sessions_expires_after_created")
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("user_sessions_user_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("user_sessions_pkey")),
        sa.UniqueConstraint("token_hash", name=op.f("user_sessions_token_hash_unique")),
    )
    op.create_index(
        op.f("idx_user_sessions_is_active_expires_at"),
        "user_sessions",
        ["is_active", "expires_at"],
        unique=False,
    )
    op.create_index(op.f("idx_user_sessions_user_id"), "user_sessions", ["user_id"], unique=False)
    op.create_index(
        "users_username_unique",
        "users",
        [sa.text("lower(username)")],
        unique=True,
    )
    op.create_index(
        "users_email_unique",
        "users",
        [sa.text("lower(email)")],
        unique=True,
    )

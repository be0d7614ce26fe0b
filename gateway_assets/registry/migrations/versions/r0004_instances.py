"""Instances of rules, their steps, and notifications on their way."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway_assets.registry import types

revision = "0004"
down_revision: str | None = "0003"
branch_labels = None
depends_on = None

ALERT_LEVEL = sa.Enum(
    "INFO",
    "WARNING",
    "CRITICAL",
    "FATAL",
    name="alert_level",
    create_constraint=True,
    create_type=False,
)
NOTICE_STATUS = sa.Enum(
    "PENDING",
    "SENT",
    "DEAD",
    "DROPPED",
    name="notice_status",
    create_constraint=True,
    create_type=False,
)
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    types.create_words(op.get_bind(), NOTICE_STATUS)
    op.create_table(
        "alert_instances",
        sa.Column("rule_id", types.Id(), nullable=False),
        sa.Column("series", sa.Text(), nullable=False),
        sa.Column("rule_version", sa.Integer(), nullable=False),
        sa.Column("condition", sa.String(length=20), nullable=False),
        sa.Column("watermark", sa.BigInteger(), nullable=True),
        sa.Column("due", sa.BigInteger(), nullable=True),
        sa.Column("state", types.Document, nullable=False),
        sa.Column("updated_at", types.Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["rule_id"],
            ["alert_rules.id"],
            name=op.f("alert_instances_rule_id_fkey"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("rule_id", "series", name=op.f("alert_instances_pkey")),
    )
    op.create_index(
        op.f("idx_alert_instances_condition"), "alert_instances", ["condition"], unique=False
    )
    op.create_index(op.f("idx_alert_instances_due"), "alert_instances", ["due"], unique=False)
    op.create_table(
        "alert_late_samples",
        sa.Column("rule_id", types.Id(), nullable=False),
        sa.Column("series", sa.Text(), nullable=False),
        sa.Column("event_ns", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("seen_at", types.Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["rule_id"],
            ["alert_rules.id"],
            name=op.f("alert_late_samples_rule_id_fkey"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint(
            "rule_id", "series", "event_ns", name=op.f("alert_late_samples_pkey")
        ),
    )
    op.create_table(
        "alert_transitions",
        sa.Column("rule_id", types.Id(), nullable=False),
        sa.Column("series", sa.Text(), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("occurrence", sa.Integer(), nullable=False),
        sa.Column("event_ns", sa.BigInteger(), nullable=False),
        sa.Column("from_state", sa.String(length=20), nullable=False),
        sa.Column("to_state", sa.String(length=20), nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("level", ALERT_LEVEL, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=True),
        sa.Column("notify", sa.Boolean(), nullable=False),
        sa.Column("recorded_at", types.Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["rule_id"],
            ["alert_rules.id"],
            name=op.f("alert_transitions_rule_id_fkey"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("rule_id", "series", "seq", name=op.f("alert_transitions_pkey")),
    )
    op.create_index(
        op.f("idx_alert_transitions_event_ns"), "alert_transitions", ["event_ns"], unique=False
    )
    op.create_table(
        "notifications",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("config_id", types.Id(), nullable=False),
        sa.Column("rule_id", types.Id(), nullable=False),
        sa.Column("series", sa.Text(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("group_key", sa.Text(), nullable=False),
        sa.Column("payload", types.Document, nullable=False),
        sa.Column("status", NOTICE_STATUS, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", types.Moment(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("created_at", types.Moment(), nullable=False),
        sa.Column("sent_at", types.Moment(), nullable=True),
        sa.ForeignKeyConstraint(
            ["config_id"],
            ["notification_configs.id"],
            name=op.f("notifications_config_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["rule_id"],
            ["alert_rules.id"],
            name=op.f("notifications_rule_id_fkey"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("notifications_pkey")),
        sa.UniqueConstraint(
            "config_id",
            "rule_id",
            "series",
            "seq",
            name=op.f("notifications_config_id_rule_id_series_seq_unique"),
        ),
    )
    op.create_index(
        op.f("idx_notifications_status_due_at"), "notifications", ["status", "due_at"], unique=False
    )

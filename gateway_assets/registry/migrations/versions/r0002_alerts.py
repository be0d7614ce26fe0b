"""Alert rules, alerts and channels."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway_assets.registry import types

revision = "0002"
down_revision: str | None = "0001"
branch_labels = None
depends_on = None

NOTIFICATION_TYPE = sa.Enum(
    "webhook",
    "email",
    "log",
    name="notification_type",
    create_constraint=True,
    create_type=False,
)
COMPARE_OP = sa.Enum(
    "GT",
    "GTE",
    "LT",
    "LTE",
    "EQ",
    "NE",
    "BETWEEN",
    "NOT_BETWEEN",
    name="compare_op",
    create_constraint=True,
    create_type=False,
)
ALERT_LEVEL = sa.Enum(
    "INFO",
    "WARNING",
    "CRITICAL",
    "FATAL",
    name="alert_level",
    create_constraint=True,
    create_type=False,
)
NO_DATA = sa.Enum(
    "KEEP", "ALARM", "RESOLVE", name="no_data", create_constraint=True, create_type=False
)
ALERT_STATUS = sa.Enum(
    "ACTIVE",
    "ACKNOWLEDGED",
    "RESOLVED",
    "SUPPRESSED",
    name="alert_status",
    create_constraint=True,
    create_type=False,
)

LIVING = sa.text("deleted_at IS NULL")


def upgrade() -> None:
    types.create_words(
        op.get_bind(), NOTIFICATION_TYPE, COMPARE_OP, ALERT_LEVEL, NO_DATA, ALERT_STATUS
    )
    op.create_table(
        "notification_configs",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("type", NOTIFICATION_TYPE, nullable=False),
        sa.Column("config", types.Document, nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("id", types.Id(), nullable=False),
        sa.Column("created_at", types.Moment(), nullable=False),
        sa.Column("updated_at", types.Moment(), nullable=False),
        sa.CheckConstraint(
            "length(trim(name)) > 0", name=op.f("notification_configs_name_not_empty")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("notification_configs_pkey")),
        sa.UniqueConstraint("name", name=op.f("notification_configs_name_unique")),
    )
    op.create_table(
        "alert_rules",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("device_id", types.Id(), nullable=True),
        sa.Column("tag_id", types.Id(), nullable=True),
        sa.Column("fleet", sa.Boolean(), nullable=False),
        sa.Column("metric", sa.String(length=255), nullable=True),
        sa.Column("condition_expression", sa.Text(), nullable=True),
        sa.Column("op", COMPARE_OP, nullable=True),
        sa.Column("threshold_value", sa.Double(), nullable=True),
        sa.Column("threshold_high", sa.Double(), nullable=True),
        sa.Column("threshold_low", sa.Double(), nullable=True),
        sa.Column("tolerance", sa.Double(), nullable=True),
        sa.Column("deadband", sa.Double(), nullable=False),
        sa.Column("level", ALERT_LEVEL, nullable=False),
        sa.Column("escalations", types.Document, nullable=False),
        sa.Column("eval_interval", sa.BigInteger(), nullable=False),
        sa.Column("eval_duration", sa.BigInteger(), nullable=False),
        sa.Column("off_delay", sa.BigInteger(), nullable=False),
        sa.Column("cooldown_duration", sa.BigInteger(), nullable=False),
        sa.Column("max_gap", sa.BigInteger(), nullable=True),
        sa.Column("no_data", NO_DATA, nullable=False),
        sa.Column("use_uncertain", sa.Boolean(), nullable=False),
        sa.Column("latched", sa.Boolean(), nullable=False),
        sa.Column("suppress_expression", sa.Text(), nullable=True),
        sa.Column("out_of_service", sa.Boolean(), nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("activated_at", types.Moment(), nullable=False),
        sa.Column("created_by", sa.String(length=255), nullable=True),
        sa.Column("updated_by", sa.String(length=255), nullable=True),
        sa.Column("id", types.Id(), nullable=False),
        sa.Column("created_at", types.Moment(), nullable=False),
        sa.Column("updated_at", types.Moment(), nullable=False),
        sa.Column("deleted_at", types.Moment(), nullable=True),
        sa.CheckConstraint(
            "op IS NULL OR (op IN ('BETWEEN', 'NOT_BETWEEN') AND threshold_low IS NOT NULL"
            " AND threshold_high IS NOT NULL AND threshold_low <= threshold_high)"
            " OR (NOT op IN ('BETWEEN', 'NOT_BETWEEN') AND threshold_value IS NOT NULL)",
            name=op.f("alert_rules_threshold_check"),
        ),
        sa.CheckConstraint(
            "(op IS NULL) <> (condition_expression IS NULL)",
            name=op.f("alert_rules_operator_or_expression"),
        ),
        sa.CheckConstraint(
            "(tag_id IS NOT NULL AND NOT fleet) OR (device_id IS NOT NULL AND NOT fleet)"
            " OR (fleet AND device_id IS NULL AND tag_id IS NULL AND metric IS NOT NULL)",
            name=op.f("alert_rules_scope_not_empty"),
        ),
        sa.CheckConstraint("deadband >= 0", name=op.f("alert_rules_deadband_not_negative")),
        sa.CheckConstraint(
            "eval_interval >= 0 AND eval_duration >= 0 AND off_delay >= 0"
            " AND cooldown_duration >= 0 AND (max_gap IS NULL OR max_gap >= 0)",
            name=op.f("alert_rules_durations_not_negative"),
        ),
        sa.CheckConstraint("length(trim(name)) > 0", name=op.f("alert_rules_name_not_empty")),
        sa.CheckConstraint(
            "tolerance IS NULL OR tolerance >= 0", name=op.f("alert_rules_tolerance_not_negative")
        ),
        sa.ForeignKeyConstraint(
            ["device_id"],
            ["devices.id"],
            name=op.f("alert_rules_device_id_fkey"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["tag_id"], ["tags.id"], name=op.f("alert_rules_tag_id_fkey"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("alert_rules_pkey")),
    )
    op.create_index(
        op.f("idx_alert_rules_device_id_tag_id"),
        "alert_rules",
        ["device_id", "tag_id"],
        unique=False,
    )
    op.create_index(op.f("idx_alert_rules_enabled"), "alert_rules", ["enabled"], unique=False)
    op.create_index(op.f("idx_alert_rules_level"), "alert_rules", ["level"], unique=False)
    op.create_table(
        "alert_history",
        sa.Column("rule_id", types.Id(), nullable=False),
        sa.Column("rule_name", sa.String(length=255), nullable=False),
        sa.Column("rule_version", sa.Integer(), nullable=False),
        sa.Column("device_id", types.Id(), nullable=True),
        sa.Column("device_name", sa.String(length=255), nullable=True),
        sa.Column("tag_id", types.Id(), nullable=True),
        sa.Column("tag_name", sa.String(length=255), nullable=True),
        sa.Column("series", sa.Text(), nullable=False),
        sa.Column("occurrence", sa.Integer(), nullable=False),
        sa.Column("condition_since", types.Moment(), nullable=False),
        sa.Column("fired_at", types.Moment(), nullable=False),
        sa.Column("resolved_at", types.Moment(), nullable=True),
        sa.Column("acknowledged_at", types.Moment(), nullable=True),
        sa.Column("acknowledged_by", sa.String(length=255), nullable=True),
        sa.Column("ack_note", sa.Text(), nullable=True),
        sa.Column("triggered_value", sa.Double(), nullable=True),
        sa.Column("threshold_value", sa.Double(), nullable=True),
        sa.Column("last_value", sa.Double(), nullable=True),
        sa.Column("peak_value", sa.Double(), nullable=True),
        sa.Column("level", ALERT_LEVEL, nullable=False),
        sa.Column("status", ALERT_STATUS, nullable=False),
        sa.Column("cleared_unack", sa.Boolean(), nullable=False),
        sa.Column("is_stale", sa.Boolean(), nullable=False),
        sa.Column("state_reason", sa.Text(), nullable=False),
        sa.Column("flap_count", sa.Integer(), nullable=False),
        sa.Column("shelved_until", types.Moment(), nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("details", types.Document, nullable=False),
        sa.Column("duration", sa.BigInteger(), nullable=True),
        sa.Column("updated_at", types.Moment(), nullable=False),
        sa.Column("id", types.Id(), nullable=False),
        sa.CheckConstraint(
            "(resolved_at IS NULL) = (duration IS NULL)",
            name=op.f("alert_history_duration_when_resolved"),
        ),
        sa.CheckConstraint(
            "resolved_at IS NULL OR resolved_at >= fired_at",
            name=op.f("alert_history_resolved_after_fired"),
        ),
        sa.ForeignKeyConstraint(
            ["device_id"],
            ["devices.id"],
            name=op.f("alert_history_device_id_fkey"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["rule_id"],
            ["alert_rules.id"],
            name=op.f("alert_history_rule_id_fkey"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["tag_id"], ["tags.id"], name=op.f("alert_history_tag_id_fkey"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("alert_history_pkey")),
        sa.UniqueConstraint(
            "rule_id",
            "series",
            "occurrence",
            name=op.f("alert_history_rule_id_series_occurrence_unique"),
        ),
    )
    op.create_index(
        op.f("idx_alert_history_device_id_fired_at"),
        "alert_history",
        ["device_id", "fired_at"],
        unique=False,
    )
    op.create_index(op.f("idx_alert_history_fired_at"), "alert_history", ["fired_at"], unique=False)
    op.create_index(op.f("idx_alert_history_level"), "alert_history", ["level"], unique=False)
    op.create_index(op.f("idx_alert_history_status"), "alert_history", ["status"], unique=False)
    op.create_table(
        "alert_rule_notifications",
        sa.Column("rule_id", types.Id(), nullable=False),
        sa.Column("config_id", types.Id(), nullable=False),
        sa.ForeignKeyConstraint(
            ["config_id"],
            ["notification_configs.id"],
            name=op.f("alert_rule_notifications_config_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["rule_id"],
            ["alert_rules.id"],
            name=op.f("alert_rule_notifications_rule_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("rule_id", "config_id", name=op.f("alert_rule_notifications_pkey")),
    )
    op.create_index(
        "alert_rules_name_unique",
        "alert_rules",
        [sa.text("lower(name)")],
        unique=True,
        postgresql_where=LIVING,
        sqlite_where=LIVING,
    )

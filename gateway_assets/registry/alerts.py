"""Tables of alert rules, their instances, what happened to these, and who is told.

An instance is a rule and a series. ``alert_history`` has a row for each time an instance was in
alarm; ``alert_transitions`` has every step of it and is only appended to, with a key that makes a
repeated evaluation change nothing. History outlives the rule and the device that it speaks of, and
carries their names of that day. Durations are in ms, event times in ns since 1970.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from gateway_assets.registry.devices import LIVING
from gateway_assets.registry.model import (
    Identified,
    Model,
    SoftlyDeleted,
    Timed,
    not_empty,
    utc_now,
)
from gateway_assets.registry.types import Document, Id, Moment, words
from gateway_assets.registry.words import (
    AlertLevel,
    AlertStatus,
    ChannelType,
    CompareOp,
    NoData,
    NoticeStatus,
)

# SQLite numbers rows by itself only where the column is called INTEGER.
Number = BigInteger().with_variant(Integer, "sqlite")
_LEVEL = words(AlertLevel, "alert_level")
_OP = words(CompareOp, "compare_op")
_RANGES = "op IN ('BETWEEN', 'NOT_BETWEEN')"


class AlertRule(Identified, Timed, SoftlyDeleted, Model):
    """What raises an alarm: an operator with its thresholds, or an expression; never both.

    It looks at one tag, at the tags of one device, or, only where ``fleet`` says so, at every
    device's tags called ``metric``. Since ``activated_at`` it means what it means: samples before
    then are not its own. A change of its meaning counts ``version`` up and sets that; so does
    enabling it again.
    """

    __tablename__ = "alert_rules"

    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None] = mapped_column(Text)
    device_id: Mapped[str | None] = mapped_column(Id, ForeignKey("devices.id", ondelete="RESTRICT"))
    tag_id: Mapped[str | None] = mapped_column(Id, ForeignKey("tags.id", ondelete="RESTRICT"))
    fleet: Mapped[bool] = mapped_column(default=False)
    metric: Mapped[str | None] = mapped_column(String(255))
    condition_expression: Mapped[str | None] = mapped_column(Text)
    op: Mapped[CompareOp | None] = mapped_column(_OP)
    threshold_value: Mapped[float | None]
    threshold_high: Mapped[float | None]
    threshold_low: Mapped[float | None]
    tolerance: Mapped[float | None]
    deadband: Mapped[float] = mapped_column(default=0.0)
    level: Mapped[AlertLevel] = mapped_column(_LEVEL, default=AlertLevel.WARNING)
    escalations: Mapped[list[dict[str, Any]]] = mapped_column(Document, default=list)
    eval_interval: Mapped[int] = mapped_column(BigInteger, default=0)
    eval_duration: Mapped[int] = mapped_column(BigInteger, default=0)
    off_delay: Mapped[int] = mapped_column(BigInteger, default=0)
    cooldown_duration: Mapped[int] = mapped_column(BigInteger, default=300_000)
    max_gap: Mapped[int | None] = mapped_column(BigInteger)
    no_data: Mapped[NoData] = mapped_column(words(NoData, "no_data"), default=NoData.KEEP)
    use_uncertain: Mapped[bool] = mapped_column(default=False)
    latched: Mapped[bool] = mapped_column(default=False)
    suppress_expression: Mapped[str | None] = mapped_column(Text)
    out_of_service: Mapped[bool] = mapped_column(default=False)
    message: Mapped[str | None] = mapped_column(Text)
    enabled: Mapped[bool] = mapped_column(default=True)
    version: Mapped[int] = mapped_column(default=1)
    activated_at: Mapped[datetime] = mapped_column(Moment, default=utc_now)
    created_by: Mapped[str | None] = mapped_column(String(255))
    updated_by: Mapped[str | None] = mapped_column(String(255))

    __table_args__ = (
        not_empty("name"),
        CheckConstraint(
            "(op IS NULL) <> (condition_expression IS NULL)", name="operator_or_expression"
        ),
        CheckConstraint(
            f"op IS NULL OR ({_RANGES} AND threshold_low IS NOT NULL AND threshold_high IS NOT NULL"
            f" AND threshold_low <= threshold_high) OR (NOT {_RANGES}"
            " AND threshold_value IS NOT NULL)",
            name="threshold_check",
        ),
        CheckConstraint("deadband >= 0", name="deadband_not_negative"),
        CheckConstraint("tolerance IS NULL OR tolerance >= 0", name="tolerance_not_negative"),
        CheckConstraint(
            "eval_interval >= 0 AND eval_duration >= 0 AND off_delay >= 0"
            " AND cooldown_duration >= 0 AND (max_gap IS NULL OR max_gap >= 0)",
            name="durations_not_negative",
        ),
        CheckConstraint(
            "(tag_id IS NOT NULL AND NOT fleet) OR (device_id IS NOT NULL AND NOT fleet)"
            " OR (fleet AND device_id IS NULL AND tag_id IS NULL AND metric IS NOT NULL)",
            name="scope_not_empty",
        ),
        Index(
            "alert_rules_name_unique",
            text("lower(name)"),
            unique=True,
            postgresql_where=LIVING,
            sqlite_where=LIVING,
        ),
        Index(None, "device_id", "tag_id"),
        Index(None, "enabled"),
        Index(None, "level"),
    )


class Alert(Identified, Model):
    """One time that an instance was in alarm. ``updated_at`` is when a step was last recorded."""

    __tablename__ = "alert_history"

    rule_id: Mapped[str] = mapped_column(Id, ForeignKey("alert_rules.id", ondelete="RESTRICT"))
    rule_name: Mapped[str] = mapped_column(String(255))
    rule_version: Mapped[int]
    device_id: Mapped[str | None] = mapped_column(Id, ForeignKey("devices.id", ondelete="RESTRICT"))
    device_name: Mapped[str | None] = mapped_column(String(255))
    tag_id: Mapped[str | None] = mapped_column(Id, ForeignKey("tags.id", ondelete="RESTRICT"))
    tag_name: Mapped[str | None] = mapped_column(String(255))
    series: Mapped[str] = mapped_column(Text)
    occurrence: Mapped[int]
    condition_since: Mapped[datetime] = mapped_column(Moment)
    fired_at: Mapped[datetime] = mapped_column(Moment)
    resolved_at: Mapped[datetime | None] = mapped_column(Moment)
    acknowledged_at: Mapped[datetime | None] = mapped_column(Moment)
    acknowledged_by: Mapped[str | None] = mapped_column(String(255))
    ack_note: Mapped[str | None] = mapped_column(Text)
    triggered_value: Mapped[float | None]
    threshold_value: Mapped[float | None]
    last_value: Mapped[float | None]
    peak_value: Mapped[float | None]
    level: Mapped[AlertLevel] = mapped_column(_LEVEL)
    status: Mapped[AlertStatus] = mapped_column(words(AlertStatus, "alert_status"))
    cleared_unack: Mapped[bool] = mapped_column(default=False)
    is_stale: Mapped[bool] = mapped_column(default=False)
    state_reason: Mapped[str] = mapped_column(Text, default="")
    flap_count: Mapped[int] = mapped_column(default=0)
    shelved_until: Mapped[datetime | None] = mapped_column(Moment)
    message: Mapped[str] = mapped_column(Text)
    details: Mapped[dict[str, Any]] = mapped_column(Document, default=dict)
    duration: Mapped[int | None] = mapped_column(BigInteger)
    updated_at: Mapped[datetime] = mapped_column(Moment, default=utc_now, onupdate=utc_now)

    __table_args__ = (
        UniqueConstraint("rule_id", "series", "occurrence"),
        CheckConstraint(
            "resolved_at IS NULL OR resolved_at >= fired_at", name="resolved_after_fired"
        ),
        CheckConstraint(
            "(resolved_at IS NULL) = (duration IS NULL)", name="duration_when_resolved"
        ),
        Index(None, "fired_at"),
        Index(None, "status"),
        Index(None, "level"),
        Index(None, "device_id", "fired_at"),
    )


class Transition(Model):
    """A step of an instance. ``seq`` counts them from 1."""

    __tablename__ = "alert_transitions"

    rule_id: Mapped[str] = mapped_column(
        Id, ForeignKey("alert_rules.id", ondelete="RESTRICT"), primary_key=True
    )
    series: Mapped[str] = mapped_column(Text, primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    occurrence: Mapped[int]
    event_ns: Mapped[int] = mapped_column(BigInteger)
    from_state: Mapped[str] = mapped_column(String(20))
    to_state: Mapped[str] = mapped_column(String(20))
    value: Mapped[float | None]
    level: Mapped[AlertLevel] = mapped_column(_LEVEL)
    reason: Mapped[str] = mapped_column(Text)
    actor: Mapped[str | None] = mapped_column(String(255))
    notify: Mapped[bool]
    recorded_at: Mapped[datetime] = mapped_column(Moment, default=utc_now)

    __table_args__ = (Index(None, "event_ns"),)


class Instance(Model):
    """Where an instance stands: all that its next sample needs, as the state machine wrote it.

    ``due`` (ns since 1970) is when it must be looked at although no sample came: silence, or the
    end of a shelf.
    """

    __tablename__ = "alert_instances"

    rule_id: Mapped[str] = mapped_column(
        Id, ForeignKey("alert_rules.id", ondelete="RESTRICT"), primary_key=True
    )
    series: Mapped[str] = mapped_column(Text, primary_key=True)
    rule_version: Mapped[int]
    condition: Mapped[str] = mapped_column(String(20))
    watermark: Mapped[int | None] = mapped_column(BigInteger)
    due: Mapped[int | None] = mapped_column(BigInteger)
    state: Mapped[dict[str, Any]] = mapped_column(Document)
    updated_at: Mapped[datetime] = mapped_column(Moment, default=utc_now, onupdate=utc_now)

    __table_args__ = (Index(None, "condition"), Index(None, "due"))


class LateSample(Model):
    """A sample that came when its instance had gone past it: seen, and nothing changed by it."""

    __tablename__ = "alert_late_samples"

    rule_id: Mapped[str] = mapped_column(
        Id, ForeignKey("alert_rules.id", ondelete="RESTRICT"), primary_key=True
    )
    series: Mapped[str] = mapped_column(Text, primary_key=True)
    event_ns: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    value: Mapped[float | None]
    seen_at: Mapped[datetime] = mapped_column(Moment, default=utc_now)


class Channel(Identified, Timed, Model):
    """Where people are told: a webhook, addresses of e-mail, or the log. Its secrets are names of
    environment variables.
    """

    __tablename__ = "notification_configs"

    name: Mapped[str] = mapped_column(String(255), unique=True)
    type: Mapped[ChannelType] = mapped_column(words(ChannelType, "notification_type"))
    config: Mapped[dict[str, Any]] = mapped_column(Document, default=dict)
    enabled: Mapped[bool] = mapped_column(default=True)

    __table_args__ = (not_empty("name"),)


class RuleChannel(Model):
    """Which channels a rule tells. A rule without any tells all that are enabled."""

    __tablename__ = "alert_rule_notifications"

    rule_id: Mapped[str] = mapped_column(
        Id, ForeignKey("alert_rules.id", ondelete="CASCADE"), primary_key=True
    )
    config_id: Mapped[str] = mapped_column(
        Id, ForeignKey("notification_configs.id", ondelete="CASCADE"), primary_key=True
    )


class Notice(Model):
    """A notification on its way: written with the step that it tells of, in one transaction."""

    __tablename__ = "notifications"

    id: Mapped[int] = mapped_column(Number, primary_key=True, autoincrement=True)
    config_id: Mapped[str] = mapped_column(
        Id, ForeignKey("notification_configs.id", ondelete="CASCADE")
    )
    rule_id: Mapped[str] = mapped_column(Id, ForeignKey("alert_rules.id", ondelete="RESTRICT"))
    series: Mapped[str] = mapped_column(Text)
    seq: Mapped[int]
    group_key: Mapped[str] = mapped_column(Text)
    payload: Mapped[dict[str, Any]] = mapped_column(Document)
    status: Mapped[NoticeStatus] = mapped_column(
        words(NoticeStatus, "notice_status"), default=NoticeStatus.PENDING
    )
    attempts: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime] = mapped_column(Moment, default=utc_now)
    last_error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Moment, default=utc_now)
    sent_at: Mapped[datetime | None] = mapped_column(Moment)

    __table_args__ = (
        UniqueConstraint("config_id", "rule_id", "series", "seq"),
        Index(None, "status", "due_at"),
    )

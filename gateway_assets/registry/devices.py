"""Tables of devices, their tags, and the drivers that read them. Times in ms unless they say."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

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
    DeviceStatus,
    DriverStatus,
    LogLevel,
    Protocol,
    TagAccess,
    TagType,
)

LIVING = text("deleted_at IS NULL")
_PROTOCOL = words(Protocol, "protocol_kind")


class Device(Identified, Timed, SoftlyDeleted, Model):
    __tablename__ = "devices"

    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None] = mapped_column(Text)
    protocol: Mapped[Protocol] = mapped_column(_PROTOCOL)
    location: Mapped[str | None] = mapped_column(String(255))
    endpoint: Mapped[str] = mapped_column(String(255))
    config: Mapped[dict[str, Any]] = mapped_column(Document, default=dict)
    enabled: Mapped[bool] = mapped_column(default=True)
    status: Mapped[DeviceStatus] = mapped_column(
        words(DeviceStatus, "device_status"), default=DeviceStatus.UNKNOWN
    )
    last_seen: Mapped[datetime | None] = mapped_column(Moment)
    created_by: Mapped[str | None] = mapped_column(String(255))
    updated_by: Mapped[str | None] = mapped_column(String(255))

    __table_args__ = (
        not_empty("name"),
        not_empty("endpoint"),
        Index(
            "devices_name_unique",
            text("lower(name)"),
            unique=True,
            postgresql_where=LIVING,
            sqlite_where=LIVING,
        ),
        Index(None, "protocol"),
        Index(None, "status"),
        Index(None, "enabled"),
        Index(None, "location"),
    )


class Tag(Identified, Timed, SoftlyDeleted, Model):
    """A value of a device: ``scaling * raw + tag_offset``. Its points have the device's name or id
    as their device, and the tag's name as their metric.
    """

    __tablename__ = "tags"

    device_id: Mapped[str] = mapped_column(Id, ForeignKey("devices.id", ondelete="RESTRICT"))
    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None] = mapped_column(Text)
    address: Mapped[str] = mapped_column(String(255))
    data_type: Mapped[TagType] = mapped_column(words(TagType, "tag_data_type"))
    access_type: Mapped[TagAccess] = mapped_column(
        words(TagAccess, "tag_access"), default=TagAccess.READ
    )
    unit: Mapped[str | None] = mapped_column(String(50))
    scaling: Mapped[float] = mapped_column(default=1.0)
    tag_offset: Mapped[float] = mapped_column(default=0.0)
    min_value: Mapped[float | None]
    max_value: Mapped[float | None]
    deadband: Mapped[float | None]
    scan_rate: Mapped[int | None]
    enabled: Mapped[bool] = mapped_column(default=True)

    __table_args__ = (
        not_empty("name"),
        not_empty("address"),
        CheckConstraint("scaling <> 0", name="scaling_not_zero"),
        CheckConstraint("deadband IS NULL OR deadband >= 0", name="deadband_not_negative"),
        CheckConstraint("scan_rate IS NULL OR scan_rate > 0", name="scan_rate_positive"),
        CheckConstraint(
            "min_value IS NULL OR max_value IS NULL OR min_value <= max_value",
            name="min_max_order",
        ),
        Index(
            "tags_device_name_unique",
            "device_id",
            text("lower(name)"),
            unique=True,
            postgresql_where=LIVING,
            sqlite_where=LIVING,
        ),
        Index(None, "data_type"),
        Index(None, "enabled"),
        Index(None, "device_id", "address"),
    )


class Driver(Identified, Model):
    """A version of a driver. Several versions of one may be known, beside each other."""

    __tablename__ = "driver_registry"

    protocol: Mapped[Protocol] = mapped_column(_PROTOCOL)
    name: Mapped[str] = mapped_column(String(255))
    version: Mapped[str] = mapped_column(String(50))
    description: Mapped[str | None] = mapped_column(Text)
    file_path: Mapped[str | None] = mapped_column(Text)
    file_hash: Mapped[str | None] = mapped_column(String(128))
    api_version: Mapped[int] = mapped_column(default=1)
    driver_metadata: Mapped[dict[str, Any]] = mapped_column("metadata", Document, default=dict)
    capabilities: Mapped[list[Any]] = mapped_column(Document, default=list)
    status: Mapped[DriverStatus] = mapped_column(
        words(DriverStatus, "driver_status"), default=DriverStatus.LOADED
    )
    loaded_at: Mapped[datetime] = mapped_column(Moment, default=utc_now)
    error_message: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        not_empty("name"),
        not_empty("version"),
        UniqueConstraint("protocol", "name", "version"),
    )


class DriverConfig(Identified, Timed, Model):
    """How a driver reads. Sizes in bytes, times in ms."""

    __tablename__ = "driver_configs"

    name: Mapped[str] = mapped_column(String(255), unique=True)
    description: Mapped[str | None] = mapped_column(Text)
    protocol: Mapped[Protocol] = mapped_column(_PROTOCOL)
    connection_type: Mapped[str] = mapped_column(String(50))
    enabled: Mapped[bool] = mapped_column(default=True)
    config: Mapped[dict[str, Any]] = mapped_column(Document, default=dict)
    scan_interval: Mapped[int] = mapped_column(default=1_000)
    timeout: Mapped[int] = mapped_column(default=5_000)
    max_concurrent: Mapped[int] = mapped_column(default=10)
    batch_size: Mapped[int] = mapped_column(default=100)
    max_retries: Mapped[int] = mapped_column(default=3)
    retry_interval: Mapped[int] = mapped_column(default=1_000)
    exponential_backoff: Mapped[bool] = mapped_column(default=True)
    max_retry_interval: Mapped[int] = mapped_column(default=30_000)
    log_level: Mapped[LogLevel] = mapped_column(words(LogLevel, "log_level"), default=LogLevel.INFO)
    enable_request_log: Mapped[bool] = mapped_column(default=False)
    enable_response_log: Mapped[bool] = mapped_column(default=False)
    max_log_size: Mapped[int] = mapped_column(default=1_000_000)
    enable_ssl: Mapped[bool] = mapped_column(default=False)
    verify_certificate: Mapped[bool] = mapped_column(default=True)
    client_cert_path: Mapped[str | None] = mapped_column(Text)
    client_key_path: Mapped[str | None] = mapped_column(Text)
    ca_cert_path: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        not_empty("name"),
        CheckConstraint("scan_interval > 0", name="scan_interval_positive"),
        CheckConstraint("timeout > 0", name="timeout_positive"),
        CheckConstraint("max_concurrent > 0", name="max_concurrent_positive"),
        CheckConstraint("batch_size > 0", name="batch_size_positive"),
        CheckConstraint("max_retries >= 0", name="max_retries_not_negative"),
        CheckConstraint(
            "retry_interval > 0 AND max_retry_interval >= retry_interval",
            name="retry_interval_order",
        ),
        CheckConstraint("max_log_size > 0", name="max_log_size_positive"),
        Index(None, "protocol"),
        Index(None, "enabled"),
        Index(None, "connection_type"),
    )

"""Devices, tags and drivers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway_assets.registry import types

revision = "0001"
down_revision: str | None = None
branch_labels = None
depends_on = None

PROTOCOL_KIND = sa.Enum(
    "ModbusTcp",
    "ModbusRtu",
    "OpcUa",
    "Mqtt",
    "Custom",
    name="protocol_kind",
    create_constraint=True,
    create_type=False,
)
DEVICE_STATUS = sa.Enum(
    "Online",
    "Offline",
    "Error",
    "Maintenance",
    "Unknown",
    name="device_status",
    create_constraint=True,
    create_type=False,
)
LOG_LEVEL = sa.Enum(
    "DEBUG",
    "INFO",
    "WARNING",
    "ERROR",
    name="log_level",
    create_constraint=True,
    create_type=False,
)
DRIVER_STATUS = sa.Enum(
    "LOADED",
    "RUNNING",
    "STOPPED",
    "ERROR",
    "UNLOADED",
    name="driver_status",
    create_constraint=True,
    create_type=False,
)
TAG_DATA_TYPE = sa.Enum(
    "Boolean",
    "Int8",
    "UInt8",
    "Int16",
    "UInt16",
    "Int32",
    "UInt32",
    "Int64",
    "UInt64",
    "Float",
    "Double",
    "String",
    "DateTime",
    "ByteArray",
    name="tag_data_type",
    create_constraint=True,
    create_type=False,
)
TAG_ACCESS = sa.Enum(
    "Read", "Write", "ReadWrite", name="tag_access", create_constraint=True, create_type=False
)

LIVING = sa.text("deleted_at IS NULL")


def upgrade() -> None:
    types.create_words(
        op.get_bind(),
        PROTOCOL_KIND,
        DEVICE_STATUS,
        LOG_LEVEL,
        DRIVER_STATUS,
        TAG_DATA_TYPE,
        TAG_ACCESS,
    )
    op.create_table(
        "devices",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("protocol", PROTOCOL_KIND, nullable=False),
        sa.Column("location", sa.String(length=255), nullable=True),
        sa.Column("endpoint", sa.String(length=255), nullable=False),
        sa.Column("config", types.Document, nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("status", DEVICE_STATUS, nullable=False),
        sa.Column("last_seen", types.Moment(), nullable=True),
        sa.Column("created_by", sa.String(length=255), nullable=True),
        sa.Column("updated_by", sa.String(length=255), nullable=True),
        sa.Column("id", types.Id(), nullable=False),
        sa.Column("created_at", types.Moment(), nullable=False),
        sa.Column("updated_at", types.Moment(), nullable=False),
        sa.Column("deleted_at", types.Moment(), nullable=True),
        sa.CheckConstraint("length(trim(endpoint)) > 0", name=op.f("devices_endpoint_not_empty")),
        sa.CheckConstraint("length(trim(name)) > 0", name=op.f("devices_name_not_empty")),
        sa.PrimaryKeyConstraint("id", name=op.f("devices_pkey")),
    )
    op.create_index(op.f("idx_devices_enabled"), "devices", ["enabled"], unique=False)
    op.create_index(op.f("idx_devices_location"), "devices", ["location"], unique=False)
    op.create_index(op.f("idx_devices_protocol"), "devices", ["protocol"], unique=False)
    op.create_index(op.f("idx_devices_status"), "devices", ["status"], unique=False)
    op.create_table(
        "driver_configs",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("protocol", PROTOCOL_KIND, nullable=False),
        sa.Column("connection_type", sa.String(length=50), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("config", types.Document, nullable=False),
        sa.Column("scan_interval", sa.Integer(), nullable=False),
        sa.Column("timeout", sa.Integer(), nullable=False),
        sa.Column("max_concurrent", sa.Integer(), nullable=False),
        sa.Column("batch_size", sa.Integer(), nullable=False),
        sa.Column("max_retries", sa.Integer(), nullable=False),
        sa.Column("retry_interval", sa.Integer(), nullable=False),
        sa.Column("exponential_backoff", sa.Boolean(), nullable=False),
        sa.Column("max_retry_interval", sa.Integer(), nullable=False),
        sa.Column("log_level", LOG_LEVEL, nullable=False),
        sa.Column("enable_request_log", sa.Boolean(), nullable=False),
        sa.Column("enable_response_log", sa.Boolean(), nullable=False),
        sa.Column("max_log_size", sa.Integer(), nullable=False),
        sa.Column("enable_ssl", sa.Boolean(), nullable=False),
        sa.Column("verify_certificate", sa.Boolean(), nullable=False),
        sa.Column("client_cert_path", sa.Text(), nullable=True),
        sa.Column("client_key_path", sa.Text(), nullable=True),
        sa.Column("ca_cert_path", sa.Text(), nullable=True),
        sa.Column("id", types.Id(), nullable=False),
        sa.Column("created_at", types.Moment(), nullable=False),
        sa.Column("updated_at", types.Moment(), nullable=False),
        sa.CheckConstraint("batch_size > 0", name=op.f("driver_configs_batch_size_positive")),
        sa.CheckConstraint("length(trim(name)) > 0", name=op.f("driver_configs_name_not_empty")),
        sa.CheckConstraint(
            "max_concurrent > 0", name=op.f("driver_configs_max_concurrent_positive")
        ),
        sa.CheckConstraint("max_log_size > 0", name=op.f("driver_configs_max_log_size_positive")),
        sa.CheckConstraint(
            "max_retries >= 0", name=op.f("driver_configs_max_retries_not_negative")
        ),
        sa.CheckConstraint(
            "retry_interval > 0 AND max_retry_interval >= retry_interval",
            name=op.f("driver_configs_retry_interval_order"),
        ),
        sa.CheckConstraint("scan_interval > 0", name=op.f("driver_configs_scan_interval_positive")),
        sa.CheckConstraint("timeout > 0", name=op.f("driver_configs_timeout_positive")),
        sa.PrimaryKeyConstraint("id", name=op.f("driver_configs_pkey")),
        sa.UniqueConstraint("name", name=op.f("driver_configs_name_unique")),
    )
    op.create_index(
        op.f("idx_driver_configs_connection_type"),
        "driver_configs",
        ["connection_type"],
        unique=False,
    )
    op.create_index(op.f("idx_driver_configs_enabled"), "driver_configs", ["enabled"], unique=False)
    op.create_index(
        op.f("idx_driver_configs_protocol"), "driver_configs", ["protocol"], unique=False
    )
    op.create_table(
        "driver_registry",
        sa.Column("protocol", PROTOCOL_KIND, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("version", sa.String(length=50), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("file_path", sa.Text(), nullable=True),
        sa.Column("file_hash", sa.String(length=128), nullable=True),
        sa.Column("api_version", sa.Integer(), nullable=False),
        sa.Column("metadata", types.Document, nullable=False),
        sa.Column("capabilities", types.Document, nullable=False),
        sa.Column("status", DRIVER_STATUS, nullable=False),
        sa.Column("loaded_at", types.Moment(), nullable=False),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("id", types.Id(), nullable=False),
        sa.CheckConstraint("length(trim(name)) > 0", name=op.f("driver_registry_name_not_empty")),
        sa.CheckConstraint(
            "length(trim(version)) > 0", name=op.f("driver_registry_version_not_empty")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("driver_registry_pkey")),
        sa.UniqueConstraint(
            "protocol", "name", "version", name=op.f("driver_registry_protocol_name_version_unique")
        ),
    )
    op.create_table(
        "tags",
        sa.Column("device_id", types.Id(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("address", sa.String(length=255), nullable=False),
        sa.Column("data_type", TAG_DATA_TYPE, nullable=False),
        sa.Column("access_type", TAG_ACCESS, nullable=False),
        sa.Column("unit", sa.String(length=50), nullable=True),
        sa.Column("scaling", sa.Double(), nullable=False),
        sa.Column("tag_offset", sa.Double(), nullable=False),
        sa.Column("min_value", sa.Double(), nullable=True),
        sa.Column("max_value", sa.Double(), nullable=True),
        sa.Column("deadband", sa.Double(), nullable=True),
        sa.Column("scan_rate", sa.Integer(), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("id", types.Id(), nullable=False),
        sa.Column("created_at", types.Moment(), nullable=False),
        sa.Column("updated_at", types.Moment(), nullable=False),
        sa.Column("deleted_at", types.Moment(), nullable=True),
        sa.CheckConstraint(
            "deadband IS NULL OR deadband >= 0", name=op.f("tags_deadband_not_negative")
        ),
        sa.CheckConstraint("length(trim(address)) > 0", name=op.f("tags_address_not_empty")),
        sa.CheckConstraint("length(trim(name)) > 0", name=op.f("tags_name_not_empty")),
        sa.CheckConstraint(
            "min_value IS NULL OR max_value IS NULL OR min_value <= max_value",
            name=op.f("tags_min_max_order"),
        ),
        sa.CheckConstraint("scaling <> 0", name=op.f("tags_scaling_not_zero")),
        sa.CheckConstraint(
            "scan_rate IS NULL OR scan_rate > 0", name=op.f("tags_scan_rate_positive")
        ),
        sa.ForeignKeyConstraint(
            ["device_id"], ["devices.id"], name=op.f("tags_device_id_fkey"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("tags_pkey")),
    )
    op.create_index(op.f("idx_tags_data_type"), "tags", ["data_type"], unique=False)
    op.create_index(
        op.f("idx_tags_device_id_address"), "tags", ["device_id", "address"], unique=False
    )
    op.create_index(op.f("idx_tags_enabled"), "tags", ["enabled"], unique=False)
    op.create_index(
        "devices_name_unique",
        "devices",
        [sa.text("lower(name)")],
        unique=True,
        postgresql_where=LIVING,
        sqlite_where=LIVING,
    )
    op.create_index(
        "tags_device_name_unique",
        "tags",
        ["device_id", sa.text("lower(name)")],
        unique=True,
        postgresql_where=LIVING,
        sqlite_where=LIVING,
    )

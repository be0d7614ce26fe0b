"""The words that columns of the registry may hold: one set, for every table and both databases."""

from __future__ import annotations

from enum import StrEnum


class Protocol(StrEnum):
    MODBUS_TCP = "ModbusTcp"
    MODBUS_RTU = "ModbusRtu"
    OPC_UA = "OpcUa"
    MQTT = "Mqtt"
    CUSTOM = "Custom"


class DeviceStatus(StrEnum):
    ONLINE = "Online"
    OFFLINE = "Offline"
    ERROR = "Error"
    MAINTENANCE = "Maintenance"
    UNKNOWN = "Unknown"


class TagType(StrEnum):
    BOOLEAN = "Boolean"
    INT8 = "Int8"
    UINT8 = "UInt8"
    INT16 = "Int16"
    UINT16 = "UInt16"
    INT32 = "Int32"
    UINT32 = "UInt32"
    INT64 = "Int64"
    UINT64 = "UInt64"
    FLOAT = "Float"
    DOUBLE = "Double"
    STRING = "String"
    DATE_TIME = "DateTime"
    BYTE_ARRAY = "ByteArray"


class TagAccess(StrEnum):
    READ = "Read"
    WRITE = "Write"
    READ_WRITE = "ReadWrite"


class CompareOp(StrEnum):
    GT = "GT"
    GTE = "GTE"
    LT = "LT"
    LTE = "LTE"
    EQ = "EQ"
    NE = "NE"
    BETWEEN = "BETWEEN"
    NOT_BETWEEN = "NOT_BETWEEN"


class AlertLevel(StrEnum):
    """How bad it is, from the least on."""

    INFO = "INFO"
    WARNING = "WARNING"
    CRITICAL = "CRITICAL"
    FATAL = "FATAL"

    @property
    def rank(self) -> int:
        return list(AlertLevel).index(self)


class AlertStatus(StrEnum):
    """What an operator sees. SUPPRESSED: opened while shelved, by design or out of service."""

    ACTIVE = "ACTIVE"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    RESOLVED = "RESOLVED"
    SUPPRESSED = "SUPPRESSED"


class NoData(StrEnum):
    """What silence does to an alarm: nothing, raise it, or end it."""

    KEEP = "KEEP"
    ALARM = "ALARM"
    RESOLVE = "RESOLVE"


class DriverStatus(StrEnum):
    LOADED = "LOADED"
    RUNNING = "RUNNING"
    STOPPED = "STOPPED"
    ERROR = "ERROR"
    UNLOADED = "UNLOADED"


class LogLevel(StrEnum):
    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class ChannelType(StrEnum):
    WEBHOOK = "webhook"
    EMAIL = "email"
    LOG = "log"


class NoticeStatus(StrEnum):
    """PENDING until SENT; DEAD after the last attempt; DROPPED by a limit of rate."""

    PENDING = "PENDING"
    SENT = "SENT"
    DEAD = "DEAD"
    DROPPED = "DROPPED"


class Role(StrEnum):
    ADMIN = "ADMIN"
    OPERATOR = "OPERATOR"
    MAINTENANCE = "MAINTENANCE"
    VIEWER = "VIEWER"


class UserStatus(StrEnum):
    ACTIVE = "ACTIVE"
    INACTIVE = "INACTIVE"
    LOCKED = "LOCKED"
    EXPIRED = "EXPIRED"

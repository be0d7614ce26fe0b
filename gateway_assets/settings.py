"""All settings: name, default, one sentence. Read from the environment, `.env`, `gateway.toml`.

The environment wins over `.env`, which wins over `gateway.toml` (or the file that GATEWAY_CONFIG
names). Nothing is read at import: a command calls ``load_settings()`` once and hands the object
on. Every path derives from ``data_dir``.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar
from urllib.parse import urlsplit

from pydantic import AliasChoices, BaseModel, Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from gateway_assets.errors import ConfigError

PREFIX = "GATEWAY_"
DOTENV = ".env"
DEFAULT_CONFIG = "gateway.toml"


def _also(name: str, *others: str) -> AliasChoices:
    """The names a setting goes by when it has older ones beside GATEWAY_<NAME>."""
    return AliasChoices(PREFIX + name.upper(), *others)


_CRON = r"^\S+( \S+){4}$"
_SIZE = r"^\d+(\.\d+)?\s*[KMGT]i?B$"
Hours = Annotated[float, Field(ge=0, le=24 * 365)]
Days = Annotated[int, Field(ge=0, le=36_500)]
KeepDays = Annotated[int, Field(ge=1, le=36_500)]


Line = TypeVar("Line", bound=BaseModel)


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=DOTENV, extra="ignore", frozen=True, populate_by_name=True
    )

    data_dir: Path = Field(
        Path("data"), description="Everything this host's gateway keeps lives below this directory."
    )
    first_day: date = Field(
        date(2024, 1, 1), description="First daily partition that Dagster shows."
    )
    hot_days: dict[str, Days] = Field(
        default_factory=dict,
        description="Days that stay hot, by table; what is not named keeps its declared number.",
    )
    landing_keep_hours: Hours = Field(
        24, description="How long loaded landing files stay before they are removed."
    )
    archive_enabled: bool = Field(
        True,
        validation_alias=_also("archive_enabled", "AUTO_ARCHIVE_ENABLED"),
        description="Whether anything is archived at all.",
    )
    archive_grace_hours: Hours = Field(
        24, description="How long archived rows also stay, hidden, in the hot database."
    )
    archive_batch_size: int = Field(
        10_000,
        ge=100,
        le=1_000_000,
        validation_alias=_also("archive_batch_size", "ARCHIVE_BATCH_SIZE"),
        description="Rows read and compared at a time while archiving; also the row group size.",
    )
    archive_cron: str = Field(
        "30 3 * * *", pattern=_CRON, description="When the archive runs (five cron fields, UTC)."
    )
    archive_times: str = Field(
        "",
        pattern=r"^(([01]\d|2[0-3]):[0-5]\d(,|$))*$",
        validation_alias=_also("archive_times", "CLEANUP_CRON_TIMES"),
        description="The same as times of the day, such as 03:30,15:30; instead of archive_cron.",
    )
    archive_max_workers: int = Field(
        2,
        ge=1,
        le=64,
        validation_alias=_also("archive_max_workers", "ARCHIVE_MAX_WORKERS"),
        description="Databases archived at the same time; tables of one database take turns.",
    )
    archive_pause_ms: int = Field(
        10, ge=0, le=10_000, description="Least pause between two write transactions of a prune."
    )
    archive_cpu_percent: int = Field(
        100, ge=1, le=100, description="Share of one processor that archiving may use."
    )
    archive_memory_limit: str = Field(
        "256MB",
        pattern=_SIZE,
        description="Memory that rows on their way to Parquet may take, such as 256MB.",
    )
    archive_backup: bool = Field(
        True, description="Whether a database is copied before anything is archived from it."
    )
    archive_vacuum: bool = Field(
        True, description="Whether a database shrinks after most of it was archived."
    )
    backup_cron: str = Field(
        "45 2 * * *",
        pattern=_CRON,
        description="When everything is backed up (five cron fields, UTC).",
    )
    backup_keep: int = Field(
        7,
        ge=1,
        le=10_000,
        description="Backups that stay; the newest that was proven good always does.",
    )
    registry_url: str = Field(
        "",
        description="PostgreSQL that keeps devices, rules and users, such as "
        "postgresql+psycopg://user@host/gateway; without one it is gateway.db.",
    )
    device_offline_seconds: int = Field(
        300,
        ge=60,
        le=86_400,
        description="Silence after which a device is Offline; at least three of its scan rates.",
    )
    shelve_max_hours: Hours = Field(8, description="For how long an alarm may be shelved at most.")
    registry_snapshot_cron: str = Field(
        "7 * * * *",
        pattern=_CRON,
        description="When it is looked at what changed in the registry (five cron fields, UTC).",
    )
    alerts_hot_days: int = Field(
        90, ge=2, le=36_500, description="Days that finished alerts stay hot; their steps 30."
    )
    audit_hot_days: int = Field(
        90, ge=2, le=36_500, description="Days that the log of what was done stays hot."
    )
    login_attempts: int = Field(
        5, ge=1, le=100, description="Wrong passwords in a row that lock a user out."
    )
    login_lock_minutes: int = Field(
        15,
        ge=1,
        le=1_440,
        description="For how long; each wrong password after it doubles that, up to a day.",
    )
    password_min_length: int = Field(
        10, ge=8, le=64, description="Characters that a password has at least."
    )
    password_max_days: Days = Field(
        0, description="After how many days a password that is set must be changed; 0: never."
    )
    session_hours: float = Field(
        12, gt=0, le=24 * 90, description="After how long a login ends, used or not."
    )
    session_idle_minutes: float = Field(
        60, gt=0, le=1_440 * 90, description="After how long without a request a login ends."
    )
    sessions_per_user: int = Field(
        5, ge=1, le=1_000, description="Logins of one user at the same time; the oldest ends."
    )
    notify_url: str = Field(
        "",
        pattern=r"^(https?://\S+)?$",
        description="Where a JSON summary is POSTed after each scheduled archive run.",
    )
    notify_group_seconds: float = Field(
        10,
        ge=0,
        le=3600,
        description="How long the first notification of a group waits for others.",
    )
    notify_per_hour: int = Field(
        60,
        ge=1,
        le=100_000,
        description="Messages that a channel gets in an hour; what exceeds becomes one summary.",
    )
    notify_attempts: int = Field(
        10, ge=1, le=100, description="After how many attempts a notification is given up."
    )
    rollup_cron: str = Field(
        "*/15 * * * *",
        pattern=_CRON,
        description="When roll-ups are brought up to date (five cron fields, UTC).",
    )
    load_every_seconds: int = Field(
        60, ge=5, le=3600, description="How often Dagster looks for new landing files."
    )
    query_memory_limit: str = Field(
        "1GB",
        pattern=_SIZE,
        validation_alias=_also("query_memory_limit", "DUCKDB_MEMORY_LIMIT"),
        description="Memory a query may use, such as 512MB or 2GB.",
    )
    query_timeout_seconds: float = Field(
        60, gt=0, le=86_400, description="After how long a query is stopped."
    )
    archive_query_cache_enabled: bool = Field(
        True,
        validation_alias=_also("archive_query_cache_enabled", "ARCHIVE_QUERY_CACHE_ENABLED"),
        description="Whether answers that came from archived rows alone are kept for a while.",
    )
    archive_query_cache_ttl: float = Field(
        300,
        gt=0,
        validation_alias=_also("archive_query_cache_ttl", "ARCHIVE_QUERY_CACHE_TTL"),
        description="For how many seconds; any change of the archive ends it at once.",
    )
    archive_query_cache_limit: str = Field(
        "64MB", pattern=_SIZE, description="Memory that kept answers may take, of one process."
    )
    query_max_workers: int = Field(
        4, ge=1, le=64, description="Queries answered at the same time, each by its own process."
    )
    query_max_rows: int = Field(
        1_000_000, ge=1, description="Rows that an answer may have; more are an error."
    )
    query_temp_limit: str = Field(
        "1GB",
        pattern=_SIZE,
        description="Space on disk that a query may use for what does not fit into memory.",
    )
    capture_backend: str = Field(
        "auto",
        pattern="^(auto|sockdiag|packet|iftop)$",
        description="How `gateway up` captures: auto, sockdiag, packet or iftop.",
    )
    capture_interface: str = Field(
        "", description="Interface that `gateway up` captures on; empty: sockets, not packets."
    )
    capture_min_coverage: float = Field(
        0.9,
        ge=0,
        le=1,
        description="Part of the bytes that the kernel counted on an interface, below which a "
        "check warns.",
    )
    capture_listen: str = Field(
        "127.0.0.1:9421", description="Where `gateway up` serves metrics for Prometheus; or `off`."
    )
    capture_interval_seconds: int = Field(
        30, ge=1, le=3600, description="Length of one row's interval when capturing."
    )
    collect_interval_seconds: int = Field(
        30,
        ge=1,
        le=300,
        description="How often clusters are looked at; divides an hour evenly, 300 at most.",
    )
    collect_call_seconds: float = Field(
        4,
        ge=0.1,
        le=60,
        description="After how long one call of a cluster, a statement or a page, is given up.",
    )
    collect_tick_seconds: float = Field(
        20, ge=0.5, le=600, description="After how long one look at a cluster is given up."
    )
    collect_max_threads: int = Field(
        32, ge=1, le=1000, description="Nodes that are asked at the same time, of all clusters."
    )
    serve: bool = Field(
        False, description="Whether `gateway up` also takes points over HTTP: gateway serve."
    )
    points_hot_days: Days = Field(
        7, description="Days that points, logs and events of devices stay hot."
    )
    points_keep_days: KeepDays = Field(
        182, description="Days that points stay; their roll-ups stay longer."
    )
    minutes_keep_days: KeepDays = Field(
        182, description="Days that roll-ups of one and five minutes stay."
    )
    hours_keep_days: KeepDays = Field(728, description="Days that hourly roll-ups of points stay.")
    days_keep_days: KeepDays = Field(1_820, description="Days that daily roll-ups of points stay.")
    logs_keep_days: KeepDays = Field(30, description="Days that logs of devices stay.")
    events_keep_days: KeepDays = Field(180, description="Days that events of devices stay.")
    points_max_lag_minutes: int = Field(
        60,
        ge=1,
        le=525_600,
        description="Minutes after which points that are not rolled up are an error, and none that "
        "come a warning.",
    )
    frames_keep_hours: Hours = Field(
        24, description="How long frames stay in the log after they were loaded."
    )
    serve_host: str = Field("127.0.0.1", description="Address that `gateway serve` listens on.")
    serve_port: int = Field(8086, ge=1, le=65_535, description="Port it listens on.")
    serve_tokens_file: Path | None = Field(
        None, description="File of tokens that may write, one a line; none: whoever can connect."
    )
    serve_users: bool = Field(
        False,
        description="Whether the registry's users and their tokens decide who may do what over "
        "HTTP, instead of serve_tokens_file.",
    )
    serve_databases: list[str] = Field(
        default_factory=list,
        description="Databases and buckets that may be written; none named: any, the name is "
        "ignored.",
    )
    serve_durability: Literal["sync", "async"] = Field(
        "sync",
        description="sync: acknowledged points are on disk; async: a tenth of a second later.",
    )
    serve_max_body: str = Field(
        "32MB", pattern=_SIZE, description="Largest body of a write, inflated."
    )
    serve_max_bodies: str = Field(
        "128MB",
        pattern=_SIZE,
        description="All bodies in flight; beyond it writes are told to come again. The process "
        "takes up to five times as much.",
    )
    serve_max_writes: int = Field(
        64, ge=1, le=10_000, description="Writes at the same time; more are told to come again."
    )
    serve_receive_seconds: float = Field(
        60, ge=0.1, le=3600, description="How long a request may take to arrive."
    )
    geoip_databases: list[Path] = Field(
        default_factory=list,
        description="Databases (.mmdb) that tell where addresses are, or directories of such; "
        "none named: those in DATA_DIR/geoip.",
    )
    geo_language: str = Field(
        "en",
        pattern=r"^[A-Za-z]{2,3}(-[A-Za-z]{2,4})?$",
        description="Language of provinces and cities, such as en or zh-CN; English where a "
        "database lacks it.",
    )
    run_keep_days: Days = Field(
        7, description="How long Dagster's runs of the load job stay; the newest hundred always do."
    )
    dagster_host: str = Field("127.0.0.1", description="Address the Dagster UI listens on.")
    dagster_port: int = Field(3000, ge=1, le=65_535, description="Port the Dagster UI listens on.")

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        return path.expanduser().absolute()

    @field_validator("collect_interval_seconds")
    @classmethod
    def _divides_an_hour(cls, seconds: int) -> int:
        if 3600 % seconds:
            raise ValueError("an hour must be a multiple of it, such as 10, 30 or 60")
        return seconds

    @field_validator("geoip_databases")
    @classmethod
    def _all_absolute(cls, paths: list[Path]) -> list[Path]:
        return [path.expanduser().absolute() for path in paths]

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  the library's signature
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        toml = TomlConfigSettingsSource(settings_cls, toml_file=config_file())
        return init_settings, env_settings, dotenv_settings, toml

    @property
    def landing(self) -> Path:
        return self.data_dir / "landing"

    @property
    def quarantine(self) -> Path:
        return self.data_dir / "quarantine"

    @property
    def points_database(self) -> Path:
        return self.data_dir / "points.db"

    @property
    def registry_database(self) -> Path:
        """The registry, where ``registry_url`` names no other."""
        return self.data_dir / "gateway.db"

    @property
    def has_registry(self) -> bool:
        """Whether this host has one; an embedded one is not made by looking at it."""
        return bool(self.registry_url) or self.registry_database.is_file()

    @property
    def frames(self) -> Path:
        return self.data_dir / "frames"

    @property
    def hot_database(self) -> Path:
        return self.data_dir / "hot.db"

    @property
    def archive(self) -> Path:
        return self.data_dir / "archive" / "parquet"

    @property
    def notifications_log(self) -> Path:
        return self.data_dir / "notifications.log"

    @property
    def dagster_home(self) -> Path:
        return self.data_dir / "dagster"

    @property
    def backups(self) -> Path:
        return self.data_dir / "backup"

    @property
    def reports(self) -> Path:
        return self.data_dir / "reports"

    @property
    def geoip_paths(self) -> list[Path]:
        """Where databases that tell where addresses are may be."""
        return self.geoip_databases or [self.data_dir / "geoip"]

    @property
    def query_spill(self) -> Path:
        return self.data_dir / "query"

    @property
    def archive_crons(self) -> list[str]:
        """When the archive runs, as cron lines."""
        times = [time.split(":") for time in self.archive_times.strip(",").split(",") if time]
        return [f"{int(minute)} {int(hour)} * * *" for hour, minute in times] or [self.archive_cron]

    @property
    def archive_memory(self) -> int:
        """``archive_memory_limit`` in bytes."""
        return _in_bytes(self.archive_memory_limit)

    @property
    def query_cache_bytes(self) -> int:
        """``archive_query_cache_limit`` in bytes."""
        return _in_bytes(self.archive_query_cache_limit)

    @property
    def query_memory(self) -> int:
        """``query_memory_limit`` in bytes."""
        return _in_bytes(self.query_memory_limit)

    @property
    def serve_body(self) -> int:
        """``serve_max_body`` in bytes."""
        return _in_bytes(self.serve_max_body)

    @property
    def serve_bodies(self) -> int:
        """``serve_max_bodies`` in bytes; at least one body fits, compressed and inflated."""
        return max(_in_bytes(self.serve_max_bodies), 2 * self.serve_body)

    @property
    def query_temp(self) -> int:
        """``query_temp_limit`` in bytes."""
        return _in_bytes(self.query_temp_limit)


def _in_bytes(size: str) -> int:
    number, unit = re.fullmatch(r"([\d.]+)\s*([KMGT])i?B", size).groups()  # type: ignore[union-attr]
    return int(float(number) * 1024 ** ("KMGT".index(unit) + 1))


class Described(NamedTuple):
    """One setting as ``gateway config`` shows it."""

    name: str
    value: Any
    default: Any
    origin: str
    about: str


def config_file() -> Path:
    return Path(os.environ.get(PREFIX + "CONFIG", DEFAULT_CONFIG))


def checked_line(model: type[Line], kind: str, file: Path, number: int, content: Any) -> Line:
    """One ``[[kind]]`` line as its model. Raises ConfigError naming file, line and field."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        detail = error.errors()[0]
        place = ".".join(str(part) for part in detail["loc"])
        what = f"{file}: [[{kind}]] {number} {content.get('name', '')}: {place}: {detail['msg']}"
        hint = f"fields: {', '.join(model.model_fields)}"
        raise ConfigError(what, hint=hint) from None


def toml_lines(file: Path, name: str) -> list[dict[str, Any]]:
    """The ``[[name]]`` lines of a file; none where there is no file. Raises ConfigError."""
    try:
        content = tomllib.loads(file.read_text("utf-8")).get(name, [])
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}", hint="mend or remove it") from None
    if not isinstance(content, list) or not all(isinstance(line, dict) for line in content):
        raise ConfigError(f"{file}: {name} must be written as [[{name}]]")
    return content


def load_settings(**given: Any) -> Settings:
    """Read all settings. Raises ConfigError naming setting, value, rule and origin."""
    lines = {"tables", "clusters", "pulls"}
    unknown = _toml_content().keys() - set(Settings.model_fields) - lines
    if unknown:
        known = ", ".join(sorted(Settings.model_fields))
        raise ConfigError(
            f"{config_file()}: there is no setting {min(unknown)!r}", hint=f"settings: {known}"
        )
    try:
        return Settings(**given)
    except ValidationError as error:
        raise ConfigError("; ".join(_explained(error)), hint="see: gateway config") from None
    except SettingsError as error:
        raise ConfigError(f"{error}: it must be JSON", hint='such as {"ip_traffic": 3}') from None


def described(settings: Settings) -> list[Described]:
    """Every setting with value, default, origin and its sentence, in the declared order."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True, validated_data={})
        origin = origin_of(name) or "default"
        rows.append(
            Described(name, _shown(name, settings), default, origin, field.description or "")
        )
    return rows


def _shown(name: str, settings: Settings) -> Any:
    """A setting's value; of an address that may hold a secret, where it leads only."""
    value = getattr(settings, name)
    if name not in _SECRETIVE or not value:
        return value
    parts = urlsplit(value)
    return f"{parts.scheme}://{parts.hostname}/…"


_SECRETIVE = {"notify_url", "registry_url"}


def origin_of(name: str) -> str:
    """Where a setting's value comes from: ``environment X``, ``.env X``, a file, or nothing."""
    environment = EnvSettingsSource(Settings).env_vars
    dotenv = DotEnvSettingsSource(Settings, env_file=DOTENV).env_vars
    for spelling in spellings(name):
        if spelling.lower() in environment:
            return f"environment {spelling}"
        if spelling.lower() in dotenv:
            return f"{DOTENV} {spelling}"
    return str(config_file()) if name in _toml_content() else ""


def spellings(name: str) -> list[str]:
    """The names a setting goes by in the environment, the newest first."""
    field = Settings.model_fields[name]
    if isinstance(field.validation_alias, AliasChoices):
        return [str(choice) for choice in field.validation_alias.choices]
    return [PREFIX + name.upper()]


def _explained(error: ValidationError) -> list[str]:
    texts = []
    for detail in error.errors():
        name = _field_named(str(detail["loc"][0]))
        origin = origin_of(name) or "argument"
        given = repr(detail["input"])
        inner = "".join(f".{part}" for part in detail["loc"][1:])
        given = "…" if name in _SECRETIVE else given
        texts.append(f"setting {name}{inner} = {given} (from {origin}): {detail['msg']}")
    return texts


def _field_named(spelling: str) -> str:
    for name in Settings.model_fields:
        if spelling == name or spelling in spellings(name):
            return name
    return spelling


def _toml_content() -> Mapping[str, Any]:
    path = config_file()
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(
            f"{path} cannot be read: {error}", hint="mend or remove the file"
        ) from None

"""Tables to be pulled, as people declare them: ``[[pulls]]`` in TOML, one table each.

Read from ``gateway.toml`` and from ``pulls.toml`` in the data directory. The URL of a server may
hold a password, so it stands in neither: a line says where it is, in the environment or in a file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gateway_assets.errors import ConfigError
from gateway_assets.points.encode import encode
from gateway_assets.points.series import (
    GATEWAY_MEASUREMENT,
    METRICS_MEASUREMENT,
    QUALITY_FIELD,
    UNIT_FIELD,
)
from gateway_assets.settings import Settings, checked_line, config_file, toml_lines

DEVICE_TAG, METRIC_TAG, VALUE_FIELD = "device_id", "metric_name", "value"


class Pull(BaseModel):
    """One table or view of a PostgreSQL or TimescaleDB server."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(
        pattern=r"^\w[\w.-]*$", max_length=100, description="Name of the pull; one a table."
    )
    url_env: str = Field(
        "", description="Environment variable that holds the URL, `postgresql://user:…@host/db`."
    )
    url_file: Path | None = Field(
        None, description="File that holds it, relative to the file of this line."
    )
    table: str = Field(
        min_length=1, description="Table or view as SQL names it, such as `public.readings`."
    )
    measurement: str = Field(
        "", description="Measurement of the points; the table's name if empty."
    )
    time: str = Field("time", description="Column of times, with or without zone (then UTC).")
    device: str = Field("", description=f"Column that becomes the tag `{DEVICE_TAG}`.")
    metric: str = Field(
        "",
        description=f"Column that becomes the tag `{METRIC_TAG}`, when a row is one value of one "
        f"metric; its value becomes the field `{VALUE_FIELD}`.",
    )
    values: tuple[str, ...] = Field(
        min_length=1,
        description="Columns of values: numbers, booleans, text, JSON (as text). Without `metric` "
        "each is a field of its own name. A `numeric` becomes a float; NULL is left out.",
    )
    unit: str = Field(
        "", description=f"Column of the value's unit, in measurement `{METRICS_MEASUREMENT}`."
    )
    quality: str = Field(
        "",
        description="Column of its quality (0 bad, 1 uncertain, 2 good), in measurement "
        f"`{GATEWAY_MEASUREMENT}`.",
    )
    tags: tuple[str, ...] = Field(
        (), description="Columns that become tags; of a JSON object, each key becomes one."
    )
    lag_seconds: float = Field(
        10,
        ge=0,
        le=86_400,
        description="Rows younger than this wait: longer than transactions take to commit.",
    )
    overlap_seconds: float = Field(
        0,
        ge=0,
        le=366 * 86_400,
        description="How far behind the last row each run begins again, for rows that come late.",
    )
    batch_rows: int = Field(
        5000, ge=1, le=100_000, description="Rows that are fetched and made durable at a time."
    )
    timeout_seconds: float = Field(
        60, ge=0.1, le=86_400, description="After how long a batch that does not come is given up."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Pull:
        if bool(self.url_env) == bool(self.url_file):
            raise ValueError("give url_env or url_file")
        if self.metric and len(self.values) > 1:
            raise ValueError("with metric there is one column of values")
        for column, of in ((UNIT_FIELD, METRICS_MEASUREMENT), (QUALITY_FIELD, GATEWAY_MEASUREMENT)):
            if getattr(self, column) and self.points_of != of:
                raise ValueError(f'{column} needs measurement = "{of}"')
        names = [name for name, _ in (*self.tag_columns, *self.field_columns)]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two columns would be called {name!r}")
        # Raises ValueError for names that no point can have.
        encode(
            self.points_of,
            {tag: "any" for tag, _ in self.tag_columns},
            {field: True for field, _ in self.field_columns},
        )
        return self

    @property
    def points_of(self) -> str:
        """The measurement."""
        return self.measurement or self.table.rpartition(".")[2].strip('"')

    @property
    def tag_columns(self) -> list[tuple[str, str]]:
        """Tags and the columns they come from."""
        fixed = [(DEVICE_TAG, self.device), (METRIC_TAG, self.metric)]
        return [pair for pair in fixed if pair[1]] + [(name, name) for name in self.tags]

    @property
    def field_columns(self) -> list[tuple[str, str]]:
        """Fields and the columns they come from; values first."""
        values = [(VALUE_FIELD if self.metric else name, name) for name in self.values]
        others = [(UNIT_FIELD, self.unit), (QUALITY_FIELD, self.quality)]
        return values + [pair for pair in others if pair[1]]

    @property
    def url(self) -> str:
        """Raises ConfigError."""
        if self.url_env:
            if not os.environ.get(self.url_env):
                raise ConfigError(
                    f"pull {self.name}: environment variable {self.url_env} is not set",
                    hint=f"export {self.url_env}=postgresql://user:password@host/database",
                )
            return os.environ[self.url_env]
        assert self.url_file
        try:
            return self.url_file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"pull {self.name}: {self.url_file} cannot be read: {error}",
                hint="url_file names a file that holds the URL alone",
            ) from None


def pulls_of(settings: Settings) -> tuple[Pull, ...]:
    """Every declared pull, in its order. Raises ConfigError naming file and fault."""
    pulls: dict[str, Pull] = {}
    for file in (config_file(), settings.data_dir / "pulls.toml"):
        for number, content in enumerate(toml_lines(file, "pulls"), start=1):
            pull = _pull(file, number, content)
            if pull.name in pulls:
                raise ConfigError(
                    f"{file}: pull {pull.name!r} is declared twice", hint="give it another name"
                )
            pulls[pull.name] = pull
    return tuple(pulls.values())


def _pull(file: Path, number: int, content: dict[str, Any]) -> Pull:
    if "url" in content:
        raise ConfigError(
            f"{file}: [[pulls]] {number}: a URL may not stand in this file: it holds a password",
            hint="name where it is: url_env or url_file",
        )
    pull = checked_line(Pull, "pulls", file, number, content)
    if pull.url_file is None:
        return pull
    beside = file.absolute().parent / pull.url_file.expanduser()
    return pull.model_copy(update={"url_file": beside})

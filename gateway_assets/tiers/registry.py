"""The lines that declare tables of other databases: ``[[tables]]`` in TOML, one table each.

Read from ``gateway.toml`` and from ``tables.toml`` in the data directory. A database's path is
relative to the file that names it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from gateway_assets.errors import ConfigError
from gateway_assets.settings import Settings, checked_line, config_file, toml_lines
from gateway_assets.tiers.times import FORMATS

Days = Annotated[int, Field(ge=0, le=36_500)]


class TableLine(BaseModel):
    """One table of any SQLite file, to be tiered in place."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        max_length=100,
        description="Name of the table here: in queries, in Dagster, in the archive's folders.",
    )
    database: Path = Field(description="The SQLite file, relative to the file of this line.")
    table: str = Field("", description="Its name in the database, when that is another.")
    view: str = Field(
        "",
        description="View of the same database that hot rows are read through: each row of the "
        "table exactly once, with columns of other tables added. Those are answered and archived.",
    )
    time: str = Field(
        "", description="Column that says when a row happened; looked for when not given."
    )
    time_format: str = Field("", description="How that is written; detected when not given.")
    hot_days: Days = Field(30, description="Whole days before today that stay hot.")
    hot_days_from: str = Field("", description="Environment variable that overrides hot_days.")
    keep_days: Days | None = Field(None, description="Older days are removed; never when absent.")
    where: str = Field("", description="SQL that is true for rows that may leave.")
    order_by: tuple[str, ...] = Field((), description="Order of the rows within a Parquet file.")
    priority: int = Field(100, description="Tables with smaller numbers are archived first.")
    chunk_rows: int = Field(
        0,
        ge=0,
        description="Rows that leave in one transaction at least, however long it takes; for keys "
        "that do not begin with the time.",
    )
    create_index: bool = Field(
        False, description="Create an index on the time column where there is none."
    )
    dedup: tuple[tuple[str, ...], ...] | None = Field(
        None,
        description="Keys that stay known after their rows leave; every UNIQUE key when absent. "
        "With [] none does: a row that comes with the key of an archived one is another row.",
    )
    dedup_days: Days | None = Field(None, description="For how long; for ever when absent.")
    triggers: Literal["refuse", "fire"] = Field(
        "refuse", description="What if the table has DELETE triggers of its own: they would fire."
    )
    about: str = Field("", description="What a row is.")
    file: str = Field("", exclude=True, description="Set by the reader: where the line stands.")

    @field_validator("time_format")
    @classmethod
    def _known_format(cls, name: str) -> str:
        if name and name not in FORMATS:
            raise ValueError(f"there is no such format; formats: {', '.join(FORMATS)}")
        return name

    @model_validator(mode="after")
    def _kept_longer_than_hot(self) -> TableLine:
        if self.keep_days is not None and self.keep_days <= self.hot_days:
            raise ValueError("keep_days must be more than hot_days")
        return self

    @property
    def in_database(self) -> str:
        return self.table or self.name

    @property
    def days_hot(self) -> int:
        given = os.environ.get(self.hot_days_from, "") if self.hot_days_from else ""
        if not given:
            return self.hot_days
        if not re.fullmatch(r"\d{1,5}", given):
            raise ConfigError(f"environment variable {self.hot_days_from} = {given!r} is no number")
        return int(given)


def table_lines(settings: Settings) -> tuple[TableLine, ...]:
    """Every declared line, in order of priority. Raises ConfigError naming file and fault."""
    lines: dict[str, TableLine] = {}
    for file in (config_file(), settings.data_dir / "tables.toml"):
        for number, content in enumerate(toml_lines(file, "tables"), start=1):
            line = _line(file, number, content)
            if line.name.lower() in lines:
                raise ConfigError(
                    f"{file}: table {line.name!r} is declared twice", hint="give it another name"
                )
            lines[line.name.lower()] = line
    return tuple(sorted(lines.values(), key=lambda line: line.priority))


def _line(file: Path, number: int, content: dict[str, Any]) -> TableLine:
    if "://" in str(content.get("database", "")):
        raise ConfigError(
            f"{file}: [[tables]] {number}: database: only SQLite files can be tiered in place",
            hint="give the path of the file",
        )
    line = checked_line(TableLine, "tables", file, number, content)
    database = (file.absolute().parent / line.database.expanduser()).resolve()
    return line.model_copy(update={"database": database, "file": str(file)})

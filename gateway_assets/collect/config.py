"""Clusters as people declare them: ``[[clusters]]`` in TOML, one cluster each.

Read from ``gateway.toml`` and from ``clusters.toml`` in the data directory. Passwords stand in
neither: a line says where one is, in the environment or in a file, and it is read again for every
new connection.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from gateway_assets.errors import ConfigError
from gateway_assets.settings import Settings, checked_line, config_file, toml_lines

QUERY_PORT = 9030
_FRONTEND = re.compile(
    r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[^\s:\[\]/@]+))(?::(?P<port>\d+))?"
)


class Cluster(BaseModel):
    """One StarRocks cluster."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(
        pattern=r"^\w[\w.-]*$", max_length=100, description="Name of the cluster in every table."
    )
    frontends: tuple[str, ...] = Field(
        min_length=1,
        description="Where frontends answer SQL, such as `fe1:9030`; several, as one may fail.",
    )
    user: str = Field(
        "root",
        pattern=r"^[^\s'\"\\`:]+$",
        description="Who asks; the rights it needs are in docs/clusters.md.",
    )
    password_env: str = Field("", description="Environment variable that holds the password.")
    password_file: Path | None = Field(
        None, description="File that holds it, relative to the file of this line."
    )
    tls: bool | Path = Field(
        False,
        description="Whether SQL goes through TLS; or the file of the authority to trust, relative "
        "to the file of this line.",
    )
    http: bool = Field(
        True, description="Whether nodes are asked for metrics over HTTP, or only through SQL."
    )
    http_port: int | None = Field(
        None, ge=1, le=65_535, description="HTTP port of the frontends; as they say when absent."
    )
    slow_query_ms: int = Field(
        1000, ge=0, le=86_400_000, description="From how many milliseconds on a query is slow."
    )
    storage_limit_pct: float = Field(
        95, gt=0, le=100, description="Use of disks at which the cluster stops loading."
    )

    @field_validator("frontends")
    @classmethod
    def _addresses(cls, frontends: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(_address(text) for text in frontends))

    @model_validator(mode="after")
    def _one_place_of_the_password(self) -> Cluster:
        if self.password_env and self.password_file:
            raise ValueError("give password_env or password_file, not both")
        return self

    def password(self) -> bytes:
        """The password, empty where the line names none. Raises ConfigError."""
        if self.password_env:
            if self.password_env not in os.environ:
                raise ConfigError(
                    f"cluster {self.name}: environment variable {self.password_env} is not set",
                    hint=f"export {self.password_env}=…",
                )
            return os.environ[self.password_env].encode()
        if not self.password_file:
            return b""
        try:
            return self.password_file.read_bytes().rstrip(b"\r\n")
        except OSError as error:
            raise ConfigError(
                f"cluster {self.name}: {self.password_file} cannot be read: {error.strerror}",
                hint="password_file names a file that holds the password alone",
            ) from None


def split_address(frontend: str) -> tuple[str, int]:
    """Host and port of an address as ``Cluster.frontends`` holds it."""
    host, _, port = frontend.rpartition(":")
    return host.strip("[]"), int(port)


def clusters_of(settings: Settings) -> tuple[Cluster, ...]:
    """Every declared cluster, in its order. Raises ConfigError naming file and fault."""
    clusters: dict[str, Cluster] = {}
    owner: dict[str, str] = {}
    for file in (config_file(), settings.data_dir / "clusters.toml"):
        for number, content in enumerate(toml_lines(file, "clusters"), start=1):
            cluster = _cluster(file, number, content)
            if cluster.name in clusters:
                raise ConfigError(
                    f"{file}: cluster {cluster.name!r} is declared twice",
                    hint="give it another name",
                )
            for frontend in cluster.frontends:
                if frontend in owner:
                    raise ConfigError(
                        f"{file}: {frontend} belongs to the clusters {owner[frontend]!r} and "
                        f"{cluster.name!r}",
                        hint="a frontend belongs to one cluster",
                    )
                owner[frontend] = cluster.name
            clusters[cluster.name] = cluster
    return tuple(clusters.values())


def _address(text: str) -> str:
    found = _FRONTEND.fullmatch(text)
    port = int(found["port"] or QUERY_PORT) if found else 0
    if not found or not 1 <= port <= 65_535:
        raise ValueError(f"{text!r} is not written as host:{QUERY_PORT}")
    return f"[{found['six']}]:{port}" if found["six"] else f"{found['host']}:{port}"


def _cluster(file: Path, number: int, content: dict[str, Any]) -> Cluster:
    if "password" in content:
        raise ConfigError(
            f"{file}: [[clusters]] {number}: a password may not stand in this file",
            hint="name where it is: password_env or password_file",
        )
    cluster = checked_line(Cluster, "clusters", file, number, content)
    beside = file.absolute().parent
    paths = {
        field: beside / value.expanduser()
        for field in ("password_file", "tls")
        if isinstance(value := getattr(cluster, field), Path)
    }
    return cluster.model_copy(update=paths)

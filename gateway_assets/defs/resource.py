"""The bridge as a Dagster resource: assets of one's own ask hot and cold rows as one table."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from dagster_duckdb import DuckDBResource
from pydantic import Field

from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.settings import Settings, load_settings


class GatewayResource(DuckDBResource):
    """``sql`` and ``bridge`` for the declared tables; or, as of any ``DuckDBResource``, a
    connection, in which they are views.
    """

    database: str = Field(default=":memory:", description="The DuckDB file of ``get_connection``.")
    data_dir: str = Field(
        default="", description="Data directory; that of the settings when empty."
    )
    tables: list[str] = Field(
        default=[], description="Views of ``get_connection``; all when empty."
    )

    def sql(self, text: str, params: Sequence[Any] = ()) -> pa.Table:
        """The answer of one SELECT over any declared tables; ``.to_pandas()`` makes a frame."""
        with self.bridge() as bridge:
            return bridge.sql(text, params)

    def bridge(self) -> UnifiedQueryBridge:
        """For several questions; to be closed, or used as a context."""
        return UnifiedQueryBridge(self._settings())

    @contextmanager
    def get_connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection with the views, as of now. Hot rows are copied into memory for it."""
        with super().get_connection() as connection, self.bridge() as bridge:
            bridge.add_views(connection, self.tables)
            yield connection

    def _settings(self) -> Settings:
        return load_settings(data_dir=Path(self.data_dir)) if self.data_dir else load_settings()

"""How an answer came about: per table the tiers that were read, files, rows; milliseconds."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

from gateway_assets.bridge.tiers import Tiers


@dataclass(frozen=True, slots=True)
class TableUse:
    """What was read of one table. ``files_met`` of the opened files were met before, so that their
    footers are kept. ``cold_rows`` are all rows of the opened files; ``counted`` those that were
    only counted, by the manifest.
    """

    table: str
    hot_rows: int
    files_opened: int
    files_met: int
    files_known: int
    cold_rows: int
    counted: int

    @classmethod
    def of(cls, tiers: Tiers) -> TableUse:
        opened = tiers.opened
        return cls(
            tiers.table.name,
            tiers.hot_rows,
            len(opened),
            sum(file.is_met for file in opened),
            tiers.known_files,
            sum(file.rows for file in opened),
            tiers.counted,
        )

    @property
    def tier(self) -> str:
        names = [
            name
            for name, used in (
                ("hot", self.hot_rows),
                ("cold", self.files_opened),
                ("manifest", self.counted),
            )
            if used
        ]
        return " + ".join(names) or "none"


@dataclass(frozen=True, slots=True)
class Explained:
    """``planning_ms`` is what finding out and reading the hot rows took, ``ms`` all of it."""

    tables: list[TableUse]
    planning_ms: float
    ms: float
    cache: str = "off"

    @classmethod
    def since(cls, started: float, tables: list[TableUse], cache: str) -> Explained:
        """Of a question to one table, which is not planned apart."""
        spent = (time.perf_counter() - started) * 1000
        return cls(tables, spent, spent, cache)

    def to_dict(self) -> dict[str, Any]:
        return {
            "tables": [{**asdict(one), "tier": one.tier} for one in self.tables],
            "planning_ms": round(self.planning_ms, 3),
            "ms": round(self.ms, 3),
            "cache": self.cache,
        }

"""Whether a capture's counters, which its files tell in their facts, went as far as the files."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from gateway_assets import clock
from gateway_assets.model import TIME_END
from gateway_assets.table import Table


@dataclass(slots=True)
class Counted:
    """What files of one writer tell, in bytes sent and received together."""

    sealed: int = 0  # in incomplete files without counters
    # By the beginning of the counters: how far they went, and what is in the files.
    since: dict[int, tuple[int, int]] = field(default_factory=dict)

    def add_file(self, size: int, facts: dict[str, Any], *, is_complete: bool) -> None:
        counters = _counters(facts)
        if counters:
            self._add(*counters, size)
        elif not is_complete:
            self.sealed += size

    def add(self, text: str | None) -> None:
        """Add what another one said of itself."""
        if text is None:
            return
        other = json.loads(text)
        self.sealed += other["sealed"]
        for epoch, amounts in other["since"].items():
            self._add(int(epoch), *amounts)

    def text(self) -> str | None:
        """As JSON; None when there is nothing to say."""
        if not self.sealed and not self.since:
            return None
        return json.dumps({"sealed": self.sealed, "since": self.since})

    def _add(self, epoch: int, whole: int, size: int) -> None:
        furthest, loaded = self.since.get(epoch, (whole, 0))
        self.since[epoch] = max(furthest, whole), loaded + size


def counters_that_differ(connection: sqlite3.Connection, table: Table) -> dict[str, int]:
    """Where a capture's counters went further than the files that are here: by host, instance and
    beginning of the counters, the bytes that are missing (or, if negative, too many).

    Incomplete files without counters were sealed for a killed capture; its next run counts them.
    """
    return {
        f"{writer} since {clock.iso(epoch)}": whole - loaded
        for writer, counted in _by_writer(connection, table).items()
        for epoch, (whole, loaded) in counted.since.items()
        if not 0 <= whole - loaded <= counted.sealed
    }


def _by_writer(connection: sqlite3.Connection, table: Table) -> dict[str, Counted]:
    found: dict[str, Counted] = defaultdict(Counted)
    files = "SELECT name, sums, facts, complete FROM loaded_files WHERE table_name = ?"
    for name, sums, facts, complete in connection.execute(files, (table.name,)):
        told = json.loads(facts) if facts else {}
        size = sum(json.loads(sums).values())
        found[_writer(name)].add_file(size, told, is_complete=bool(complete))
    days = "SELECT prefix, counters FROM loaded_days WHERE table_name = ?"
    for prefix, counters in connection.execute(days, (table.name,)):
        found[_writer(prefix)].add(counters)
    return found


def _writer(name: str) -> str:
    """Host and instance, which stand in the name of a landing file and in its prefix."""
    return "-".join(name.split("-")[2:4])


def _counters(facts: dict[str, Any]) -> tuple[int, int] | None:
    """When they began and how far they went; None when the file does not tell."""
    counters = facts.get("counters")
    if not isinstance(counters, dict):
        return None
    values = [counters.get(name) for name in ("epoch", "tx_bytes", "rx_bytes")]
    epoch, sent, received = (value if type(value) is int else -1 for value in values)
    if not 0 <= epoch < TIME_END or sent < 0 or received < 0:
        return None
    return epoch, sent + received

"""Which type every field has, so that a conflict is told instead of acknowledged.

The types of all series that are registered, whoever did so, and of what was accepted here and is
not loaded yet. The loader decides by the same rules (``points.series``). It meets a conflict only
where another program has written the same new field with another type in the second before, and
notes it in the table of rejects.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from threading import Lock

from gateway_assets.points.line import Line, Shape, Type
from gateway_assets.points.series import merged_type, stored_fields, type_conflict

MOST_VERDICTS = 200_000

New = dict[tuple[str, str], Type]  # by measurement and field


class FieldTypes:
    """Safe from any number of threads; the connection is its own from now on.

    What brings a field that is not known is judged and stored while holding ``introducing``, and
    then added. So two of them cannot contradict each other, and what could not be stored leaves
    nothing behind.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._lock = Lock()
        self._types: New = {}
        self._fine: dict[tuple[str, int], Shape] = {}  # by measurement and id() of a shape
        self._data_version = self._last_series = -1
        self.introducing = Lock()

    def refresh(self) -> None:
        """Learn what other programs and the loader have registered.

        A database that cannot be read now keeps no write out: the log takes it, the loader tells.
        """
        with self._lock, suppress(sqlite3.Error):
            (version,) = self._connection.execute("PRAGMA data_version").fetchone()
            if version == self._data_version:
                return
            rows = self._connection.execute(
                "SELECT id, measurement, field, type FROM series WHERE id > ? ORDER BY id",
                (self._last_series,),
            )
            for number, measurement, field, kind in rows:
                self._learn(measurement, field, Type(kind))
                self._last_series = number
            self._data_version = version

    def conflict(self, line: Line, new: New) -> str:
        """Why a line cannot be stored, or an empty text. Types that it brings are put into ``new``,
        which are those that came with it so far.
        """
        measurement, shape = line.head.measurement, line.shape
        if (measurement, id(shape)) in self._fine:
            return ""
        with self._lock:
            fields = {
                (measurement, field): type_ for field, type_ in stored_fields(measurement, shape)
            }
            brought: New = {}
            for key, type_ in fields.items():
                known = new.get(key, self._types.get(key))
                wider = merged_type(known, type_)
                if wider is None:
                    assert known is not None
                    return type_conflict(*key, type_, known)
                if wider != known:
                    brought[key] = wider
            new.update(brought)
            if new.keys().isdisjoint(fields):
                self._note_fine(measurement, shape)
        return ""

    def add(self, new: New) -> None:
        """These fields are stored."""
        with self._lock:
            self._types.update(new)

    def _learn(self, measurement: str, field: str, type_: Type) -> None:
        """What the database says counts, whatever was accepted here."""
        known = self._types.get((measurement, field))
        wider = merged_type(known, type_)
        if wider is None:
            self._fine.clear()
        self._types[measurement, field] = wider or type_

    def _note_fine(self, measurement: str, shape: Shape) -> None:
        if len(self._fine) >= MOST_VERDICTS:
            self._fine.clear()
        self._fine[measurement, id(shape)] = shape  # held, so that its id() stays its own

"""A tick is in its files, or will be: what keeps a killed collector from losing or doubling one.

The journal holds one tick: its rows, and the memories from which the next tick goes on. It
replaces the one before by rename, and only then do the tick's landing files appear. A collector
that starts lands the journal's tick again, under the same names with the same bytes: a file that
is there is left, and one that was loaded and removed is known to the loader's ledger.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from gateway_assets import clock
from gateway_assets.collect.say import say
from gateway_assets.collect.tick import SOURCES, Memory, Ticked
from gateway_assets.errors import LandingError
from gateway_assets.files.appear import PARTIAL, explained, make_directory, sync_directory
from gateway_assets.files.landing import Origin, Stamp, land, landing_name
from gateway_assets.source import Source

INSTANCE = "collect"
VERSION = 1
_MOMENTS = ("asked_until", "time", "interval")  # in memories
_MISREAD = (LookupError, AttributeError, TypeError, ValueError)  # content of another shape


class Journal:
    """Hold the collector's lock while using it."""

    def __init__(self, directory: Path, landing: Path, host: str) -> None:
        self.memories: dict[str, Memory] = {}
        self.last_time: int | None = None
        self._path = directory / "journal.json"
        self._landing = landing
        # Names of this process' own: no clock that goes back makes two files of one name.
        self._origin = Origin(host, INSTANCE, os.urandom(4).hex())
        self._sequence = 0
        self._waiting: dict[str, Any] | None = None

    def resume(self) -> None:
        """Go on where the last process ended. Raises LandingError.

        A journal that cannot be understood is said and set aside.
        """
        try:
            self._waiting = found = self._read()
            if found:
                self._remove_partials(found)
                self._land()
                self.memories, self.last_time = found["memories"], found["stamp"]["time"]
        except _MISREAD as error:
            self._waiting = None
            self._set_aside(error)

    def keep(self, ticked: Ticked) -> None:
        """Make a tick durable, and its files appear.

        Raises LandingError when the tick is lost: nothing of it will appear, the memories are as
        before. Files that cannot appear yet do so before the next tick is kept.
        """
        self._land()
        origin = self._origin._asdict()
        content = {
            "version": VERSION,
            "stamp": {**origin, "time": ticked.time, "sequence": self._sequence},
            "rows": {
                name: {"version": SOURCES[name].version, "rows": rows}
                for name, rows in ticked.rows.items()
                if rows
            },
            "memories": ticked.memories,
        }
        try:
            self._write(content)
        except OSError as error:
            raise LandingError(f"cannot write {self._path}: {error}") from error
        self._sequence += 1
        self.memories, self.last_time, self._waiting = ticked.memories, ticked.time, content
        try:
            self._land()
        except LandingError as error:
            say(f"{error}; this tick's files will appear with the next one's")

    def _write(self, content: dict[str, Any]) -> None:
        partial = self._path.with_name(self._path.name + PARTIAL)
        text = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
        with explained(self._path):
            make_directory(self._path.parent)
            partial.unlink(missing_ok=True)  # of a killed process, with whatever rights
            with open(partial, "xb", opener=_own) as file:
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self._path)
            sync_directory(self._path.parent)

    def _read(self) -> dict[str, Any] | None:
        try:
            with explained(self._path):
                found = json.loads(self._path.read_bytes())
            _check(found)
        except LandingError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise
        return dict(found)

    def _set_aside(self, error: Exception) -> None:
        aside = self._path.with_name("journal.json.damaged")
        with explained(self._path):
            self._path.replace(aside)
        what = f"{type(error).__name__}: {error}"
        say(f"the journal is damaged ({what}), set aside as {aside}: counters begin anew")

    def _land(self) -> None:
        if self._waiting is None:
            return
        for source, stamp, rows in _files(self._waiting):
            try:
                land(self._landing, source, stamp, rows)
            except FileExistsError:
                continue
            except OSError as error:
                raise LandingError(f"cannot land {source.name}: {error}") from error
        self._waiting = None

    def _remove_partials(self, found: dict[str, Any]) -> None:
        """What a killed process had begun; sealing it would take the whole file's name."""
        for source, stamp, _ in _files(found):
            day = clock.day_text(clock.day_of(stamp.time)).replace("-", "/")
            folder = self._landing / source.name / day
            for partial in folder.glob(f".{landing_name(source, stamp)}.*{PARTIAL}"):
                partial.unlink(missing_ok=True)


def _own(path: str, flags: int) -> int:
    """Statements of people are in it, and nobody else reads it."""
    return os.open(path, flags, 0o600)


def _files(content: dict[str, Any]) -> list[tuple[Source, Stamp, list[list[Any]]]]:
    """What is to land; rows of an earlier release under that release's version."""
    stamp = content["stamp"]
    origin = Origin(stamp["host"], stamp["instance"], stamp["boot"])
    files = []
    for name, part in content["rows"].items():
        source = SOURCES[name]
        columns = source.columns[: len(part["rows"][0])]
        own = source._replace(version=part["version"], columns=columns)
        files.append((own, Stamp(origin, stamp["time"], stamp["sequence"]), part["rows"]))
    return files


def _check(found: Any) -> None:
    """Raises one of _MISREAD when it is no journal of this program."""
    if found["version"] != VERSION:
        raise ValueError("not of this release")
    for memory in found["memories"].values():
        if not all(isinstance(memory.get(name), int | None) for name in _MOMENTS):
            raise TypeError("a time is no number")
    if not isinstance(found["stamp"]["time"], int):
        raise TypeError("the moment of the tick is no number")
    _files(found)

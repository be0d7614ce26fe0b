"""Kill real work with SIGKILL at every kind of point, and look at what is left.

``python -m tests.killing WORK KILLS`` copies a prepared data directory and runs the work in a
forked child that kills itself at one of its calls of a Python or C function; so many times, spread
evenly over all of its calls. After every kill, and after running the work again, the bridge must
answer every row exactly once. Prints one JSON line.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import sqlite3
import sys
import tempfile
import traceback
from collections.abc import Callable
from multiprocessing.sharedctypes import RawValue
from pathlib import Path
from types import FrameType
from typing import Any

from gateway_assets.archive import pace
from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.archive.manifest import live_files
from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.bridge.reconcile import difference
from gateway_assets.files.landing import Landed
from gateway_assets.geoip.geoip import GeoIP
from gateway_assets.hot.load import load
from gateway_assets.hot.store import open_store
from gateway_assets.settings import Settings, load_settings
from gateway_assets.tables import IP_TRAFFIC, IP_TRAFFIC_DAILY, rollups_of
from tests.grouped import wrong_rows
from tests.mmdb import write_mmdb
from tests.spread import spread
from tests.traffic import TODAY, land_rows, roll_up, seen

DAYS = range(TODAY - 3, TODAY)
Work = Callable[[sqlite3.Connection, Settings], object]
CALLS = RawValue("q", 0)  # of the last child


def _load(connection: sqlite3.Connection, settings: Settings) -> None:
    load(connection, IP_TRAFFIC, settings)
    roll_up(connection, settings)


def _archive(connection: sqlite3.Connection, settings: Settings) -> None:
    for table in (IP_TRAFFIC, IP_TRAFFIC_DAILY):
        UniversalArchiver(settings).archive_table(table)


def _restore(connection: sqlite3.Connection, settings: Settings) -> None:
    if live_files(connection, seen(connection, IP_TRAFFIC), DAYS[0]):
        UniversalArchiver(settings).restore(IP_TRAFFIC, [DAYS[0]])


def _late(connection: sqlite3.Connection, settings: Settings) -> None:
    """Late rows for an archived day: loaded, rolled up, archived beside the first file."""
    _load(connection, settings)
    _archive(connection, settings)


def _replace_places(connection: sqlite3.Connection, settings: Settings) -> None:
    """Whatever is killed, the days whose countries changed wait for the roll-ups."""
    geoip = GeoIP(settings.geoip_paths)
    UniversalArchiver(settings).replace_places(IP_TRAFFIC, geoip, DAYS)
    roll_up(connection, settings)


def _not_rolled_up(connection: sqlite3.Connection, settings: Settings) -> None:
    _land(settings, 0)
    load(connection, IP_TRAFFIC, settings)


def _loaded(connection: sqlite3.Connection, settings: Settings) -> None:
    _land(settings, 0)
    _load(connection, settings)


def _archived(connection: sqlite3.Connection, settings: Settings) -> None:
    _loaded(connection, settings)
    _archive(connection, settings)


def _with_late_files(connection: sqlite3.Connection, settings: Settings) -> None:
    _archived(connection, settings)
    _land(settings, 100)


def _without_places(connection: sqlite3.Connection, settings: Settings) -> None:
    """Archived files and hot rows of the same days, loaded before there was a database."""
    _with_late_files(connection, settings)
    _load(connection, settings)
    write_mmdb(settings.data_dir / "geoip" / "country.mmdb", {"9.0.0.0/8": {"country_code": "DE"}})


def _without_hourly(connection: sqlite3.Connection, settings: Settings) -> None:
    """Archived by a release that had no hourly roll-up; some late rows are hot."""
    _with_late_files(connection, settings)
    _load(connection, settings)
    connection.execute("DROP TABLE ip_traffic_hourly")


def _nothing_loaded(connection: sqlite3.Connection, settings: Settings) -> None:
    del connection
    _land(settings, 0)


# name -> what is prepared, what is killed, how many landing files there are
WORKS: dict[str, tuple[Work, Work, int]] = {
    "load": (_nothing_loaded, _load, 2),
    "rollup": (_not_rolled_up, roll_up, 2),
    "younger": (_without_hourly, roll_up, 4),
    "archive": (_loaded, _archive, 2),
    "restore": (_archived, _restore, 2),
    "late": (_with_late_files, _late, 4),
    "places": (_without_places, _replace_places, 4),
}


def _land(settings: Settings, sequence: int) -> list[Landed]:
    return [land_rows(settings.landing, day, sequence + n, 25) for day in DAYS for n in range(2)]


def _in_child(work: Work, settings: Settings, kill_at: int = 0) -> bool:
    """Run work in a fork; whether it was killed."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            _count_calls(kill_at)
            with open_store(settings.hot_database) as connection:
                work(connection, settings)
            sys.setprofile(None)
            status = 0
        except BaseException:  # noqa: BLE001  said, then turned into an exit status
            traceback.print_exc()
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    if os.waitstatus_to_exitcode(status):
        sys.exit(f"the work failed in child {child}")
    return False


def _count_calls(kill_at: int) -> None:
    """Into ``CALLS``; this process ends at one of them, counted from 1."""
    CALLS.value = 0

    def count(frame: FrameType, event: str, arg: Any) -> None:
        if event in {"call", "c_call"}:
            CALLS.value += 1
            if CALLS.value == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(count)


def _check(settings: Settings, files: int | None) -> None:
    """The bridge answers what the ledger has, once; at the end the ledger has everything."""
    for table in (IP_TRAFFIC, *rollups_of(IP_TRAFFIC.name)):
        found = difference(table, settings)
        if found:
            sys.exit(found)
        wrong = wrong_rows(settings, table) if table.rollup else []
        if wrong:
            sys.exit(f"{table.name} is wrong where no day is dirty: {wrong}")
    if files is None:
        return
    query = "SELECT sum(rows) FROM loaded_files"
    samples = """
        SELECT (SELECT sum(samples) FROM ip_traffic_daily) AS daily,
               (SELECT sum(samples) FROM ip_traffic_hourly) AS hourly
    """
    with open_store(settings.hot_database) as connection:
        (rows,) = connection.execute(query).fetchone()
    (rolled_up,) = UnifiedQueryBridge(settings).rows(samples)
    if not rows == files * len(DAYS) * 25 == rolled_up["daily"] == rolled_up["hourly"]:
        sys.exit(f"{rows} rows loaded, rolled up: {rolled_up}")
    if (settings.data_dir / "geoip").exists():
        places = "SELECT count(*) AS n FROM ip_traffic WHERE country IS DISTINCT FROM 'ZZ'"
        if UnifiedQueryBridge(settings).rows(places) != [{"n": 0}]:
            sys.exit("rows without a place")


def _checked_in_child(settings: Settings, files: int | None) -> None:
    """In a fork, so that this process never holds a SQLite file or a thread when it forks."""
    _in_child(lambda connection, own: _check(own, files), settings)


def main(name: str, kills: int) -> None:
    # Days of fifty rows must leave and come back in many chunks, not in one.
    pace.FIRST_ROWS = pace.MOST_ROWS = 7
    for module in ("duckdb", "pandas", "pyarrow.parquet"):
        importlib.import_module(module)  # once, not in every fork
    prepare, work, files = WORKS[name]
    with tempfile.TemporaryDirectory() as folder:
        template = load_settings(data_dir=Path(folder) / "template")
        _in_child(prepare, template)

        def trial(kill_at: int) -> bool:
            """Whether the work was killed there."""
            own = load_settings(data_dir=Path(folder) / "trial")
            shutil.copytree(template.data_dir, own.data_dir)
            killed = _in_child(work, own, kill_at)
            calls = CALLS.value
            _checked_in_child(own, None)
            _in_child(work, own)
            _checked_in_child(own, files)
            shutil.rmtree(own.data_dir)
            CALLS.value = calls
            return killed

        trial(0)
        calls = CALLS.value
        killed = sum(trial(call) for call in spread(calls, kills))
    print(json.dumps({"work": name, "kills": killed, "calls": calls}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

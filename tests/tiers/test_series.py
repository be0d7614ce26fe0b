"""Time series by a composite key and nanoseconds, end to end: every row exactly, late ones too."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from collections import Counter
from contextlib import chdir, closing
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway_assets import clock
from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.defs import runs
from gateway_assets.defs.describe import archive_name
from gateway_assets.defs.execute import execute
from gateway_assets.errors import ArchiveError
from tests.cli.test_cli import Gateway
from tests.cli.test_cli import gateway as gateway  # noqa: PLC0414  the fixture
from tests.defs.conftest import instance as instance  # noqa: PLC0414  the fixture
from tests.defs.conftest import quietly_built
from tests.tiers.places import APP, OLD, TODAY, answered, archive, files, ordered, patient, run
from tests.tiers.series import (
    DAY,
    DEVICES,
    INDEXED,
    SKIPPED,
    Point,
    declare_series,
    make_series,
    ns,
    put,
)

# Ends of days, neighbours by a nanosecond, and doubles that only just are integers.
OFFSETS = st.sampled_from([0, 1, 2, 999_999_999, 3_600 * 10**9, DAY - 1])
TIMES = st.builds(
    lambda day, offset: day * DAY + offset, st.sampled_from([OLD, OLD + 1, TODAY]), OFFSETS
)
VALUES = st.one_of(
    st.none(),
    st.integers(-3, 3).map(float),
    st.floats(allow_nan=False),
    st.sampled_from([2.0**51, 2.0**53 + 2, 1e308, 5e-324]),
)
TEXTS = st.one_of(st.none(), st.just("9007199254740993"), st.text(max_size=5))
POINTS = st.lists(st.tuples(st.integers(1, 3), TIMES, VALUES, TEXTS), max_size=12)
ACTIONS = st.one_of(POINTS, st.sampled_from(["archive", "hide", "restore", "compact"]))


class History:
    """A loader that writes, an archiver that moves, and the rows that must then be answered."""

    def __init__(self, found_by: str) -> None:
        make_series(found_by=found_by)
        declared = declare_series()
        self.settings = declared.model_copy(update={"data_dir": Path("data").absolute()})
        self.hot: dict[tuple[int, int], Point] = {}
        self.archived: Counter[Point] = Counter()

    def put(self, readings: list[Point]) -> None:
        """A later value wins, as long as the row is hot; what comes after that is another row."""
        with closing(sqlite3.connect(APP)) as connection, connection:
            put(connection, readings)
            for point in readings:
                self.hot[point[:2]] = point[:2] + _as_stored(connection, point)

    def archive(self) -> None:
        archive(self.settings, "readings")
        for key in [key for key in self.hot if key[1] < TODAY * DAY]:
            self.archived[self.hot.pop(key)] += 1

    def restore(self) -> None:
        """A day of which a key is there twice stays archived, as far as it cannot come back."""
        before = self.answers()
        try:
            UniversalArchiver(self.settings).restore("readings", [OLD], hold_days=0)
        except ArchiveError as refused:
            assert "cannot come back" in refused.message or "nothing of" in refused.message
        assert self.answers() == before
        left = {point[:2]: point for point in run("SELECT * FROM readings")}
        came = Counter(left.values()) - Counter(self.hot.values())
        self.archived -= came
        self.hot = left

    def answers(self) -> Counter[Point]:
        names = "series, time, value, text"
        return Counter(answered(self.settings, "readings", names))

    def check(self) -> None:
        rows = Counter(self.hot.values()) + self.archived
        assert self.answers() == rows
        described = answered(self.settings, "readings")
        assert Counter(described) == Counter(
            {(*point, *DEVICES[point[0] - 1]): count for point, count in rows.items()}
        )
        assert all(not wrong for _, wrong in UniversalArchiver(self.settings).verify("readings"))


def _as_stored(connection: sqlite3.Connection, point: Point) -> tuple[float | None, str | None]:
    """SQLite has no negative zero; every other double it gives back as it was."""
    query = "SELECT value, text FROM readings WHERE series = ? AND time = ?"
    value, text = connection.execute(query, point[:2]).fetchone()
    return value, text


@settings(max_examples=12, suppress_health_check=list(HealthCheck))
@given(st.lists(ACTIONS, min_size=1, max_size=6), st.sampled_from([INDEXED, SKIPPED]))
def test_any_history_of_a_series_is_answered_exactly(
    actions: list[list[Point] | str], found_by: str
) -> None:
    folder = Path(tempfile.mkdtemp(prefix="series-"))
    try:
        with chdir(folder):
            history = History(found_by)
            for action in [*actions, "archive"]:
                match action:
                    case "archive":
                        history.archive()
                    case "hide":
                        archive(patient(history.settings), "readings")
                    case "restore":
                        history.restore()
                    case "compact":
                        UniversalArchiver(history.settings).compact("readings")
                    case list(readings):
                        history.put(readings)
                history.check()
    finally:
        shutil.rmtree(folder)


def test_times_are_nanoseconds_in_files_and_rows_in_the_order_of_their_series() -> None:
    readings: list[Point] = [(s, ns(OLD) + t, float(s), None) for t in (1, 0, 2) for s in (3, 1, 2)]
    make_series(readings=readings)
    settings = declare_series()
    archive(settings, "readings")
    found = pq.read_table(files(settings, "readings")[0])
    assert [tuple(row.values())[:4] for row in found.to_pylist()] == sorted(readings)
    assert [found.schema.field(name).type for name in ("series", "time")] == [pa.int64()] * 2


def test_late_rows_become_another_file_and_then_one_with_the_others() -> None:
    make_series(readings=[(1, ns(OLD, second), 1.0, None) for second in range(4)])
    settings = declare_series()
    archive(settings, "readings")
    late: list[Point] = [(2, ns(OLD, 1), 2.0, None), (1, ns(OLD, 0.5), 3.0, None)]
    with closing(sqlite3.connect(APP)) as connection, connection:
        put(connection, late)
    assert len(answered(settings, "readings")) == 6
    result = archive(settings, "readings")
    assert (result.rows, len(result.files), result.compacted_days) == (2, 1, result.days)
    (file,) = files(settings, "readings")
    rows = [tuple(row.values()) for row in pq.read_table(file).select([0, 1]).to_pylist()]
    assert rows == sorted(rows)
    assert len(rows) == 6


@pytest.mark.parametrize("dedup", [[["series", "time"]], []], ids=["remembered", "off"])
def test_a_key_that_comes_again_after_its_row_was_archived(dedup: list[list[str]]) -> None:
    """With ``dedup = []`` no key is kept: the row that comes is simply another one."""
    make_series(readings=[(1, ns(OLD), 1.0, None)])
    settings = declare_series(dedup=dedup)
    archive(settings, "readings")
    kept = run("SELECT name FROM sqlite_schema WHERE name LIKE 'gateway_archive_known%'")
    again: Point = (1, ns(OLD), 2.0, None)
    with closing(sqlite3.connect(APP)) as connection, connection:
        if dedup:
            assert kept
            with pytest.raises(sqlite3.IntegrityError, match="its key is archived"):
                put(connection, [again])
            return
        assert not kept
        put(connection, [again])
    archive(settings, "readings")
    assert answered(settings, "readings", "series, time, value, text") == ordered(
        [(1, ns(OLD), 1.0, None), again]
    )
    with pytest.raises(ArchiveError, match="a row cannot come back"):
        UniversalArchiver(settings).restore("readings", [OLD])
    assert len(answered(settings, "readings")) == 2


def test_chunks_of_rows_have_the_least_size_that_the_line_says() -> None:
    """However long they lock, and although no chunk of more rows than usual would be tried."""
    make_series(readings=[(1, ns(OLD, second), 1.0, None) for second in range(2_500)])
    settings = declare_series(chunk_rows=20_000)
    with UniversalArchiver(settings)._looking("readings") as source:
        for seconds in (0.0, 5.0, 0.001):
            source.pace.locked_for(seconds, 20_000)
            assert source.pace.rows == 20_000
    assert archive(settings, "readings").pruned_rows == 2_500


# The whole way ---------------------------------------------------------------------------------

SOME: list[Point] = [(1, ns(OLD), 1.0, None), (2, ns(OLD), 2.0, "on"), (1, ns(TODAY), 3.0, None)]


def test_every_command_takes_a_described_table(gateway: Gateway) -> None:
    make_series(readings=SOME)
    declare_series()
    day = clock.day_text(OLD)
    assert any("export" in line for line in gateway("archive", "plan", "readings").out.splitlines())
    assert gateway("archive", "run", "readings").code == 0
    assert gateway("archive", "verify", "readings").code == 0
    (listed,) = [
        row for row in json.loads(gateway("tables", "--json").out) if row["table"] == "readings"
    ]
    assert (listed["hot_rows"], listed["hidden_rows"], listed["cold_rows"]) == (1, 2, 2)
    question = "SELECT device, sum(value) AS v FROM readings GROUP BY ALL ORDER BY ALL"
    asked = json.loads(gateway("query", question, "--format", "json").out)
    assert asked == [{"device": "a", "v": 4.0}, {"device": "b", "v": 2.0}]
    assert gateway("archive", "restore", "readings", day, "--hold-days", "0").code == 0
    assert gateway("archive", "export", "readings", "--output", "out.db").code == 0
    assert run("SELECT sum(value) FROM readings WHERE device = 'a'", path=Path("out.db")) == [
        (4.0,)
    ]
    assert gateway("archive", "run", "readings").code == 0
    erased = gateway("archive", "erase", "readings", "--match", "device=a", "--yes")
    assert "readings: 2 hot and 0 archived rows erased" in erased.out
    assert "may still hold such rows" in erased.err
    assert json.loads(gateway("query", question, "--format", "json").out) == [
        {"device": "b", "v": 2.0}
    ]


@pytest.mark.usefixtures("instance")
def test_dagster_archives_a_described_table() -> None:
    make_series(readings=SOME)
    settings = declare_series(about="A value of a series.")
    defs = quietly_built(settings)
    shown = defs.resolve_asset_graph().get(dg.AssetKey("readings"))
    assert shown.description == "A value of a series."
    columns = shown.metadata["dagster/column_schema"].columns
    assert [column.name for column in columns][-3:] == ["device", "tags", "scale"]
    execute(defs, runs.ARCHIVE, archive_name("readings"), (OLD, OLD))
    execute(defs, runs.ANSWER)
    assert [row[2] for row in run("SELECT * FROM readings")] == [3.0]
    assert len(answered(settings, "readings")) == 3

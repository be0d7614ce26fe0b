"""Adding deltas up: nothing is lost, doubled or put on the wrong day."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway_assets import clock
from gateway_assets.capture.backend import Delta
from gateway_assets.capture.intervals import Interval, Intervals, Label

SECOND = clock.SECOND
LABEL = Label("h", "sockdiag", "tcp", None)
NOON = clock.parse_moment("2026-03-01T12:00:00Z")

deltas = st.builds(
    Delta,
    st.integers(0, 3 * clock.DAY),
    st.sampled_from(["192.0.2.1", "192.0.2.2", "2001:db8::1"]),
    st.sampled_from([None, "curl", "nginx"]),
    st.sampled_from([None, 1, 2]),
    st.integers(0, 2**40),
    st.integers(0, 2**40),
)


def delta(moment: int, tx: int = 1, rx: int = 0, remote: str = "192.0.2.1") -> Delta:
    return Delta(moment, remote, None, None, tx, rx)


@given(
    st.lists(st.lists(deltas, max_size=8), max_size=8),
    st.integers(1, 3600),
    st.lists(st.integers(0, 3 * clock.DAY), min_size=8, max_size=8),
)
def test_sums_are_kept_whatever_the_clock_does(
    reads: list[list[Delta]], width: int, clocks: list[int]
) -> None:
    intervals = Intervals(width * SECOND, begin=clock.DAY)
    taken: list[Interval] = []
    for read, now in zip(reads, clocks, strict=False):
        intervals.add(read)
        taken += intervals.finished(now)
    taken += intervals.rest(clocks[-1])
    rows = [row for interval in taken for row in interval.rows(LABEL)]
    counted = [one for read in reads for one in read]
    assert sum(row[9] for row in rows) == sum(one.tx_bytes for one in counted)
    assert sum(row[10] for row in rows) == sum(one.rx_bytes for one in counted)
    assert all(row[9] or row[10] for row in rows)
    for start, end, *_ in rows:
        assert start < end <= start + width * SECOND
        assert clock.day_of(start) == clock.day_of(end - 1)


def test_rows_stand_in_the_order_of_the_source() -> None:
    intervals = Intervals(30 * SECOND)
    intervals.add([Delta(NOON + 5, "192.0.2.1", "curl", 7, 10, 20, "cron.service", "socket")])
    intervals.add([Delta(NOON + 6, "192.0.2.1", "curl", 7, 1, 2, "cron.service", "socket")])
    [interval] = intervals.finished(NOON + 30 * SECOND)
    end = NOON + 30 * SECOND
    owner = ("curl", 7, 11, 22, "cron.service", "socket")
    expected = (NOON, end, "h", "sockdiag", "tcp", None, "192.0.2.1", *owner)
    assert list(interval.rows(LABEL)) == [expected]


def test_first_and_last_interval_are_as_long_as_was_watched() -> None:
    begin, stop = NOON + 10 * SECOND, NOON + 70 * SECOND
    intervals = Intervals(30 * SECOND, begin)
    intervals.add(delta(NOON + second * SECOND) for second in (12, 40, 65))
    found = [(one.start, one.end) for one in intervals.rest(stop)]
    thirty, sixty = NOON + 30 * SECOND, NOON + 60 * SECOND
    assert found == [(begin, thirty), (thirty, sixty), (sixty, stop)]


def test_an_open_interval_is_not_finished() -> None:
    intervals = Intervals(30 * SECOND)
    intervals.add([delta(NOON)])
    assert intervals.finished(NOON + 30 * SECOND - 1) == []
    assert len(intervals.finished(NOON + 30 * SECOND)) == 1
    assert intervals.rest() == []


def test_no_interval_crosses_midnight() -> None:
    midnight = clock.parse_moment("2026-03-02T00:00:00Z")
    intervals = Intervals(3599 * SECOND)
    intervals.add([delta(midnight - 1), delta(midnight)])
    assert [one.end for one in intervals.rest()] == [midnight, midnight + 3599 * SECOND]


def test_a_clock_set_back_closes_what_it_had_opened() -> None:
    intervals = Intervals(30 * SECOND)
    intervals.add([delta(NOON)])
    [early] = intervals.finished(NOON - 3600 * SECOND)
    assert early.start == NOON


def test_rows_without_bytes_are_left_out() -> None:
    intervals = Intervals(30 * SECOND)
    intervals.add([delta(NOON, tx=0, rx=0)])
    assert intervals.rest() == []

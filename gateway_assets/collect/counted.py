"""What the counters of one node grew since they were last looked at.

A node that was away brings what it counted meanwhile when it comes back, together with the length
of its own interval.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from gateway_assets.clock import SECOND
from gateway_assets.collect.series import LATENCY, Metrics, group_of, matching
from gateway_assets.starrocks.definitions import METRICS, Metric, Place
from gateway_assets.starrocks.growth import UNKNOWN, counted, growth, is_another_start

_COUNTERS = tuple(metric for metric in METRICS if metric.is_counter)
_QUERIES_TIMED = Place("fe", f"{LATENCY}_count")
# Backends pass these on from their host (/proc/diskstats, /proc/net/dev): no restart begins them.
_OF_HOST = frozenset(
    {"disk_read_bytes", "disk_written_bytes", "network_sent_bytes", "network_received_bytes"}
)
_HOST_NAMES = frozenset(
    place.name for metric in _COUNTERS if metric.column in _OF_HOST for place in metric.places
)
_LATE = 300 * SECOND
_GONE = 1000  # series that are remembered beyond those of now: views come and go


class Grown(NamedTuple):
    """``amounts`` by column of metrics_snapshots; empty at first sight."""

    amounts: dict[str, int | None]
    seconds: float | None  # since the node's counters were last taken
    has_reset: bool
    has_new_latency: bool  # queries were timed since, so the percentiles are of now

    @property
    def is_known(self) -> bool:
        return any(amount is not None for amount in self.amounts.values())


def grown(
    kind: str, metrics: Metrics, started: int | None, before: dict[str, Any] | None
) -> tuple[Grown, dict[str, Any]]:
    """The growth, and what to remember for the next look.

    A start that moved tells of a restart that counters alone hide, because they have outgrown what
    they were. That of a frontend is its own word. That of a backend is not in every version: some
    note when the frontends saw it alive again, though it had run all the time and counted on; so
    there a counter must have shrunk, too. Counters of the host neither tell of a restart nor begin
    anew with one.
    """
    group = group_of(kind)
    values = _values(group, metrics)
    if before is None:
        memory = {"moment": metrics.moment, "started": started, "values": values}
        return Grown({}, None, has_reset=False, has_new_latency=False), memory
    known: dict[str, int] = before["values"]
    has_moved = is_another_start(before["started"], started) and not _is_told(before, metrics)
    shrank = any(
        values[name] < known[name] for name in values.keys() & known if not _is_of_host(name)
    )
    is_same = not has_moved or (group == "be" and not shrank)
    resets: list[str] = []
    amounts = {
        metric.column: _amount(metric, group, metrics, (known, is_same), resets)
        for metric in _COUNTERS
        if any(place.where == group for place in metric.places)
    }
    seconds = (metrics.moment - before["moment"]) / SECOND
    kept = known if is_same else {name: known[name] for name in known if _is_of_host(name)}
    timed = {name: values.get(name) for name, _ in matching(metrics, _QUERIES_TIMED)}
    has_new_latency = any(value != known.get(name) for name, value in timed.items())
    memory = {
        "moment": metrics.moment,
        "started": before["started"] if started is None else started,
        "values": _remembered(kept, values),
        "shrank": metrics.moment if shrank and is_same else before.get("shrank"),
    }
    return Grown(amounts, seconds if seconds > 0 else None, bool(resets), has_new_latency), memory


def _is_told(before: dict[str, Any], metrics: Metrics) -> bool:
    """Whether a start that moved is the restart that its counters have told of already.

    SHOW learns of it by a heartbeat, some seconds after the page was that of the new process.
    """
    shrank = before.get("shrank")
    return shrank is not None and 0 <= metrics.moment - shrank < _LATE


def _is_of_host(series: str) -> bool:
    return series.partition("\t")[0] in _HOST_NAMES


def _values(group: str, metrics: Metrics) -> dict[str, int]:
    places = [place for metric in _COUNTERS for place in metric.places if place.where == group]
    if group == "fe":
        places.append(_QUERIES_TIMED)
    found = {name: counted(value) for each in places for name, value in matching(metrics, each)}
    return {name: value for name, value in found.items() if value is not None}


def _amount(
    metric: Metric,
    group: str,
    metrics: Metrics,
    looked: tuple[dict[str, int], bool],
    resets: list[str],
) -> int | None:
    """The growth of all series of a column; those seen for the first time are not in it."""
    known, is_same = looked
    amounts = []
    for place in metric.places:
        if place.where != group:
            continue
        for name, value in matching(metrics, place):
            of_host = _is_of_host(name)
            goes_on = is_same or of_host
            grew = growth(known[name], value, is_same_process=goes_on) if name in known else UNKNOWN
            if grew.is_reset and not of_host:
                resets.append(name)
            if grew.amount is not None:
                amounts.append(grew.amount)
    return sum(amounts) if amounts else None


def _remembered(known: dict[str, int], values: dict[str, int]) -> dict[str, int]:
    """What was not on this page keeps its last value: it grows from there when it is back. Those
    that have been away the longest come first, and are the first to be forgotten.
    """
    absent = [name for name in known if name not in values]
    return {**{name: known[name] for name in absent[-_GONE:]}, **values}

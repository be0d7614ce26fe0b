"""States of a cluster, from the first place of each metric that knows it.

A sum is known only when all nodes that are alive have given their part, and a highest value of
frontends only when the leader has: the others write 0 for what only it knows. Of two places never
both are used for one number.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from gateway_assets.collect.nodes import Listed, leader_of
from gateway_assets.collect.observed import Observed, Record
from gateway_assets.collect.series import Metrics, fits, group_of, matching
from gateway_assets.starrocks import formats
from gateway_assets.starrocks.definitions import METRICS, QUERIES, Across, Metric, Place

CAPACITY = ("disk_total_bytes", "disk_free_bytes", "disk_data_bytes")

_READ = {"number": formats.number, "size": formats.size, "percent": formats.percent}
_GAUGES = tuple(metric for metric in METRICS if not metric.is_counter)
_PLACES = {metric.column: metric.places for metric in METRICS}
_LIMIT = re.compile(r" LIMIT (\d+)$")
_LIMITS = {
    query.name: int(match[1]) for query in QUERIES if (match := _LIMIT.search(query.statements[0]))
}
_LOCAL = frozenset({"backends", "compute_nodes", "frontends", "statistic"})  # a follower's own view
# What one frontend says of itself: all of the cluster only where it is the only one.
_OWN = frozenset({("processlist", "Id"), ("running_queries", "QueryId")})


class Capacity(NamedTuple):
    """Disks, bytes. ``data`` is what tables take, which is less than what is not free."""

    total: int
    free: int
    data: int | None

    @property
    def used(self) -> int:
        return self.total - self.free


class Seen(NamedTuple):
    """One look, with what was made of its texts."""

    observed: Observed
    nodes: list[Listed]
    metrics: dict[str, Metrics]

    def alive(self, *groups: str) -> list[Listed]:
        return [each for each in self.nodes if each.is_up and group_of(each.node.kind) in groups]


def gauges(seen: Seen) -> dict[str, float | None]:
    """All gauges by column; those of disks are the sums of ``capacity`` of the backends."""
    found = {
        metric.column: _first(metric, seen) for metric in _GAUGES if metric.column not in CAPACITY
    }
    whole = cluster_capacity(seen)
    values = (whole.total, whole.free, whole.data) if whole else (None, None, None)
    return {**found, **dict(zip(CAPACITY, values, strict=True))}


def cluster_capacity(seen: Seen) -> Capacity | None:
    """Disks of the backends that stay: in bytes where all gave them, else SHOW's.

    SHOW is exact to a thousandth of its unit only (1.968 TB: 1 GB), and says of a dead backend what
    it had when it was last alive. Without that nothing is known: a sum of the others would look as
    if data had gone.
    """
    backends = [
        each for each in seen.nodes if each.node.kind == "be" and not each.is_decommissioned
    ]
    told = [_measured(seen.metrics.get(each.node.key)) if each.is_up else None for each in backends]
    shown = [] if seen.observed.is_leader_view is False else [_shown(each) for each in backends]
    return _added(told) or _added(shown)


def node_capacity(each: Listed, seen: Seen) -> Capacity | None:
    """Disks of one node. What SHOW says of a dead one is of the time before."""
    told = _measured(seen.metrics.get(each.node.key))
    if told or seen.observed.is_leader_view is False or not each.is_up:
        return told
    return _added([_shown(each)])


def _added(parts: list[Capacity | None]) -> Capacity | None:
    known = [part for part in parts if part]
    total = sum(part.total for part in known)
    if not total or len(known) < len(parts):
        return None
    data = [part.data for part in known if part.data is not None]
    free = sum(part.free for part in known)
    return Capacity(total, free, sum(data) if len(data) == len(known) else None)


def _measured(metrics: Metrics | None) -> Capacity | None:
    if metrics is None or not metrics.is_whole:
        return None
    sums = []
    for column in CAPACITY:
        values = _values(metrics, _PLACES[column][0])
        sums.append(round(sum(values)) if values else None)
    return _capacity(*sums)


def _shown(each: Listed) -> Capacity | None:
    shown = _capacity(
        *(formats.size(each.row.get(_PLACES[column][1].name.lower())) for column in CAPACITY)
    )
    return shown if each.is_up or (shown and shown.total) else None


def _capacity(total: int | None, free: int | None, data: int | None) -> Capacity | None:
    """A backend that is new says 1 byte of 0 is free: nothing is known to be used of it."""
    if total is None or free is None:
        return None
    return Capacity(total, min(free, total), data)


def _first(metric: Metric, seen: Seen) -> float | None:
    for place in metric.places:
        found = _at(place, seen)
        if found is not None:
            return found
    return None


def _at(place: Place, seen: Seen) -> float | None:
    if place.where in {"fe", "be"}:
        return _of_nodes(place, seen)
    if place.where in _LOCAL and seen.observed.is_leader_view is False:
        return None
    if (place.where, place.name) in _OWN and len(seen.alive("fe")) != 1:
        return None
    rows = seen.observed.answers.get(place.where)
    return None if rows is None else _of_rows(place, rows)


def _of_nodes(place: Place, seen: Seen) -> float | None:
    alive = seen.alive(place.where)
    leader = leader_of(alive) if place.where == "fe" else None
    needed = [leader] if leader and place.across is Across.MAX else alive
    pages = [seen.metrics.get(each.node.key) for each in needed]
    if not all(page and page.is_whole for page in pages):
        return None
    keys = {each.node.key for each in alive}
    values = [
        value for key, page in seen.metrics.items() if key in keys for value in _values(page, place)
    ]
    return _across(place.across, values)


def _values(metrics: Metrics, place: Place) -> list[float]:
    """Amounts; what is below zero says that there is none, NaN is no number."""
    return [value for _, value in matching(metrics, place) if 0 <= value < float("inf")]


def _of_rows(place: Place, rows: list[Record]) -> float | None:
    """None where a column is missing, or where the rows are not all that there are."""
    is_cut = len(rows) >= _LIMITS.get(place.where, len(rows) + 1)
    spelled = _spelled(place, rows)
    if spelled is None or (is_cut and place.across is not Across.MAX):
        return None
    chosen = [row for row in rows if fits(row, spelled)] if place.only or place.but else rows
    if place.across is Across.COUNT:
        return len(chosen)
    read = _READ[place.reads]
    values = [read(row.get(spelled.name)) for row in chosen]
    return _across(place.across, [value for value in values if value is not None and value >= 0])


def _spelled(place: Place, rows: list[Record]) -> Place | None:
    """The place with the columns' names as this version spells them."""
    if not rows:
        return place
    names = {name.lower(): name for name in rows[0]}
    needed = [place.name, *(name for name, _ in place.only)]
    if not all(name.lower() in names for name in needed):
        return None
    only = tuple((names[name.lower()], values) for name, values in place.only)
    but = tuple((names.get(name.lower(), name), values) for name, values in place.but)
    return place._replace(name=names[place.name.lower()], only=only, but=but)


def _across(across: Across, values: list[float]) -> float | None:
    if not values:
        return None
    if across is Across.MAX:
        return max(values)
    total = sum(values)
    return total / len(values) if across is Across.MEAN else total

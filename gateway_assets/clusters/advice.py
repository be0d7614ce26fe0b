"""Which rules hold, since when: decided from rows in their own time, so any past moment, too.

Nothing is kept between two looks; the rows are the memory. So a look can be repeated, and what is
said does not depend on when somebody looked before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from gateway_assets import clock
from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.clusters.known import when
from gateway_assets.clusters.rules import RULES, Rule
from gateway_assets.starrocks.definitions import TICK_SECONDS

LOOK_BACK = 8 * clock.HOUR  # longer than any rule takes, and the hour before
STALE = 5 * 60 * clock.SECOND  # without a tick: the collector is not running
LATE = 2.5  # intervals, where they are long
FORGOTTEN = 7 * clock.DAY  # without a tick: the cluster is looked at no more
GAP = 15 * 60 * clock.SECOND  # between two values: of what lies in it nothing is known


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that holds. ``since`` is when the number went beyond the limit, microseconds; what
    has held for longer than eight hours has done so for eight hours at least.
    """

    cluster: str
    rule: str
    severity: str
    subject: str  # a node, a job, or nothing: the cluster
    since: int
    value: float
    about: str
    advice: str


def findings(
    bridge: UnifiedQueryBridge,
    cluster: str = "",
    at: int | None = None,
    rules: Sequence[Rule] = RULES,
) -> list[Finding]:
    """What is wrong at a moment, worst and oldest first. Raises what the bridge raises."""
    moment = clock.now() if at is None else at
    found = [*_stale(bridge, cluster, moment)]
    for table in dict.fromkeys(rule.table for rule in rules):
        found += _of_table(
            bridge, table, [rule for rule in rules if rule.table == table], cluster, moment
        )
    return sorted(
        found,
        key=lambda one: (one.severity != "error", one.since, one.cluster, one.rule, one.subject),
    )


def _of_table(
    bridge: UnifiedQueryBridge, table: str, rules: list[Rule], cluster: str, moment: int
) -> list[Finding]:
    values = ", ".join(f"({rule.value})::DOUBLE AS v{n}" for n, rule in enumerate(rules))
    keys = ", ".join(f"({rule.key})::VARCHAR AS k{n}" for n, rule in enumerate(rules))
    rows = bridge.rows(
        f"SELECT cluster, epoch_us(time) AS time, {values}, {keys} FROM {table} "
        "WHERE time >= $1 AND time <= $2 "
        "AND ($3 = '' OR cluster = $3) ORDER BY time",
        [when(moment - LOOK_BACK), when(moment), cluster],
    )
    found = []
    for number, rule in enumerate(rules):
        for (name, subject), series in _series(rows, number).items():
            held = holds(rule, series)
            if held and _is_known(rule, subject, series, moment):
                since, value = held
                found.append(
                    Finding(
                        name, rule.name, rule.severity, subject, since, value,
                        rule.about, rule.advice,
                    )
                )  # fmt: skip
    return found


Series = list[tuple[int, float | None]]


def _series(rows: Iterable[dict[str, Any]], number: int) -> dict[tuple[str, str], Series]:
    """By cluster and subject. Of two values of one moment the lower one counts: a node that
    replaces another at its address is there, though the other has vanished.
    """
    found: dict[tuple[str, str], Series] = {}
    for row in rows:
        time, value = row["time"], row[f"v{number}"]
        series = found.setdefault((row["cluster"], row[f"k{number}"] or ""), [])
        if series and series[-1][0] == time:
            values = [each for each in (series.pop()[1], value) if each is not None]
            value = min(values, default=None)
        series.append((time, value))
    return found


def holds(rule: Rule, series: Series) -> tuple[int, float] | None:
    """Since when a rule holds and the last value; None when it does not (yet, or any more).

    The time to settle runs in the rows' time: from the first value beyond the limit to the last
    known one. A collector that stands still settles nothing: after a gap it begins anew.
    """
    since: int | None = None
    fired = False
    last, last_time = 0.0, 0
    for time, value in series:
        if value is None:
            continue
        if value > rule.fires:
            if since is None or (time - last_time > GAP and not fired):
                since = time
            fired = fired or time - since >= rule.seconds * clock.SECOND
        elif value <= rule.clears or not fired:
            since, fired = None, False
        last, last_time = value, time
    return (since, last) if fired and since is not None else None


def _is_known(rule: Rule, subject: str, series: Series, moment: int) -> bool:
    """Whether the last known value still tells of the moment.

    Without new rows it does for a cluster: the collector stands still, which is said besides.
    """
    if subject:
        return moment - series[-1][0] <= rule.known * clock.SECOND
    known = max(time for time, value in series if value is not None)
    return series[-1][0] - known <= GAP


def _stale(bridge: UnifiedQueryBridge, cluster: str, moment: int) -> list[Finding]:
    """Clusters of the last week that are no longer looked at."""
    rows = bridge.rows(
        "SELECT cluster, epoch_us(max(time)) AS last, "
        f"coalesce(last(interval_seconds ORDER BY time), {TICK_SECONDS}) AS interval "
        "FROM collection_ticks "
        "WHERE time >= $1 AND time <= $2 "
        "AND ($3 = '' OR cluster = $3) GROUP BY cluster",
        [when(moment - FORGOTTEN), when(moment), cluster],
    )
    return [
        Finding(
            row["cluster"], "not_collected", "error", "", row["last"],
            (moment - row["last"]) / clock.SECOND,
            "Nobody has looked at this cluster for five minutes",
            "start it: gateway collect (or gateway up); figures below are old",
        )
        for row in rows
        if moment - row["last"] > max(STALE, LATE * row["interval"] * clock.SECOND)
    ]  # fmt: skip


def as_record(finding: Finding) -> dict[str, Any]:
    """For tables and JSON: the moment as a datetime."""
    return {
        "severity": finding.severity,
        "cluster": finding.cluster,
        "rule": finding.rule,
        "subject": finding.subject,
        "since": when(finding.since),
        "value": round(finding.value, 2),
        "about": finding.about,
        "advice": finding.advice,
    }

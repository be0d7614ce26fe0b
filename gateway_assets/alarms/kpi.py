"""How many alarms there were, beside what people can handle.

Limits are those of EEMUA 191 and ISA-18.2 (IEC 62682) as they are widely quoted: about one alarm
in ten minutes for each operator is very likely acceptable, two are the most that can be managed;
more than ten in ten minutes are a flood. The standards count what is annunciated, so what fired
while it was suppressed is best left out of the activations given here.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from gateway_assets.alarms.rule import Level

SECOND = 1_000_000_000
PERIOD = 600 * SECOND
HOUR = 3600 * SECOND
DAY = 24 * HOUR
FLOOD_STARTS, FLOOD_ENDS = 10, 5  # more than, less than, in a period
CHATTER_COUNT, CHATTER_TIME = 3, 60 * SECOND
FLEETING_TIME = 60 * SECOND
STALE_TIME = DAY
BUSY_HOUR = 30
TOP = 10
ENOUGH = 100  # activations that shares are judged of


@dataclass(frozen=True, slots=True)
class Activation:
    """An alarm became active at ``time`` (ns); None is not yet."""

    time: int
    rule: str
    series: str
    level: Level
    cleared: int | None = None
    acked: int | None = None

    @property
    def alarm(self) -> tuple[str, str]:
        return self.rule, self.series


@dataclass(frozen=True, slots=True)
class Kpi:
    """A figure beside its limit; ``met`` is None where there is no limit."""

    name: str
    value: float
    limit: float | None
    unit: str
    met: bool | None
    meaning: str


@dataclass(frozen=True, slots=True)
class Flood:
    """Ten-minute periods from the first with more than 10 alarms to before one with less than 5."""

    start: int
    end: int
    count: int


@dataclass(frozen=True, slots=True)
class Top:
    """One of the ten alarms that became active most often; ``share`` is in per cent of all."""

    rule: str
    series: str
    count: int
    share: float


@dataclass(frozen=True, slots=True)
class Report:
    kpis: tuple[Kpi, ...]
    floods: tuple[Flood, ...]
    top: tuple[Top, ...]
    chattering: tuple[tuple[str, str], ...]

    def __getitem__(self, name: str) -> Kpi:
        return next(kpi for kpi in self.kpis if kpi.name == name)


def report(
    activations: Iterable[Activation], start: int, end: int, *, operators: int = 1
) -> Report:
    """The figures of [``start``, ``end``) in ns, on the load of one of the operators.

    Give also the activations before the start that were not cleared by then: they are not counted
    again, but they stand and grow stale.
    """
    end = max(start, end)
    known = sorted((each for each in activations if each.time < end), key=lambda each: each.time)
    counted = [each for each in known if each.time >= start]
    loads = [count / max(operators, 1) for count in _counts(counted, start, end, PERIOD)]
    floods = tuple(_floods(counted, loads, start, end))
    top = _top(counted)
    is_enough = len(counted) >= ENOUGH
    chattering = tuple(sorted(_chattering(counted)))
    kpis = (
        *_rates(loads, _counts(counted, start, end, HOUR), start, end, max(operators, 1)),
        _at_most(
            "time_in_flood",
            _percent(sum(flood.end - flood.start for flood in floods), end - start),
            1,
            "%",
            "share of the time in floods: more than 10 alarms in 10 minutes, until less than 5",
        ),
        _share(
            "top_ten_share",
            sum(each.share for each in top),
            5,
            "share of the ten most frequent alarms: 1 to 5 %",
            is_enough=is_enough,
        ),
        _at_most(
            "chattering",
            len(chattering),
            0,
            "alarms",
            "alarms that became active three times or more within 60 seconds: none",
        ),
        _at_most(
            "fleeting",
            sum(1 for each in counted if _is_fleeting(each)),
            0,
            "activations",
            "cleared within 60 seconds, before anybody can act: none. The standards give no time; "
            "this is the one of chattering",
        ),
        _below(
            "stale",
            _most_stale(known, start, end),
            5,
            "alarms",
            "active for more than 24 hours, on the worst day: fewer than 5",
        ),
        *_standing(known, end),
        *_levels(counted, is_enough=is_enough),
    )
    return Report(kpis, floods, top, chattering)


def _at_most(name: str, value: float, limit: float, unit: str, meaning: str) -> Kpi:
    return Kpi(name, value, limit, unit, value <= limit, meaning)


def _below(name: str, value: float, limit: float, unit: str, meaning: str) -> Kpi:
    return Kpi(name, value, limit, unit, value < limit, meaning)


def _percent(part: float, whole: float) -> float:
    return 100 * part / whole if whole else 0.0


def _counts(counted: Sequence[Activation], start: int, end: int, length: int) -> list[int]:
    """Activations of each period; the last one may be shorter."""
    counts = Counter((each.time - start) // length for each in counted)
    return [counts[number] for number in range(-(-(end - start) // length))]


def _rates(
    loads: Sequence[float], hours: Sequence[int], start: int, end: int, operators: int
) -> Iterator[Kpi]:
    time = end - start
    yield _at_most(
        "average_rate",
        sum(loads) * PERIOD / time if time else 0.0,
        1,
        "alarms in 10 minutes",
        "an operator's alarms: 1 is very likely acceptable, 2 the most that can be managed",
    )
    yield _at_most(
        "peak_rate",
        max(loads, default=0.0),
        10,
        "alarms in 10 minutes",
        "an operator's alarms in the worst 10 minutes: 10",
    )
    yield _below(
        "busy_periods",
        _percent(sum(load > FLOOD_STARTS for load in loads), len(loads)),
        1,
        "%",
        "share of periods of 10 minutes with more than 10 alarms: below 1 %",
    )
    yield _below(
        "busy_hours",
        _percent(sum(count / operators > BUSY_HOUR for count in hours), len(hours)),
        1,
        "%",
        "share of hours with more than 30 alarms: below 1 %",
    )


def _floods(
    counted: Sequence[Activation], loads: Sequence[float], start: int, end: int
) -> Iterator[Flood]:
    began: int | None = None
    for number, load in enumerate([*loads, 0.0]):
        if began is None and load > FLOOD_STARTS:
            began = number
        elif began is not None and load < FLOOD_ENDS:
            first, last = start + began * PERIOD, min(start + number * PERIOD, end)
            count = sum(1 for each in counted if first <= each.time < last)
            yield Flood(first, last, count)
            began = None


def _top(counted: Sequence[Activation]) -> tuple[Top, ...]:
    counts = Counter(each.alarm for each in counted)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:TOP]
    return tuple(
        Top(rule, series, count, _percent(count, len(counted))) for (rule, series), count in ranked
    )


def _chattering(counted: Sequence[Activation]) -> Iterator[tuple[str, str]]:
    times: dict[tuple[str, str], list[int]] = defaultdict(list)
    for each in counted:
        times[each.alarm].append(each.time)
    for alarm, moments in times.items():
        later = moments[CHATTER_COUNT - 1 :]
        if any(last - first <= CHATTER_TIME for first, last in zip(moments, later, strict=False)):
            yield alarm


def _is_fleeting(each: Activation) -> bool:
    return each.cleared is not None and each.cleared - each.time <= FLEETING_TIME


def _most_stale(known: Sequence[Activation], start: int, end: int) -> int:
    """On how many alarms were stale at some moment of a day, the worst of the days from start."""
    days = -(-(end - start) // DAY)
    changes = [0] * (days + 1)
    for each in known:
        since = max(each.time + STALE_TIME, start)
        until = end if each.cleared is None else min(each.cleared, end)
        if since < until:
            changes[(since - start) // DAY] += 1
            changes[(until - 1 - start) // DAY + 1] -= 1
    return max(accumulate(changes))


def _standing(known: Sequence[Activation], end: int) -> Iterator[Kpi]:
    standing = [each for each in known if each.cleared is None or each.cleared >= end]
    yield Kpi("standing", len(standing), None, "alarms", None, "active at the end of the time")
    unseen = sum(1 for each in known if each.acked is None or each.acked >= end)
    yield Kpi(
        "unacknowledged", unseen, None, "activations", None,
        "not acknowledged by the end of the time, active or not",
    )  # fmt: skip


def _share(name: str, value: float, limit: float | None, meaning: str, *, is_enough: bool) -> Kpi:
    """Of a few activations a share says nothing, so it meets or misses no limit."""
    met = None if limit is None or not is_enough else value <= limit
    return Kpi(name, value, limit, "%", met, meaning)


def _levels(counted: Sequence[Activation], *, is_enough: bool) -> Iterator[Kpi]:
    counts = Counter(each.level for each in counted)
    limits = {Level.CRITICAL: 15.0, Level.FATAL: 5.0}
    for level in Level:
        limit, value = limits.get(level), _percent(counts[level], len(counted))
        yield _share(
            f"share_{level.lower()}",
            value,
            limit,
            "share of this level; low, medium and high are about 80, 15 and 5 %",
            is_enough=is_enough,
        )

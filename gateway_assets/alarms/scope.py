"""Which series each rule looks at: those of its tag, its device, or of a metric of the whole fleet.

A point's device is the registry's by name or by id; its metric is the tag's name. Strings are never
looked at. A field beside the value, such as ``raw_value``, is not the tag itself.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from gateway_assets.alarms.rule import Escalation, Rule
from gateway_assets.errors import ConfigError
from gateway_assets.registry.alerts import AlertRule
from gateway_assets.registry.devices import Device, Tag
from gateway_assets.registry.words import AlertLevel

NS_PER_MS = 1_000_000
VALUE_FIELDS = ("value", "metric_value")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LEAST_GAP_SCANS = 3  # a device that misses so many readings is silent


class Series(NamedTuple):
    """A series of points. ``key`` names it wherever points.db is not at hand."""

    id: int
    key: str
    device: str | None
    metric: str
    is_value: bool


class Place(NamedTuple):
    """What the registry knows of a series; None where it does not know it."""

    device_id: str | None
    device: str | None
    tag_id: str | None
    tag: str | None


@dataclass(frozen=True, slots=True)
class Scoped:
    """A rule and where it looks: a device's names (None: every one), a metric (None: every one)."""

    rule: Rule
    started: int  # ns: the rule's meaning is of then; earlier samples are not its
    out_of_service: bool
    devices: tuple[str, ...] | None
    metric: str | None

    def holds(self, series: Series) -> bool:
        if not series.is_value:
            return False
        if self.devices is not None and (series.device or "").lower() not in self.devices:
            return False
        return self.metric is None or series.metric.lower() == self.metric


class Rules(NamedTuple):
    """The rules that are evaluated, and why others cannot be."""

    rules: list[Scoped]
    wrong: dict[str, str]


def rules_of(session: Session) -> Rules:
    """Every enabled rule of what is there; a rule that cannot be stops no other."""
    devices = {one.id: one for one in session.scalars(select(Device)) if _is_on(one)}
    tags = {one.id: one for one in session.scalars(select(Tag)) if _is_on(one)}
    found, wrong = [], {}
    for row in session.scalars(select(AlertRule).order_by(AlertRule.id)):
        if not _is_on(row) or not _has_its_place(row, devices, tags):
            continue
        try:
            found.append(_scoped(row, devices, tags))
        except ConfigError as error:
            wrong[row.id] = str(error)
    return Rules(found, wrong)


def scoped(session: Session, row: AlertRule) -> Scoped:
    """One rule and where it looks, also where it or its device is disabled. Raises ConfigError."""
    devices = {one.id: one for one in session.scalars(select(Device))}
    return _scoped(row, devices, {one.id: one for one in session.scalars(select(Tag))})


def machine_rule(row: AlertRule, tag: Tag | None = None) -> Rule:
    """A row as the rule of the state machine. Raises ConfigError."""
    gap = row.max_gap
    if gap is None:
        scan = 0 if tag is None or tag.scan_rate is None else LEAST_GAP_SCANS * tag.scan_rate
        gap = max(scan, 2 * row.eval_interval) if scan else 0
    return Rule(
        id=row.id,
        version=row.version,
        name=row.name,
        op=row.op,
        threshold=row.threshold_value,
        low=row.threshold_low,
        high=row.threshold_high,
        tolerance=row.tolerance,
        deadband=row.deadband,
        expression=row.condition_expression,
        level=row.level,
        eval_interval=row.eval_interval * NS_PER_MS,
        on_delay=row.eval_duration * NS_PER_MS,
        off_delay=row.off_delay * NS_PER_MS,
        cooldown=row.cooldown_duration * NS_PER_MS,
        max_gap=gap * NS_PER_MS,
        no_data=row.no_data,
        use_uncertain=row.use_uncertain,
        latched=row.latched,
        escalations=tuple(_escalation(row.id, one) for one in row.escalations),
        suppress_when=row.suppress_expression,
        message=row.message or "",
    )


def _escalation(rule: str, given: object) -> Escalation:
    """``{"level": "CRITICAL", "threshold": 95.0}``, or ``"after": 600000`` in ms."""
    try:
        assert isinstance(given, dict)
        after = given.get("after")
        return Escalation(
            level=AlertLevel(given["level"]),
            threshold=given.get("threshold"),
            after=None if after is None else int(after) * NS_PER_MS,
        )
    except (AssertionError, KeyError, TypeError, ValueError):
        raise ConfigError(
            f"rule {rule}: an escalation is {given!r}",
            hint='such as {"level": "CRITICAL", "threshold": 95}',
        ) from None


def _is_on(row: Device | Tag | AlertRule) -> bool:
    return row.enabled and row.deleted_at is None


def _has_its_place(row: AlertRule, devices: dict[str, Device], tags: dict[str, Tag]) -> bool:
    if row.tag_id is not None:
        return row.tag_id in tags and tags[row.tag_id].device_id in devices
    return row.device_id is None or row.device_id in devices


def _scoped(row: AlertRule, devices: dict[str, Device], tags: dict[str, Tag]) -> Scoped:
    tag = None if row.tag_id is None else tags[row.tag_id]
    device_id = row.device_id if tag is None else tag.device_id
    names = None
    if device_id is not None:
        names = (devices[device_id].name.lower(), device_id)
    metric = row.metric if tag is None else tag.name
    return Scoped(
        rule=machine_rule(row, tag),
        started=nanoseconds(row.activated_at),
        out_of_service=row.out_of_service,
        devices=names,
        metric=None if metric is None else metric.lower(),
    )


def nanoseconds(moment: datetime) -> int:
    """Since 1970, exactly."""
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1_000


class Places:
    """Devices and tags by the names that points have for them."""

    def __init__(self, session: Session) -> None:
        self._devices: dict[str, Device] = {}
        for device in session.scalars(select(Device).where(Device.deleted_at.is_(None))):
            self._devices[device.name.lower()] = self._devices[device.id] = device
        self._tags = {
            (tag.device_id, tag.name.lower()): tag
            for tag in session.scalars(select(Tag).where(Tag.deleted_at.is_(None)))
        }

    def of(self, series: Series) -> Place:
        device = self._devices.get((series.device or "").lower())
        if device is None:
            return Place(None, series.device, None, series.metric)
        tag = self._tags.get((device.id, series.metric.lower()))
        return Place(device.id, device.name, None if tag is None else tag.id, series.metric)


def series_after(connection: sqlite3.Connection, number: int) -> list[Series]:
    """The series of numbers above ``number``, without those of strings."""
    query = (
        "SELECT id, measurement, tags, field, device, metric FROM series"
        " WHERE id > ? AND type <> 'string' ORDER BY id"
    )
    return [
        Series(id_, f"{measurement}{tags} {name}", device, metric, _is_value(metric, name))
        for id_, measurement, tags, name, device, metric in connection.execute(query, (number,))
    ]


def _is_value(metric: str, name: str) -> bool:
    """Whether the field is what the metric says, not something told beside it."""
    return name in VALUE_FIELDS or metric.endswith(f".{name}")


def matches(rules: Iterable[Scoped], series: Iterable[Series]) -> list[tuple[Scoped, Series]]:
    """Every pair of a rule and a series that it looks at, without comparing each with each."""
    by_pair: dict[tuple[str | None, str | None], list[Series]] = {}
    for one in series:
        device, metric = (one.device or "").lower(), one.metric.lower()
        for key in ((device, metric), (device, None), (None, metric)):
            by_pair.setdefault(key, []).append(one)
    return [
        (rule, one)
        for rule in rules
        for device in (rule.devices or (None,))
        for one in by_pair.get((device, rule.metric), ())
        if rule.holds(one)
    ]

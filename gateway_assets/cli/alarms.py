"""Alarms as the command line shows them, and what it does to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import click
from sqlalchemy import or_, select

from gateway_assets.alarms import operate
from gateway_assets.alarms.activations import recorded
from gateway_assets.alarms.history import moment
from gateway_assets.alarms.kpi import Report, report
from gateway_assets.alarms.operate import SHORT, Done
from gateway_assets.alarms.run import evaluate as evaluate_once
from gateway_assets.alarms.scope import nanoseconds
from gateway_assets.cli.show import print_grid, print_json
from gateway_assets.errors import RegistryError
from gateway_assets.registry.alerts import Alert, Transition
from gateway_assets.registry.audit import this_host
from gateway_assets.registry.database import Registry
from gateway_assets.registry.opened import opened_registry
from gateway_assets.registry.words import AlertLevel, AlertStatus
from gateway_assets.settings import Settings

Deed = Callable[[Registry, Settings, str], Done]


class Wanted(NamedTuple):
    """Which alarms: ``since`` in seconds before now."""

    every: bool
    level: AlertLevel | None
    device: str | None
    since: int | None
    limit: int


def print_list(settings: Settings, wanted: Wanted, *, as_json: bool) -> None:
    query = select(Alert).order_by(Alert.fired_at.desc(), Alert.id).limit(wanted.limit)
    if not wanted.every:
        query = query.where(or_(Alert.resolved_at.is_(None), Alert.cleared_unack))
    if wanted.level:
        query = query.where(
            Alert.level.in_([one for one in AlertLevel if one.rank >= wanted.level.rank])
        )
    if wanted.device:
        query = query.where(Alert.device_name == wanted.device)
    if wanted.since:
        query = query.where(Alert.fired_at >= datetime.now(UTC) - timedelta(seconds=wanted.since))
    with _registry(settings) as registry, registry.reading() as session:
        rows = session.scalars(query).all()
    if as_json:
        print_json([_told(row) for row in rows])
    elif rows:
        print_grid([_row(row) for row in rows])
    else:
        click.echo("no alarm")


def print_one(settings: Settings, name: str, *, as_json: bool) -> None:
    with _registry(settings) as registry, registry.reading() as session:
        row = operate.found(session, name)
        query = select(Transition).where(
            Transition.rule_id == row.rule_id,
            Transition.series == row.series,
            Transition.occurrence == row.occurrence,
        )
        told = [_step(step) for step in session.scalars(query.order_by(Transition.seq))]
    if as_json:
        print_json(_told(row) | {"steps": told})
        return
    for name_, value in _told(row).items():
        if value not in (None, {}, ""):
            click.echo(f"{name_:17} {value}")
    if told:
        click.echo()
        print_grid(told)


def acknowledging(note: str) -> Deed:
    return lambda registry, settings, name: operate.acknowledge(
        registry, settings, name, this_host(), note
    )


def shelving(reason: str, seconds: int) -> Deed:
    return lambda registry, settings, name: operate.shelve(
        registry, settings, name, this_host(), reason, seconds
    )


def unshelving(note: str) -> Deed:
    return lambda registry, settings, name: operate.unshelve(
        registry, settings, name, this_host(), note
    )


def resetting(note: str) -> Deed:
    return lambda registry, settings, name: operate.reset(
        registry, settings, name, this_host(), note
    )


def operate_each(settings: Settings, names: Sequence[str], deed: Deed, *, as_json: bool) -> None:
    done: list[Done] = []
    try:
        with _registry(settings) as registry:
            done.extend(deed(registry, settings, name) for name in names)
    finally:  # what was done is said, also where the next one was refused
        _print_done(done, as_json=as_json)


def _print_done(done: Sequence[Done], *, as_json: bool) -> None:
    if as_json:
        if done:
            print_json([_told(one.alert) | {"changed": one.changed} for one in done])
        return
    for one in done:
        said = "" if one.changed else " (as before)"
        click.echo(f"{one.alert.id[:SHORT]} {one.alert.status} {one.alert.message}{said}")


def evaluate(settings: Settings, *, as_json: bool) -> None:
    _require(settings)
    done = evaluate_once(settings)
    if as_json:
        print_json(done._asdict())
        return
    click.echo(
        f"{done.samples:,} samples of {done.series:,} series: {done.transitions:,} steps, "
        f"{done.late:,} late"
    )


def print_kpis(settings: Settings, since: int, operators: int, *, as_json: bool) -> None:
    end = datetime.now(UTC)
    start = end - timedelta(seconds=since)
    with _registry(settings) as registry, registry.reading() as session:
        found = recorded(session, start, end)
    told = report(found, nanoseconds(start), nanoseconds(end), operators=operators)
    if as_json:
        print_json(_report(told))
        return
    words = {True: "met", False: "NOT MET", None: ""}
    print_grid(
        [
            {
                "kpi": one.name,
                "value": round(one.value, 2),
                "limit": one.limit,
                "unit": one.unit,
                "": words[one.met],
                "meaning": one.meaning,
            }
            for one in told.kpis
        ]
    )


def _report(told: Report) -> dict[str, Any]:
    fields = ("name", "value", "limit", "unit", "met")
    return {
        "kpis": [{name: getattr(one, name) for name in fields} for one in told.kpis],
        "floods": [
            {"start": moment(one.start), "end": moment(one.end), "count": one.count}
            for one in told.floods
        ],
        "top": [
            {"rule": one.rule, "series": one.series, "count": one.count, "share": one.share}
            for one in told.top
        ],
    }


def _require(settings: Settings) -> None:
    if not settings.has_registry:
        raise RegistryError(
            f"there is no registry in {settings.data_dir}",
            hint="make one: gateway registry seed-demo, or gateway registry import FILE",
        )


@contextmanager
def _registry(settings: Settings) -> Iterator[Registry]:
    _require(settings)
    with opened_registry(settings) as registry:
        yield registry


def _step(step: Transition) -> dict[str, Any]:
    return {
        "time": moment(step.event_ns),
        "from": step.from_state,
        "to": step.to_state,
        "value": step.value,
        "level": str(step.level),
        "reason": step.reason,
        "by": step.actor,
    }


def _row(row: Alert) -> dict[str, Any]:
    marks = [
        word
        for word, holds in (("stale", row.is_stale), ("over, unacknowledged", row.cleared_unack))
        if holds
    ]
    return {
        "id": row.id[:SHORT],
        "since": row.fired_at.replace(microsecond=0),
        "level": str(row.level),
        "status": str(row.status),
        "device": row.device_name,
        "tag": row.tag_name,
        "last": row.last_value,
        "message": row.message,
        "": ", ".join(marks),
    }


def _told(row: Alert) -> dict[str, Any]:
    """Every column."""
    names = [column.key for column in Alert.__table__.columns]
    found = {name: getattr(row, name) for name in names}
    words = (AlertStatus, AlertLevel)
    return {
        name: str(value) if isinstance(value, words) else value for name, value in found.items()
    }

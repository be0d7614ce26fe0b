"""``gateway alerts``: what is in alarm, and what operators do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from sqlalchemy import or_, select

from gateway_assets.alarms import operate
from gateway_assets.alarms.activations import recorded
from gateway_assets.alarms.history import moment
from gateway_assets.alarms.kpi import Report, report
from gateway_assets.alarms.operate import SHORT, Done
from gateway_assets.alarms.run import evaluate as evaluate_once
from gateway_assets.alarms.scope import nanoseconds
from gateway_assets.cli.show import as_json, print_grid, print_json
from gateway_assets.cli.spans import span
from gateway_assets.errors import RegistryError
from gateway_assets.registry.alerts import Alert, Transition
from gateway_assets.registry.audit import this_host
from gateway_assets.registry.database import Registry
from gateway_assets.registry.opened import opened_registry
from gateway_assets.registry.words import AlertLevel, AlertStatus
from gateway_assets.settings import Settings

_LEVELS = [str(level) for level in AlertLevel]
_note = click.option("--note", default="", help="What others should know.")


@click.group()
def alerts() -> None:
    """What is in alarm, and what operators do about it."""


@alerts.command(name="list")
@click.option("--all", "every", is_flag=True, help="Those that are over, too.")
@click.option("--level", type=click.Choice(_LEVELS), help="This level and worse ones.")
@click.option("--device", "-d", help="Of one device.")
@click.option("--since", type=span, help="That began within such a time, such as 24h.")
@click.option("--limit", default=100, show_default=True, help="How many at most.")
@as_json
@click.pass_obj
def list_(
    settings: Settings,
    every: bool,
    level: str | None,
    device: str | None,
    since: int | None,
    limit: int,
    as_json: bool,
) -> None:
    """Alarms that stand, and those that are over but that nobody has acknowledged; newest first.

    \b
    Examples:
      gateway alerts list
      gateway alerts list --level CRITICAL --json
      gateway alerts list --all --since 7d --device plc-1
    """
    query = select(Alert).order_by(Alert.fired_at.desc(), Alert.id).limit(limit)
    if not every:
        query = query.where(or_(Alert.resolved_at.is_(None), Alert.cleared_unack))
    if level:
        worse = [one for one in AlertLevel if one.rank >= AlertLevel(level).rank]
        query = query.where(Alert.level.in_(worse))
    if device:
        query = query.where(Alert.device_name == device)
    if since:
        query = query.where(Alert.fired_at >= datetime.now(UTC) - timedelta(seconds=since))
    with _registry(settings) as registry, registry.reading() as session:
        rows = session.scalars(query).all()
    if as_json:
        print_json([_told(row) for row in rows])
    elif rows:
        print_grid([_row(row) for row in rows])
    else:
        click.echo("no alarm")


@alerts.command()
@click.argument("alert")
@as_json
@click.pass_obj
def show(settings: Settings, alert: str, as_json: bool) -> None:
    """One alarm with every step of it.

    \b
    Examples:
      gateway alerts show 3f2a9c11
    """
    with _registry(settings) as registry, registry.reading() as session:
        row = operate.found(session, alert)
        query = select(Transition).where(
            Transition.rule_id == row.rule_id,
            Transition.series == row.series,
            Transition.occurrence == row.occurrence,
        )
        steps = session.scalars(query.order_by(Transition.seq)).all()
    told = [
        {
            "time": moment(step.event_ns),
            "from": step.from_state,
            "to": step.to_state,
            "value": step.value,
            "level": str(step.level),
            "reason": step.reason,
            "by": step.actor,
        }
        for step in steps
    ]
    if as_json:
        print_json(_told(row) | {"steps": told})
        return
    for name, value in _told(row).items():
        if value not in (None, {}, ""):
            click.echo(f"{name:17} {value}")
    print_grid(told)


@alerts.command()
@click.argument("alerts", nargs=-1, required=True)
@_note
@as_json
@click.pass_obj
def ack(settings: Settings, alerts: tuple[str, ...], note: str, as_json: bool) -> None:
    """Say that you have seen these alarms.

    \b
    Examples:
      gateway alerts ack 3f2a9c11 --note "on my way"
    """
    _each(
        settings,
        alerts,
        as_json,
        lambda registry, name: operate.acknowledge(registry, settings, name, this_host(), note),
    )


@alerts.command()
@click.argument("alerts", nargs=-1, required=True)
@click.option("--for", "length", type=span, required=True, help="How long, such as 30m or 2h.")
@click.option("--reason", required=True, help="Why nobody needs to be told.")
@as_json
@click.pass_obj
def shelve(
    settings: Settings, alerts: tuple[str, ...], length: int, reason: str, as_json: bool
) -> None:
    """Tell nobody of these alarms for a while: what happens is recorded, and told again later.

    \b
    Examples:
      gateway alerts shelve 3f2a9c11 --for 2h --reason "pump is being replaced"
    """
    _each(
        settings,
        alerts,
        as_json,
        lambda registry, name: operate.shelve(
            registry, settings, name, this_host(), reason, length
        ),
    )


@alerts.command()
@click.argument("alerts", nargs=-1, required=True)
@_note
@as_json
@click.pass_obj
def unshelve(settings: Settings, alerts: tuple[str, ...], note: str, as_json: bool) -> None:
    """Tell people of these alarms again.

    \b
    Examples:
      gateway alerts unshelve 3f2a9c11
    """
    _each(
        settings,
        alerts,
        as_json,
        lambda registry, name: operate.unshelve(registry, settings, name, this_host(), note),
    )


@alerts.command()
@click.argument("alerts", nargs=-1, required=True)
@_note
@as_json
@click.pass_obj
def reset(settings: Settings, alerts: tuple[str, ...], note: str, as_json: bool) -> None:
    """End latched alarms whose condition is over.

    \b
    Examples:
      gateway alerts reset 3f2a9c11 --note "valve mended"
    """
    _each(
        settings,
        alerts,
        as_json,
        lambda registry, name: operate.reset(registry, settings, name, this_host(), note),
    )


@alerts.command()
@as_json
@click.pass_obj
def evaluate(settings: Settings, as_json: bool) -> None:
    """Evaluate the points that are there by every rule; gateway serve does so all the time.

    \b
    Examples:
      gateway alerts evaluate
    """
    _require(settings)
    done = evaluate_once(settings)
    if as_json:
        print_json(done._asdict())
        return
    click.echo(
        f"{done.samples:,} samples of {done.series:,} series: {done.transitions:,} steps, "
        f"{done.late:,} late"
    )


@alerts.command()
@click.option("--since", type=span, default="24h", show_default=True, help="The time up to now.")
@click.option("--operators", default=1, show_default=True, help="Who share the alarms.")
@as_json
@click.pass_obj
def kpi(settings: Settings, since: int, operators: int, as_json: bool) -> None:
    """How many alarms there were, beside what people can handle (EEMUA 191, ISA-18.2).

    \b
    Examples:
      gateway alerts kpi --since 7d --operators 2
    """
    end = datetime.now(UTC)
    start = end - timedelta(seconds=since)
    with _registry(settings) as registry, registry.reading() as session:
        found = recorded(session, start, end)
    told = report(found, nanoseconds(start), nanoseconds(end), operators=operators)
    if as_json:
        print_json(kpi_json(told))
    else:
        print_kpis(told)


def kpi_json(told: Report) -> dict[str, Any]:
    return {
        "kpis": [
            {name: getattr(one, name) for name in ("name", "value", "limit", "unit", "met")}
            for one in told.kpis
        ],
        "floods": [
            {"start": moment(one.start), "end": moment(one.end), "count": one.count}
            for one in told.floods
        ],
        "top": [
            {"rule": one.rule, "series": one.series, "count": one.count, "share": one.share}
            for one in told.top
        ],
    }


def print_kpis(told: Report) -> None:
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


def _each(
    settings: Settings,
    names: tuple[str, ...],
    as_json: bool,
    act: Callable[[Registry, str], Done],
) -> None:
    with _registry(settings) as registry:
        done = [act(registry, name) for name in names]
    if as_json:
        print_json([_told(one.alert) | {"changed": one.changed} for one in done])
        return
    for one in done:
        said = "" if one.changed else " (as before)"
        click.echo(f"{one.alert.id[:SHORT]} {one.alert.status} {one.alert.message}{said}")


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

"""A rule over the points of the past, as it is and changed, as the command line shows it."""

from __future__ import annotations

from typing import Any

import click

from gateway_assets.alarms.as_sql import rule_sql
from gateway_assets.alarms.history import moment
from gateway_assets.alarms.kpi import Report, report
from gateway_assets.alarms.rule import Rule
from gateway_assets.alarms.scope import Places, machine_rule, scoped, series_after
from gateway_assets.alarms.simulate import Simulated
from gateway_assets.alarms.simulate import simulate as replayed
from gateway_assets.alarms.wording import wanted
from gateway_assets.cli.show import bar, print_grid, print_json
from gateway_assets.points.schema import open_points
from gateway_assets.registry.change_rules import COLUMNS, edited_rule, find_rule
from gateway_assets.registry.devices import Tag
from gateway_assets.registry.opened import opened_registry
from gateway_assets.settings import Settings

_SHOWN = 20


def print_sql(settings: Settings, which: str) -> None:
    with opened_registry(settings) as registry, registry.reading() as session:
        looks_at = scoped(session, find_rule(session, which))
    with open_points(settings.points_database) as points:
        series = [one for one in series_after(points, 0) if looks_at.holds(one)]
    for one in series:
        click.echo(rule_sql(looks_at.rule, one.id))
    if not series:
        click.echo(f"no series of points matches rule {which}", err=True)


def print_simulated(
    settings: Settings, which: str, given: dict[str, Any], span: tuple[int, int], *, as_json: bool
) -> None:
    """``given`` are the fields that are to be another way; the span is in ns since 1970."""
    since, until = span
    with opened_registry(settings) as registry, registry.reading() as session:
        row = find_rule(session, which)
        tag = None if row.tag_id is None else session.get(Tag, row.tag_id)
        rules = {"as it is": machine_rule(row, tag)}
        if given:
            entry = edited_rule(session, row, given)
            session.expunge(row)
            for name, value in entry.plain().items():
                if name in COLUMNS:
                    setattr(row, name, value)
            rules["changed"] = machine_rule(row, tag)
        looks_at = scoped(session, row)
        places = Places(session)
    with open_points(settings.points_database) as points:
        series = [one for one in series_after(points, 0) if looks_at.holds(one)]
        found = {}
        for name, rule in rules.items():
            with bar(f"rule {name}") as progress:
                found[name] = replayed(points, settings, rule, series, since, until, progress)
    figures = {
        name: report(_activations(rule, found[name]), since, until) for name, rule in rules.items()
    }
    if as_json:
        print_json({name: _told(rules[name], found[name], figures[name], places) for name in rules})
        return
    for name, rule in rules.items():
        _print(name, rule, found[name], places)
    _print_figures(figures)


def _activations(rule: Rule, found: list[Simulated]) -> list[Any]:
    return [one for simulated in found for one in simulated.activations(rule)]


def _print(name: str, rule: Rule, found: list[Simulated], places: Places) -> None:
    samples = sum(one.samples for one in found)
    rows = _rows(rule, found, places)
    click.echo(
        f"{name}: {wanted(rule)}; {len(rows):,} alarms over {samples:,} samples of "
        f"{len(found):,} series"
    )
    if rows:
        print_grid(rows[:_SHOWN])
    if len(rows) > _SHOWN:
        click.echo(f"… and {len(rows) - _SHOWN:,} more; all of them: --json")


def _rows(rule: Rule, found: list[Simulated], places: Places) -> list[dict[str, Any]]:
    rows = []
    for simulated in found:
        place = places.of(simulated.series)
        for one in simulated.activations(rule):
            ends = None if one.cleared is None else moment(one.cleared)
            seconds = None if one.cleared is None else (one.cleared - one.time) / 1e9
            rows.append(
                {
                    "began": moment(one.time),
                    "ended": ends,
                    "seconds": seconds,
                    "device": place.device,
                    "tag": place.tag,
                }
            )
    return sorted(rows, key=lambda row: row["began"])


def _print_figures(figures: dict[str, Report]) -> None:
    first = next(iter(figures.values()))
    print_grid(
        [
            {
                "kpi": one.name,
                **{name: round(told[one.name].value, 2) for name, told in figures.items()},
                "limit": one.limit,
                "unit": one.unit,
            }
            for one in first.kpis
        ]
    )


def _told(rule: Rule, found: list[Simulated], told: Report, places: Places) -> dict[str, Any]:
    return {
        "condition": wanted(rule),
        "samples": sum(one.samples for one in found),
        "series": len(found),
        "alarms": _rows(rule, found, places),
        "kpis": {one.name: one.value for one in told.kpis},
    }

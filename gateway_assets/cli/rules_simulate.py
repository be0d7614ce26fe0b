"""``gateway rules simulate``: when a rule would have fired, and when with other settings."""

from __future__ import annotations

from typing import Any

import click

from gateway_assets import clock
from gateway_assets.alarms.history import moment
from gateway_assets.alarms.kpi import Report, report
from gateway_assets.alarms.rule import Rule
from gateway_assets.alarms.scope import Places, machine_rule, scoped, series_after
from gateway_assets.alarms.simulate import Simulated
from gateway_assets.alarms.simulate import simulate as replayed
from gateway_assets.alarms.wording import wanted
from gateway_assets.cli.entry_options import entry_options
from gateway_assets.cli.show import as_json, bar, print_grid, print_json
from gateway_assets.cli.spans import moment_ns, span
from gateway_assets.points.schema import open_points
from gateway_assets.registry.change_rules import COLUMNS, edited_rule, find_rule
from gateway_assets.registry.devices import Tag
from gateway_assets.registry.entries import RuleEntry
from gateway_assets.registry.opened import opened_registry
from gateway_assets.settings import Settings

_SHOWN = 20


@click.command()
@click.argument("which", metavar="RULE")
@click.option("--from", "start", help="Begin: ISO 8601, UTC without a zone.  [default: --last]")
@click.option("--to", "end", help="End, not included.  [default: now]")
@click.option("--last", type=span, default="7d", show_default=True, help="Length: 6h, 7d, 4w.")
@entry_options(RuleEntry, edits=True)
@as_json
@click.pass_obj
def simulate(
    settings: Settings,
    which: str,
    start: str | None,
    end: str | None,
    last: int,
    given: dict[str, Any],
    as_json: bool,
) -> None:
    """When a rule would have fired in the past, and, given other settings, when it would with them.

    The points of both tiers are evaluated as the engine does; nothing is written, nobody is told.

    \b
    Examples:
      gateway rules simulate "steam hot" --last 30d
      gateway rules simulate "steam hot" --from 2026-03-01 --to 2026-04-01
      gateway rules simulate "steam hot" --deadband 3 --eval-duration 60s --off-delay 60s
    """
    until = moment_ns(end) if end else clock.now() * 1000
    since = moment_ns(start) if start else until - last * 10**9
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

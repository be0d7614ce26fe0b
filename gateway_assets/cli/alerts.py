"""``gateway alerts``: what is in alarm, and what operators do about it.

What the commands do is in ``alarms``, which is imported when one of them runs.
"""

from __future__ import annotations

import click

from gateway_assets.cli.show import as_json
from gateway_assets.cli.spans import span
from gateway_assets.registry.words import AlertLevel
from gateway_assets.settings import Settings

_LEVELS = [str(level) for level in AlertLevel]
_note = click.option("--note", default="", help="What others should know.")
_alerts = click.argument("alerts", nargs=-1, required=True)


@click.group()
def alerts() -> None:
    """What is in alarm, and what operators do about it."""


@alerts.command(name="list")
@click.option("--all", "every", is_flag=True, help="Those that are over, too.")
@click.option("--level", type=click.Choice(_LEVELS), help="This level and worse ones.")
@click.option("--device", "-d", help="Of one device.")
@click.option("--since", type=span, help="That began within such a time, such as 24h.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="How many at most.",
)
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
    from gateway_assets.cli import alarms

    wanted = alarms.Wanted(every, AlertLevel(level) if level else None, device, since, limit)
    alarms.print_list(settings, wanted, as_json=as_json)


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
    from gateway_assets.cli import alarms

    alarms.print_one(settings, alert, as_json=as_json)


@alerts.command()
@_alerts
@_note
@as_json
@click.pass_obj
def ack(settings: Settings, alerts: tuple[str, ...], note: str, as_json: bool) -> None:
    """Say that you have seen these alarms.

    \b
    Examples:
      gateway alerts ack 3f2a9c11 --note "on my way"
    """
    from gateway_assets.cli import alarms

    alarms.operate_each(settings, alerts, alarms.acknowledging(note), as_json=as_json)


@alerts.command()
@_alerts
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
    from gateway_assets.cli import alarms

    alarms.operate_each(settings, alerts, alarms.shelving(reason, length), as_json=as_json)


@alerts.command()
@_alerts
@_note
@as_json
@click.pass_obj
def unshelve(settings: Settings, alerts: tuple[str, ...], note: str, as_json: bool) -> None:
    """Tell people of these alarms again.

    \b
    Examples:
      gateway alerts unshelve 3f2a9c11
    """
    from gateway_assets.cli import alarms

    alarms.operate_each(settings, alerts, alarms.unshelving(note), as_json=as_json)


@alerts.command()
@_alerts
@_note
@as_json
@click.pass_obj
def reset(settings: Settings, alerts: tuple[str, ...], note: str, as_json: bool) -> None:
    """End latched alarms whose condition is over.

    \b
    Examples:
      gateway alerts reset 3f2a9c11 --note "valve mended"
    """
    from gateway_assets.cli import alarms

    alarms.operate_each(settings, alerts, alarms.resetting(note), as_json=as_json)


@alerts.command()
@as_json
@click.pass_obj
def evaluate(settings: Settings, as_json: bool) -> None:
    """Evaluate the points that are there by every rule; gateway serve does so all the time.

    \b
    Examples:
      gateway alerts evaluate
    """
    from gateway_assets.cli import alarms

    alarms.evaluate(settings, as_json=as_json)


@alerts.command()
@click.option("--since", type=span, default="24h", show_default=True, help="The time up to now.")
@click.option(
    "--operators",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Who share the alarms.",
)
@as_json
@click.pass_obj
def kpi(settings: Settings, since: int, operators: int, as_json: bool) -> None:
    """How many alarms there were, beside what people can handle (EEMUA 191, ISA-18.2).

    \b
    Examples:
      gateway alerts kpi --since 7d --operators 2
    """
    from gateway_assets.cli import alarms

    alarms.print_kpis(settings, since, operators, as_json=as_json)

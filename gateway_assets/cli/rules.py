"""``gateway rules``: what raises an alarm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from gateway_assets.cli.entry_options import entry_options
from gateway_assets.cli.registered import (
    columns,
    deleted_option,
    enabled_option,
    print_changes,
    print_deleted,
    print_one,
    print_rows,
    reading,
    sure,
    writing,
    yes_option,
)
from gateway_assets.cli.rules_simulate import simulate, sql
from gateway_assets.cli.show import as_json, print_json
from gateway_assets.registry.durations import duration_text
from gateway_assets.registry.entries import RuleEntry
from gateway_assets.registry.words import AlertLevel
from gateway_assets.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from gateway_assets.registry.alerts import AlertRule

_rule = click.argument("which", metavar="RULE")
_rules = click.argument("names", nargs=-1, required=True, metavar="RULE...")


@click.group()
def rules() -> None:
    """Alert rules: list, show, add, edit, enable, disable, delete. RULE is a name or an id.

    Durations are written as 500ms, 30s, 5m, 2h or 1d.
    """


@rules.command("list")
@click.option("--device", "-d", help="Only those that look at this device.")
@click.option("--level", type=click.Choice([str(one) for one in AlertLevel]))
@enabled_option
@deleted_option
@as_json
@click.pass_obj
def list_(settings: Settings, /, as_json: bool, **wanted: Any) -> None:
    """List rules by name.

    \b
    Examples:
      gateway rules list
      gateway rules list --device boiler-1 --level CRITICAL
      gateway rules list --no-enabled --json
    """
    from gateway_assets.registry.change_rules import list_rules

    with reading(settings) as session:
        rows = [_whole(session, rule) for rule in list_rules(session, **wanted)]
    print_rows(rows if as_json else [_short(row) for row in rows], "rules", as_json=as_json)


@rules.command()
@_rule
@as_json
@click.pass_obj
def show(settings: Settings, which: str, as_json: bool) -> None:
    """Show everything about a rule; in JSON, durations are in ms.

    \b
    Examples:
      gateway rules show "steam hot"
      gateway rules show "steam hot" --json
    """
    from gateway_assets.registry.change_rules import find_rule

    with reading(settings) as session:
        print_one(_whole(session, find_rule(session, which)), as_json=as_json)


@rules.command()
@click.argument("name")
@entry_options(RuleEntry)
@as_json
@click.pass_obj
def add(settings: Settings, name: str, given: dict[str, Any], as_json: bool) -> None:
    """Add a rule: what it looks at, when that is an alarm, and how grave it is.

    \b
    Examples:
      gateway rules add "steam hot" --device boiler-1 --tag steam --op GT --threshold-value 220
          --deadband 3 --eval-duration 60s --off-delay 60s --level CRITICAL
      gateway rules add "any level" --fleet --metric level --op NOT_BETWEEN
          --threshold-low 10 --threshold-high 90 --channel ops
    """
    from gateway_assets.alarms.entry import check_entry
    from gateway_assets.registry.change import checked
    from gateway_assets.registry.change_rules import add_rule

    entry = checked(RuleEntry, {"name": name, **given})
    check_entry(entry)
    with writing(settings) as (session, actor):
        rule = add_rule(session, actor, entry)
        row = _whole(session, rule)
    print_one(row, as_json=True) if as_json else click.echo(f"rule {name} added")


@rules.command()
@_rule
@entry_options(RuleEntry, edits=True)
@as_json
@click.pass_obj
def edit(settings: Settings, which: str, given: dict[str, Any], as_json: bool) -> None:
    """Change fields of a rule; an empty text brings a field's default back.

    A change of what is an alarm makes another version of it.

    \b
    Examples:
      gateway rules edit "steam hot" --threshold-value 230 --eval-duration 2m
      gateway rules edit "steam hot" --channel ops --channel shift
      gateway rules edit "steam hot" --channel ""
    """
    from gateway_assets.alarms.entry import check_entry
    from gateway_assets.registry.change_rules import edit_rule, edited_rule, find_rule

    with writing(settings) as (session, actor):
        check_entry(edited_rule(session, find_rule(session, which), given))
        fields = edit_rule(session, actor, which, **given)
    print_changes("rule", which, fields, as_json=as_json)


@rules.command()
@_rules
@as_json
@click.pass_obj
def enable(settings: Settings, names: tuple[str, ...], as_json: bool) -> None:
    """Enable rules.

    \b
    Examples:
      gateway rules enable "steam hot" "steam pressure high"
      gateway rules list --no-enabled
    """
    _enable(settings, names, enabled=True, as_json=as_json)


@rules.command()
@_rules
@as_json
@click.pass_obj
def disable(settings: Settings, names: tuple[str, ...], as_json: bool) -> None:
    """Disable rules: they are not looked at until they are enabled.

    \b
    Examples:
      gateway rules disable "steam hot"
      gateway rules disable "steam hot" --json
    """
    _enable(settings, names, enabled=False, as_json=as_json)


@rules.command()
@_rule
@click.option("--out/--in", "is_out", required=True, help="Out of service, or in it again.")
@click.option("--reason", default="", help="Why; needed to take it out.")
@as_json
@click.pass_obj
def service(settings: Settings, which: str, is_out: bool, reason: str, as_json: bool) -> None:
    """Take a rule out of service: its alarms are recorded, and nobody is told of them.

    \b
    Examples:
      gateway rules service "steam hot" --out --reason "sensor is being calibrated"
      gateway rules service "steam hot" --in
    """
    from gateway_assets.registry.change_rules import set_service

    with writing(settings) as (session, actor):
        is_changed = set_service(session, actor, which, is_out=is_out, reason=reason)
    if as_json:
        print_json({"rule": which, "out_of_service": is_out, "changed": is_changed})
        return
    now = "out of service" if is_out else "in service"
    click.echo(f"rule {which} is {now}{'' if is_changed else ' already'}")


@rules.command()
@_rule
@yes_option
@as_json
@click.pass_obj
def delete(settings: Settings, which: str, yes: bool, as_json: bool) -> None:
    """Delete a rule; its alerts stay.

    \b
    Examples:
      gateway rules delete "steam hot"
      gateway rules delete "steam hot" --yes --json
    """
    from gateway_assets.registry.change_rules import delete_rule

    sure(f"Delete the rule {which}?", yes=yes)
    with writing(settings) as (session, actor):
        done = delete_rule(session, actor, which)
    print_deleted("rule", done, "deleted", as_json=as_json)


def _enable(settings: Settings, names: tuple[str, ...], *, enabled: bool, as_json: bool) -> None:
    from gateway_assets.registry.change_rules import enable_rule

    deed = "enabled" if enabled else "disabled"
    with writing(settings) as (session, actor):
        changed = {name: enable_rule(session, actor, name, enabled=enabled) for name in names}
    if as_json:
        print_json([{"name": name, "changed": one} for name, one in changed.items()])
        return
    for name, one in changed.items():
        click.echo(f"rule {name} {deed}" if one else f"rule {name} is {deed} already")


def _whole(session: Session, rule: AlertRule) -> dict[str, Any]:
    from gateway_assets.registry.change_rules import rule_fields

    own = columns(rule)
    return {"id": own["id"], **rule_fields(session, rule), **own}


def _short(row: dict[str, Any]) -> dict[str, Any]:
    looks = "every device" if row["fleet"] else row["device"]
    what = row["tag"] or row["metric"]
    return {
        "name": row["name"],
        "looks at": f"{looks}/{what}" if what else looks,
        "condition": _condition(row),
        "level": row["level"],
        "for": duration_text(row["eval_duration"]),
        "enabled": row["enabled"],
        "version": row["version"],
    }


def _condition(row: dict[str, Any]) -> str:
    if row["op"] is None:
        return str(row["condition_expression"])
    if row["op"].endswith("BETWEEN"):
        return f"{row['op']} {row['threshold_low']:g} {row['threshold_high']:g}"
    return f"{row['op']} {row['threshold_value']:g}"


for _command in (simulate, sql):
    rules.add_command(_command)

"""``gateway rules simulate`` and ``sql``: a rule over the points of the past."""

from __future__ import annotations

from typing import Any

import click

from gateway_assets import clock
from gateway_assets.cli.entry_options import entry_options
from gateway_assets.cli.show import as_json
from gateway_assets.cli.spans import moment_ns, span
from gateway_assets.registry.entries import RuleEntry
from gateway_assets.settings import Settings


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
    from gateway_assets.cli.simulated_rules import print_simulated

    print_simulated(settings, which, given, (since, until), as_json=as_json)


@click.command()
@click.argument("which", metavar="RULE")
@click.pass_obj
def sql(settings: Settings, which: str) -> None:
    """Print the condition of a rule as SQL over its points, a statement for each series.

    \b
    Examples:
      gateway rules sql "steam hot"
      gateway query "$(gateway rules sql 'steam hot' | head -1)"
    """
    from gateway_assets.cli.simulated_rules import print_sql

    print_sql(settings, which)

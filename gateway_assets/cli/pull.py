"""``gateway pull``: tables of PostgreSQL and TimescaleDB servers into the frame log."""

from __future__ import annotations

import click

from gateway_assets.cli.show import as_json, bar, moment, print_json
from gateway_assets.errors import GatewayError, UsageError
from gateway_assets.points.pull import Pulled, pull_table
from gateway_assets.points.pulls import Pull, pulls_of
from gateway_assets.settings import Settings


@click.command()
@click.option("--name", "names", multiple=True, help="Only this one; may be repeated.")
@as_json
@click.pass_obj
def pull(settings: Settings, names: tuple[str, ...], as_json: bool) -> None:
    """Pull the PostgreSQL and TimescaleDB tables that are declared, on from the last row.

    Tables are [[pulls]] lines in gateway.toml or in pulls.toml of the data directory; see
    docs/pull.md. Rows are durable when the command ends and become points by: gateway load.

    \b
    Examples:
      gateway pull
      gateway pull --name readings && gateway load
      gateway pull --json
    """
    done: list[Pulled] = []
    failed: list[GatewayError] = []
    for one in _chosen(settings, names):
        try:
            with bar(f"pull {one.name}") as progress:
                done.append(pull_table(settings, one, progress))
        except GatewayError as error:  # the other tables are none the worse for it
            failed.append(error)
    if as_json:
        print_json([pulled._asdict() for pulled in done])
    else:
        for pulled in done:
            _print(pulled)
    for other in failed[1:]:
        click.echo(f"gateway: error: {other}", err=True)
    if failed:
        raise failed[0]


def _chosen(settings: Settings, names: tuple[str, ...]) -> list[Pull]:
    declared = {one.name: one for one in pulls_of(settings)}
    if not declared:
        raise UsageError("no table is declared to be pulled", hint="see docs/pull.md: [[pulls]]")
    unknown = [name for name in names if name not in declared]
    if unknown:
        raise UsageError(f"there is no pull {unknown[0]!r}", hint=f"pulls: {', '.join(declared)}")
    return [declared[name] for name in dict.fromkeys(names)] or list(declared.values())


def _print(one: Pulled) -> None:
    until = f", up to {moment(one.until)}" if one.until is not None else ""
    click.echo(f"{one.name}: {one.rows:,} rows in {one.seconds:.2f} s{until}")
    for reason, number in sorted(one.rejects.items()):
        click.echo(f"  {number:,} left out: {reason}", err=True)

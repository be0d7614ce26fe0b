"""``gateway collect``: StarRocks clusters looked at every half minute, until stopped."""

from __future__ import annotations

import signal

import click

from gateway_assets.cli.show import as_json, print_json
from gateway_assets.collect.check import can_be_looked_at, check
from gateway_assets.collect.config import Cluster, clusters_of
from gateway_assets.collect.loop import Stop, once, run
from gateway_assets.collect.tick import SOURCES, Ticked, limits_of
from gateway_assets.errors import GatewayError, UsageError
from gateway_assets.settings import Settings

_MARKS = {True: "yes", False: "NO", None: "-"}


@click.command()
@click.option("--once", "only_once", is_flag=True, help="Look once, ask everything, and end.")
@click.option("--check", "only_check", is_flag=True, help="Say what works; nothing is kept.")
@click.option("--cluster", "names", multiple=True, help="Only this one; may be repeated.")
@as_json
@click.pass_obj
def collect(
    settings: Settings, only_once: bool, only_check: bool, names: tuple[str, ...], as_json: bool
) -> None:
    """Look at the StarRocks clusters that are declared, and land what was seen.

    Runs until it is stopped. Clusters are [[clusters]] lines in gateway.toml or in clusters.toml
    of the data directory; see docs/clusters.md.

    \b
    Examples:
      gateway collect --check               which frontend answers, which rights are missing
      gateway collect --once --json | jq .collection_ticks
      gateway collect
    """
    if only_once and only_check:
        raise UsageError("--once and --check exclude each other", hint="gateway collect --help")
    if as_json and not only_once:
        raise UsageError("--json prints one look", hint="gateway collect --once --json")
    clusters = _chosen(settings, names)
    if only_check:
        _check(clusters, settings)
    elif only_once:
        ticked = once(clusters, settings)
        print_json(_records(ticked)) if as_json else _print(ticked)
    else:
        stop = Stop()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop.request)
        run(clusters, settings, stop)


def _chosen(settings: Settings, names: tuple[str, ...]) -> list[Cluster]:
    declared = {cluster.name: cluster for cluster in clusters_of(settings)}
    if not declared:
        raise UsageError("no cluster is declared", hint="see docs/clusters.md: [[clusters]] lines")
    unknown = [name for name in names if name not in declared]
    if unknown:
        raise UsageError(
            f"there is no cluster {unknown[0]!r}", hint=f"clusters: {', '.join(declared)}"
        )
    return [declared[name] for name in dict.fromkeys(names)] or list(declared.values())


def _records(ticked: Ticked) -> dict[str, list[dict[str, object]]]:
    return {
        name: [
            {column.name: value for column, value in zip(source.columns, row, strict=True)}
            for row in ticked.rows.get(name, [])
        ]
        for name, source in SOURCES.items()
    }


def _print(ticked: Ticked) -> None:
    for tick in _records(ticked)["collection_ticks"]:
        click.echo(
            f"{tick['cluster']}: {tick['status']} in {tick['milliseconds']} ms, "
            f"{tick['nodes_answered']} of {tick['nodes']} nodes gave metrics"
        )
        if tick["errors"]:
            click.echo(
                "".join(f"  {line}\n" for line in str(tick["errors"]).splitlines()), nl=False
            )
    for name, rows in ticked.rows.items():
        click.echo(f"  {name}: {len(rows):,} rows")


def _check(clusters: list[Cluster], settings: Settings) -> None:
    bad = []
    for cluster in clusters:
        findings = check(cluster, limits_of(settings, len(clusters)))
        click.echo(cluster.name)
        for finding in findings:
            click.echo(f"  {_MARKS[finding.is_good]:>3}  {finding.text}")
        if not can_be_looked_at(findings):
            bad.append(cluster.name)
    if bad:
        raise GatewayError(
            f"cannot be looked at: {', '.join(bad)}", hint="see the lines above; docs/clusters.md"
        )

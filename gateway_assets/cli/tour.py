"""``gateway tour``: the whole way once, from this host's live traffic to one answer.

Each stage is a real Dagster run that stays visible in the UI.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click

from gateway_assets import clock
from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.bridge.overview import Overview, overview
from gateway_assets.cli.dagster import environment
from gateway_assets.cli.samples import BACKEND, land_samples
from gateway_assets.cli.show import print_grid, size
from gateway_assets.errors import CaptureError, GatewayError
from gateway_assets.settings import Settings
from gateway_assets.tables import IP_TRAFFIC, hot_days

SAMPLE_DAYS_COLD = 3


@click.command()
@click.option(
    "--seconds", type=click.IntRange(2, 3600), default=10, show_default=True, help="To capture."
)
@click.pass_obj
def tour(settings: Settings, seconds: int) -> None:
    """Capture live traffic, load, roll up, archive and query it, and report.

    \b
    Examples:
      gateway tour
      gateway tour --seconds 30
    """
    started = time.monotonic()
    _step(f"1/6  capturing this host's live traffic for {seconds} s")
    since = clock.now()
    captured = _capture(settings, seconds)
    _step("2/6  landing generated samples of past days (backend = 'sample')")
    today = clock.day_of(clock.now())
    first = today - hot_days(IP_TRAFFIC, settings) - SAMPLE_DAYS_COLD
    land_samples(settings, range(first, today))
    _run_stages(settings, first, today)
    _report(settings, captured, since)
    click.echo(f"\nDone in {time.monotonic() - started:.0f} s. Next: make up   (or: gateway up)")


def _step(text: str) -> None:
    click.secho(text, bold=True)


def _capture(settings: Settings, seconds: int) -> dict[str, Any]:
    """Run the capture daemon for some seconds while HTTP goes over loopback; its summary."""
    program = str(Path(sys.executable).with_name("gateway-capture"))
    interval = str(max(1, seconds // 5))
    command = [program, "--data-dir", str(settings.data_dir), "--interval", interval]
    command += ["--duration", str(seconds), "--json"]
    traffic = [sys.executable, "-m", "gateway_assets.cli.traffic", str(seconds - 1)]
    with (
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as daemon,
        subprocess.Popen(traffic),
    ):
        _count_down(daemon, seconds)
        output, errors = daemon.communicate()
    if daemon.returncode:
        message = errors.strip().splitlines()[-1] if errors.strip() else "it said nothing"
        raise CaptureError(f"gateway-capture failed: {message}", hint="gateway-capture --help")
    summary = json.loads(output.splitlines()[-1])
    assert isinstance(summary, dict)
    return summary


def _count_down(daemon: subprocess.Popen[str], seconds: int) -> None:
    shown = click.progressbar(range(seconds * 4), label="     capturing", file=sys.stderr)
    with shown as ticks:
        for _ in ticks:
            if daemon.poll() is not None:
                return
            time.sleep(0.25)


def _run_stages(settings: Settings, first: int, today: int) -> None:
    # The definitions and the instance read the environment, so it is set before they are imported.
    os.environ.update(environment(settings))
    from gateway_assets.definitions import defs  # after it
    from gateway_assets.defs.describe import archive_name  # after it
    from gateway_assets.defs.execute import execute  # after it
    from gateway_assets.defs.runs import ANSWER, ARCHIVE, LOAD, ROLLUP  # after it

    cold = first, first + SAMPLE_DAYS_COLD - 1
    stages: list[tuple[str, str, str, tuple[int, int] | None]] = [
        ("3/6  loading landing files", LOAD, "", None),
        ("4/6  rolling up by hour and by day", ROLLUP, "", (first, today)),
        ("5/6  archiving closed days", ARCHIVE, archive_name(IP_TRAFFIC.name), cold),
        ("6/6  asking, and checking that every row answers once", ANSWER, "", None),
    ]
    for title, job, asset, days in stages:
        _step(title)
        click.echo(f"     Dagster run {execute(defs, job, asset, days)}")


_LIVE = """
    SELECT remote_ip, process, sum(tx_bytes) AS sent_bytes, sum(rx_bytes) AS received_bytes,
           count(*) AS rows
    FROM ip_traffic WHERE backend <> $1 AND end_time > make_timestamptz($2)
    GROUP BY ALL ORDER BY sent_bytes + received_bytes DESC, remote_ip
"""
_BOTH_TIERS = """
    SELECT time::DATE AS day, backend, count(*) AS rows, sum(tx_bytes) AS sent_bytes
    FROM ip_traffic GROUP BY ALL ORDER BY day, backend
"""


def _report(settings: Settings, captured: dict[str, Any], since: int) -> None:
    bridge = UnifiedQueryBridge(settings)
    live = bridge.rows(_LIVE, [BACKEND, since])
    click.echo("")
    print_grid(live[:10], title=f"Live traffic of this host ({captured['backend']})")
    sent, received = (sum(row[name] for row in live) for name in ("sent_bytes", "received_bytes"))
    click.echo(f"\nLive rows: sent {sent:,} bytes, received {received:,} bytes")
    click.echo(
        f"Landing files: {captured['tx_bytes']:,} and {captured['rx_bytes']:,} bytes "
        f"in {captured['rows']:,} rows of {captured['files']:,} files"
    )
    if (sent, received) != (captured["tx_bytes"], captured["rx_bytes"]):
        raise GatewayError("the answer differs from the landing files", hint="this is a defect")
    click.echo("The two agree. Rows with backend = 'sample' are generated, all others are live.\n")
    print_grid(bridge.rows(_BOTH_TIERS), title="One query over both tiers")
    click.echo(f"  gateway query {' '.join(_BOTH_TIERS.split())!r}\n")
    print_grid([_storage(row) for row in overview(settings)], title="What stands where")


def _storage(row: Overview) -> dict[str, Any]:
    return {
        "table": row.table,
        "hot rows": row.hot_rows,
        "hot size": size(row.hot_bytes),
        "cold rows": row.cold_rows,
        "cold size": size(row.cold_bytes),
        "files": row.cold_files,
        "days": row.days,
        "hidden until pruned": row.hidden_rows,
    }

"""``gateway serve``: points over HTTP, as clients of InfluxDB write them."""

from __future__ import annotations

import signal

import click

from gateway_assets.serve.alarms import run_alarms
from gateway_assets.serve.loader import run_loader
from gateway_assets.serve.run import run
from gateway_assets.settings import Settings


@click.command()
@click.option("--no-loader", is_flag=True, help="Take writes only; load by other means.")
@click.option("--loader", "only_loader", is_flag=True, help="Only load and roll up what comes.")
@click.option("--alarms", "only_alarms", is_flag=True, help="Only evaluate alarms.")
@click.pass_obj
def serve(settings: Settings, no_loader: bool, only_loader: bool, only_alarms: bool) -> None:
    """Take points over HTTP: InfluxDB 1 (/write), 2 (/api/v2/write) and 3 (/api/v3/write_lp).

    Telegraf and the official clients work as they are; a write is answered when it is on disk. What
    was written is in points.db a second later, and evaluated by the alert rules of the registry,
    when there is one. SIGTERM finishes what was begun, and ends.

    \b
    Examples:
      gateway serve
      curl -i -d 'room,device=t1 celsius=21.5' 'localhost:8086/write?db=home'
      GATEWAY_SERVE_HOST=0.0.0.0 GATEWAY_SERVE_TOKENS_FILE=/etc/gateway/tokens gateway serve
    """
    if only_loader or only_alarms:
        stops: list[int] = []
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda given, _: stops.append(given))
        part = run_loader if only_loader else run_alarms
        part(settings, say, lambda: bool(stops))
        return
    run(settings, say, loads=not no_loader)


def say(text: str) -> None:
    click.echo(text, err=True)

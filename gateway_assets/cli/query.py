"""``gateway query``: one SELECT over hot and cold rows, as table, JSON or CSV."""

from __future__ import annotations

import sys

import click

from gateway_assets.cli.confined import end_child, go_on_in_child
from gateway_assets.settings import Settings

timezone_option = click.option(
    "--tz",
    "timezone",
    default="UTC",
    show_default=True,
    help="Time zone of times, such as Europe/Berlin.",
)
params_option = click.option(
    "--param", "-p", "params", multiple=True, help="Value of the next ? in the statement."
)


@click.command()
@click.argument("sql")
@click.option(
    "--format",
    "-f",
    "form",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    show_default=True,
    help="json is one list of objects.",
)
@params_option
@timezone_option
@click.option("--explain", is_flag=True, help="Also tell what was read, and for how long.")
@click.pass_obj
def query(
    settings: Settings, sql: str, form: str, params: tuple[str, ...], timezone: str, explain: bool
) -> None:
    """Answer one SELECT over hot and cold rows as one table. SQL may be - for standard input.

    TABLE_hot and TABLE_cold are its two tiers. The statement runs in a process of its own,
    within query_memory_limit, query_timeout_seconds and query_max_rows.

    \b
    Examples:
      gateway query "SELECT count(*) FROM ip_traffic"
      gateway query "SELECT time, sum(tx_bytes) AS sent FROM ip_traffic_daily GROUP BY time" -f csv
      gateway query "FROM ip_traffic WHERE remote_ip = ? LIMIT 5" -p 192.0.2.7 --explain
    """
    text = sys.stdin.read() if sql == "-" else sql
    answers = go_on_in_child(settings, "gateway_assets.cli.answers")
    answers.print_query(settings, text, params, form, timezone, explain)
    end_child()

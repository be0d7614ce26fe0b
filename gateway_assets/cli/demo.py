"""``gateway demo``: example data to try things on."""

from __future__ import annotations

import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from gateway_assets import clock
from gateway_assets.cli.forward import DAYS, ROWS, registry_lines, write_forward_db
from gateway_assets.cli.show import as_json, bar, print_grid, print_json, size
from gateway_assets.files.appear import explained
from gateway_assets.hot.load import load
from gateway_assets.hot.store import open_store
from gateway_assets.settings import Settings
from gateway_assets.simulated.cluster import NAME, SimulatedCluster
from gateway_assets.simulated.declared import declare, write
from gateway_assets.simulated.lively import Lively
from gateway_assets.tables import TABLES

_PASSWORD_FILE = f"{NAME}.password"
_HISTORY = 600  # seconds of traffic before the first look
_STOP_SECONDS = 10
_LOAD_SECONDS = 10

_days = click.IntRange(1, 3_650)


@click.group()
def demo() -> None:
    """Make example data to try things on."""


@demo.command("forward-db")
@click.option("--rows", type=click.IntRange(1), default=ROWS, show_default=True, help="In all.")
@click.option("--days", type=_days, default=DAYS, show_default=True, help="They are spread over.")
@click.option("--seed", type=int, default=1, show_default=True, help="Another one, other rows.")
@as_json
@click.pass_obj
def forward_db(settings: Settings, rows: int, days: int, seed: int, as_json: bool) -> None:
    """Write forward.db, the database of a message-forwarding bot, and register its tables.

    It stands for any database that another program writes: its own names, times as text.

    \b
    Examples:
      gateway demo forward-db
      gateway demo forward-db --rows 10000 --days 30
      gateway demo forward-db --json | jq .rows
    """
    path, registry = settings.data_dir / "forward.db", settings.data_dir / "tables.toml"
    with bar(f"write {path.name}") as progress:
        counts = write_forward_db(path, rows=rows, days=days, seed=seed, progress=progress)
    with explained(registry), registry.open("a+", encoding="utf-8") as file:
        file.seek(0)
        if path.name not in file.read():
            file.write(registry_lines(path.name))
    written = path.stat().st_size
    if as_json:
        print_json({"database": path, "tables": registry, "bytes": written, "rows": counts})
        return
    print_grid([{"table": table, "rows": count} for table, count in counts.items()])
    click.echo(f"{path}: {sum(counts.values()):,} rows, {size(written)}; tables in {registry}")
    click.echo("Next: gateway archive plan\n      gateway archive run")


@demo.command()
@click.option("--minutes", type=click.FloatRange(0, min_open=True), help="Then end; else Ctrl-C.")
@click.option("--seed", type=int, default=1, show_default=True, help="Another one, other events.")
@click.option(
    "--speed",
    type=click.FloatRange(1, 10_000),
    default=1,
    show_default=True,
    help="Days and mishaps so many times as fast; clocks stay true.",
)
@click.option("--collect", "collects", is_flag=True, help="Run gateway collect beside it.")
@click.pass_obj
def cluster(
    settings: Settings, minutes: float | None, seed: int, speed: float, collects: bool
) -> None:
    """Run a simulated StarRocks cluster of 3 frontends and 4 backends on loopback.

    It is no StarRocks: it speaks MySQL's protocol and HTTP as one does, with made-up traffic and
    now and then a mishap. It is declared in clusters.toml of the data directory under the name
    "simulated", and lives until it is stopped.

    \b
    Examples:
      gateway demo cluster                    then, elsewhere: gateway collect
      gateway demo cluster --collect          both in one
      gateway demo cluster --minutes 10 --speed 20
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    password = secrets.token_hex(8)
    began = clock.now() - _HISTORY * clock.SECOND
    with SimulatedCluster(
        3, 4, seed=seed, password=password, start=began, real_time=True
    ) as simulated:
        _declare(settings, simulated)
        _say_how(settings, simulated, collects)
        with _collecting(settings, collects):
            _live(
                simulated, Lively(simulated, seed, speed), minutes, settings if collects else None
            )


def _declare(settings: Settings, simulated: SimulatedCluster) -> None:
    """Its line, and its password beside it."""
    write(settings.data_dir / _PASSWORD_FILE, f"{simulated.password}\n".encode(), mode=0o600)
    lines = simulated.as_toml(password_file=Path(_PASSWORD_FILE))
    declare(settings.data_dir / "clusters.toml", lines)


def _say_how(settings: Settings, simulated: SimulatedCluster, collects: bool) -> None:
    first, worker = simulated.frontends[0], simulated.backends[0]
    click.secho("A simulated cluster, no StarRocks: 3 frontends, 4 backends", bold=True)
    click.echo(f"SQL on 127.0.1.1 to 127.0.1.3, port {first.query_port}; user {simulated.user},")
    click.echo(f"  password in {settings.data_dir / _PASSWORD_FILE}")
    click.echo(f"metrics: http://{first.host}:{first.http_port}/metrics")
    click.echo(f"         http://{worker.host}:{worker.http_port}/metrics")
    click.echo(f"declared in {settings.data_dir / 'clusters.toml'} as {NAME!r}")
    ways = ["gateway clusters overview"]
    if not collects:
        ways = ["gateway collect --check", "gateway collect", "gateway load", *ways]
    click.echo("Next, in another terminal: " + "\n                           ".join(ways))
    click.echo("Ctrl-C ends it.")


def _live(
    simulated: SimulatedCluster, lively: Lively, minutes: float | None, loads: Settings | None
) -> None:
    """Let it live for so many minutes, or until it is interrupted, and say what happens.

    ``loads``: what has landed meanwhile becomes rows, so that it can be asked about at once.
    """
    load_due = time.monotonic()
    end = time.monotonic() + minutes * 60 if minutes else None
    try:
        while end is None or time.monotonic() < end:
            time.sleep(1)
            said = lively.turn(1)
            if said:
                click.echo(f"{clock.iso(clock.now())[11:19]}  simulated: {said}")
            if loads and time.monotonic() >= load_due:
                _load(loads)
                load_due = time.monotonic() + _LOAD_SECONDS
    except KeyboardInterrupt:
        click.echo()
    queries, errors = simulated.truth.queries, simulated.truth.errors
    click.echo(f"What really happened: {queries:,} queries, {errors:,} of them failed.")


def _load(settings: Settings) -> None:
    with open_store(settings.hot_database) as connection:
        for table in TABLES:
            if table.source:
                load(connection, table, settings)


@contextmanager
def _collecting(settings: Settings, wanted: bool) -> Iterator[None]:
    """``gateway collect`` as a child process, for as long as the block runs."""
    if not wanted:
        yield
        return
    program = str(Path(sys.executable).with_name("gateway"))
    command = [program, "--data-dir", str(settings.data_dir), "collect", "--cluster", NAME]
    # In a session of its own: Ctrl-C reaches this process only, which then stops it.
    with subprocess.Popen(command, start_new_session=True) as child:
        try:
            yield
        finally:
            child.terminate()
            try:
                child.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()

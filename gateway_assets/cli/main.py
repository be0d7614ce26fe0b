"""The ``gateway`` command: settings are read once, errors become one line and an exit code."""

from __future__ import annotations

import ast
import importlib
import os
import sys
from pathlib import Path
from typing import Any

import click

from gateway_assets import __version__
from gateway_assets.errors import GatewayError
from gateway_assets.settings import load_settings
from gateway_assets.tables import check_settings

# name -> module and object; a module is imported when its command is used, so help stays quick
_COMMANDS = {
    "alerts": "alerts:alerts",
    "archive": "archive:archive",
    "backup": "backup:backup",
    "channels": "channels:channels",
    "clusters": "clusters:clusters",
    "collect": "collect:collect",
    "config": "config:config",
    "dagster": "dagster:dagster",
    "demo": "demo:demo",
    "devices": "devices:devices",
    "export": "export:export",
    "geoip": "geoip:geoip",
    "load": "stages:load",
    "notifications": "notifications:notifications",
    "points": "points:points",
    "pull": "pull:pull",
    "query": "query:query",
    "registry": "registry:registry",
    "restore": "backup:restore",
    "rollup": "stages:rollup",
    "rules": "rules:rules",
    "series": "points:series",
    "serve": "serve:serve",
    "shell": "shell:shell",
    "tables": "tables:tables",
    "tags": "tags:tags",
    "tour": "tour:tour",
    "up": "up:up",
    "users": "users:users",
    "write": "points:write",
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        return sorted(_COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002  click's signature
        cmd_name: str,
    ) -> click.Command | None:
        place = _COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, _, attribute = place.partition(":")
        command = getattr(importlib.import_module(f"gateway_assets.cli.{module}"), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """What each command does, read from its text: importing them all would take seconds."""
        names = self.list_commands(ctx)
        room = formatter.width - 6 - max(map(len, names))
        with formatter.section("Commands"):
            formatter.write_dl([(name, _about(_COMMANDS[name], room)) for name in names])


def _about(place: str, room: int) -> str:
    module, _, function = place.partition(":")
    source = Path(__file__).with_name(f"{module}.py").read_text("utf-8")
    docs = {
        node.name: ast.get_docstring(node)
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef)
    }
    return click.Command(function, help=docs[function]).get_short_help_str(room)


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 unexpected (clusters advice: a rule holds), 2 usage, 3 setting, "
    "4 capture, 5 landing file, 6 hot database, 7 archive, 8 query, 9 busy (try again), "
    "10 frame log, 11 pull, 12 registry, 13 backup, 14 notification.",
)
@click.version_option(__version__, prog_name="gateway")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Everything is kept below this directory; instead of GATEWAY_DATA_DIR.",
)
@click.pass_context
def gateway(ctx: click.Context, data_dir: Path | None) -> None:
    """One box's telemetry: collected, rolled up, tiered and queryable.

    \b
    Examples:
      gateway tour                                    the whole way once, in a minute
      gateway up                                      capture, Dagster UI and daemon
      gateway tables                                  what stands where
      gateway query "SELECT remote_ip, sum(tx_bytes) AS sent FROM ip_traffic
                     GROUP BY ALL ORDER BY sent DESC LIMIT 10"
    """
    given: dict[str, Any] = {"data_dir": data_dir} if data_dir else {}
    if data_dir:
        # Child processes (Dagster's workers, the capture daemon) must see the same place.
        os.environ["GATEWAY_DATA_DIR"] = str(data_dir)
    ctx.obj = load_settings(**given)
    check_settings(ctx.obj)


def main() -> None:
    """Entry point of the console script."""
    try:
        gateway.main(standalone_mode=False)
    except GatewayError as error:
        fail(error.message, error.hint, error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        # The reader (head, less) has seen enough; Python must not complain while it shuts down.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:  # the outermost loop: whatever it is, people get one line
        if os.environ.get("GATEWAY_DEBUG"):
            raise
        lines = str(error).strip().splitlines() or ["no message"]
        hint = "see where: run it again with GATEWAY_DEBUG=1"
        fail(f"{type(error).__name__}: {lines[0]}", hint, GatewayError.exit_code)


def fail(message: str, hint: str, code: int) -> None:
    """One line of error, one of hint, on the error stream."""
    click.echo(f"gateway: error: {message}", err=True)
    if hint:
        click.echo(f"  hint: {hint}", err=True)
    sys.exit(code)

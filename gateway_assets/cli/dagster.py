"""``gateway dagster``: Dagster's own commands, with this project's home and definitions set."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from gateway_assets.files.appear import make_directory
from gateway_assets.settings import Settings

DEFINITIONS = "gateway_assets.definitions"
_INSTANCE = Path(__file__).parents[1] / "deploy" / "dagster.yaml"


def environment(settings: Settings) -> dict[str, str]:
    """What every Dagster process needs, so that no run's history is kept elsewhere or nowhere."""
    home = settings.dagster_home
    make_directory(home)
    target = home / "dagster.yaml"
    wanted = _INSTANCE.read_bytes()
    if not target.exists() or target.read_bytes() != wanted:
        target.write_bytes(wanted)
    return {
        **os.environ,
        "DAGSTER_HOME": str(home),
        "DAGSTER_MODULE_NAME": DEFINITIONS,
        "GATEWAY_DATA_DIR": str(settings.data_dir),
        # Dagster calls its own commands superseded on every call.
        "PYTHONWARNINGS": "ignore",
        # Log lines appear when they are written, also through a pipe.
        "PYTHONUNBUFFERED": "1",
    }


@click.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def dagster(settings: Settings, arguments: tuple[str, ...]) -> None:
    """Run a Dagster command on this project, with its history kept in the data directory.

    \b
    Examples:
      gateway dagster asset list
      gateway dagster asset materialize --select ip_traffic
      gateway dagster asset materialize --select ip_traffic_archive --partition 2026-11-10
    """
    program = str(Path(sys.executable).with_name("dagster"))
    os.execve(program, [program, *arguments], environment(settings))  # noqa: S606  our own program

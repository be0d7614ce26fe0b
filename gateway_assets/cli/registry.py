"""``gateway registry``: devices, rules and users, now and as they were."""

from __future__ import annotations

import click

from gateway_assets.cli.registry_history import as_of, history, mirror, snapshot


@click.group()
def registry() -> None:
    """Devices, tags, alert rules and users: what changed, and how they were."""


for _command in (as_of, history, mirror, snapshot):
    registry.add_command(_command)

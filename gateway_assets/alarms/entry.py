"""Rules as people declare them, checked by what will evaluate them."""

from __future__ import annotations

from gateway_assets.alarms.scope import machine_rule
from gateway_assets.errors import ConfigError, RegistryError
from gateway_assets.registry.alerts import AlertRule
from gateway_assets.registry.change_rules import COLUMNS
from gateway_assets.registry.entries import RuleEntry


def check_entry(entry: RuleEntry) -> None:
    """Raises RegistryError for an expression that cannot be read, and whatever else cannot be."""
    fields = entry.plain()
    row = AlertRule(id=entry.name, version=1, **{name: fields[name] for name in COLUMNS})
    try:
        machine_rule(row)
    except ConfigError as error:
        what = error.message.removeprefix(f"rule {entry.name}: ")
        raise RegistryError(f"rule {entry.name!r}: {what}", hint=error.hint) from None

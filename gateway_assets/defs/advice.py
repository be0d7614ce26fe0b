"""What is worth an alert, as checks: one a rule, on the table that the rule looks at.

All of them are evaluated in one step, by the rows' own time. They stop nothing: what was collected
is right, and the cluster is what is wrong.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from gateway_assets import clock
from gateway_assets.clusters.rules import RULES
from gateway_assets.hot.sql import sql
from gateway_assets.hot.store import open_store
from gateway_assets.settings import Settings
from gateway_assets.tables import COLLECTION_TICKS

if TYPE_CHECKING:
    from gateway_assets.clusters.advice import Finding

STEP = "look_at_rules"
NOT_COLLECTED = "not_collected"  # what advice finds without any row
MOST_SHOWN = 50
_SEVERITIES = {"error": dg.AssetCheckSeverity.ERROR, "warn": dg.AssetCheckSeverity.WARN}


def advice_checks(settings: Settings) -> dg.AssetChecksDefinition:
    """Every rule; those that are selected when somebody asks for some of them only."""
    severities = {rule.name: _SEVERITIES[rule.severity] for rule in RULES}

    @dg.multi_asset_check(
        name=STEP,
        specs=_specs(),
        can_subset=True,
        description="Everything that is worth an alert, looked at together.",
    )
    def advised(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        from gateway_assets.bridge.bridge import UnifiedQueryBridge
        from gateway_assets.clusters.advice import findings
        from gateway_assets.clusters.known import names

        chosen = {key.name: key for key in context.selected_asset_check_keys}
        with UnifiedQueryBridge(settings) as bridge:
            clusters = len(names(bridge))
            rules = [rule for rule in RULES if rule.name in chosen]
            found = findings(bridge, rules=rules) if clusters else []
        for name, key in chosen.items():
            held = [finding for finding in found if finding.rule == name]
            yield dg.AssetCheckResult(
                asset_key=key.asset_key,
                check_name=name,
                passed=not held,
                severity=severities.get(name, dg.AssetCheckSeverity.ERROR),
                description=_said(held) if clusters else "no cluster",
                metadata=_figures(held) if held else {"clusters": clusters},
            )

    return advised


def advice_keys() -> list[dg.AssetCheckKey]:
    return [spec.key for spec in _specs()]


def is_collected(settings: Settings) -> bool:
    """Whether a cluster was looked at in the last day; cheap, for those who ask often."""
    query = sql("SELECT max(time) FROM {table}", table=COLLECTION_TICKS.name)
    with open_store(settings.hot_database) as connection:
        (last,) = connection.execute(query).fetchone()
    return last is not None and clock.now() - last < clock.DAY


def _specs() -> list[dg.AssetCheckSpec]:
    specs = [
        dg.AssetCheckSpec(rule.name, asset=rule.table, description=f"{rule.about}: {rule.advice}.")
        for rule in RULES
    ]
    about = (
        "A cluster that was looked at today is no longer: start `gateway collect`, or remove it."
    )
    return [
        *specs,
        dg.AssetCheckSpec(NOT_COLLECTED, asset=COLLECTION_TICKS.name, description=about),
    ]


def _said(held: "Sequence[Finding]") -> str:
    return "; ".join(f"{_whose(one)} since {_time(one.since)}" for one in held[:MOST_SHOWN])


def _whose(finding: "Finding") -> str:
    return f"{finding.cluster} {finding.subject}".rstrip()


def _time(moment: int) -> str:
    return clock.iso(moment)[:19]


def _figures(held: "Sequence[Finding]") -> dict[str, Any]:
    """The first table's width is that of Dagster's pages; the numbers become plots."""
    rows = [
        f"| {one.cluster} | {one.subject} | {_time(one.since)} | {one.value:,.6g} |"
        for one in held[:MOST_SHOWN]
    ]
    head = ["| cluster | what | since | value |", "|---|---|---|--:|"]
    return {
        "clusters": len({one.cluster for one in held}),
        "findings": len(held),
        "where": ", ".join(_whose(one) for one in held[:MOST_SHOWN]),
        "since": dg.MetadataValue.timestamp(min(one.since for one in held) / clock.SECOND),
        "value": max(one.value for one in held),
        "all": dg.MetadataValue.md("\n".join([*head, *rows])),
    }

"""What is worth an alert about StarRocks clusters: one check a rule, all looked at in one step.

The checks belong to an asset of their own, not to the tables that the rules look at: these are
loaded every minute, and Dagster shows a check as not evaluated as soon as its asset is
materialized again. They stop nothing: what was collected is right, the cluster is what is wrong.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from gateway_assets import clock
from gateway_assets.clusters.rules import RULES
from gateway_assets.defs.answers import GROUP
from gateway_assets.defs.describe import OWNERS
from gateway_assets.hot.sql import sql
from gateway_assets.hot.store import open_store
from gateway_assets.settings import Settings
from gateway_assets.tables import COLLECTION_TICKS

if TYPE_CHECKING:
    from gateway_assets.clusters.advice import Finding

NAME = "cluster_advice"
NOT_COLLECTED = "not_collected"  # what is found without any row, so it is no rule
FORGOTTEN = 7 * clock.DAY  # that of clusters.advice, whose import loads DuckDB
MOST_SHOWN = 50
_ABOUT = {
    **{rule.name: f"{rule.about}: {rule.advice}." for rule in RULES},
    NOT_COLLECTED: "A cluster is no longer looked at: start `gateway collect`, or remove the "
    "cluster from where it is declared; after a week nothing is said any more.",
}
_WARN, _ERROR = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR
_SEVERITY = {rule.name: _WARN if rule.severity == "warn" else _ERROR for rule in RULES}


def advice_asset(settings: Settings) -> dg.AssetsDefinition:
    """Every rule, by the rows that are there now."""

    @dg.asset(
        name=NAME,
        deps=list(dict.fromkeys([COLLECTION_TICKS.name, *(rule.table for rule in RULES)])),
        group_name=GROUP,
        kinds={"starrocks", "duckdb"},
        owners=OWNERS,
        description="What is wrong with StarRocks clusters, since when, and what to do: one check "
        "a rule. `gateway clusters advice` says the same at any time.",
        check_specs=[
            dg.AssetCheckSpec(name, asset=NAME, description=about) for name, about in _ABOUT.items()
        ],
    )
    def advised() -> dg.MaterializeResult:
        from gateway_assets.bridge.bridge import UnifiedQueryBridge
        from gateway_assets.clusters.advice import findings
        from gateway_assets.clusters.known import names

        with UnifiedQueryBridge(settings) as bridge:
            clusters = len(names(bridge, within=FORGOTTEN))
            found = findings(bridge) if clusters else []
        return dg.MaterializeResult(
            metadata={
                "clusters": clusters,
                "findings": len(found),
                "errors": sum(one.severity == "error" for one in found),
                "advice": dg.MetadataValue.md(advice_text(found)),
            },
            check_results=[
                _result(name, [one for one in found if one.rule == name], clusters)
                for name in _ABOUT
            ],
        )

    return advised


def is_collected(settings: Settings) -> bool:
    """Whether there is a cluster to speak of; cheap, for those who ask often.

    An hour longer than a cluster is spoken of, so that the last word on it is that all is well.
    """
    query = sql("SELECT max(time) FROM {table}", table=COLLECTION_TICKS.name)
    with open_store(settings.hot_database) as connection:
        (last,) = connection.execute(query).fetchone()
    return last is not None and clock.now() - last < FORGOTTEN + clock.HOUR


def advice_text(found: "Sequence[Finding]") -> str:
    """Markdown, one item a finding."""
    lines = [
        f"- {one.severity}: {_whose(one)}: {one.about}, since {_time(one.since)}: {one.advice}"
        for one in found[:MOST_SHOWN]
    ]
    return "\n".join(lines) or "nothing is wrong that a rule knows of"


def _result(name: str, held: "Sequence[Finding]", clusters: int) -> dg.AssetCheckResult:
    said = "; ".join(f"{_whose(one)} since {_time(one.since)}" for one in held[:MOST_SHOWN])
    return dg.AssetCheckResult(
        check_name=name,
        passed=not held,
        severity=_SEVERITY.get(name, _ERROR),
        description=said if clusters else "no cluster",
        metadata={"clusters": clusters, "findings": len(held), **(_figures(held) if held else {})},
    )


def _whose(finding: "Finding") -> str:
    return f"{finding.cluster} {finding.subject}".rstrip()


def _time(moment: int) -> str:
    return clock.iso(moment)[:19]


def _figures(held: "Sequence[Finding]") -> dict[str, Any]:
    head = ["| cluster | what | since | value |", "|---|---|---|--:|"]
    rows = [
        f"| {one.cluster} | {one.subject} | {_time(one.since)} | {one.value:,.6g} |"
        for one in held[:MOST_SHOWN]
    ]
    return {
        "where": ", ".join(_whose(one) for one in held[:MOST_SHOWN]),
        "since": dg.MetadataValue.timestamp(min(one.since for one in held) / clock.SECOND),
        "value": max(one.value for one in held),
        "all": dg.MetadataValue.md("\n".join([*head, *rows])),
    }

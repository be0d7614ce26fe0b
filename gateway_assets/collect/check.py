"""Whether clusters can be looked at, tried once and said in plain words; nothing is kept."""

from __future__ import annotations

import re
from contextlib import closing
from typing import NamedTuple

from gateway_assets import clock
from gateway_assets.collect.ask import Limits, Watched, next_window
from gateway_assets.collect.config import Cluster
from gateway_assets.collect.observed import Observed
from gateway_assets.collect.sql import Lost, Session
from gateway_assets.collect.tick import ALL
from gateway_assets.starrocks.definitions import QUERIES, Every

_DENIED = re.compile(r": (1044|1045|1142|1143|1227|5203):|denied", re.IGNORECASE)


class Finding(NamedTuple):
    """One thing that was tried. ``is_good`` is None for what need not be."""

    is_good: bool | None
    text: str


def check(cluster: Cluster, limits: Limits) -> list[Finding]:
    """What works and what does not, the frontends first."""
    findings = [_frontend(cluster, frontend, limits) for frontend in cluster.frontends]
    now = clock.now()
    with closing(Watched(cluster, limits)) as watched:
        observed = watched.look(now, ALL, next_window(None, now))
    if not observed.answers:
        return [*findings, Finding(False, "no frontend tells what nodes there are")]
    findings.append(_leader(observed))
    findings += _http(cluster, observed)
    findings += [_problem(error) for error in observed.errors]
    findings += [
        Finding(None, f"{node.address}: {scrape.error}")
        for node, scrape in observed.scrapes.items()
        if scrape.error and cluster.http
    ]
    answered = [
        query.name
        for query in QUERIES
        if query.name in observed.answers and query.every is not Every.INSTEAD
    ]
    lacking = [
        query.name
        for query in QUERIES
        if query.name not in observed.answers
        and query.every is not Every.INSTEAD
        and not any(error.startswith(f"{query.name}:") for error in observed.errors)
    ]
    if lacking:
        findings.append(Finding(None, "this version does not have: " + ", ".join(lacking)))
    return [*findings, Finding(True, "answered: " + ", ".join(answered))]


def can_be_looked_at(findings: list[Finding]) -> bool:
    """Whether there will be rows of this cluster, perhaps with gaps."""
    return bool(findings) and findings[-1].is_good is True


def _frontend(cluster: Cluster, frontend: str, limits: Limits) -> Finding:
    try:
        Session(cluster, frontend, limits.call).close()
    except Lost as error:
        return Finding(False, f"frontend {frontend}: {error}")
    return Finding(True, f"frontend {frontend} answers")


def _problem(error: str) -> Finding:
    is_right = _DENIED.search(error)
    return Finding(False, f"a right is missing: {error}") if is_right else Finding(None, error)


def _leader(observed: Observed) -> Finding:
    if not observed.leader:
        return Finding(False, "no frontend leads")
    if not observed.is_leader_view:
        text = f"{observed.leader} leads, but does not answer; {observed.answered_by} tells less"
        return Finding(False, text)
    return Finding(True, f"{observed.leader} leads; {observed.answered_by} answers for it")


def _http(cluster: Cluster, observed: Observed) -> list[Finding]:
    findings = []
    for name, kinds, words in (
        ("fe_metrics", ("fe",), "frontends"),
        ("be_metrics", ("be", "cn"), "backends and compute nodes"),
    ):
        scrapes = [scrape for node, scrape in observed.scrapes.items() if node.kind in kinds]
        good = sum(scrape.exposition is not None for scrape in scrapes)
        if not scrapes:
            findings.append(Finding(None, f"there are no {words}"))
        elif good:
            text = f"metrics over HTTP from {good} of {len(scrapes)} {words}"
            findings.append(Finding(good == len(scrapes), text))
        elif name in observed.answers:
            why = "is off" if not cluster.http else "does not work"
            findings.append(Finding(True, f"metrics of {words} through SQL, for HTTP {why}"))
        else:
            findings.append(Finding(False, f"no metrics of {words}, neither by HTTP nor by SQL"))
    return findings

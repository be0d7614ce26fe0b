"""Settings of the frontends: each is asked for its own, because ADMIN SET changes only one of them.

Columns are Key and Value in every version (ShowResultMetaFactory.java). What differs becomes rows
like those of ``be_configs``, so that both are counted in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway_assets.collect.config import QUERY_PORT, Cluster, split_address
from gateway_assets.collect.nodes import Listed
from gateway_assets.collect.observed import Record
from gateway_assets.collect.sql import Session
from gateway_assets.starrocks import formats


def own_settings(cluster: Cluster, frontend: str, statement: str, seconds: float) -> list[Record]:
    """What a frontend says of itself. Raises Refused, or Lost."""
    session = Session(cluster, frontend, seconds)
    try:
        session.own_view()
        return session.ask(statement)
    finally:
        session.close()


def address_of(frontend: Listed, cluster: Cluster) -> str:
    """Where it answers SQL: as it is declared, for a certificate names that, else as SHOW says."""
    port = formats.whole(frontend.row.get("queryport"))
    names = {frontend.node.host, frontend.row.get("hostname")}
    for declared in cluster.frontends:
        host, declared_port = split_address(declared)
        if host in names and port in {None, declared_port}:
            return declared
    return f"{frontend.node.host}:{port or QUERY_PORT}"


def differing(settings: Mapping[str, list[Record]]) -> list[Record]:
    """The settings that not all frontends have alike, with each spelling and who has it."""
    values: dict[str, dict[str, list[str]]] = {}
    for frontend, rows in settings.items():
        for row in rows:
            known = {name.lower(): text for name, text in row.items()}
            if key := known.get("key"):
                values.setdefault(key, {}).setdefault(known.get("value") or "", []).append(frontend)
    return [
        {"NAME": key, "SPELLINGS": str(len(each)), "EACH": _each(each)}
        for key, each in sorted(values.items())
        if len(each) > 1
    ]


def _each(spellings: Mapping[str, list[str]]) -> str:
    return "; ".join(f"{value} ({', '.join(who)})" for value, who in spellings.items())

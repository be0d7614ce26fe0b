"""Metrics of nodes by series, whether they came over HTTP or from information_schema.

Tables ``fe_metrics`` and ``be_metrics`` leave out the prefix of names and write labels as
``name=group`` or ``{k=v, …}``. Both ways give the same series, so counters go on when one takes
over from the other.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from gateway_assets.collect.nodes import Listed
from gateway_assets.collect.observed import Observed, Record
from gateway_assets.starrocks import formats
from gateway_assets.starrocks.definitions import METRICS, Place
from gateway_assets.starrocks.exposition import Labels

LATENCY = "starrocks_fe_query_latency_ms"
HEAP = "jvm_heap_size_bytes"
TABLET_SCORE = "starrocks_fe_tablet_max_compaction_score"
SCORES = (
    "starrocks_be_tablet_base_max_compaction_score",
    "starrocks_be_tablet_cumulative_max_compaction_score",
)

WANTED = frozenset(
    place.name for metric in METRICS for place in metric.places if place.where in {"fe", "be"}
) | {LATENCY, f"{LATENCY}_count", HEAP, TABLET_SCORE, *SCORES}

_PAIR = re.compile(r"""["']?([A-Za-z_]\w*)["']?\s*[=:]\s*(?:"([^"]*)"|'([^']*)'|([^,{}]*))""")


class Metrics(NamedTuple):
    """What a node counts. One that is not whole has counters, but no sums of gauges."""

    series: dict[str, list[tuple[Labels, float]]]
    moment: int
    is_whole: bool


def metrics_of(observed: Observed, nodes: list[Listed]) -> dict[str, Metrics]:
    """Metrics by the key of the node; nodes that gave none are not in it."""
    found = _told(observed, nodes)
    for node, scrape in observed.scrapes.items():
        page = scrape.exposition
        if page and page.series:
            found[node.key] = Metrics(page.series, scrape.moment, page.is_whole)
    return found


def group_of(kind: str) -> str:
    """Compute nodes write the metrics of backends."""
    return "fe" if kind == "fe" else "be"


def matching(metrics: Metrics, place: Place) -> Iterator[tuple[str, float]]:
    """The series that a place means, each with a name that is the same at the next look."""
    for labels, value in metrics.series.get(place.name, []):
        if fits(labels, place):
            yield identity(place.name, labels), value


def fits(labels: Labels | Record, place: Place) -> bool:
    """Whether labels, or columns, are those that a place asks for."""
    return all(labels.get(name) in values for name, values in place.only) and not any(
        labels.get(name) in values if values else name in labels for name, values in place.but
    )


def identity(name: str, labels: Labels) -> str:
    return name + "".join(f"\t{label}={labels[label]}" for label in sorted(labels))


def _told(observed: Observed, nodes: list[Listed]) -> dict[str, Metrics]:
    """Metrics that were asked for in SQL."""
    found: dict[str, Metrics] = {}
    for group, column in (("fe", "fe_id"), ("be", "be_id")):
        keys = _keys(each for each in nodes if group_of(each.node.kind) == group)
        by_node: dict[str, dict[str, list[tuple[Labels, float]]]] = {}
        for record in observed.answers.get(f"{group}_metrics", []):
            row = {name.lower(): text for name, text in record.items()}
            key = keys.get(row.get(column) or "")
            value = formats.number(row.get("value"))
            name = _full_name(row.get("name") or "", group)
            if key and value is not None and name in WANTED:
                series = by_node.setdefault(key, defaultdict(list))
                series[name].append((_labels(row.get("labels")), value))
        for key, series in by_node.items():
            found[key] = Metrics(dict(series), observed.moment, is_whole=True)
    return found


def _keys(nodes: Iterable[Listed]) -> dict[str, str]:
    """Keys of nodes by whatever they may be called; a host with two nodes calls neither."""
    found: dict[str, str] = {}
    hosts: dict[str, list[str]] = {}
    for each in nodes:
        key = each.node.key
        names = (each.node_id, each.row.get("id"), each.node.address)
        found.update({name: key for name in names if name})
        hosts.setdefault(each.node.host, []).append(key)
    alone = {host: keys[0] for host, keys in hosts.items() if len(keys) == 1}
    return {**alone, **found}


def _full_name(name: str, group: str) -> str:
    return name if name.startswith(("starrocks_", "jvm_")) else f"starrocks_{group}_{name}"


def _labels(text: str | None) -> Labels:
    pairs = _PAIR.findall(formats.known(text) or "")
    return {name: double or single or bare.strip() for name, double, single, bare in pairs}

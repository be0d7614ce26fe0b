"""Simulated clusters, declared and looked at."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

from gateway_assets.collect.ask import Limits, Watched
from gateway_assets.collect.config import Cluster
from gateway_assets.collect.observed import Observed
from gateway_assets.collect.tick import ALL
from gateway_assets.settings import Settings, load_settings
from gateway_assets.simulated.cluster import SimulatedCluster
from gateway_assets.starrocks.definitions import Every

LIMITS = Limits(call=1.0, look=8.0, nodes=8)
FAST = frozenset({Every.FAST})
SLACK = 30  # seconds; a machine may be busy


def declared(simulated: SimulatedCluster, name: str = "one", **given: Any) -> Cluster:
    line = {
        "name": name,
        "frontends": [f"{each.host}:{each.query_port}" for each in simulated.frontends],
        "user": simulated.user,
        "http_port": simulated.frontends[0].http_port,
    }
    return Cluster.model_validate({**line, **given})


def watched(simulated: SimulatedCluster, **given: Any) -> closing[Watched]:
    return closing(Watched(declared(simulated, **given), LIMITS))


def looked(each: Watched, simulated: SimulatedCluster, *, everything: bool = False) -> Observed:
    return each.look(simulated.now, ALL if everything else FAST, None)


def quick(data: Path, **given: Any) -> Settings:
    """Settings under which what hangs is given up soon."""
    times = {"collect_call_seconds": 0.5, "collect_tick_seconds": 4.0}
    return load_settings(data_dir=data, **{**times, **given})

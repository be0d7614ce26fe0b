"""Points of the shape of TSBS's cpu-only use case: ten whole numbers a host, each a walk in 0-100.

Names and tags: https://github.com/timescale/tsbs, pkg/data/usecases/devops. Values are not
bit-identical to its own.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

FIELDS = ["user", "system", "idle", "nice", "iowait", "irq", "softirq", "steal", "guest"]
FIELDS.append("guest_nice")
START = 1_790_000_000 // 86_400 * 86_400 * 10**9
STEP = 10 * 10**9
_REGIONS = ("us-east-1", "us-west-1", "eu-west-1", "eu-central-1", "ap-southeast-1", "sa-east-1")
_OS = ("Ubuntu16.10", "Ubuntu16.04LTS", "Ubuntu15.10")


def tags(host: int) -> dict[str, str]:
    region = _REGIONS[host % len(_REGIONS)]
    return {
        "arch": ("x64", "x86")[host % 2],
        "datacenter": f"{region}{'abc'[host % 3]}",
        "hostname": f"host_{host}",
        "os": _OS[host % 3],
        "rack": str(host % 100),
        "region": region,
        "service": str(host % 20),
        "service_environment": ("production", "staging", "test")[host % 3],
        "service_version": str(host % 2),
        "team": ("SF", "NYC", "LON", "CHI")[host % 4],
    }


def ticks(
    hosts: int, count: int, start: int = START, step: int = STEP
) -> Iterator[tuple[int, np.ndarray]]:
    """Times (ns) and values, one row a host."""
    random = np.random.default_rng(7)
    values = random.uniform(0, 100, (hosts, len(FIELDS)))
    for number in range(count):
        values = np.clip(values + random.normal(0, 1, values.shape), 0, 100)
        yield start + number * step, values.astype(int)


def bodies(hosts: int, count: int, lines: int, start: int = START, step: int = STEP) -> list[bytes]:
    """The same as line protocol, ``lines`` of it a body."""
    heads = [
        "cpu," + ",".join(f"{key}={value}" for key, value in tags(host).items())
        for host in range(hosts)
    ]
    written: list[str] = []
    for time, values in ticks(hosts, count, start, step):
        for head, row in zip(heads, values.tolist(), strict=True):
            fields = ",".join(
                f"usage_{name}={value}i" for name, value in zip(FIELDS, row, strict=True)
            )
            written.append(f"{head} {fields} {time}\n")
    return ["".join(written[n : n + lines]).encode() for n in range(0, len(written), lines)]

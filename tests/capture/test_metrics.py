"""Metrics, raw files and the table say the same, also after SIGKILL."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.request
from functools import partial
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway_assets.capture.intervals import Interval
from gateway_assets.capture.metrics.counters import Counters, Policy
from gateway_assets.capture.metrics.exposition import Metric, exposition
from gateway_assets.capture.metrics.letters import catch_up, letter_of
from gateway_assets.capture.metrics.meter import Meter, Readings
from gateway_assets.capture.places import NO_PLACES
from gateway_assets.files.landing import Origin, Stamp, land, landing_files, read_landing
from gateway_assets.hot.counters import counters_that_differ
from gateway_assets.hot.load import load
from gateway_assets.hot.store import open_store
from gateway_assets.settings import load_settings
from gateway_assets.sources.ip_traffic import SOURCE
from gateway_assets.tables import IP_TRAFFIC
from tests.capture.test_daemon import connected, daemon, needs_root, transfer, until

WAYS = ("tx", "rx")


def scraped(port: int) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
        return parsed(answer.read())


def parsed(text: bytes) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """By Prometheus' own parser, which is strict about what a family may hold."""
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(text.decode()):
        assert family.documentation
        assert family.type in ("counter", "gauge")
        for sample in family.samples:
            series = found.setdefault(sample.name, {})
            key = tuple(sorted(sample.labels.items()))
            assert key not in series
            series[key] = sample.value
            assert sample.name.endswith("_total") == (family.type == "counter")
    return found


def landed(data: Path) -> dict[str, int]:
    sums = dict.fromkeys(("tx_bytes", "rx_bytes"), 0)
    for path in landing_files(data / "landing", SOURCE):
        for name, value in read_landing(path, SOURCE).landed.sums.items():
            sums[name] += value
    return sums


def differing(data: Path, port: int) -> set[str]:
    """The metrics whose series do not add up to what has landed."""
    metrics, found = scraped(port), set()
    for way in WAYS:
        whole = landed(data)[f"{way}_bytes"]
        for what in ("", "country_", "process_", "interface_"):
            name = f"ip_traffic_{what}{way}_bytes_total"
            if sum(metrics.get(name, {}).values()) != whole:
                found.add(name)
    return found


def port_of(process: subprocess.Popen[str]) -> int:
    assert process.stderr is not None
    for line in process.stderr:
        found = re.search(r"metrics at http://127.0.0.1:(\d+)/", line)
        if found:
            return int(found[1])
    raise AssertionError("no metrics")


OPTIONS = ("--listen", "127.0.0.1:0", "--interval", "1", "--admit-bytes", "5000")


def test_metrics_raw_files_and_a_killed_run_agree(tmp_path: Path) -> None:
    """Other traffic of this host goes on meanwhile, so what agrees is awaited."""
    before: dict[tuple[tuple[str, str], ...], float] = {}
    for end in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGKILL):
        with connected() as (client, server), daemon(tmp_path, *OPTIONS) as process:
            port = port_of(process)
            until(partial(agree, tmp_path, port), "metrics agree from the start")
            check_grown(before, scraped(port)["ip_traffic_tx_bytes_total"])
            seen = landed(tmp_path)["tx_bytes"]
            transfer(client, server, 20_000)
            until(partial(has_landed, tmp_path, seen + 20_000), "it lands")
            until(partial(agree, tmp_path, port), "metrics agree with it")
            before = scraped(port)["ip_traffic_tx_bytes_total"]
            process.send_signal(end)
            process.wait(20)
    with daemon(tmp_path, *OPTIONS) as process:
        port = port_of(process)
        until(partial(agree, tmp_path, port), "metrics agree at the end")
        metrics = scraped(port)
    check_grown(before, metrics["ip_traffic_tx_bytes_total"])
    names = {dict(labels)["remote_ip"] for labels in metrics["ip_traffic_tx_bytes_total"]}
    assert {"127.0.0.1", "other"} <= names
    [backend] = metrics["ip_traffic_backend_up"]
    assert dict(backend) == {"backend": "sockdiag", "layer": "tcp"}


def test_the_ledger_knows_what_the_counters_count(tmp_path: Path) -> None:
    for _ in range(2):
        with connected() as (client, server), daemon(tmp_path, *OPTIONS) as process:
            for size in (20_000, 30_000):
                seen = landed(tmp_path)["tx_bytes"]
                transfer(client, server, size)
                until(partial(has_landed, tmp_path, seen + size), "it lands")
            process.kill()
    settings = load_settings(data_dir=tmp_path)
    first, second, *others = sorted(landing_files(settings.landing, SOURCE), key=counted)
    with open_store(settings.hot_database) as connection:
        aside = second.rename(tmp_path / second.name)
        load(connection, IP_TRAFFIC, settings)
        ((writer, size),) = counters_that_differ(connection, IP_TRAFFIC).items()
        assert writer.startswith("h-sockdiag since 2")
        aside.rename(second)
        assert size == sum(read_landing(second, SOURCE).landed.sums.values())
        load(connection, IP_TRAFFIC, settings)
        assert counters_that_differ(connection, IP_TRAFFIC) == {}
    assert len(others) >= 2
    facts = read_landing(first, SOURCE).landed.facts
    assert facts["counters"]["tx_bytes"] == read_landing(first, SOURCE).landed.sums["tx_bytes"]
    assert "coverage" not in facts  # sockets have no interface


def counted(path: Path) -> int:
    return int(read_landing(path, SOURCE).landed.facts["counters"]["tx_bytes"])


def agree(data: Path, port: int) -> bool:
    return not differing(data, port)


def has_landed(data: Path, least: float) -> bool:
    return landed(data)["tx_bytes"] >= least


def check_grown(
    before: dict[tuple[tuple[str, str], ...], float],
    after: dict[tuple[tuple[str, str], ...], float],
) -> None:
    """A counter that fell would be taken for a reset, and all of it for new traffic."""
    assert all(after[labels] >= value for labels, value in before.items())


def test_labels_are_escaped_and_all_metrics_are_there(tmp_path: Path) -> None:
    counters = Counters(tmp_path / "counters", Policy(slots=128, admit_bytes=1), bytes(16), 1)
    meter = Meter(counters, "sockdiag", "tcp", None)
    odd = 'a"b\\c\nd'
    meter.post(letter_of("0badcafe", 0, 1, [("2001:db8::1", odd, odd, None, 3, 4)]))
    meter.readings = Readings(raw_rows_waiting=7)
    metrics = parsed(meter.render())
    [(process, value)] = metrics["ip_traffic_process_tx_bytes_total"].items()
    assert (dict(process), value) == ({"comm": odd, "unit": odd}, 3)
    assert metrics["ip_traffic_raw_rows_waiting"] == {(): 7}
    assert {name for name in metrics if "coverage" in name} == set()
    meter.close()


def test_no_series_is_lost_between_the_pieces() -> None:
    numbers = range(1_203)
    metric = Metric("many", "gauge", "Numbers", [(f'{{n="{n}"}}', n) for n in numbers])
    empty = Metric("none", "gauge", "Nothing", iter(()))
    head, kind, *lines = exposition([metric, empty, metric]).decode().splitlines()
    assert (head, kind) == ("# HELP many Numbers", "# TYPE many gauge")
    many = [f'many{{n="{n}"}} {n}' for n in numbers]
    nothing = ["# HELP none Nothing", "# TYPE none gauge"]
    assert lines == [*many, *nothing, head, kind, *many]


SENDING = """
import socket
from gateway_assets.capture.metrics.kernel_bytes import KernelBytes
kernel = KernelBytes("lo")
with socket.socket(type=socket.SOCK_DGRAM) as theirs, socket.socket(type=socket.SOCK_DGRAM) as ours:
    theirs.bind(("127.0.0.1", 0))
    for _ in range(10):
        ours.sendto(bytes(972), theirs.getsockname())
print(kernel.passed(), KernelBytes("nosuch0").passed())
"""


@needs_root
def test_the_kernel_counts_whole_ip_packets() -> None:
    inside = ["unshare", "-n", "--mount", "sh", "-ec"]
    script = 'mount -t sysfs sysfs /sys; ip link set lo up; exec "$@"'
    done = subprocess.run(
        [*inside, script, "sh", sys.executable, "-c", SENDING],
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )
    assert done.stdout == "10000 None\n"


def test_coverage_is_of_what_was_counted_landed_or_not(tmp_path: Path) -> None:
    counters = Counters(tmp_path / "counters", Policy(slots=128), bytes(16), 1)
    meter = Meter(counters, "packet", "ip", "lo")
    meter._kernel = Passed(1000)  # type: ignore[assignment]
    meter.readings = Readings(seen_bytes=750)
    [(labels, value)] = parsed(meter.render())["ip_traffic_capture_coverage_ratio"].items()
    assert (dict(labels), value) == ({"device": "lo"}, 0.75)
    assert meter.facts(Interval(0, 1, {}))["coverage"] == 0.75
    meter.close()


class Passed:
    """Kernel counters that stand still."""

    def __init__(self, size: int) -> None:
        self._size = size

    def passed(self) -> int:
        return self._size


def file_of(data: Path, sequence: int, tx: int) -> None:
    row = (1, 2, "h", "sockdiag", "tcp", None, "192.0.2.1", "curl", 7, tx, 0, None, None)
    land(data, SOURCE, Stamp(Origin("h", "sockdiag", "0badcafe"), 1, sequence), [row])


def test_what_landed_but_was_not_counted_is_counted_at_the_next_start(tmp_path: Path) -> None:
    counters = Counters(tmp_path / "counters", Policy(slots=128), bytes(16), 1)
    for sequence in range(4):
        file_of(tmp_path, sequence, 10**sequence)
    counters.add(letter_of("0badcafe", 0, 1, [("192.0.2.1", "curl", None, None, 1, 0)]))
    for _ in range(2):
        assert catch_up(counters, tmp_path, "h", "sockdiag", NO_PLACES.place)
        assert counters.total.tx == 1111
    assert catch_up(counters, tmp_path, "other", "sockdiag", NO_PLACES.place)
    assert counters.total.tx == 1111


def test_half_a_letter_without_its_file_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counters = Counters(tmp_path / "counters", Policy(slots=128), bytes(16), 1)
    monkeypatch.setattr(counters, "_end", lambda: None)
    counters.add(letter_of("0badcafe", 5, 1, [("192.0.2.1", "curl", None, None, 1, 0)]))
    assert not catch_up(counters, tmp_path, "h", "sockdiag", NO_PLACES.place)
    file_of(tmp_path, 5, 1)
    monkeypatch.undo()
    assert catch_up(counters, tmp_path, "h", "sockdiag", NO_PLACES.place)
    assert counters.total.tx == 1
    assert json.loads(json.dumps(counters.last[1:])) == [5, True]

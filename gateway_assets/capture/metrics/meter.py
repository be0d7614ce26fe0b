"""What the metrics endpoint tells: counters of what has landed, and how the capture itself is.

The loop posts letters and readings; the endpoint's thread renders. A scrape never delays the
loop: a letter that finds the counters in use waits for the next turn.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from threading import Lock
from typing import Any, NamedTuple

from gateway_assets.capture.addresses import address_of
from gateway_assets.capture.intervals import Interval
from gateway_assets.capture.metrics.counters import Counters, Letter
from gateway_assets.capture.metrics.exposition import Metric, escaped, exposition
from gateway_assets.capture.metrics.kernel_bytes import KernelBytes
from gateway_assets.capture.metrics.letters import letter_of
from gateway_assets.capture.places import NO_PLACES, Places
from gateway_assets.geoip.place import Place


class Readings(NamedTuple):
    """How the capture is, as of the loop's last turn."""

    up: bool = True
    seen_bytes: int = 0  # landed or not
    parse_errors: int = 0
    lost_events: int = 0
    last_block: float = 0.0  # seconds since the epoch
    raw_files: int = 0
    raw_rows_waiting: int = 0
    raw_rows_lost: int = 0
    last_file: float = 0.0


class Meter:
    def __init__(
        self,
        counters: Counters,
        name: str,
        layer: str,
        interface: str | None,
        places: Places = NO_PLACES,
    ) -> None:
        self.readings = Readings()
        self._counters = counters
        self._backend = f'backend="{name}",layer="{layer}"'
        self._device = interface or "all"
        self._kernel = KernelBytes(interface) if interface and layer == "ip" else None
        self._places = places
        self._place = places.place
        self._labels: dict[bytes, str] = {}
        self._waiting: list[Letter] = []
        self._lock = Lock()

    def post(self, letter: Letter | None = None) -> None:
        """Add a letter, now or at the next turn; without one, those that wait."""
        if letter:
            self._waiting.append(letter)
        if self._waiting and self._lock.acquire(blocking=False):
            try:
                while self._waiting:
                    self._counters.add(self._waiting.pop(0))
            finally:
                self._lock.release()

    def close(self) -> None:
        with self._lock:
            for letter in self._waiting:
                self._counters.add(letter)
            self._counters.close()

    def letter(self, identity: str, sequence: int, interval: Interval) -> Letter:
        rows = (
            (remote, process, unit, attribution, tx, rx)
            for (remote, (process, _, unit, attribution)), (tx, rx) in interval.totals.items()
        )
        return letter_of(identity, sequence, interval.end // 1_000_000, rows, self._place)

    def facts(self, interval: Interval) -> dict[str, Any]:
        """What the counters will be once an interval is added, and the coverage so far."""
        tx, rx = interval.bytes
        for letter in self._waiting:
            for more_tx, more_rx in letter.remotes.values():
                tx, rx = tx + more_tx, rx + more_rx
        total = self._counters.total
        counters = {"epoch": self._counters.epoch, "tx_bytes": total.tx + tx}
        coverage = self._coverage()
        return {
            "counters": {**counters, "rx_bytes": total.rx + rx},
            **({} if coverage is None else {"coverage": round(coverage, 6)}),
        }

    def render(self) -> bytes:
        """The exposition, of one moment."""
        with self._lock:
            text = exposition(self._metrics())
            self._counters.rest()
            return text

    def _metrics(self) -> Iterator[Metric]:
        counters = self._counters
        yield from self._remotes()
        for what, items, label in (
            ("country", counters.countries(), _country_label),
            ("process", counters.processes(), _process_label),
            ("interface", [(self._device, counters.total)], _device_label),
        ):
            found = [(label(name), amounts) for name, amounts in items]
            yield Metric(
                f"ip_traffic_{what}_tx_bytes_total",
                "counter",
                f"Bytes sent, by {what}",
                [(labels, amounts.tx) for labels, amounts in found],
            )
            yield Metric(
                f"ip_traffic_{what}_rx_bytes_total",
                "counter",
                f"Bytes received, by {what}",
                [(labels, amounts.rx) for labels, amounts in found],
            )
        yield from self._own()

    def _remotes(self) -> Iterator[Metric]:
        """In lists of texts and numbers, not of tuples: there may be very many."""
        known = self._labels
        labels: list[str] = []
        sent: list[int] = []
        received: list[int] = []
        for key, tx, rx in self._counters.series():
            labels.append(known.get(key) or self._label(key))
            sent.append(tx)
            received.append(rx)
        labels.append('{remote_ip="other",country="",province="",city="",isp=""}')
        sent.append(self._counters.other.tx)
        received.append(self._counters.other.rx)
        yield Metric(
            "ip_traffic_tx_bytes_total",
            "counter",
            "Total transmitted bytes to remote IP address (egress/upload traffic)",
            zip(labels, sent, strict=True),
        )
        yield Metric(
            "ip_traffic_rx_bytes_total",
            "counter",
            "Total received bytes from remote IP address (ingress/download traffic)",
            zip(labels, received, strict=True),
        )

    def _label(self, key: bytes) -> str:
        """Looked up once for a series, so that it keeps its name."""
        if len(self._labels) > 2 * self._counters.policy.series:
            self._labels.clear()
        address = address_of(key)
        label = f'{{remote_ip="{address}",{_place_labels(self._place(address))}}}'
        self._labels[key] = label
        return label

    def _own(self) -> Iterator[Metric]:
        counters, now = self._counters, self.readings
        for name, kind, about, value in (
            ("backend_up", "gauge", "1 while the backend counts", int(now.up)),
            ("parse_errors_total", "counter", "Lines or packets not understood", now.parse_errors),
            ("lost_events_total", "counter", "Losses before counting", now.lost_events),
            ("last_block_timestamp_seconds", "gauge", "When bytes last came", now.last_block),
        ):
            yield Metric(f"ip_traffic_{name}", kind, about, [(f"{{{self._backend}}}", value)])
        for name, kind, about, value in (
            ("tracked_remotes", "gauge", "Remotes that are remembered", counters.tracked),
            ("remotes_capacity", "gauge", "Remotes there is room for", counters.policy.slots),
            ("evicted_remotes_total", "counter", "Remotes forgotten for others", counters.evicted),
            ("series", "gauge", "Remotes that have a series of their own", counters.admitted),
            (
                "counters_created_timestamp_seconds",
                "gauge",
                "When the counters began at zero",
                counters.epoch / 1_000_000,
            ),
            ("raw_files_total", "counter", "Files landed by this process", now.raw_files),
            ("raw_rows_waiting", "gauge", "Rows that could not land yet", now.raw_rows_waiting),
            ("raw_rows_lost_total", "counter", "Rows given up", now.raw_rows_lost),
            ("raw_file_timestamp_seconds", "gauge", "When a file last landed", now.last_file),
        ):
            yield Metric(f"ip_traffic_{name}", kind, about, [("", value)])
        databases = [
            (f'{{database="{escaped(name)}"}}', built) for name, built in self._places.databases()
        ]
        if databases:
            yield Metric(
                "ip_traffic_geoip_database_build_timestamp_seconds",
                "gauge",
                "When a database of places was built",
                databases,
            )
        coverage = self._coverage()
        if coverage is not None:
            yield Metric(
                "ip_traffic_capture_coverage_ratio",
                "gauge",
                "Counted bytes of those that the kernel counted on the interface",
                [(_device_label(self._device), coverage)],
            )

    def _coverage(self) -> float | None:
        passed = self._kernel.passed() if self._kernel else None
        if not passed:
            return None
        return self.readings.seen_bytes / passed


@lru_cache(1024)
def _place_labels(place: Place) -> str:
    pairs = zip(Place._fields, place, strict=True)
    return ",".join(f'{name}="{escaped(value or "")}"' for name, value in pairs)


def _country_label(name: str) -> str:
    return f'{{country="{escaped(name)}"}}'


def _process_label(name: str) -> str:
    comm, _, unit = name.partition("\t")
    return f'{{comm="{escaped(comm)}",unit="{escaped(unit)}"}}'


def _device_label(name: str) -> str:
    return f'{{device="{escaped(name)}"}}'

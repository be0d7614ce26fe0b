"""The loop: read what was counted, add it up, land what is finished, stop when told to."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from gateway_assets import clock
from gateway_assets.capture.backend import Backend, Exhausted
from gateway_assets.capture.intervals import Interval, Intervals, Label
from gateway_assets.capture.metrics.counters import Counters, Policy
from gateway_assets.capture.metrics.endpoint import Endpoint
from gateway_assets.capture.metrics.letters import catch_up
from gateway_assets.capture.metrics.meter import Meter, Readings
from gateway_assets.capture.outbox import Outbox
from gateway_assets.capture.places import NO_PLACES, Places
from gateway_assets.capture.say import say
from gateway_assets.errors import CaptureError, LandingError
from gateway_assets.files.landing import Origin, discard, plain, salvage
from gateway_assets.files.lock import exclusive
from gateway_assets.sources.ip_traffic import SOURCE

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_ATTENTION = 0.5  # seconds after which a request to stop is noticed
_RETRY = 1.0  # seconds until what could not land is tried again, though nothing new has come


class Plan(NamedTuple):
    root: Path  # of the landing files
    host: str
    interval: int  # microseconds
    duration: float | None  # seconds; None: until told to stop
    listen: tuple[str, int] | None = None  # address and port of the metrics
    policy: Policy = Policy()
    places: Places = NO_PLACES


class Stop:
    """Asked for by a signal, looked at by the loop."""

    def __init__(self) -> None:
        self.requested = False

    def request(self, *_: object) -> None:
        self.requested = True


class Summary(NamedTuple):
    backend: str
    layer: str
    tx_bytes: int
    rx_bytes: int
    remotes: int
    rows: int
    files: int
    already_landed: int
    parse_errors: int
    lost_events: int
    complete: bool
    seconds: float


def instance_of(backend: Backend) -> str:
    return f"{backend.name}.{backend.interface}" if backend.interface else backend.name


def run(backend: Backend, plan: Plan, stop: Stop) -> Summary:
    """Capture until the plan, the recording or ``stop`` ends it; everything counted has landed.

    Of a recording that is not read to its end, only the intervals land that are whole: what lands
    under a name must be what a later run, of the whole recording, would land under it.

    Raises Busy when this instance runs already, CaptureError when capturing fails (after landing
    what was counted) or a recording was stopped before its end, and LandingError when rows could
    not be landed at all.
    """
    instance = instance_of(backend)
    lock = plan.root / SOURCE.name / f".{plain(instance)}.lock"
    with exclusive(lock, f"gateway-capture {instance}"):
        origin = Origin(plan.host, instance, backend.identity)
        if not backend.live:
            discard(plan.root, SOURCE, origin)  # the recording has these rows
            return _Capture(backend, plan, origin, None).run(stop)
        for landed in salvage(plan.root, SOURCE, origin):
            say(f"salvaged {landed.rows} rows of an interrupted run: {landed.path}")
        with _metered(backend, plan, instance) as meter:
            return _Capture(backend, plan, origin, meter).run(stop)


@contextmanager
def _metered(backend: Backend, plan: Plan, instance: str) -> Iterator[Meter]:
    """Counters that go on where they were, served as metrics when that is asked for."""
    path = plan.root / SOURCE.name / f".{plain(instance)}.counters"
    boot = bytes.fromhex(_BOOT.read_text().strip().replace("-", ""))
    counters = Counters(path, plan.policy, boot, clock.now())
    if not catch_up(counters, plan.root, plan.host, instance, plan.places.place):
        say("counters begin at zero: a file that they lack has gone")
        counters.close()
        path.unlink(missing_ok=True)
        counters = Counters(path, plan.policy, boot, clock.now())
    meter = Meter(counters, backend.name, backend.layer, backend.interface, plan.places)
    endpoint = None
    try:
        if plan.listen:
            endpoint = Endpoint(*plan.listen, meter.render, lambda: meter.readings.up)
            say(f"metrics at http://{plan.listen[0]}:{endpoint.port}/metrics")
        yield meter
    finally:
        if endpoint:
            endpoint.close()
        meter.close()


class _Capture:
    def __init__(self, backend: Backend, plan: Plan, origin: Origin, meter: Meter | None) -> None:
        self._backend = backend
        self._plan = plan
        self._meter = meter
        self._outbox = Outbox(plan.root, origin, self._landed, self._facts, patient=backend.live)
        self._last_block = self._last_file = 0.0
        self._seen = 0
        self._intervals = Intervals(plan.interval, clock.now() if backend.live else None)
        self._started = self._sent = time.monotonic()
        self._latest = 0
        self._lost_before = 0
        self._broken = False

    def run(self, stop: Stop) -> Summary:
        try:
            while not stop.requested and self._left() > 0:
                self._step(min(self._left(), _ATTENTION))
            if self._backend.live:
                self._step(0)
        except Exhausted:
            pass
        except CaptureError:
            # Also of a recording: it breaks at the same place whenever it is read.
            self._finish_broken()
            raise
        except BaseException:
            if self._backend.live:
                self._finish_broken()
            raise
        else:
            if not self._backend.live:
                raise CaptureError(
                    "stopped before the end of the recording",
                    hint="run the same command again: it lands what is missing",
                )
        self._finish()
        self._check_landed()
        return self._summary()

    def _left(self) -> float:
        if self._plan.duration is None:
            return _ATTENTION
        return self._plan.duration - (time.monotonic() - self._started)

    def _step(self, timeout: float) -> None:
        deltas = list(self._backend.read(timeout))
        self._intervals.add(deltas)
        if deltas:
            self._last_block = time.time()
            self._seen += sum(delta.tx_bytes + delta.rx_bytes for delta in deltas)
        if deltas and not self._backend.live:
            self._latest = max(self._latest, *(delta.time for delta in deltas))
        now = clock.now() if self._backend.live else self._latest
        self._measure(up=self._backend.up)
        self._post(self._intervals.finished(now))

    def _finish_broken(self) -> None:
        self._broken = True
        self._finish()

    def _finish(self) -> None:
        self._post(self._intervals.rest(clock.now() if self._backend.live else None))
        self._outbox.send()
        self._outbox.give_up()
        self._measure(up=False)

    def _landed(self, sequence: int, interval: Interval) -> None:
        self._last_file = time.time()
        if self._meter:
            self._meter.post(self._meter.letter(self._backend.identity, sequence, interval))

    def _facts(self, interval: Interval) -> dict[str, Any]:
        return self._meter.facts(interval) if self._meter else {}

    def _measure(self, *, up: bool) -> None:
        if not self._meter:
            return
        self._meter.post()
        self._meter.readings = Readings(
            up=up,
            seen_bytes=self._seen,
            parse_errors=self._backend.parse_errors,
            lost_events=self._backend.lost_events,
            last_block=self._last_block,
            raw_files=self._outbox.files,
            raw_rows_waiting=self._outbox.waiting_rows,
            raw_rows_lost=self._outbox.lost_rows,
            last_file=self._last_file,
        )

    def _post(self, intervals: list[Interval]) -> None:
        if intervals:
            self._put(intervals)
        elif not self._is_due():
            return
        self._outbox.send()
        self._sent = time.monotonic()

    def _put(self, intervals: list[Interval]) -> None:
        backend = self._backend
        label = Label(self._plan.host, backend.name, backend.layer, backend.interface)
        complete = backend.lost_events == self._lost_before and not self._broken
        self._lost_before = self._backend.lost_events
        for interval in intervals:
            self._outbox.put(interval, label, complete)

    def _is_due(self) -> bool:
        return bool(self._outbox.obstacle) and time.monotonic() - self._sent >= _RETRY

    def _check_landed(self) -> None:
        outbox = self._outbox
        if outbox.lost_rows:
            hint = outbox.obstacle.hint if outbox.obstacle else "give the disk more room"
            raise LandingError(
                f"{outbox.lost_rows} rows ({outbox.lost_bytes} bytes of traffic) were counted "
                "but could not be landed and are lost",
                hint=hint,
            )

    def _summary(self) -> Summary:
        backend, outbox = self._backend, self._outbox
        return Summary(
            backend=backend.name,
            layer=backend.layer,
            tx_bytes=outbox.tx_bytes,
            rx_bytes=outbox.rx_bytes,
            remotes=len(outbox.remotes),
            rows=outbox.rows,
            files=outbox.files,
            already_landed=outbox.already_landed,
            parse_errors=backend.parse_errors,
            lost_events=backend.lost_events,
            complete=outbox.complete and backend.lost_events == 0,
            seconds=round(time.monotonic() - self._started, 3),
        )

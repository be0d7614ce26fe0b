"""What is acknowledged is on disk, or a failure is told."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway_assets.errors import FramesUnavailable
from gateway_assets.frames.commit import GroupCommit
from gateway_assets.frames.log import FrameLog, open_log
from gateway_assets.frames.reading import segments
from gateway_assets.frames.segment import seal_of
from tests.frames.logs import crashed, draft, numbers
from tests.frames.refusing import without_fdatasync


def until(condition: Callable[[], bool]) -> None:
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.01)
    pytest.fail("it did not come to that")


class Gate:
    """Counts the calls of the real fdatasync, and holds them while it is shut."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._real = os.fdatasync
        self._open = threading.Event()
        self.calls = 0
        monkeypatch.setattr("os.fdatasync", self._sync)

    def _sync(self, descriptor: int) -> None:
        self.calls += 1
        self._open.wait(60)
        self._real(descriptor)

    def open(self) -> None:
        self._open.set()


def test_one_sync_for_all_that_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = open_log(tmp_path)
    gate = Gate(monkeypatch)
    seqs: list[int] = []
    threads = [
        threading.Thread(target=lambda n=n: seqs.append(log.append(*draft(n)))) for n in range(9)
    ]
    threads[0].start()
    until(lambda: gate.calls == 1)
    for thread in threads[1:]:
        thread.start()
    until(lambda: log.next_seq == 10)
    assert (gate.calls, seqs, log.durable_seq) == (1, [], 0)
    gate.open()
    for thread in threads:
        thread.join()
    assert (gate.calls, sorted(seqs), log.durable_seq) == (2, list(range(1, 10)), 9)
    log.close()


def test_async_acknowledges_before_and_syncs_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    log = open_log(tmp_path, durability="async", sync_seconds=0.005)
    assert log.append(*draft(1)) == 1
    assert (log.durable_seq, numbers(tmp_path)) == (0, [1])
    until(lambda: gate.calls == 1)
    gate.open()
    until(lambda: log.durable_seq == 1)
    log.close()


def test_a_power_loss_takes_no_more_than_what_was_not_synced(tmp_path: Path) -> None:
    """The end that was not synced is cut off, anywhere."""
    log = open_log(tmp_path / "log", durability="async", sync_seconds=0.005)
    log.append_many([draft(number) for number in range(1, 6)])
    until(lambda: log.durable_seq == 5)
    [segment] = segments(tmp_path / "log")
    synced = segment.path.stat().st_size
    log.append_many([draft(number) for number in range(6, 9)])
    copy = crashed(tmp_path / "log", tmp_path / "copy")
    log.close()
    whole = (copy / segment.name).read_bytes()
    for length in range(synced, len(whole), 7):
        lost = crashed(copy, tmp_path / f"lost{length}")
        (lost / segment.name).write_bytes(whole[:length])
        log = open_log(lost)
        kept = numbers(lost)
        assert kept[:5] == [1, 2, 3, 4, 5]
        assert kept == list(range(1, log.next_seq))
        log.close()


def test_a_segment_that_cannot_be_synced_is_left(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    log.append(*draft(1))
    with pytest.raises(FramesUnavailable, match="Input/output error") as refused:
        without_fdatasync(lambda: log.append(*draft(2)))
    assert refused.value.transient
    assert log.durable_seq == 1
    assert log.append(*draft(3)) == 3
    left, current = segments(tmp_path)
    assert (left.first_seq, current.first_seq, left.is_sealed) == (1, 3, True)
    assert seal_of(left) is None
    log.close()
    open_log(tmp_path).close()
    assert seal_of(left) is not None
    assert numbers(tmp_path) == [1, 2, 3]


def test_a_failed_sync_is_told_to_all_that_wait_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel tells it once: a second fdatasync of the same file would succeed."""
    without_fdatasync(lambda: None)  # skips where nothing can be refused
    log = open_log(tmp_path)
    gate = Gate(monkeypatch)
    failed: list[int] = []

    def append(number: int) -> None:
        try:
            log.append(*draft(number))
        except FramesUnavailable:
            failed.append(number)

    first = threading.Thread(target=without_fdatasync, args=(lambda: append(1),))
    first.start()
    until(lambda: gate.calls == 1)
    others = [threading.Thread(target=append, args=(number,)) for number in (2, 3)]
    for thread in others:
        thread.start()
    until(lambda: log.next_seq == 4)
    gate.open()
    for thread in (first, *others):
        thread.join()
    assert sorted(failed) == [1, 2, 3]
    assert gate.calls == 1
    assert log.append(*draft(4)) == 4
    log.close()


def test_a_sync_that_fails_later_is_told_to_the_next(tmp_path: Path) -> None:
    def open_refused() -> FrameLog:
        return open_log(tmp_path, durability="async", sync_seconds=0.005)

    log = without_fdatasync(open_refused)
    assert log.append(*draft(1)) == 1
    assert isinstance(log, GroupCommit)
    until(lambda: len(segments(tmp_path)) == 1 and log._tail is None)
    with pytest.raises(FramesUnavailable, match="Input/output error"):
        log.append(*draft(2))
    assert log.append(*draft(3)) == 2
    until(lambda: log._tail is None)
    with pytest.raises(FramesUnavailable, match="Input/output error"):
        log.close()
    open_log(tmp_path).close()
    assert numbers(tmp_path) == [1, 3]

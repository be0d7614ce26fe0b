"""What every log promises, whatever its backend."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

import pytest

from gateway_assets.errors import Busy, ConfigError, FrameError, FramesUnavailable, UsageError
from gateway_assets.frames.frame import Frame, Kind
from gateway_assets.frames.log import Backend, FrameLog, open_log
from gateway_assets.frames.reading import read, segments
from tests.frames.logs import TIME, all_frames, draft, fill, numbers, payload

BACKENDS = ("segments", "rocksdb")
DURABILITIES = ("sync", "async")

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")


class Open(Protocol):
    def __call__(self, directory: Path = ...) -> FrameLog: ...


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Backend:
    if request.param == "rocksdb":
        pytest.importorskip("rocksdict")
    chosen: Backend = request.param
    return chosen


@pytest.fixture(params=DURABILITIES)
def log(request: pytest.FixtureRequest, backend: Backend, tmp_path: Path) -> Iterator[FrameLog]:
    log = open_log(tmp_path / "log", backend=backend, durability=request.param)
    yield log
    log.close()


def test_frames_come_back_in_order_as_they_were(log: FrameLog, tmp_path: Path) -> None:
    assert (log.first_seq, log.next_seq) == (1, 1)
    assert log.append(Kind.EVENT, b"", -1) == 1
    assert log.append_many([draft(2), (Kind.HEARTBEAT, bytes(range(256)), TIME)]) == range(2, 4)
    assert (log.first_seq, log.next_seq) == (1, 4)
    assert all_frames(tmp_path / "log") == [
        Frame(1, -1, Kind.EVENT, b""),
        Frame(2, TIME + 2, Kind.DATA, payload(2)),
        Frame(3, TIME, Kind.HEARTBEAT, bytes(range(256))),
    ]


def test_kinds_of_others_are_kept(log: FrameLog, tmp_path: Path) -> None:
    for kind in (5, 99, 254):
        log.append(kind, b"x", TIME)
    assert [frame.kind for frame in all_frames(tmp_path / "log")] == [5, 99, 254]


@pytest.mark.parametrize(
    ("kind", "size", "time"),
    [(0, 1, 0), (255, 1, 0), (-1, 1, 0), (1, 64 * 2**20 + 1, 0), (1, 1, 2**63)],
)
def test_what_no_frame_can_hold_is_refused(
    log: FrameLog, tmp_path: Path, kind: int, size: int, time: int
) -> None:
    with pytest.raises(UsageError, match="frame"):
        log.append_many([draft(1), (kind, bytes(size), time)])
    assert log.append_many([]) == range(1, 1)
    assert all_frames(tmp_path / "log") == []


def test_numbers_go_on_after_a_restart(backend: Backend, tmp_path: Path) -> None:
    for start in (1, 4, 7):
        log = open_log(tmp_path, backend=backend)
        assert log.next_seq == start
        assert log.durable_seq == start - 1
        log.append_many([draft(number) for number in range(start, start + 3)])
        assert log.durable_seq == start + 2
        log.close()
    assert [frame.seq for frame in all_frames(tmp_path)] == list(range(1, 10))
    assert numbers(tmp_path) == list(range(1, 10))


def test_one_frame_of_each_append_from_many_threads(log: FrameLog, tmp_path: Path) -> None:
    seqs: list[tuple[int, int]] = []

    def append(first: int) -> None:
        for number in range(first, first + 50):
            seqs.append((log.append(*draft(number)), number))  # noqa: PERF401  as they come

    threads = [threading.Thread(target=append, args=(1000 * n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = all_frames(tmp_path / "log")
    assert sorted(seqs) == list(zip(range(1, 401), numbers(tmp_path / "log"), strict=True))
    assert [frame.seq for frame in found] == list(range(1, 401))


def test_a_second_writer_is_refused(log: FrameLog, backend: Backend, tmp_path: Path) -> None:
    with pytest.raises(Busy, match=rf"the writer of .* already running \(process {os.getpid()}\)"):
        open_log(tmp_path / "log", backend=backend)
    command = [sys.executable, "-m", "tests.frames.writer", str(tmp_path / "log"), backend, "sync"]
    other = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60, env=environment()
    )
    assert f"already running (process {os.getpid()})" in other.stderr
    log.append(*draft(1))
    assert numbers(tmp_path / "log") == [1]


def test_a_closed_log_takes_nothing_and_is_free(backend: Backend, tmp_path: Path) -> None:
    log = open_log(tmp_path, backend=backend)
    log.append(*draft(1))
    log.close()
    log.close()
    with pytest.raises(FrameError, match="closed"):
        log.append(*draft(2))
    open_log(tmp_path, backend=backend).close()
    assert numbers(tmp_path) == [1]


def test_a_reader_follows_a_writer(log: FrameLog, tmp_path: Path) -> None:
    offset = 0
    seen: list[int] = []
    for number in range(1, 20):
        log.append_many([draft(number)] * number)
        [segment] = segments(tmp_path / "log")
        assert not segment.is_sealed
        for frame, following in read(segment, offset):
            seen.append(frame.seq)
            offset = following
        assert seen == list(range(1, log.next_seq))
    assert list(read(segment, offset)) == []


@contextmanager
def writing(
    directory: Path, backend: str, durability: str
) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """A real writer and what it prints; it is killed in the end."""
    command = [sys.executable, "-m", "tests.frames.writer", str(directory), backend, durability]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as writer:
        assert writer.stdout is not None
        try:
            yield writer, writer.stdout
        finally:
            writer.kill()


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}


@pytest.mark.parametrize("durability", DURABILITIES)
def test_a_killed_writer_loses_nothing_that_it_acknowledged(
    backend: Backend, durability: str, tmp_path: Path
) -> None:
    acknowledged: dict[int, bytes] = {}
    for _ in range(3):
        with writing(tmp_path, backend, durability) as (writer, output):
            lines = [output.readline() for _ in range(300)]
            writer.kill()
            lines += output.readlines()
        for line in lines:
            seq, _, text = line.rstrip("\n").partition(" ")
            assert int(seq) not in acknowledged
            acknowledged[int(seq)] = text.encode()
        log = open_log(tmp_path, backend=backend)
        found = {frame.seq: frame.payload for frame in all_frames(tmp_path)}
        assert acknowledged.items() <= found.items()
        assert list(found) == list(range(1, log.next_seq))
        log.close()


def test_a_reader_of_another_process_sees_no_half_frame(backend: Backend, tmp_path: Path) -> None:
    seqs: list[int] = []
    name, offset = "", 0
    with writing(tmp_path, backend, "async") as (_, output):
        output.readline()
        while len(seqs) < 2000:
            for segment in segments(tmp_path):
                if segment.name >= name:
                    offset = offset if segment.name == name else 0
                    name = segment.name
                    for frame, following in read(segment, offset):
                        seqs.append(frame.seq)
                        offset = following
    assert seqs == list(range(1, len(seqs) + 1))
    assert not (tmp_path / "quarantine").exists()


@contextmanager
def small_disk(path: Path) -> Iterator[Path]:
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(path)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


@needs_root
@pytest.mark.parametrize("durability", DURABILITIES)
def test_a_full_disk_loses_nothing_that_was_acknowledged(
    backend: Backend, durability: str, tmp_path: Path
) -> None:
    acknowledged = []
    with small_disk(tmp_path / "disk") as disk:
        log = open_log(disk / "log", backend=backend, durability=durability)  # type: ignore[arg-type]
        with pytest.raises(FramesUnavailable, match=r"No space left.*free space") as refused:
            while True:
                acknowledged.append(log.append(Kind.DATA, os.urandom(10_000), 0))
        assert refused.value.transient
        filler = (disk / "filler").open("wb", buffering=0)
        with filler, pytest.raises(OSError, match="No space"):
            while True:
                filler.write(bytes(100))
        for _ in range(3):
            with pytest.raises(FramesUnavailable):
                log.append(Kind.DATA, os.urandom(10_000), 0)
        subprocess.run(["mount", "-o", "remount,size=40m", str(disk)], check=True)
        acknowledged += [log.append(Kind.DATA, b"again", 0) for _ in range(3)]
        log.close()
        open_log(disk / "log", backend=backend).close()
        found = all_frames(disk / "log")
        assert len(segments(disk / "log")) == (2 if backend == "segments" else 1)
        assert not (disk / "log" / "quarantine").exists()
    assert acknowledged == [frame.seq for frame in found]
    assert [len(frame.payload) for frame in found] == [10_000] * (len(found) - 3) + [5] * 3


def test_arguments_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="durability is sync or async, not 'maybe'"):
        open_log(tmp_path, durability="maybe")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="backend is segments or rocksdb"):
        open_log(tmp_path, backend="sqlite")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"0\.005 to 1 seconds"):
        open_log(tmp_path, sync_seconds=0)
    assert list(tmp_path.iterdir()) == []


def test_a_log_stays_with_its_backend(tmp_path: Path) -> None:
    pytest.importorskip("rocksdict")
    fill(tmp_path / "files", range(1, 2))
    open_log(tmp_path / "rocks", backend="rocksdb").close()
    with pytest.raises(ConfigError, match="go on with segments"):
        open_log(tmp_path / "files", backend="rocksdb")
    with pytest.raises(ConfigError, match="go on with rocksdb"):
        open_log(tmp_path / "rocks")


def test_a_place_that_cannot_be_written_is_explained(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("no directory")
    with pytest.raises(FramesUnavailable, match="Not a directory"):
        open_log(tmp_path / "log")

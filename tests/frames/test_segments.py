"""Segments are sealed when they are full, old or done with, and never grow again."""

from __future__ import annotations

import socket
import threading
from itertools import pairwise
from pathlib import Path

import pytest

from gateway_assets.errors import FramesUnavailable
from gateway_assets.frames.frame import Kind
from gateway_assets.frames.log import open_log
from gateway_assets.frames.reading import read, segments
from gateway_assets.frames.segment import first_seq_of, new_segment, seal_of
from tests.frames.logs import TIME, draft, fill, numbers
from tests.frames.test_durability import until


def test_a_full_segment_is_sealed(tmp_path: Path) -> None:
    log = open_log(tmp_path, segment_bytes=1000)
    for number in range(1, 101):
        log.append(*draft(number))
    found = segments(tmp_path)
    assert [segment.is_sealed for segment in found] == [True] * (len(found) - 1) + [False]
    assert len(found) > 4
    for segment, following in pairwise(found):
        seal = seal_of(segment)
        assert seal is not None
        assert seal.next_seq == following.first_seq == segment.first_seq + seal.frames
        assert 1000 <= segment.path.stat().st_size < 1200
    log.close()
    assert segments(tmp_path)[-1].is_sealed
    assert numbers(tmp_path) == list(range(1, 101))


def test_threads_that_find_a_segment_full_begin_one_together(tmp_path: Path) -> None:
    log = open_log(tmp_path, durability="async", segment_bytes=1000)

    def append() -> None:
        for number in range(300):
            log.append(*draft(number))

    threads = [threading.Thread(target=append) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    found = segments(tmp_path)
    assert all(segment.path.stat().st_size >= 1000 for segment in found[:-1])
    assert sum(1 for segment in found for _ in read(segment)) == 2400


def test_an_old_segment_is_sealed_without_another_frame(tmp_path: Path) -> None:
    log = open_log(tmp_path, segment_seconds=0.05)
    log.append(*draft(1))
    until(lambda: segments(tmp_path)[0].is_sealed)
    log.append(*draft(2))
    assert [segment.first_seq for segment in segments(tmp_path)] == [1, 2]
    log.close()


def test_a_start_begins_a_new_segment_with_its_first_frame(tmp_path: Path) -> None:
    fill(tmp_path, range(1, 3))
    log = open_log(tmp_path)
    assert len(segments(tmp_path)) == 1
    log.append(*draft(3))
    assert [segment.first_seq for segment in segments(tmp_path)] == [1, 3]
    log.close()


def test_a_frame_larger_than_a_segment_has_its_own(tmp_path: Path) -> None:
    log = open_log(tmp_path, segment_bytes=1000)
    for size in (10, 5000, 10):
        log.append(Kind.DATA, bytes(size), TIME)
    log.close()
    sizes = [[len(frame.payload) for frame, _ in read(each)] for each in segments(tmp_path)]
    assert sizes == [[10, 5000], [10]]


def test_a_segment_that_got_no_frame_makes_room(tmp_path: Path) -> None:
    fill(tmp_path, range(1, 3))
    empty = new_segment(tmp_path, 3)
    empty.path.write_bytes(b"")
    fill(tmp_path, range(3, 5))
    assert not empty.path.exists()
    assert [segment.first_seq for segment in segments(tmp_path)] == [1, 3]
    assert numbers(tmp_path) == [1, 2, 3, 4]


def test_an_empty_segment_carries_the_sequence(tmp_path: Path) -> None:
    new_segment(tmp_path, 1000).path.write_bytes(b"")
    log = open_log(tmp_path)
    assert (log.first_seq, log.next_seq) == (1000, 1000)
    log.close()


@pytest.mark.parametrize(("host", "known"), [("", socket.gethostname()), ("gw-1", "gw-1")])
def test_a_file_says_what_it_is_and_whose(tmp_path: Path, host: str, known: str) -> None:
    log = open_log(tmp_path, host=host)
    log.append(*draft(1))
    log.close()
    [segment] = segments(tmp_path)
    assert first_seq_of(segment.name) == 1
    start = segment.path.read_bytes()[:200]
    assert b'{"magic": "gateway-frames", "version": 1, "host": "%b"}' % known.encode() in start


def test_a_segment_that_has_gone_is_said(tmp_path: Path) -> None:
    fill(tmp_path, range(1, 3))
    [segment] = segments(tmp_path)
    segment.path.unlink()
    with pytest.raises(FramesUnavailable, match="has gone"):
        list(read(segment))


def test_no_log_has_no_segments(tmp_path: Path) -> None:
    assert segments(tmp_path / "none") == []

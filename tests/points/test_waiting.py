"""What waits in the frame logs: bytes, and whether a loader has something to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway_assets.frames.frame import Kind
from gateway_assets.frames.log import open_log
from gateway_assets.points.load import Loader
from gateway_assets.points.schema import open_points
from gateway_assets.points.waiting import held, waiting_bytes
from gateway_assets.settings import Settings


def load(settings: Settings) -> None:
    with open_points(settings.points_database) as connection:
        Loader(connection, settings).load()


def due(settings: Settings) -> list[bool]:
    return [one.is_due for one in held(settings)]


def test_frames_wait_until_they_are_loaded(settings: Settings) -> None:
    assert held(settings) == []
    log = open_log(settings.frames / "a")
    log.append_many([(Kind.DATA, b"cpu usage=1", 7), (Kind.DATA, b"cpu usage=2", 8)])
    (one,) = held(settings)
    assert (one.since, one.waiting, one.is_due) == (7, one.size, True)
    load(settings)
    (one,) = held(settings)
    assert (one.since, one.waiting, one.is_due) == (None, 0, False)
    log.append(Kind.DATA, b"cpu usage=3", 9)
    (one,) = held(settings)
    assert (one.since, 0 < one.waiting < one.size) == (9, True)
    assert waiting_bytes(settings) == one.waiting
    load(settings)
    log.close()
    # Nothing but the end waits: a loader has to note that it has come to it.
    (one,) = held(settings)
    assert (one.since, one.is_due) == (None, True)
    load(settings)
    assert due(settings) == [False]
    assert waiting_bytes(settings) == 0


def test_a_torn_end_is_nothing_to_load(settings: Settings, tmp_path: Path) -> None:
    log = open_log(tmp_path / "log")
    log.append(Kind.DATA, b"cpu usage=1", 7)
    # What a killed writer leaves: the log as it is now, its last record half written.
    copy = settings.frames / "a"
    copy.mkdir(parents=True)
    (path,) = (tmp_path / "log").glob("*.frames")
    content = path.read_bytes()
    log.append(Kind.DATA, b"cpu usage=2", 8)
    torn = path.read_bytes()[: len(content) + 20]
    log.close()
    (copy / path.name).write_bytes(torn)
    assert due(settings) == [True]
    load(settings)
    (one,) = held(settings)
    assert (one.since, one.waiting, one.is_due) == (None, 20, False)


def test_a_log_in_rocksdb_waits_while_any_frame_does(settings: Settings) -> None:
    pytest.importorskip("rocksdict")
    log = open_log(settings.frames / "a", backend="rocksdb")
    log.append(Kind.DATA, b"cpu usage=1", 7)
    (one,) = held(settings)
    assert (one.since, one.is_due) == (7, True)
    assert one.waiting == one.size > 0
    load(settings)
    (one,) = held(settings)
    assert (one.since, one.waiting, one.is_due) == (None, 0, False)
    log.close()

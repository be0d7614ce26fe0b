"""A conflict of types is told before it is acknowledged, whoever wrote the field first."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway_assets.frames.frame import Kind
from gateway_assets.frames.log import open_log
from gateway_assets.points.load import Loader
from gateway_assets.points.schema import open_points
from gateway_assets.serve.accept import Acceptor, Whole
from gateway_assets.serve.counts import Counts
from gateway_assets.serve.types import FieldTypes
from gateway_assets.settings import load_settings
from tests.serve.conftest import loaded


@pytest.fixture
def acceptor(tmp_path: Path) -> Iterator[Acceptor]:
    with (
        closing(open_log(tmp_path / "frames" / "serve")) as log,
        open_points(tmp_path / "points.db", any_thread=True) as connection,
    ):
        yield Acceptor(log, FieldTypes(connection), Counts())


def conflicts(acceptor: Acceptor, body: str) -> list[str]:
    done = acceptor.accept(body.encode(), "ns", Whole.NEVER)
    assert done.unread.count == 0
    return [one.text for one in done.conflicts.first]


def written_by_others(data: Path, body: str) -> None:
    """Written and loaded, before what is in other logs."""
    with closing(open_log(data / "frames" / "write-1")) as log:
        log.append(Kind.DATA, body.encode(), 1)
    with open_points(data / "points.db") as connection:
        serve = data / "frames" / "serve"
        aside = data / "aside"
        if serve.exists():
            serve.rename(aside)
        Loader(connection, load_settings(data_dir=data)).load()
        if aside.exists():
            aside.rename(serve)


def test_whole_numbers_and_fractions_may_follow_each_other(
    acceptor: Acceptor, tmp_path: Path
) -> None:
    assert conflicts(acceptor, "m a=1i 1\nm a=1.5 2\nm a=2u 3\n") == []
    assert conflicts(acceptor, "m a=1i 4\n") == []
    assert conflicts(acceptor, "m a=true 5\nm a=2 6\n") == ["m a=true 5"]
    assert loaded(tmp_path, "SELECT type FROM series") == [("float",)]
    assert loaded(tmp_path, "SELECT count(*) FROM points") == [(5,)]


def test_within_one_body_the_first_counts(acceptor: Acceptor, tmp_path: Path) -> None:
    body = 'm a="x",b=1 1\nm b="y",c=1 2\nm c="z" 3\nm a=4 4\n'
    assert conflicts(acceptor, body) == ['m b="y",c=1 2', "m a=4 4"]
    assert loaded(tmp_path, "SELECT count(*) FROM points") == [(3,)]
    assert loaded(tmp_path, "SELECT text FROM point_rejects") == [('m b="y",c=1 2',), ("m a=4 4",)]


def test_what_is_refused_whole_leaves_no_type_behind(acceptor: Acceptor) -> None:
    done = acceptor.accept(b'm a="x" 1\nbad\n', "ns", Whole.READABLE)
    assert (done.lines, done.unread.count) == (1, 1)
    done = acceptor.accept(b'm b="x" 1\nm b=1 2\n', "ns", Whole.ALL)
    assert done.conflicts.count == 1
    assert conflicts(acceptor, "m a=1,b=1 1") == []


def test_what_others_have_registered_is_known(acceptor: Acceptor, tmp_path: Path) -> None:
    assert conflicts(acceptor, "m other=1 1") == []
    written_by_others(tmp_path, 'm a="x" 1')
    assert conflicts(acceptor, "m a=1 2\nm other=2 2\n") == ["m a=1 2"]
    assert conflicts(acceptor, 'm a="y" 3') == []


def test_whoever_is_registered_first_counts(acceptor: Acceptor, tmp_path: Path) -> None:
    """What was acknowledged shortly before cannot be stored any more; it is noted."""
    for _ in range(2):
        assert conflicts(acceptor, "m a=1 1") == []
    written_by_others(tmp_path, 'm a="x" 1')
    assert conflicts(acceptor, "m a=1 2") == ["m a=1 2"]
    assert conflicts(acceptor, 'm a="y" 3') == []
    assert loaded(tmp_path, "SELECT text FROM points ORDER BY time") == [("x",), ("y",)]
    assert len(loaded(tmp_path, "SELECT 1 FROM point_rejects")) == 3


def test_contradictions_at_the_same_moment(acceptor: Acceptor, tmp_path: Path) -> None:
    """Two at once bring a field with different types: one of them is told, each time."""
    told: list[list[str]] = [[], []]
    together = threading.Barrier(2)

    def write(writer: int, value: str) -> None:
        for number in range(100):
            together.wait()
            told[writer] += conflicts(acceptor, f"m f{number}={value} {number}")

    threads = [threading.Thread(target=write, args=one) for one in enumerate(('"x"', "1"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told[0]) + len(told[1]) == 100
    assert loaded(tmp_path, "SELECT count(*) FROM points") == [(100,)]
    assert len(loaded(tmp_path, "SELECT 1 FROM point_rejects")) == 100

"""The log: whole lines, rights, rotation, several writers, disks that refuse."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from gateway_assets.errors import SinkUnavailable
from gateway_assets.files.lock import exclusive
from gateway_assets.notify import log
from gateway_assets.notify.log import Log, lock_of
from gateway_assets.notify.sink import key_of
from tests.notify.told import message


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_a_line_a_message(tmp_path: Path) -> None:
    path = tmp_path / "data" / "notifications.log"
    both = [message(rule="line\nbreak"), message(seq=2)]
    Log(path).send(both)
    Log(path).send([message(seq=3)])
    written = lines(path)
    assert [line["seq"] for line in written] == [1, 2, 3]
    assert written[0] == {**both[0].to_dict(), "key": key_of(both)}
    assert path.stat().st_mode & 0o777 == 0o640


def test_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    Log(None).send([message()])
    assert json.loads(capfd.readouterr().out)["alert_id"] == "a1"


def test_what_a_crash_left_of_a_line_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "notifications.log"
    path.write_text('{"half')
    Log(path).send([message()])
    first, second = path.read_text().splitlines()
    assert first == '{"half'
    assert json.loads(second)["seq"] == 1


def test_files_are_rotated_by_size(tmp_path: Path) -> None:
    path = tmp_path / "notifications.log"
    size = len(log.lines_of([message()]))
    for seq in range(1, 10):
        Log(path, most_bytes=2 * size).send([message(seq=seq)])
    names = ["notifications.log", *(f"notifications.log.{n}" for n in (1, 2, 3))]
    seqs = [[line["seq"] for line in lines(tmp_path / name)] for name in names]
    assert seqs == [[9], [7, 8], [5, 6], [3, 4]]
    assert not (tmp_path / "notifications.log.4").exists()


def test_writers_at_the_same_time(tmp_path: Path) -> None:
    path = tmp_path / "notifications.log"

    def write(first: int) -> None:
        for seq in range(first, first + 25):
            Log(path).send([message(seq=seq, message="x" * 5_000)])

    threads = [threading.Thread(target=write, args=(100 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(int(str(line["seq"])) for line in lines(path)) == sorted(
        100 * n + m for n in range(4) for m in range(25)
    )


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkUnavailable, match="cannot write"):
        Log(tmp_path / "file" / "notifications.log").send([message()])
    (tmp_path / "notifications.log").mkdir()
    with pytest.raises(SinkUnavailable, match=os.strerror(21)):
        Log(tmp_path / "notifications.log").send([message()])


def test_a_writer_that_does_not_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "_LOCK_SECONDS", 0.1)
    path = tmp_path / "notifications.log"
    with exclusive(lock_of(path), "a test"), pytest.raises(SinkUnavailable, match="running"):
        Log(path).send([message()])


def test_a_full_disk(tmp_path: Path) -> None:
    path = tmp_path / "notifications.log"
    path.symlink_to("/dev/full")
    with pytest.raises(SinkUnavailable, match="No space"):
        Log(path).send([message()])

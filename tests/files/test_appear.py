"""A file appears whole or not at all, and refusals of the disk say what to do."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from gateway_assets.errors import Busy, LandingError
from gateway_assets.files.appear import appearing, explained
from gateway_assets.files.lock import exclusive


def test_nothing_appears_when_the_writer_fails(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "file"
    with pytest.raises(RuntimeError), appearing(target) as file:
        file.write(b"half")
        raise RuntimeError
    assert list(target.parent.iterdir()) == []


def test_an_existing_file_is_never_replaced(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"first")
    with pytest.raises(FileExistsError), appearing(target) as file:
        file.write(b"second")
    assert target.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_system_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    target = tmp_path / "file"
    with appearing(target) as file:
        file.write(b"first")
    with pytest.raises(FileExistsError), appearing(target) as file:
        file.write(b"second")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"first"]


def test_a_file_in_the_way_of_a_directory_is_explained(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a directory")
    with pytest.raises(LandingError, match="GATEWAY_DATA_DIR"), appearing(tmp_path / "data" / "x"):
        pass


def test_a_full_disk_is_explained() -> None:
    full = Path("/dev/full")
    refused = pytest.raises(LandingError, match="disk is full")
    with full.open("wb") as device, refused, explained(full):
        device.write(b"x" * 100_000)
        device.flush()


def test_a_lock_names_its_holder_and_is_free_afterwards(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    refused = pytest.raises(Busy, match=r"already running \(process \d+\)")
    with exclusive(lock, "the archive"), refused, exclusive(lock, "the archive"):
        pass
    with exclusive(lock, "the archive"):
        pass

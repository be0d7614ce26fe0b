"""The landing contract: a file is read whole and right, or refused with the reason."""

from __future__ import annotations

import errno
import gzip
import json
import os
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_assets.errors import DamagedFile, LandingError
from gateway_assets.files.appear import PARTIAL, appearing, partial_path
from gateway_assets.files.landing import (
    Origin,
    Stamp,
    land,
    landing_files,
    landing_name,
    read_landing,
    salvage,
)
from gateway_assets.sources.ip_traffic import SOURCE
from tests.traffic import ORIGIN, TODAY, land_rows, row


def test_what_is_landed_is_read(tmp_path: Path) -> None:
    landed = land_rows(tmp_path, TODAY, 0, 5)
    again = read_landing(landed.path, SOURCE)
    assert again.landed == landed
    assert again.rows == [row(TODAY, n, process="nginx" if n % 2 else None) for n in range(5)]
    assert landed.sums == {"tx_bytes": 5000, "rx_bytes": 0 + 1 + 2 + 3 + 4}


def test_the_name_sorts_by_time_and_the_folder_is_the_day(tmp_path: Path) -> None:
    second, first = land_rows(tmp_path, TODAY, 1, 1), land_rows(tmp_path, TODAY, 0, 1)
    assert list(landing_files(tmp_path, SOURCE)) == [first.path, second.path]
    assert first.path.relative_to(tmp_path).parts[0] == "ip_traffic"
    assert len(first.path.relative_to(tmp_path).parts) == 5


def test_a_host_name_cannot_leave_the_folder(tmp_path: Path) -> None:
    stamp = Stamp(Origin("../../etc/x-1", "a/b", "boot"), 0, 0)
    assert "/" not in landing_name(SOURCE, stamp)
    landed = land(tmp_path, SOURCE, stamp, [])
    assert landed.path.is_relative_to(tmp_path)
    assert read_landing(landed.path, SOURCE).rows == []


def test_landing_twice_changes_nothing(tmp_path: Path) -> None:
    landed = land_rows(tmp_path, TODAY, 0, 3)
    before = landed.path.read_bytes()
    with pytest.raises(FileExistsError):
        land_rows(tmp_path, TODAY, 0, 4)
    assert landed.path.read_bytes() == before
    assert not list(tmp_path.rglob(f"*{PARTIAL}"))


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    path = land_rows(tmp_path, TODAY, 0, 2).path
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(DamagedFile):
            read_landing(path, SOURCE)


def test_a_flipped_bit_anywhere_is_refused(tmp_path: Path) -> None:
    path = land_rows(tmp_path, TODAY, 0, 2).path
    whole = path.read_bytes()
    footer = whole.rstrip(b"\n").rpartition(b"\n")[0]
    for place in range(len(footer)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(DamagedFile):
            read_landing(path, SOURCE)


def _rewrite(path: Path, change: Any) -> None:
    """Change the records of a file and give it a footer whose CRC-32 is right again."""
    header, *rows, footer = (json.loads(line) for line in path.read_text().splitlines())
    change(header, rows, footer)
    body = b"".join(json.dumps(record).encode() + b"\n" for record in (header, *rows))
    footer["crc32"] = f"{zlib.crc32(body):08x}"
    path.write_bytes(body + json.dumps(footer).encode() + b"\n")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda h, r, f: f.update(rows=7), "footer counts 7"),
        (lambda h, r, f: f["sums"].update(tx_bytes=1), "sums"),
        (lambda h, r, f: r[0].update(tx_bytes="many"), "must be a whole number"),
        (lambda h, r, f: r[0].update(tx_bytes=True), "must be a whole number"),
        (lambda h, r, f: r[0].update(tx_bytes=1.5), "must be a whole number"),
        (lambda h, r, f: r[0].update(tx_bytes=2**63), "does not fit 64 bits"),
        (lambda h, r, f: r[0].update(remote_ip=7), "must be text"),
        (lambda h, r, f: r[0].update(remote_ip="\ud800"), "not valid Unicode"),
        (lambda h, r, f: r[0].update(extra=1), "unknown column 'extra'"),
        (lambda h, r, f: r[0].pop("remote_ip"), "remote_ip is missing"),
        (lambda h, r, f: r[0].update(time=-1), "time"),
        (lambda h, r, f: r[0].update(time=10**18), "time"),
        (lambda h, r, f: h.update(version=3), "schema version 3"),
        (lambda h, r, f: h.update(source="other"), "names source 'other'"),
        (lambda h, r, f: h.update(name="other"), "its header 'other'"),
    ],
)
def test_wrong_content_is_named(tmp_path: Path, change: Any, reason: str) -> None:
    path = land_rows(tmp_path, TODAY, 0, 2).path
    _rewrite(path, change)
    with pytest.raises(DamagedFile, match=reason):
        read_landing(path, SOURCE)


def test_not_json_and_not_an_object(tmp_path: Path) -> None:
    path = land_rows(tmp_path, TODAY, 0, 2).path
    for line in (b"[1]\n", b"nothing\n", b'{"a": NaN}\n', b"[" * 100_000 + b"\n", b"\xff\xfe\n"):
        head = path.read_bytes().splitlines(keepends=True)[0]
        footer = {
            "rows": 1,
            "sums": {},
            "crc32": f"{zlib.crc32(head + line):08x}",
            "complete": True,
        }
        path.write_bytes(head + line + json.dumps(footer).encode() + b"\n")
        with pytest.raises(DamagedFile):
            read_landing(path, SOURCE)


def test_compressed_files_are_read_and_cut_ones_refused(tmp_path: Path) -> None:
    landed = land_rows(tmp_path, TODAY, 0, 50)
    packed = landed.path.with_suffix(".ndjson.gz")
    packed.write_bytes(gzip.compress(landed.path.read_bytes()))
    landed.path.unlink()
    assert read_landing(packed, SOURCE).landed.rows == 50
    packed.write_bytes(packed.read_bytes()[:-9])
    with pytest.raises(DamagedFile, match="decompressed"):
        read_landing(packed, SOURCE)


def left_behind(root: Path, keep: int) -> Path:
    """A landing file of ten rows as a killed writer leaves it: hidden, cut in the middle."""
    landed = land_rows(root, TODAY, 0, 10)
    lines = landed.path.read_bytes().splitlines(keepends=True)
    landed.path.unlink()
    partial = partial_path(landed.path)
    partial.write_bytes(b"".join(lines[:keep]) + lines[keep][:20])
    return partial


def test_what_a_killed_writer_left_is_sealed_once(tmp_path: Path) -> None:
    left_behind(tmp_path, 8)
    (sealed,) = salvage(tmp_path, SOURCE, ORIGIN)
    assert (sealed.rows, sealed.complete) == (7, False)
    assert read_landing(sealed.path, SOURCE).landed == sealed
    assert salvage(tmp_path, SOURCE, ORIGIN) == []
    assert not list(tmp_path.rglob(f".*{PARTIAL}"))


def test_a_salvage_that_failed_is_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_behind(tmp_path, 8)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("os.fsync", full)
        with pytest.raises(LandingError, match="disk is full"):
            salvage(tmp_path, SOURCE, ORIGIN)
    assert [sealed.rows for sealed in salvage(tmp_path, SOURCE, ORIGIN)] == [7]


def test_rubbish_that_a_writer_left_is_shown_to_the_loader(tmp_path: Path) -> None:
    partial = left_behind(tmp_path, 1)
    partial.write_bytes(b"rubbish\nmore\n")
    assert salvage(tmp_path, SOURCE, ORIGIN) == []
    (shown,) = landing_files(tmp_path, SOURCE)
    with pytest.raises(DamagedFile):
        read_landing(shown, SOURCE)


def test_two_writers_of_one_name_do_not_touch_each_other(tmp_path: Path) -> None:
    first = land_rows(tmp_path, TODAY, 0, 3)
    content = first.path.read_bytes()
    first.path.unlink()
    with suppress(FileExistsError), appearing(first.path) as one, appearing(first.path) as two:
        one.write(content)
        two.write(b"other")
    assert first.path.read_bytes() == b"other"
    assert [path.name for path in first.path.parent.iterdir()] == [first.path.name]


def test_names_that_are_no_files_or_no_text_are_survived(tmp_path: Path) -> None:
    folder = land_rows(tmp_path, TODAY, 0, 1).path.parent
    (folder / "folder.ndjson").mkdir()
    (folder / "loop.ndjson").symlink_to("loop.ndjson")
    odd = os.fsencode(folder) + b"/\xff.ndjson"
    with open(odd, "wb") as file:  # noqa: PTH123  a name that is not UTF-8
        file.write(b"x")
    assert len(list(landing_files(tmp_path, SOURCE))) == 2


@given(
    st.lists(
        st.tuples(st.text(min_size=1), st.integers(0, 2**40), st.none() | st.text()), max_size=20
    )
)
def test_any_text_and_number_survives(
    tmp_path_factory: pytest.TempPathFactory, values: list[tuple[str, int, str | None]]
) -> None:
    rows = [
        (*row(TODAY, number)[:6], remote, process, None, sent, 0, process, None)
        for number, (remote, sent, process) in enumerate(values)
    ]
    root = tmp_path_factory.mktemp("landing")
    landed = land(root, SOURCE, Stamp(ORIGIN, 0, 0), rows)
    assert read_landing(landed.path, SOURCE).rows == rows


def test_files_of_an_older_version_are_read(tmp_path: Path) -> None:
    """Their columns are fewer: what they have not is NULL."""
    old = SOURCE._replace(version=1, columns=SOURCE.columns[:11])
    landed = land(tmp_path, old, Stamp(ORIGIN, 0, 0), [row(TODAY, 1)[:11]])
    assert read_landing(landed.path, SOURCE).rows == [row(TODAY, 1)]
    assert all(column.nullable for column in SOURCE.columns[11:])

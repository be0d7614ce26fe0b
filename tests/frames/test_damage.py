"""Torn ends and damaged bytes cost what they hit, and nothing else."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_assets.errors import FrameError
from gateway_assets.frames import reading
from gateway_assets.frames.frame import Frame, Kind
from gateway_assets.frames.log import open_log
from gateway_assets.frames.quarantine import REASON, Damage
from gateway_assets.frames.reading import read, segments
from gateway_assets.frames.record import HEAD, encode, take
from gateway_assets.frames.segment import header, new_segment, seal_of
from tests.frames.logs import (
    TIME,
    all_frames,
    crashed,
    draft,
    fill,
    ignored,
    numbers,
    payload,
    quarantined,
)


def files_of(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_a_tail_torn_anywhere_is_cut_off_once(tmp_path: Path) -> None:
    log = open_log(tmp_path / "log")
    log.append_many([draft(1), draft(2)])
    [segment] = segments(tmp_path / "log")
    before = segment.path.stat().st_size
    log.append(*draft(3))
    unsealed = crashed(tmp_path / "log", tmp_path / "unsealed")
    log.close()
    size = (unsealed / segment.name).stat().st_size
    for length in range(before, size + 1):
        copy = shutil.copytree(unsealed, tmp_path / f"cut{length}")
        whole = (copy / segment.name).read_bytes()
        (copy / segment.name).write_bytes(whole[:length])
        assert numbers(copy) == ([1, 2, 3] if length == size else [1, 2])
        assert quarantined(copy) == []
        log = open_log(copy)
        assert log.next_seq == (4 if length == size else 3)
        seal = seal_of(segments(copy)[0])
        assert seal is not None
        assert seal.offset == (size if length == size else before)
        assert seal.frames == log.next_seq - 1
        once = files_of(copy)
        torn = [path.read_bytes() for path in quarantined(copy)]
        assert torn == ([whole[before:length]] if before < length < size else [])
        log.close()
        open_log(copy).close()
        assert files_of(copy) == once
        log = open_log(copy)
        log.append(*draft(4))
        log.close()
        assert numbers(copy) == ([1, 2, 3, 4] if length == size else [1, 2, 4])
        assert len(quarantined(copy)) == len(torn)


def test_a_file_cut_anywhere_keeps_what_is_before(tmp_path: Path) -> None:
    fill(tmp_path / "log", range(1, 4))
    [segment] = segments(tmp_path / "log")
    whole = segment.path.read_bytes()
    ends = [end for _, end in read(segment)]
    for length in range(len(whole)):
        copy = tmp_path / f"cut{length}"
        copy.mkdir()
        (copy / segment.name).write_bytes(whole[:length])
        log = open_log(copy)
        kept = sum(end <= length for end in ends)
        assert log.next_seq == kept + 1
        log.append(*draft(9))
        log.close()
        assert numbers(copy) == [*range(1, kept + 1), 9]


@pytest.mark.parametrize("sealed", [True, False])
def test_a_flipped_byte_costs_one_frame_at_most(tmp_path: Path, sealed: bool) -> None:
    log = open_log(tmp_path / "log")
    log.append_many([(Kind.DATA, b"", TIME), *map(draft, range(2, 6)), (9, bytes(40), TIME)])
    [segment] = segments(tmp_path / "log")
    if sealed:
        log.close()
        [segment] = segments(tmp_path / "log")
    whole = segment.path.read_bytes()
    frames = list(read(segment))
    first = frames[0][1] - HEAD.size
    for place in range(len(whole)):
        copy = tmp_path / f"flip{place}"
        copy.mkdir()
        (copy / segment.name).write_bytes(
            whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :]
        )
        hit = next((frame for frame, end in frames if first <= place < end), None)
        left = [frame for frame, _ in frames if frame != hit]
        assert [frame for frame, _ in read(segments(copy)[0], damaged=ignored)] == left
        log = open_log(copy)
        assert all_frames(copy) == left
        [damaged] = quarantined(copy)
        reason = json.loads(damaged.with_name(damaged.name + REASON).read_bytes())
        assert reason["start"] <= place < reason["end"]
        assert (copy / segment.name).name == reason["file"]
        log.close()
        assert all_frames(copy) == left
        assert quarantined(copy) == [damaged]
    if not sealed:
        log.close()


@given(
    window=st.sampled_from([HEAD.size + 1, 60, 2**20]),
    sizes=st.lists(st.integers(0, 300), min_size=1, max_size=30),
    start=st.floats(0, 1),
    content=st.binary(min_size=1, max_size=200) | st.integers(1, 200).map(bytes),
)
def test_any_damage_costs_what_it_hits(
    tmp_path_factory: pytest.TempPathFactory,
    window: int,
    sizes: list[int],
    start: float,
    content: bytes,
) -> None:
    directory = tmp_path_factory.mktemp("log")
    log = open_log(directory)
    log.append_many([(Kind.DATA, bytes([n]) * size, n) for n, size in enumerate(sizes)])
    log.close()
    [segment] = segments(directory)
    frames = list(read(segment))
    whole = segment.path.read_bytes()
    place = int(start * (len(whole) - 1))
    segment.path.write_bytes(
        (whole[:place] + content + whole[place + len(content) :])[: len(whole)]
    )
    hit = [
        frame
        for frame, end in frames
        if place < end and end - HEAD.size - len(frame.payload) < place + len(content)
    ]
    damages: list[Damage] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "_WINDOW", window)
        found = [frame for frame, _ in read(segment, damaged=damages.append)]
    # What is written over a record can be the bytes that it had.
    assert found == [frame for frame, _ in frames if frame not in hit or frame in found]
    assert bool(damages) == (segment.path.read_bytes() != whole)


def test_a_record_inside_a_payload_does_not_pass(tmp_path: Path) -> None:
    """Neither one that somebody sends nor one of another segment of this log."""
    fill(tmp_path / "other", range(1, 6))
    [other] = segments(tmp_path / "other")
    forged = encode(2, TIME, Kind.DATA, b"forged", salt=0)
    log = open_log(tmp_path / "log")
    log.append_many([(Kind.DATA, forged + other.path.read_bytes(), TIME), draft(2)])
    log.close()
    [segment] = segments(tmp_path / "log")
    whole = bytearray(segment.path.read_bytes())
    whole[whole.index(forged) - 1] ^= 1
    segment.path.write_bytes(whole)
    assert all_frames(tmp_path / "log") == [Frame(2, TIME + 2, Kind.DATA, payload(2))]


@pytest.mark.parametrize(("source", "target"), [(9, 2), (2, 9), (1, 10)])
def test_a_block_at_a_wrong_place_costs_what_it_hides(
    tmp_path: Path, source: int, target: int
) -> None:
    log = open_log(tmp_path)
    log.append_many([(Kind.DATA, bytes(100), TIME)] * 10)
    log.close()
    [segment] = segments(tmp_path)
    whole = bytearray(segment.path.read_bytes())
    ends = {frame.seq: end for frame, end in read(segment)}
    size = 100 + HEAD.size
    block = whole[ends[source] - size : ends[source]]
    whole[ends[target] - size : ends[target]] = block
    segment.path.write_bytes(whole)
    left = [seq for seq in range(1, 11) if seq != target]
    assert [frame.seq for frame in all_frames(tmp_path)] == left
    assert [path.read_bytes() for path in quarantined(tmp_path)] == [block]


def test_a_damaged_length_asks_for_no_memory() -> None:
    asked: list[int | None] = []

    class Asked(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            asked.append(size)
            return super().read(size)

    assert take(Asked(HEAD.pack(2**32 - 1, 0, 1, 0, 1)), 0) is None
    assert asked == [HEAD.size]


def test_a_megabyte_of_zeros_in_the_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = open_log(tmp_path)
    log.append_many([(Kind.DATA, b"x" * 1000, number) for number in range(2000)])
    log.close()
    [segment] = segments(tmp_path)
    whole = bytearray(segment.path.read_bytes())
    whole[500_000:1_500_000] = bytes(1_000_000)
    segment.path.write_bytes(whole)
    looks = 0

    def counted(file: BinaryIO, salt: int) -> Frame | None:
        nonlocal looks
        looks += 1
        return take(file, salt)

    monkeypatch.setattr(reading, "take", counted)
    damages: list[Damage] = []
    found = [frame.seq for frame, _ in read(segment, damaged=damages.append)]
    assert looks < 2100
    [damage] = damages
    lost = (damage.end - damage.start) // (1000 + HEAD.size)
    assert len(found) == 2000 - lost
    assert 975 <= lost <= 978
    assert found[-1] == 2000


def test_damage_in_a_growing_segment_does_not_stop_its_reader(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    log.append_many([draft(1), draft(2)])
    [segment] = segments(tmp_path)
    with segment.path.open("r+b") as file:
        file.seek(-3, 2)
        file.write(b"!!!")
    assert [frame.seq for frame, _ in read(segment, damaged=ignored)] == [1]
    log.append(*draft(3))
    assert [frame.seq for frame, _ in read(segment)] == [1, 3]
    assert len(quarantined(tmp_path)) == 1
    log.close()


def test_an_offset_that_was_cut_off_reads_nothing(tmp_path: Path) -> None:
    """A reader can have taken frames that a power loss took back."""
    log = open_log(tmp_path / "log")
    log.append(*draft(1))
    [segment] = segments(tmp_path / "log")
    before = segment.path.stat().st_size
    log.append_many([(Kind.DATA, b"", TIME)] * 4)
    ends = [end for _, end in read(segment)]
    copy = crashed(tmp_path / "log", tmp_path / "copy")
    log.close()
    with (copy / segment.name).open("r+b") as file:
        file.truncate(before)
    open_log(copy).close()
    [segment] = segments(copy)
    assert [list(read(segment, end)) for end in ends] == [[]] * 5
    assert quarantined(copy) == []


def test_a_format_of_a_later_release_is_refused_and_stays(tmp_path: Path) -> None:
    segment = new_segment(tmp_path, 1)
    content = header(segment, "h").replace(b'"version": 1', b'"version": 2')
    head, facts = HEAD.unpack_from(content), content[HEAD.size :]
    later = encode(head[2], head[3], head[4], facts, segment.salt) + b"of a later release"
    segment.path.write_bytes(later)
    for attempt in (lambda: list(read(segment)), lambda: open_log(tmp_path)):
        with pytest.raises(FrameError, match=r"version 2 of the format.*upgrade"):
            attempt()
    assert segment.path.read_bytes() == later


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    for name in ("notes.txt", "1-abc.frames", f"{9:020d}-zzzzzzzz.frames", "9" * 20 + "-0.frames"):
        (tmp_path / name).write_bytes(b"not ours")
    fill(tmp_path, range(1, 2))
    assert numbers(tmp_path) == [1]
    assert (tmp_path / "notes.txt").read_bytes() == b"not ours"


def test_a_damaged_value_in_rocksdb_is_kept_aside(tmp_path: Path) -> None:
    rocksdict = pytest.importorskip("rocksdict")
    log = open_log(tmp_path, backend="rocksdb")
    log.append_many([draft(1), draft(2), draft(3)])
    log.close()
    database = rocksdict.Rdict(str(tmp_path / "rocksdb"), rocksdict.Options(raw_mode=True))
    key = b"frame:%020d" % 2
    broken = database[key].replace(b"usage", b"USAGE")
    database[key] = broken
    database.close()
    assert numbers(tmp_path) == [1, 3]
    assert [path.read_bytes() for path in quarantined(tmp_path)] == [broken]

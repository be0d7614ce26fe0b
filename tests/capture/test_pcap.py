"""Capture files through the command: the outermost IP layer of everything in them, to the byte."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_assets.capture.backend import Exhausted, Options
from gateway_assets.capture.backends.pcap import open_backend
from gateway_assets.capture.captures.frames import LOCATE, NOT_IP
from gateway_assets.capture.captures.ip_header import read_ip
from gateway_assets.capture.captures.sides import NOT_GLOBAL, Sides
from gateway_assets.capture.cli import main
from gateway_assets.capture.nets import parse_nets
from gateway_assets.errors import CaptureError
from gateway_assets.files.landing import landing_files, read_landing
from gateway_assets.sources.ip_traffic import SOURCE
from tests.capture.frames_made import (
    MACS,
    NANO,
    START,
    TYPE_4,
    WRAPS,
    Frame,
    Pcapng,
    ipv4,
    ipv6,
    pcap,
    pcapng,
)

NEAR, FAR = "192.168.1.2", "93.184.216.34"
NEAR_6, FAR_6 = "fd00::2", "2606:2800::1"
PACKETS = [
    ipv4(NEAR, FAR, 28),  # shorter than a frame may be: it is padded
    ipv4(FAR, NEAR, 1492),  # the longest that LLC leaves room for
    ipv4(FAR, NEAR, 333),
    ipv6(NEAR_6, FAR_6, 1280),
    ipv6(FAR_6, NEAR_6, 41),
    ipv6(NEAR_6, FAR_6, 40, following=59),
]
TRUTH = {FAR: (28, 1825), FAR_6: (1320, 41)}

Sums = dict[str, tuple[int, int]]


def whole(data: bytes, time: int = START) -> Frame:
    return Frame(data, len(data), time)


def ethernet(packet: bytes, time: int = START) -> Frame:
    return whole(WRAPS["ethernet"][1](packet), time)


def read(content: bytes, tmp_path: Path, **options: Any) -> tuple[Sums, int, list[int]]:
    """Bytes of each remote, the count of what could not be read, and the times."""
    file = tmp_path / "capture"
    file.write_bytes(content)
    return read_file(file, **options)


def read_file(file: Path, **options: Any) -> tuple[Sums, int, list[int]]:
    backend = open_backend(Options(file=str(file), **options))
    sums: Sums = {}
    times = []
    try:
        while True:
            for delta in backend.read(0):
                sent, received = sums.get(delta.remote_ip, (0, 0))
                sums[delta.remote_ip] = sent + delta.tx_bytes, received + delta.rx_bytes
                times.append(delta.time)
    except Exhausted:
        return sums, backend.parse_errors, times
    finally:
        backend.close()


def command(
    file: Path, data: Path, capsys: pytest.CaptureFixture[str], *more: str
) -> tuple[int, dict[str, Any], str]:
    arguments = ["--backend", "pcap", "--file", str(file), "--data-dir", str(data), *more]
    code = main([*arguments, "--host", "h", "--json"])
    printed = capsys.readouterr()
    return code, json.loads(printed.out or "{}"), printed.err


def landed(data: Path) -> list[tuple[Any, ...]]:
    files = landing_files(data / "landing", SOURCE)
    return [row for file in files for row in read_landing(file, SOURCE).rows]


CONTAINERS: dict[str, Callable[[list[Frame], int], bytes]] = {
    "pcap": pcap,
    "pcap big": lambda frames, link: pcap(frames, link, ">"),
    "pcap nano": lambda frames, link: pcap(frames, link, "<", NANO),
    "pcap big nano": lambda frames, link: pcap(frames, link, ">", NANO),
    "pcapng": pcapng,
    "pcapng big": lambda frames, link: pcapng(frames, link, ">"),
    "gzip": lambda frames, link: gzip.compress(pcap(frames, link)),
    "gzip members": lambda frames, link: b"".join(
        gzip.compress(part) for part in (pcapng(frames, link)[:100], pcapng(frames, link)[100:])
    ),
}


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("wrap", WRAPS)
def test_every_link_type_in_every_container(container: str, wrap: str, tmp_path: Path) -> None:
    link, put = WRAPS[wrap]
    frames = [whole(put(packet), START + n) for n, packet in enumerate(PACKETS)]
    sums, errors, times = read(CONTAINERS[container](frames, link), tmp_path)
    assert (sums, errors) == (TRUTH, 0)
    assert set(times) == {START}


@pytest.mark.parametrize("wrap", WRAPS)
def test_what_was_not_captured_counts(wrap: str, tmp_path: Path) -> None:
    link, put = WRAPS[wrap]
    frames = []
    for packet in PACKETS:
        frame = put(packet)
        frames.append(Frame(frame[: len(put(b"\x45")) + 45], len(frame)))
    assert read(pcap(frames, link), tmp_path)[:2] == (TRUTH, 0)


@pytest.mark.parametrize(("link", "packet"), [(228, PACKETS[0]), (229, PACKETS[3])])
def test_links_of_one_version(link: int, packet: bytes, tmp_path: Path) -> None:
    sums, errors, _ = read(pcap([whole(packet)], link), tmp_path)
    assert (sum(sent for sent, _ in sums.values()), errors) == (len(packet), 0)


INNER = ipv4("10.9.9.9", "10.8.8.8", 60)
BIG = ipv4(NEAR, FAR, 100_000, stated=0, protocol=6)
JUMBO = b"\x06\x00\xc2\x04" + struct.pack("!I", 70_000)
LATE_JUMBO = b"\x06\x01\x00\x01\x05" + b"\xc2" * 5 + JUMBO[2:]


@pytest.mark.parametrize(
    ("packet", "remote", "size"),
    [
        (ipv4(NEAR, FAR, 84, protocol=47, payload=b"\0\0\x08\0" + INNER), FAR, 84),
        (ipv4(NEAR, FAR, 120, protocol=41, payload=PACKETS[3][:100]), FAR, 120),
        (ipv4(NEAR, FAR, 128, payload=b"\0\1" * 4 + PACKETS[3][:100]), FAR, 128),
        (ipv4(NEAR, FAR, 1500, fragment=0x2000), FAR, 1500),
        (ipv4(NEAR, FAR, 100, fragment=0x00B9), FAR, 100),
        (ipv6(NEAR_6, FAR_6, 200, following=44), FAR_6, 200),
        (ipv6(NEAR_6, FAR_6, 200, following=0, payload=b"\x3b\0\1\4\0\0\0\0"), FAR_6, 200),
        (ipv6(NEAR_6, FAR_6, 100, following=4, payload=INNER), FAR_6, 100),
        (BIG, FAR, 100_000),
        (ipv6(NEAR_6, FAR_6, 70_040, stated=0, following=0, payload=JUMBO), FAR_6, 70_040),
        (ipv6(NEAR_6, FAR_6, 70_040, stated=0, following=0, payload=LATE_JUMBO), FAR_6, 70_040),
        (ipv6(NEAR_6, FAR_6, 90_000, stated=0, following=6), FAR_6, 90_000),
        (ipv6(NEAR_6, FAR_6, 60, stated=0, following=6), FAR_6, 40),
    ],
    ids=(
        "GRE",
        "6in4",
        "Teredo",
        "first fragment",
        "last fragment",
        "fragment 6",
        "hop by hop",
        "4in6",
        "big TCP 4",
        "jumbogram",
        "jumbogram with other options",
        "big TCP 6",
        "no payload",
    ),
)
def test_the_outer_header_alone_counts(
    packet: bytes, remote: str, size: int, tmp_path: Path
) -> None:
    frame = MACS + (b"\x86\xdd" if ":" in remote else TYPE_4) + packet
    content = pcap([Frame(frame[:120], len(frame))], 1)
    assert read(content, tmp_path)[:2] == ({remote: (size, 0)}, 0)


@pytest.mark.parametrize(
    "frame",
    [
        MACS + b"\x08\x06" + bytes(28),
        MACS + b"\x88\xcc" + bytes(40),
        MACS + b"\x88\x63\x11\x09" + bytes(40),
        MACS + b"\x88\x64\x11\0\0\x07\0\x0a\xc0\x21" + bytes(40),
        MACS + b"\0\x26\x42\x42\x03" + bytes(40),
        MACS + b"\x88\x47\0\x01\x01\x40\x10" + bytes(40),
    ],
    ids=["ARP", "LLDP", "PPPoE discovery", "LCP", "spanning tree", "MPLS OAM"],
)
def test_no_ip_is_no_error(frame: bytes, tmp_path: Path) -> None:
    content = pcap([whole(frame), ethernet(PACKETS[0])], 1)
    assert read(content, tmp_path)[:2] == ({FAR: (28, 0)}, 0)


@pytest.mark.parametrize(
    ("link", "frame"),
    [
        (0, struct.pack("<I", 7) + PACKETS[0]),
        (105, b"\x80\0" + bytes(60)),
        (105, b"\0\0" + WRAPS["802.11"][1](PACKETS[0])[2:]),
        (105, b"\x48\x01" + bytes(22)),
        (105, b"\x08\x41" + bytes(60)),
        (105, b"\x88\x01" + bytes(22) + b"\x80\0" + bytes(60)),
        (51, b"\x11\x09\0\0\0\x04\1\1\0\0"),
        (239, b"\x07\0\0\0" + bytes(60)),
        (117, bytes((61, 7)) + bytes(80)),
        (113, struct.pack("!HHH8sH", 0, 824, 0, bytes(8), 4) + bytes(40)),
    ],
    ids=[
        "other family",
        "beacon",
        "management that looks like data",
        "null data",
        "encrypted",
        "A-MSDU",
        "PPPoE discovery",
        "NFLOG bridge",
        "PFLOG",
        "netlink",
    ],
)
def test_no_ip_of_other_links(link: int, frame: bytes, tmp_path: Path) -> None:
    assert read(pcap([whole(frame)], link), tmp_path)[:2] == ({}, 0)


def test_malformed_packets_are_counted_and_left_out(tmp_path: Path) -> None:
    damaged = [
        ethernet(b"\x55" + PACKETS[0][1:]),  # a version that is not
        ethernet(b"\x44" + PACKETS[0][1:]),  # a header of 16 bytes
        ethernet(ipv4(NEAR, FAR, 60, stated=19)),
        Frame(ethernet(PACKETS[1]).data[:33], 1506),  # cut in the addresses
        whole(MACS + b"\x86\xdd" + PACKETS[3][:39]),
        whole(MACS),
        whole(b""),
        whole(MACS + b"\x81\0\0"),
        whole(MACS + b"\x88\x47" + bytes(40)),  # labels without an end
        whole(
            MACS
            + b"\x86\xdd"
            + ipv6(NEAR_6, FAR_6, 99, stated=0, following=0, payload=b"\x06\0\xc2\x04\0\0\0\x09")
        ),
        Frame(MACS + TYPE_4 + BIG[:40], 0xFFFFFFFF),
    ]
    content = pcap([*damaged, ethernet(PACKETS[1])], 1)
    assert read(content, tmp_path)[:2] == ({FAR: (0, 1492)}, len(damaged))


def test_sections_of_both_byte_orders_with_interfaces_of_their_own(tmp_path: Path) -> None:
    first, second = Pcapng("<"), Pcapng(">")
    nano = first.option(9, b"\x09")
    binary = second.option(9, bytes([0x80 | 10]))
    later = second.option(14, struct.pack(">q", START // 1_000_000))
    first.block(0x0BAD, b"custom")
    first.interface(1)
    first.interface(101, first.option(2, b"eth0"), nano)
    first.enhanced(ethernet(PACKETS[0], START + 1_000_000))
    first.block(5, bytes(64))  # interface statistics
    first.enhanced(whole(PACKETS[1]), interface=1, units=(START + 2_000_000) * 1000)
    first.simple(ethernet(PACKETS[2]))  # no time: that of the packet before
    second.interface(113, binary, later)
    second.block(4, bytes(8))  # names
    second.enhanced(whole(WRAPS["SLL"][1](PACKETS[3])), units=3 * 1024 + 1023)
    second.interface(228)
    second.old(whole(ipv4(FAR, NEAR, 77), START + 4_000_000), interface=1)
    sums, errors, times = read(first.content() + second.content(), tmp_path)
    assert sums == {FAR: (28, 1492 + 333 + 77), FAR_6: (1280, 0)}
    assert errors == 0
    # The second of the interface that counts from START comes to 3 and 1023/1024.
    assert [at - START for at in times] == [n * 1_000_000 for n in (1, 2, 3, 4)]


def test_simple_packets_are_cut_by_the_interface_and_may_have_no_time_at_all(
    tmp_path: Path,
) -> None:
    made = Pcapng()
    made.interface(1, snapshot=60)
    frame = ethernet(PACKETS[1])
    made.simple(Frame(frame.data[:60], frame.length))
    sums, errors, times = read(made.content(), tmp_path, start=5_000_000)
    assert (sums, errors, times) == ({FAR: (0, 1492)}, 0, [5_000_000])
    shorter = Pcapng()
    shorter.interface(1, snapshot=33)  # a byte is missing; behind it the block is padded
    shorter.simple(Frame(frame.data[:33], frame.length))
    assert read(shorter.content(), tmp_path)[:2] == ({}, 1)


def test_blocks_that_contradict_themselves_are_counted(tmp_path: Path) -> None:
    made = Pcapng()
    made.simple(ethernet(PACKETS[0]))  # before any interface
    made.interface(1)
    made.interface(1, made.option(9, b""))  # a resolution of no bytes
    made.block(1, b"\1\0")  # too short, but interface number 2
    made.enhanced(ethernet(PACKETS[0]), interface=1)
    made.enhanced(ethernet(PACKETS[0]), interface=2)
    made.enhanced(ethernet(PACKETS[0]), interface=3)  # there is none
    made.block(6, made.pack("IIIII", 0, 0, 0, 999, 999) + bytes(40))  # shorter than it says
    made.block(6, bytes(8))
    made.enhanced(ethernet(PACKETS[0]), units=2**63)  # after the year 9999
    made.enhanced(ethernet(PACKETS[1]))
    assert read(made.content(), tmp_path)[:2] == ({FAR: (0, 1492)}, 7)


def test_packets_of_an_unknown_link_type_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = Pcapng()
    made.interface(220)
    made.interface(1)
    for _ in range(2):
        made.enhanced(whole(bytes(64)))
        made.enhanced(ethernet(PACKETS[1]), interface=1)
    assert read(made.content(), tmp_path)[:2] == ({FAR: (0, 2984)}, 2)
    assert capsys.readouterr().err.count("link type 220 cannot be read") == 1


@pytest.mark.parametrize("make", [pcap, pcapng])
@pytest.mark.parametrize("compress", [False, True])
def test_a_cut_file_gives_everything_before_the_cut(
    make: Callable[[list[Frame], int], bytes],
    compress: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    frames = [ethernet(ipv4(NEAR, FAR, 1000 + n)) for n in range(3)]
    # Stored, not deflated, so that a cut of the gzip file is a cut of the same bytes.
    content = make(frames, 1)
    ends = [len(make(frames[:n], 1)) for n in range(4)]
    for end in range(ends[0] + 1, len(content)):
        if end % 97 and end + 1 not in ends and end - 1 not in ends and end not in ends:
            continue
        cut = content[:end]
        if compress:
            cut = gzip.compress(content, 0)[: end - len(content) - 8]
        sums, errors, _ = read(cut, tmp_path)
        full = sum(end >= at for at in ends[1:])
        assert sums == ({FAR: (sum(1000 + n for n in range(full)), 0)} if full else {}), end
        told = capsys.readouterr().err
        is_damaged = compress or end not in ends
        assert (errors, told.count("is damaged: ")) == (is_damaged, is_damaged), end


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (struct.pack("<IIII", 0, 0, 1 << 30, 1 << 30), "a packet of 1073741824 bytes"),
        (b"\0" * 9, "in the middle of a record"),
    ],
)
def test_a_damaged_record_ends_a_pcap(
    damage: bytes, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = pcap([ethernet(PACKETS[1])], 1) + damage
    assert read(content, tmp_path)[:2] == ({FAR: (0, 1492)}, 1)
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (struct.pack("<III", 6, 13, 13), "a block of 13 bytes"),
        (struct.pack("<III", 6, 0, 0), "a block of 0 bytes"),
        (struct.pack("<III", 6, 1 << 25, 0), "a block of 33554432 bytes"),
        (struct.pack("<III", 6, 12, 16), "the two lengths of a block differ"),
        (struct.pack("<IIII", 0x0A0D0D0A, 28, 0x1A2B3C00, 0), "unknown byte order"),
        (struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 2, 0, -1, 28), "unknown version"),
    ],
)
def test_a_damaged_block_ends_a_pcapng(
    damage: bytes, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = pcapng([ethernet(PACKETS[1])], 1) + damage
    assert read(content, tmp_path)[:2] == ({FAR: (0, 1492)}, 1)
    assert words in capsys.readouterr().err


def test_a_damaged_gzip_gives_what_could_be_decompressed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = gzip.compress(pcap([ethernet(PACKETS[1])], 1)) + b"rubbish"
    assert read(content, tmp_path)[:2] == ({FAR: (0, 1492)}, 1)
    assert "cannot be decompressed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"Listening on lo\nnothing here to be read\n", "is no capture file"),
        (b"\xd4\xc3\xb2\xa1", "is no capture file"),
        (b"\x0a\x0d\x0d\x0a" * 9, "is no capture file"),
        (b"\x1f\x8b" + bytes(99), "is no capture file"),
        (gzip.compress(b"x" * 999, mtime=0), "is no capture file"),
        (None, "No such file"),
        ("directory", "is no regular file"),
        ("pipe", "is no regular file"),
    ],
)
def test_what_is_no_capture_is_refused(
    content: bytes | str | None, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "input"
    if content == "directory":
        file.mkdir()
    elif content == "pipe":
        os.mkfifo(file)
    elif isinstance(content, bytes):
        file.write_bytes(content)
    code, summary, errors = command(file, tmp_path, capsys)
    assert (code, summary) == (4, {})
    assert errors.startswith("gateway-capture: error: ")
    assert words in errors
    assert errors.count("hint: ") == 1


A, B, C = "93.184.216.34", "1.1.1.1", "10.0.0.1"


@pytest.mark.parametrize(
    ("nets", "truth"),
    [
        (None, {B: (100, 20), A: (300, 4000)}),  # A spoke to B first; C alone is private
        ("93.184.216.0/24", {B: (100, 20), C: (4000, 300)}),
        ("2001:db8::/32, 1.1.1.1", {A: (20, 100), C: (4000, 300)}),  # A and C: who spoke first
        ("0.0.0.0/0", {B: (100, 20), C: (4000, 300)}),
    ],
)
def test_which_side_is_the_remote(nets: str | None, truth: Sums, tmp_path: Path) -> None:
    packets = [ipv4(A, B, 100), ipv4(B, A, 20), ipv4(A, C, 4000), ipv4(C, A, 300)]
    frames = [ethernet(packet, START + 5_000_000 * n) for n, packet in enumerate(packets)]
    assert read(pcap(frames, 1), tmp_path, local_net=nets)[:2] == (truth, 0)


@pytest.mark.parametrize(
    ("nets", "other", "truth"),
    [
        ("2606:2800::/32", NEAR_6, {NEAR_6: (99, 0)}),
        ("fd00::/8", NEAR_6, {FAR_6: (0, 99)}),
        ("10.0.0.0/8", "::10.0.0.1", {"::10.0.0.1": (99, 0)}),  # the same number in IPv6
        ("10.0.0.0/8", "::ffff:10.0.0.1", {FAR_6: (0, 99)}),  # mapped IPv4
    ],
)
def test_near_networks_of_ipv6(nets: str, other: str, truth: Sums, tmp_path: Path) -> None:
    content = pcap([ethernet(ipv6(FAR_6, other, 99))], 1)
    assert read(content, tmp_path, local_net=nets)[0] == truth


def test_who_spoke_first_is_by_place_in_the_file_not_by_time(tmp_path: Path) -> None:
    frames = [
        ethernet(ipv4(NEAR, FAR, 28), START + 9_000_000),
        ethernet(ipv4(A, B, 100), START),
        ethernet(ipv4(B, A, 20), START + 9_000_000),
    ]
    assert read(pcap(frames, 1), tmp_path)[0] == {FAR: (28, 0), B: (100, 20)}


def test_an_address_that_talks_to_itself(tmp_path: Path) -> None:
    content = pcap([ethernet(ipv4("127.0.0.1", "127.0.0.1", 50))] * 2, 1)
    assert read(content, tmp_path)[0] == {"127.0.0.1": (100, 0)}


def test_sides_remember_a_busy_pair_and_forget_others() -> None:
    sides = Sides(parse_nets(NOT_GLOBAL))
    busy, others = bytes([1, 1, 1, 1, 2, 2, 2, 2]), 450_000
    assert sides.source_is_near(busy)
    for number in range(others):
        sides.source_is_near(struct.pack(">II", 0x08000000 + number, 0x09000000))
        if number % 50_000 == 0:
            assert not sides.source_is_near(busy[4:] + busy[:4])
    assert sides.source_is_near(busy)
    assert sides.source_is_near(struct.pack(">II", 0x09000000, 0x08000000))  # first seen again


@pytest.mark.parametrize("suffix", [".pcap", ".pcapng.gz"])
def test_a_capture_lands_once(
    suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Longer than a batch and a second, not in order of time, with something of everything."""
    times = [START + n * 3_000 * (-1) ** (n % 50 == 0) for n in range(25_000)]
    frames = [ethernet(PACKETS[n % len(PACKETS)], time) for n, time in enumerate(times)]
    frames[7:7] = [whole(MACS + b"\x08\x06" + bytes(28)), whole(MACS)]
    content = pcap(frames, 1) if suffix == ".pcap" else gzip.compress(pcapng(frames, 1))
    file = tmp_path / f"x{suffix}"
    file.write_bytes(content)
    data = tmp_path / "data"
    code, first, _ = command(file, data, capsys)
    used = [PACKETS[n % len(PACKETS)] for n in range(25_000)]
    tx = sum(map(len, used[0::6] + used[3::6] + used[5::6]))
    rx = sum(map(len, used[1::6] + used[2::6] + used[4::6]))
    assert (code, first["tx_bytes"], first["rx_bytes"]) == (0, tx, rx)
    assert (first["remotes"], first["parse_errors"], first["complete"]) == (2, 1, True)
    rows = landed(data)
    assert (sum(row[9] for row in rows), sum(row[10] for row in rows)) == (tx, rx)
    assert len(rows) == first["rows"]
    assert {row[3:6] for row in rows} == {("pcap", "ip", None)}
    assert min(row[0] for row in rows) <= min(times)
    assert max(row[1] for row in rows) > max(times)
    code, again, _ = command(file, data, capsys, "--local-net", FAR)
    assert (code, again["files"], again["already_landed"]) == (0, 0, first["files"])
    assert landed(data) == rows


def test_rows_are_in_the_interval_of_their_packets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    times = [START - START % 30_000_000 + at for at in (0, 29_999_999, 30_000_000)]
    file = tmp_path / "x.pcap"
    file.write_bytes(pcap([ethernet(PACKETS[1], at) for at in times], 1, ">", NANO))
    command(file, tmp_path, capsys)
    assert [(row[0], row[1], row[10]) for row in landed(tmp_path)] == [
        (times[0], times[2], 2984),
        (times[2], times[2] + 30_000_000, 1492),
    ]


def test_an_empty_capture_is_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "x.pcap"
    file.write_bytes(pcap([], 1))
    code, summary, _ = command(file, tmp_path, capsys)
    assert (code, summary["rows"], summary["parse_errors"]) == (0, 0, 0)


UNREAD_BY_TCPDUMP = (
    "MPLS pseudowire",
    "PPPoE MPLS",
    "raw 14",
    "LOOP little",
    "NFLOG big",
    "802.11 QoS padded",
    "802.11 QoS HT bridge",
)
needs_tcpdump = pytest.mark.skipif(
    not shutil.which("tcpdump", path=f"{os.environ['PATH']}:/usr/sbin"),
    reason="tcpdump is not installed",
)
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="namespaces and captures need root")


@needs_tcpdump
@pytest.mark.parametrize("wrap", [name for name in WRAPS if name not in UNREAD_BY_TCPDUMP])
def test_the_frames_made_here_are_what_tcpdump_takes_them_for(wrap: str, tmp_path: Path) -> None:
    link, put = WRAPS[wrap]
    file = tmp_path / "x.pcap"
    file.write_bytes(pcap([whole(put(packet)) for packet in PACKETS], link))
    out = subprocess.run(
        ["tcpdump", "-nn", "-t", "-r", file], capture_output=True, text=True, check=True
    ).stdout
    assert len(out.splitlines()) == len(PACKETS)
    for line, packet in zip(out.splitlines(), PACKETS, strict=True):
        ends = (NEAR, FAR) if packet[0] == 0x45 else (NEAR_6, FAR_6)
        assert all(end in line for end in ends)


TALK = """
import socket, sys
near, far = (socket.socket(type=socket.SOCK_DGRAM) for _ in range(2))
near.bind(("127.0.0.1", 0))
far.bind(("127.0.0.2", 0))
for size in range(0, 60_000, 1777):
    near.sendto(bytes(size), far.getsockname())
    far.recv(65536)
    far.sendto(bytes(size // 3), near.getsockname())
    near.recv(65536)
"""


@needs_root
@needs_tcpdump
@pytest.mark.parametrize("interface", ["lo", "any"])
def test_a_real_capture_of_known_traffic(interface: str, tmp_path: Path) -> None:
    """Also with a short snapshot length; on loopback a packet is captured once."""
    file = tmp_path / "real.pcap"
    script = (
        "ip link set lo up; "
        f"tcpdump -i {interface} -s 96 -U --immediate-mode -w {file} udp & child=$!; "
        f"until [ -s {file} ]; do sleep 0.05; done; "
        f"{sys.executable} -c '{TALK}'; sleep 0.5; kill -INT $child; wait $child"
    )
    done = subprocess.run(
        ["unshare", "-n", "sh", "-c", script],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    sizes = range(0, 60_000, 1777)
    assert f"{2 * len(sizes)} packets captured" in done.stderr
    sums, errors, _ = read_file(file, local_net="127.0.0.1")
    assert errors == 0
    assert sums == {"127.0.0.2": (sum(28 + n for n in sizes), sum(28 + n // 3 for n in sizes))}


SAMPLES = [
    make([ethernet(packet) for packet in PACKETS] + [whole(put(PACKETS[3]))], link)
    for make in (pcap, pcapng)
    for link, put in WRAPS.values()
]


@settings(max_examples=300)
@given(
    content=st.sampled_from(SAMPLES),
    edits=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=12),
    cut=st.integers(0, 4000),
)
def test_no_damage_is_a_crash(content: bytes, edits: list[tuple[int, int]], cut: int) -> None:
    damaged = bytearray(content)
    for at, value in edits:
        damaged[at % len(damaged)] = value
    with tempfile.TemporaryDirectory() as directory:
        try:
            read(bytes(damaged[: len(damaged) - cut]), Path(directory))
        except CaptureError as error:
            assert error.hint


@settings(max_examples=300)
@given(link=st.sampled_from(sorted(LOCATE)), frame=st.binary(max_size=80))
def test_no_frame_is_a_crash(link: int, frame: bytes) -> None:
    with suppress(IndexError, ValueError, struct.error):
        at = LOCATE[link](frame)
        assert at == NOT_IP or at >= 0
        if at != NOT_IP:
            pair, size = read_ip(frame, at, len(frame))
            assert len(pair) in (8, 32)
            assert size >= 20


@pytest.mark.parametrize(
    "layer",
    [
        b"\0\0\x81\0",
        b"\xaa\xaa\x03\0\0\0\0\0",
        b"\0\0\1\1" + bytes(16) + b"\x88\x47",
    ],
    ids=["tags", "SNAP", "pseudowires"],
)
def test_layers_without_end_are_stepped_through(layer: bytes) -> None:
    """As many as a frame may have: deeper than calls may be nested."""
    with suppress(IndexError):
        assert LOCATE[1](MACS + layer[-2:] + layer * 10_000) == NOT_IP

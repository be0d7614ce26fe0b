"""The packet backend: both its ways count every IP packet of real interfaces to the byte."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from gateway_assets.capture.backend import Backend, Options
from gateway_assets.capture.backends import open_backend
from gateway_assets.capture.backends.packet import Packet
from gateway_assets.capture.packets.pair_map import PairMap
from gateway_assets.errors import CaptureError, UsageError

PLAY = Path(__file__).with_name("packets.py")
CAPTURE = [
    *(sys.executable, "-m", "gateway_assets.capture"),
    *("--backend", "packet", "--listen", "off"),
]
UP = ["sh", "-c", 'ip link set lo up && exec "$@"', "sh"]

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="a network namespace needs root")


def play(scenario: str) -> Any:
    command = ["unshare", "-n", "--", sys.executable, str(PLAY), scenario]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=60, check=True)
    return json.loads(done.stdout)


def both(*expected: object) -> dict[str, list[object]]:
    return {"map": list(expected), "ring": list(expected)}


@needs_root
def test_udp_of_known_sizes() -> None:
    found = play("udp_sizes")
    ipv4 = [3 * 28 + 1001, 28 + 7 + 3 * 20 + 8 + 3000]
    ipv6 = [3 * 48 + 1001, 48 + 7 + 3 * 48 + 8 + 3000]
    for totals, errors, lost in found.values():
        assert (totals["10.1.0.2"], totals["fd01::2"]) == (ipv4, ipv6)
        assert (errors, lost) == (0, 0)


@needs_root
def test_loopback_counts_once_while_it_is_read_all_the_time() -> None:
    found = play("blast")
    exact = {"127.0.0.2": [60_000 * 80, 0], "::1": [60_000 * 100, 0]}
    assert found["map"] == [exact, 0, 0]
    totals, errors, lost = found["ring"]
    assert lost or totals == exact
    missing = sum(exact[remote][0] - sizes[0] for remote, sizes in totals.items())
    assert (errors, totals.keys()) == (0, exact.keys())
    assert 80 * lost <= missing <= 100 * lost


@needs_root
def test_many_pairs_each_new_to_two_processors_at_once() -> None:
    assert play("spread") == [20_000, [[40, 0], [40, 0]], 0, 0]


@needs_root
def test_tcp_as_the_interface_counts_it() -> None:
    found = play("tcp")
    counters = found.pop("counters")
    assert min(counters) > 20_000_000
    assert found == both({"10.1.0.2": counters}, 0, 0)


@needs_root
def test_tcp_in_packets_beyond_64_kib() -> None:
    found = play("big_tcp")
    size, mean = found.pop("counters")
    assert mean > 65_536, "there were none"
    assert found == both({"::1": [size, 0]}, 0, 0)


@needs_root
def test_huge_packets_say_0_and_short_ones_may_not() -> None:
    large = 65_536 + 90_000
    assert play("huge") == both({"198.51.100.1": [large, 0], "fd00::9": [40 + large, 0]}, 1, 0)


@needs_root
def test_a_gateway_counts_what_it_forwards_on_each_side_once() -> None:
    up, down = 30 * 128, 20 * 228
    outside, inside = both({"10.2.0.2": [up, down]}, 0, 0), both({"10.1.0.2": [down, up]}, 0, 0)
    assert play("forwarded") == {
        "wan": outside,
        "wan, near": outside,
        "lan": inside,
        "lan, near": outside,
        "lan, both near": inside,
        "lan, both far": inside,
    }


@needs_root
def test_frames_good_and_bad_arriving_and_leaving() -> None:
    arrived = {"192.0.2.1": 154, "2001:db8::1": 85, "192.0.2.9": 45}
    left = {"198.51.100.1": 124, "fd00::9": 130}  # three tags are one too many there
    totals = {remote: [0, size] for remote, size in arrived.items()}
    totals |= {remote: [size, 0] for remote, size in left.items()}
    assert play("frames") == both(totals, 25, 0)


@needs_root
def test_random_damage_is_judged_alike_in_the_kernel_and_here() -> None:
    found = play("random_frames")
    total, wrong = found.pop("expected")
    assert total > 10_000
    assert wrong > 1000
    for totals, errors, lost in found.values():
        assert (sum(map(sum, totals.values())), errors, lost) == (total, wrong, 0)


@needs_root
@pytest.mark.skipif(not Path("/dev/net/tun").exists(), reason="needs /dev/net/tun")
def test_an_interface_without_link_headers() -> None:
    totals = {"10.3.0.2": [128, 0], "192.0.2.1": [0, 20], "2001:db8::1": [0, 40]}
    assert play("tun") == both(totals, 2, 0)


@needs_root
def test_reports_come_by_themselves() -> None:
    late = {"127.0.0.1": [100, 0]}
    assert play("polled") == {"early": {"map": {}, "ring": {}}, "late": {"map": late, "ring": late}}


@needs_root
def test_down_renamed_and_up_is_survived_and_gone_is_an_error(
    capfd: pytest.CaptureFixture[str],
) -> None:
    totals, gone = {"198.51.100.1": [60, 0]}, "the interface near has gone"
    assert play("down_and_gone") == {
        "totals": {"map": totals, "ring": totals},
        "reasons": {"map": gone, "ring": gone},
    }
    assert capfd.readouterr().err.count("near is down; nothing to count until it is up") == 2


@needs_root
def test_what_does_not_fit_is_said() -> None:
    found = play("too_many")
    assert found["map"] == [8 * 100, 100, 12]
    assert (found["crowded"], found["waited"]) == ([4, False], True)
    size, lost, afterwards = found["ring"]
    assert lost > 0
    assert size + 100 * lost == 5021 * 100
    assert afterwards == 100


@needs_root
@pytest.mark.parametrize(
    ("rights", "words"),
    [
        ("-all,+net_raw,+bpf", "the kernel counts (eBPF)"),
        ("-all,+net_raw", "eBPF cannot be had (Operation not permitted)"),
    ],
)
def test_rights_decide_how_and_a_daemon_lands_it(rights: str, words: str, tmp_path: Path) -> None:
    options = ["-i", "lo", "--json", "--data-dir", str(tmp_path)]
    command = ["unshare", "-n", *UP, *with_rights(rights), *CAPTURE, *options]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        lock = tmp_path / "landing/ip_traffic/.packet.lo.lock"
        while process.poll() is None and not (lock.exists() and lock.read_text()):
            time.sleep(0.02)
        sender = "import socket; s = socket.socket(type=socket.SOCK_DGRAM)\n"
        sender += "s.bind(('127.0.0.1', 9000)); s.sendto(bytes(72), ('127.0.0.1', 9000))"
        entered = ["nsenter", "-t", str(process.pid), "-n"]
        subprocess.run([*entered, sys.executable, "-c", sender], check=True)
        process.terminate()
        out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert words in err
    summary = json.loads(out)
    assert (summary["backend"], summary["layer"], summary["complete"]) == ("packet", "ip", True)
    assert (summary["tx_bytes"], summary["rx_bytes"]) == (100, 0)


def with_rights(rights: str) -> list[str]:
    return ["setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}"]


@needs_root
@pytest.mark.parametrize("rights", ["-all", "-all,+bpf"])
def test_no_rights(rights: str, tmp_path: Path) -> None:
    command = [*with_rights(rights), *CAPTURE, "-i", "lo", "--data-dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 4
    assert "error: no permission to capture packets" in done.stderr
    assert "CAP_NET_RAW and CAP_BPF" in done.stderr
    assert "--backend sockdiag" in done.stderr
    assert "Traceback" not in done.stderr


@needs_root
def test_the_kernel_way_is_taken_and_leaves_nothing_open() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    backend = open_backend("packet", Options(interface="lo", local_net="127.0.0.0/8"))
    assert isinstance(backend, Backend)
    assert isinstance(backend, Packet)
    assert isinstance(backend._pairs, PairMap)
    backend.close()
    with pytest.raises(OSError, match="No such device"):
        PairMap("nosuch0")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_an_unknown_interface_is_named() -> None:
    with pytest.raises(CaptureError, match="no interface 'nosuch0'") as caught:
        open_backend("packet", Options(interface="nosuch0"))
    assert "lo" in caught.value.hint


@pytest.mark.parametrize(
    "options",
    [
        Options(),
        Options(interface="lo", file="x"),
        *[
            Options(interface="lo", local_net=net)
            for net in ("", "banana", "10.0.0.0/33", "::/129", "10.0.0.0/8,", "1/8")
        ],
    ],
)
def test_wrong_options_are_refused(options: Options) -> None:
    with pytest.raises(UsageError) as caught:
        open_backend("packet", options)
    assert caught.value.hint

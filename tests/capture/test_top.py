"""What ``gateway-capture top`` shows."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time

from gateway_assets.capture.backend import Delta
from gateway_assets.capture.places import NO_PLACES
from gateway_assets.capture.top import MOST_KEYS, Talkers, amount_text
from tests.capture.test_daemon import connected, transfer

TOP = [sys.executable, "-m", "gateway_assets.capture", "top"]


def test_rates_are_of_the_turn_and_totals_of_all() -> None:
    talkers = Talkers("process", NO_PLACES.place)
    talkers.add([Delta(0, "192.0.2.1", "curl", 7, 100, 10), Delta(0, "::1", "curl", 7, 20, 0)])
    talkers.add([Delta(0, "192.0.2.2", None, None, 1, 1, None, "forwarded")])
    assert talkers.turn(2) == [("curl [7]", 60, 5, 120, 10), ("(forwarded)", 0.5, 0.5, 1, 1)]
    talkers.add([Delta(0, "192.0.2.2", None, None, 8, 0, None, "forwarded")])
    assert talkers.turn(1) == [("(forwarded)", 8, 0, 9, 1), ("curl [7]", 0, 0, 120, 10)]


def test_memory_is_bounded_and_the_busy_stay() -> None:
    talkers = Talkers("remote", NO_PLACES.place)
    talkers.add([Delta(0, "192.0.2.1", None, None, 10**9, 0)])
    talkers.add(Delta(0, f"2001:db8::{n:x}", None, None, 1, 0) for n in range(3 * MOST_KEYS))
    rows = talkers.turn(1)
    assert len(rows) <= MOST_KEYS
    assert rows[0][0] == "192.0.2.1"


def test_amounts_have_three_digits() -> None:
    texts = [amount_text(amount) for amount in (0, 999, 1024, 12_345, 10**6, 2**50)]
    assert texts == ["0 B", "999 B", "1.0 KiB", "12.1 KiB", "977 KiB", "1024.0 TiB"]


def test_one_picture_for_a_script() -> None:
    with connected() as (client, server):
        command = [*TOP, "--by", "process", "--once", "--interval", "1"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for _ in range(10):
                transfer(client, server, 1000)
                time.sleep(0.1)
            output, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "\x1b" not in output
    assert re.search(rf"^python\S* \[{os.getpid()}\] ", output, re.MULTILINE), output


def test_keys_change_the_view_and_end_it() -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen([*TOP, "--interval", "30"], stdin=theirs, stdout=theirs) as process:
        os.close(theirs)
        seen, deadline = b"", time.monotonic() + 20
        while b" by unit" not in seen and time.monotonic() < deadline:
            os.write(ours, b"u")  # again and again: what comes before it listens is lost
            while select.select([ours], [], [], 0.5)[0]:
                seen += os.read(ours, 4096)
        os.write(ours, b"q")
        try:
            assert process.wait(20) == 0
        finally:
            process.kill()
            os.close(ours)
    assert b" by unit" in seen

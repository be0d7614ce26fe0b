"""Every IP packet of one interface, as iftop counts them: whole packets, forwarded ones too.

iftop prints what it counted when the next packet arrives. On a quiet interface the key ``u`` makes
it print; pressed at the wrong moment it prints the block before once more, which is left out.
An iftop that ends is started again, after a pause that grows. So is one that would count no more,
although it runs: when the interface was made anew, and when the clock, by which it closes slots,
was set back. What passed meanwhile is lost, and that is said.
"""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Iterable
from pathlib import Path

from gateway_assets import clock
from gateway_assets.capture.addresses import parse_address
from gateway_assets.capture.backend import Backend, Delta, Options, delta_of
from gateway_assets.capture.child import Child
from gateway_assets.capture.iftop_text import Block, IftopText
from gateway_assets.capture.say import say
from gateway_assets.errors import CaptureError, UsageError

_INTERFACES = Path("/sys/class/net")
_STARTING = 5.0  # seconds until "Listening on"
_QUIET = 2.5  # seconds without a block after which one is asked for
_SLOT = 2  # seconds, whole ones of the clock, that iftop keeps a slot open
_PAUSE, _LONGEST_PAUSE = 1.0, 60.0  # seconds until iftop is started again
_LAST = 1.7  # seconds the last slot may take to close when stopping
_ANSWERS = 2  # blocks: a key's answer, and one that a packet had printed just before it

_REASONS = (
    ("No such device", "the interface does not exist", "ip -brief link lists the interfaces"),
    ("not up", "the interface is down", "ip link set INTERFACE up"),
    (
        "permission to perform this capture",
        "no permission to capture",
        "run it as root or with CAP_NET_RAW, or use --backend sockdiag, which needs no privilege",
    ),
    ("can't parse filter expression", "the filter is wrong", "check --local-net"),
    ("unknown option", "this iftop is too old", "install iftop 1.0pre4 or newer"),
)


class Iftop:
    name, layer, live = "iftop", "ip", True

    def __init__(self, interface: str, command: list[str]) -> None:
        self.interface: str | None = interface
        self.identity = os.urandom(4).hex()
        self.parse_errors = self.lost_events = 0
        self._text = IftopText()
        self._block: Block | None = None
        self._answers = 0  # of the next blocks, how many the key may have caused
        self._command = command
        self._child: Child | None = None
        self._pause, self._again = _PAUSE, 0.0
        self._start()

    @property
    def up(self) -> bool:
        return self._child is not None

    def read(self, timeout: float) -> Iterable[Delta]:
        if self._child is None:
            self._start_again(timeout)
            return []
        if timeout == 0:
            return self._last()
        reason = self._deaf()
        if reason:
            return self._anew(reason)
        deltas = self._deltas(0)  # what is here already is no answer to the key
        if deltas or self._child is None:
            return deltas
        if time.time() - self._seen > _QUIET and not self._pressed:
            self._press()
        return self._deltas(timeout)

    def close(self) -> None:
        if self._child:
            self._child.close()
        self._child = None

    @property
    def _pressed(self) -> bool:
        """Whether the key's answer is still to come."""
        return self._answers == _ANSWERS

    def _start(self) -> None:
        self._index = _index(self.interface)
        self._child = Child(self._command)
        try:
            self._wait_until_listening(self._child)
        except BaseException:
            self.close()
            raise
        self._text, self._block, self._answers = IftopText(self._text.parse_errors), None, 0
        self._seen = time.time()
        self._packets = 2 * (_packets(self.interface),)

    def _start_again(self, timeout: float) -> None:
        """When its time has come and the interface is there; until then, wait."""
        wait = self._again - time.monotonic()
        if wait > 0 or not _index(self.interface):
            time.sleep(min(wait, timeout) if wait > 0 else timeout)
            return
        try:
            self._start()
        except CaptureError as error:
            self._later()
            say(f"{error.message}; tried again in {self._pause:.0f} s")
        else:
            say("iftop counts again")

    def _deaf(self) -> str:
        """Why iftop counts no more, although it runs; empty if it does."""
        if _index(self.interface) != self._index:
            return f"the interface {self.interface} has gone"
        if time.time() < self._seen - _QUIET:
            return "the clock was set back"
        return ""

    def _anew(self, reason: str) -> list[Delta]:
        """What iftop still tells; another one is started in its place."""
        deltas = self._open_slot()
        if self._child:
            self.lost_events += 1
            self.close()
            say(f"{reason}: iftop is started again")
        return deltas

    def _later(self) -> None:
        self._again = time.monotonic() + self._pause
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    def _last(self) -> list[Delta]:
        """What is in the open slot, too.

        The kernel hands packets to iftop up to a second late; so when any have passed since the
        block before the last, some may not have been counted, and that is said.
        """
        deltas = self._open_slot()
        self.lost_events += self._packets[0] != _packets(self.interface)
        return deltas

    def _open_slot(self) -> list[Delta]:
        """It closes when its time is over, if that is soon enough."""
        deltas = self._deltas(0)
        closes = int(self._seen) + _SLOT
        if closes - time.time() <= _LAST:
            deltas += self._forced(closes)
        return deltas

    def _forced(self, closes: float) -> list[Delta]:
        deltas: list[Delta] = []
        before = self._seen
        deadline = time.monotonic() + max(0.0, closes - time.time()) + 0.25
        while self._child and self._seen == before and (left := deadline - time.monotonic()) > 0:
            if time.time() >= closes and not self._pressed:
                self._press()
            deltas += self._deltas(min(left, 0.05))
        return deltas

    def _press(self) -> None:
        assert self._child
        self._answers = _ANSWERS
        self._child.press(b"u")

    def _deltas(self, timeout: float) -> list[Delta]:
        deltas: list[Delta] = []
        assert self._child
        for block in self._text.read(self._child.text(timeout)):
            if not self._is_repeated(block):
                self._pause = _PAUSE
                moment = clock.now()
                deltas += [
                    delta_of((moment, ip, None, None, tx, rx, None, None))
                    for ip, tx, rx in block.pairs
                ]
        self.parse_errors = self._text.parse_errors
        if self._child.ended:
            status, words = self._child.last_words()
            self.lost_events += 1
            self.close()
            say(f"{_failure(f'iftop stopped with status {status}', words).message}")
            self._later()
        return deltas

    def _is_repeated(self, block: Block) -> bool:
        """Two slots cannot close within a second; two equal blocks in it are the same slot."""
        now = time.time()
        repeated = block.repeats(self._block) or (
            self._answers > 0 and block.same_lines(self._block) and now - self._seen < 1
        )
        self._block, self._seen = block, now
        self._answers = max(0, self._answers - 1)
        self._packets = (self._packets[1], _packets(self.interface))
        return repeated

    @staticmethod
    def _wait_until_listening(child: Child) -> None:
        deadline = time.monotonic() + _STARTING
        while time.monotonic() < deadline:
            if any(line.startswith("Listening on") for line in child.lines(0.1)):
                return
            if child.ended:
                status, words = child.last_words()
                raise _failure(f"iftop cannot start (status {status})", words)
        raise CaptureError("iftop does not begin to listen", hint="try: iftop -t -i INTERFACE")


def _index(interface: str | None) -> int:
    """The kernel's number of an interface, another one when it is made anew; 0: there is none."""
    try:
        return socket.if_nametoindex(str(interface))
    except OSError:
        return 0


def _packets(interface: str | None) -> str:
    """How many packets have passed an interface, in a text that changes with every one."""
    folder = _INTERFACES / str(interface) / "statistics"
    try:
        return " ".join((folder / f"{way}_packets").read_text() for way in ("rx", "tx"))
    except OSError:
        return ""


def _failure(what: str, words: str) -> CaptureError:
    for sign, reason, hint in _REASONS:
        if sign in words:
            return CaptureError(f"{what}: {reason}", hint=hint)
    lines = words.strip().splitlines()
    return CaptureError(f"{what}: {lines[-1] if lines else 'it gave no reason'}")


def _command(interface: str, local_net: str | None) -> list[str]:
    path = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
    program = shutil.which("iftop", path=path)
    if not program:
        raise CaptureError(
            "iftop is not installed",
            hint="apt install iftop, or use --backend sockdiag, which needs nothing",
        )
    command = [program, "-i", interface, "-t", "-n", "-N", "-B", "-L", "1000000", "-c", "/dev/null"]
    if local_net:
        net, _, bits = local_net.partition("/")
        if not parse_address(net) or not bits.isdecimal():
            raise UsageError(
                f"--local-net {local_net!r} is not a network", hint="for example 192.0.2.0/24"
            )
        command += ["-G" if ":" in local_net else "-F", local_net]
    return command


def open_backend(options: Options) -> Backend:
    if options.file:
        raise UsageError("the iftop backend reads no --file", hint="use --backend replay")
    names = sorted(path.name for path in _INTERFACES.iterdir())
    known = f"interfaces here: {', '.join(names)}"
    if not options.interface:
        raise UsageError("the iftop backend needs an interface", hint=f"add -i NAME; {known}")
    if options.interface not in names:
        raise CaptureError(f"there is no interface {options.interface!r}", hint=known)
    return Iftop(options.interface, _command(options.interface, options.local_net))

"""A child process that shows its lines at once, and never outlives this process.

Its standard output is a pseudo terminal, because on a pipe iftop holds 4096 bytes back; its
standard input is a pipe that stays open, because at its end iftop spins.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pty
import select
import signal
import subprocess
import tty
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)  # before the fork: loading a library after it could deadlock
_PATIENCE = 1.0
_GAP = 0.005  # seconds without output after which what has arrived is given
_FILLS = 0.001  # seconds in which a fast child fills the terminal; reading sooner costs more reads
_FULL = 4095  # bytes that a terminal gives at most
_MOST_READS = 16  # of a terminal's 4 KiB, until what has arrived is given


class Child:
    def __init__(self, command: Sequence[str]) -> None:
        self._terminal, theirs = pty.openpty()
        tty.setraw(theirs)
        parent = os.getpid()

        def die_with_parent() -> None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)

        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=theirs,
                stderr=subprocess.PIPE,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - this process has one thread
            )
        except BaseException:
            os.close(self._terminal)
            raise
        finally:
            os.close(theirs)
        self._rest = self._errors = b""
        self.ended = False

    def lines(self, timeout: float) -> list[str]:
        """The lines of such a text, without their line feeds."""
        return self.text(timeout).split("\n")[:-1]

    def text(self, timeout: float) -> str:
        """Whole lines that arrive within ``timeout`` seconds; sets ``ended`` when it has exited.

        Many at once, because each turn of the loop costs more than the lines of one write.
        """
        pieces = [self._rest]
        for _ in range(_MOST_READS):
            if self.ended or not select.select([self._terminal], [], [], timeout)[0]:
                break
            pieces.append(self._read())
            timeout = min(timeout, _GAP)
            if len(pieces[-1]) < _FULL:
                select.select([], [], [], _FILLS)  # libfaketime breaks time.sleep
        whole, newline, self._rest = b"".join(pieces).rpartition(b"\n")
        return (whole + newline).decode(errors="replace")

    def _read(self) -> bytes:
        try:
            data = os.read(self._terminal, 1 << 16)
        except OSError:  # EIO: the other side of the terminal has been closed
            data = b""
        self.ended = not data
        return data

    def press(self, key: bytes) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(key)
            self._process.stdin.flush()

    def last_words(self) -> tuple[int, str]:
        """Exit status and standard error of a child that has ended; stops one that has not."""
        self._stop()
        return self._process.returncode, self._errors.decode(errors="replace")

    def close(self) -> None:
        self._stop()
        os.close(self._terminal)
        for pipe in (self._process.stdin, self._process.stderr):
            if pipe:
                pipe.close()

    def _stop(self) -> None:
        if self._process.poll() is None and not self.ended:
            self._process.send_signal(signal.SIGINT)
        assert self._process.stderr is not None
        errors = self._process.stderr.fileno()
        while select.select([errors], [], [], _PATIENCE)[0]:
            data = os.read(errors, 1 << 16)
            if not data:  # closed, because it exits
                break
            self._errors += data
        else:
            self._process.kill()
        self._process.wait()

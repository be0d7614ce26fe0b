"""A recording instead of a network: an iftop transcript, or recorded rows.

The same file gives the same deltas at the same times, and as its identity is the hash of its
content, replaying it twice names the same landing files.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

from gateway_assets.capture.backend import Backend, Delta, Exhausted, Options
from gateway_assets.capture.iftop_text import Block, IftopText
from gateway_assets.capture.recorded import parse_recorded
from gateway_assets.capture.say import say
from gateway_assets.clock import SECOND
from gateway_assets.errors import CaptureError, UsageError

_BATCH = 1000
_REPORTED = 10  # malformed rows named one by one


class Replay:
    name, live, up, lost_events = "replay", False, True, 0
    interface: str | None = None

    def __init__(self, path: Path, start: int) -> None:
        self.identity = _identity(path)
        self.layer = "ip"
        self.parse_errors = 0
        self._path = path
        self._start = start
        self._found = False
        self._lines = _lines(path)
        self._deltas = self._recorded() if _is_recorded(path) else self._transcript()

    def read(self, timeout: float) -> Iterable[Delta]:  # noqa: ARG002 - a recording never waits
        batch = list(islice(self._deltas, _BATCH))
        if batch:
            return batch
        if not self._found:
            raise CaptureError(
                f"{self._path} holds no traffic: neither an iftop block nor a readable row",
                hint="record one with: iftop -t -n -N -B -L 1000000 -i INTERFACE",
            )
        raise Exhausted

    def close(self) -> None:
        self._lines.close()

    def _transcript(self) -> Iterator[Delta]:
        text = IftopText()
        for number, block in enumerate(_blocks(text, self._lines)):
            self._found = True
            moment = self._start + number * 2 * SECOND
            for pair in block.pairs:
                yield Delta(moment, pair.remote, None, None, pair.tx_bytes, pair.rx_bytes)
            self.parse_errors = text.parse_errors
        self.parse_errors = text.parse_errors

    def _recorded(self) -> Iterator[Delta]:
        for number, line in enumerate(self._lines, start=1):
            try:
                row = parse_recorded(line) if line.strip() else None
                if row:
                    self._check_layer(row.layer)
            except ValueError as error:
                self._malformed(number, error)
                continue
            if row:
                yield row.delta

    def _check_layer(self, layer: str) -> None:
        if self._found and layer != self.layer:
            raise ValueError(f"layer {layer} cannot be added to {self.layer}")
        self._found = True
        self.layer = layer

    def _malformed(self, number: int, error: ValueError) -> None:
        self.parse_errors += 1
        if self.parse_errors <= _REPORTED:
            say(f"{self._path}: line {number} is left out: {error}")
        elif self.parse_errors == _REPORTED + 1:
            say(f"{self._path}: further malformed lines are only counted")


def _blocks(text: IftopText, lines: Iterable[bytes]) -> Iterator[Block]:
    """Each slot's block once, also where iftop printed it again."""
    before: Block | None = None
    for line in lines:
        block = text.feed(line.decode(errors="replace"))
        if block and not block.repeats(before):
            yield block
        before = block or before
    cut = text.end()
    if cut:
        yield cut


def _identity(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:8]


def _lines(path: Path) -> Generator[bytes, None, None]:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            yield from file
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise CaptureError(f"{path} cannot be decompressed: {error}") from error


def _is_recorded(path: Path) -> bool:
    """Whether rows, not a transcript, are in a file; refuses what is no text at all."""
    with closing(_lines(path)) as lines:
        head = b"".join(islice(lines, 20))
    if b"\0" in head or head.decode(errors="replace").count("\ufffd") > 2:
        raise CaptureError(
            f"{path} is not text", hint="give an iftop transcript or rows as JSON lines"
        )
    return head.lstrip().startswith(b"{")


def open_backend(options: Options) -> Backend:
    if not options.file:
        raise UsageError("the replay backend needs a recording", hint="add --file FILE")
    if options.interface or options.local_net:
        raise UsageError("a replay has no interface", hint="leave out --interface and --local-net")
    try:
        return Replay(Path(options.file), options.start)
    except OSError as error:
        what = f"cannot read {options.file}: {error.strerror}"
        raise CaptureError(what, hint="check --file") from error

"""Counters of what has landed: in total, by remote, by country, by process; they survive a restart.

They lie in a file that is mapped into memory, so that they outlive the process, whatever ends it.
What has landed as one file (a *letter*) is added once: every cell carries the number of the last
letter it took, so a letter that a killed process added in part is added again, and only the cells
that lack it take it. A file that was not closed before a reboot is not trusted, since its pages
may not all have reached the disk: counters begin at zero, which Prometheus knows as a reset.

    page       4096 bytes  who wrote it, the last letter, the totals
    countries   256 cells  of 32 bytes: name, letter, sent, received
    processes   256 cells  of 128 bytes
    remotes   n * 64 bytes in sets of 128; a set that is full forgets the one idle for longest

A remote is *admitted* to a series of its own when it has exchanged enough; that begins at zero,
and what came before stays in "other". So no series ever falls, and each byte is in one of them.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from gateway_assets.capture.addresses import address_bytes
from gateway_assets.capture.say import say

MAGIC = b"GWCOUNT1"
_CLOSED = bytes(16)  # instead of the boot, when all pages are on the disk
_PAGE, _NAMED = 4096, 256
_SET = 128  # remotes that compete for the same places
_COUNTRY, _PROCESS, _REMOTE = 32, 128, 64  # bytes of a cell
_HEAD = struct.Struct("<8sI16sQQQ8sQII")
_CELL = struct.Struct("<IxxxxQQ")  # letter, sent, received
_VALUES = struct.Struct("<QQQQII")  # sent, received, both at admission, last seen, letter
_FLAGS_LAST = struct.Struct("<B7x32xIxxxx")
_USED, _ADMITTED = 1, 2  # so that one with a series counts as later than any without
OTHER = "(other)"
_TOTAL_AT, _OTHER_AT, _EVICTED_AT = 256, 256 + _CELL.size, 256 + 2 * _CELL.size
_U64 = struct.Struct("<Q")
_TWO = struct.Struct("<QQ")
_PRIME = 2**61 - 1


class Bytes(NamedTuple):
    tx: int
    rx: int


class Letter(NamedTuple):
    """What landed as one file: bytes by remote, country and process."""

    identity: bytes  # of the run, eight hex digits
    sequence: int
    seconds: int  # when, since the epoch
    remotes: dict[str, list[int]]
    countries: dict[str, list[int]]
    processes: dict[str, list[int]]


class Policy(NamedTuple):
    """``slots`` remotes are remembered, at most ``series`` of them have series of their own."""

    slots: int = 131_072
    series: int = 500
    admit_bytes: int = 2**20  # that a remote must have exchanged
    ttl: int = 3600  # seconds without traffic after which a series ends


class Counters:
    """The counters of one instance; one process has them open at a time."""

    def __init__(self, path: Path, policy: Policy, boot: bytes, now: int) -> None:
        self.policy = policy
        self.is_new = False  # whether they began at zero just now
        self._sets = max(policy.slots // _SET, 1)
        self._map = self._opened(path, boot, now)
        self._a, self._b, self.epoch = self._head()[3:6]
        self._countries = _Names(self._map, _PAGE, _COUNTRY)
        self._processes = _Names(self._map, _PAGE + _NAMED * _COUNTRY, _PROCESS)
        self._remotes = _PAGE + _NAMED * (_COUNTRY + _PROCESS)
        self.tracked = 0
        self._admitted: dict[bytes, int] = {}  # and where their values lie
        for slot in range(self._sets * _SET):
            flags = self._flags(slot)
            self.tracked += bool(flags & _USED)
            if flags & _ADMITTED:
                self._admitted[self._key(slot)] = self._at(slot) + 8

    def close(self) -> None:
        self._map.flush()
        _HEAD.pack_into(self._map, 0, *self._head()[:2], _CLOSED, *self._head()[3:])
        self._map.flush()
        self._map.close()

    @property
    def last(self) -> tuple[bytes, int, bool]:
        """Run and sequence of the last letter, and whether all of it was added."""
        identity, sequence, begun, done = self._head()[6:]
        return identity, sequence, begun == done

    @property
    def total(self) -> Bytes:
        return self._cell(_TOTAL_AT)

    @property
    def other(self) -> Bytes:
        """What remotes exchanged that had no series at that time."""
        return self._cell(_OTHER_AT)

    @property
    def evicted(self) -> int:
        return int(_U64.unpack_from(self._map, _EVICTED_AT)[0])

    @property
    def admitted(self) -> int:
        return len(self._admitted)

    def series(self) -> Iterator[tuple[bytes, int, int]]:
        """Admitted remotes, as 16 bytes, and what they sent and received since."""
        values, mapped = _VALUES.unpack_from, self._map
        for key, at in self._admitted.items():
            tx, rx, tx_before, rx_before, _, _ = values(mapped, at)
            yield key, tx - tx_before, rx - rx_before

    def remote(self, address: str) -> Bytes | None:
        """All that a remembered remote exchanged."""
        slot = self._find(address_bytes(address))
        return None if slot is None else Bytes(*self._values(slot)[:2])

    def countries(self) -> Iterator[tuple[str, Bytes]]:
        return self._countries.items()

    def processes(self) -> Iterator[tuple[str, Bytes]]:
        return self._processes.items()

    def add(self, letter: Letter) -> None:
        """Add a letter, or what a killed process did not add of it."""
        number = self._begin(letter)
        other, total = [0, 0], [0, 0]
        for address, (tx, rx) in letter.remotes.items():
            total[0], total[1] = total[0] + tx, total[1] + rx
            if address_bytes(address) not in self._admitted:
                other[0], other[1] = other[0] + tx, other[1] + rx
        _add(self._map, _TOTAL_AT, number, *total)
        _add(self._map, _OTHER_AT, number, *other)
        self._countries.add(letter.countries, number)
        self._processes.add(letter.processes, number)
        slots = [
            self._count(address_bytes(address), number, letter.seconds, tx, rx)
            for address, (tx, rx) in letter.remotes.items()
        ]
        self._expire(letter.seconds)
        self._admit(slots)
        self._end()
        self.rest()

    def rest(self) -> None:
        """Let go of the pages: they stay in the kernel's cache, on their way to the disk."""
        if self._is_file:
            self._map.madvise(mmap.MADV_DONTNEED)

    # The head

    def _opened(self, path: Path, boot: bytes, now: int) -> mmap.mmap:
        size = _PAGE + _NAMED * (_COUNTRY + _PROCESS) + self._sets * _SET * _REMOTE
        slots = self._sets * _SET
        self._is_file = True
        try:
            magic, its_slots, its_boot = _described(path, size)
            if (magic, its_slots) != (MAGIC, slots) or its_boot not in (boot, _CLOSED):
                self.is_new = True
                _create(path, size, _new_head(slots, now))
            with path.open("r+b") as file:
                mapped = mmap.mmap(file.fileno(), size)
        except OSError as error:
            say(f"counters will not survive a restart, {path}: {error.strerror}")
            self.is_new = True
            mapped = mmap.mmap(-1, size)
            self._is_file = False
            mapped[: _HEAD.size] = _new_head(slots, now)
        head = _HEAD.unpack_from(mapped, 0)
        _HEAD.pack_into(mapped, 0, *head[:2], boot, *head[3:])
        return mapped

    def _begin(self, letter: Letter) -> int:
        *fixed, begun, done = self._head()
        number = done + 1
        if begun == done:
            fixed[6:] = [letter.identity, letter.sequence]
            _HEAD.pack_into(self._map, 0, *fixed, number, done)
        return int(number)

    def _end(self) -> None:
        *fixed, begun, _ = self._head()
        _HEAD.pack_into(self._map, 0, *fixed, begun, begun)

    def _head(self) -> tuple[Any, ...]:
        return _HEAD.unpack_from(self._map, 0)

    # Remotes

    def _count(self, key: bytes, number: int, seconds: int, tx: int, rx: int) -> int:
        slot = self._find(key)
        if slot is None:
            slot = self._place(key)
        values = self._values(slot)
        if values[5] != number:
            _VALUES.pack_into(
                self._map,
                self._at(slot) + 8,
                values[0] + tx,
                values[1] + rx,
                *values[2:4],
                seconds & 0xFFFFFFFF,
                number,
            )
        return slot

    def _set_of(self, key: bytes) -> int:
        """By a hash that nobody can foresee: universal hashing, Carter and Wegman 1979."""
        high, low = _TWO.unpack(key)
        return int((self._a * high + self._b * low) % _PRIME % self._sets)

    def _find(self, key: bytes) -> int | None:
        """The keys of a set stand together, so that one search finds a key among them."""
        first = self._set_of(key)
        start = self._remotes + first * _SET * _REMOTE
        end = start + _SET * 16
        at = self._map.find(key, start, end)
        while at >= 0 and (at - start) % 16:
            at = self._map.find(key, at + 1, end)
        if at < 0:
            return None
        slot = first * _SET + (at - start) // 16
        return slot if self._flags(slot) & _USED else None

    def _place(self, key: bytes) -> int:
        """A free place in the key's set, or that of the remote which is idle for longest."""
        first = self._set_of(key) * _SET
        at = self._at(first)
        flags = self._map[at : at + _SET * 48 : 48]
        if 0 in flags:
            slot = first + flags.index(0)
            self.tracked += 1
        else:
            order = list(_FLAGS_LAST.iter_unpack(self._map[at : at + _SET * 48]))
            slot = first + order.index(min(order))
            self._admitted.pop(self._key(slot), None)
            _U64.pack_into(self._map, _EVICTED_AT, self.evicted + 1)
        self._mark(slot, 0)
        _VALUES.pack_into(self._map, self._at(slot) + 8, 0, 0, 0, 0, 0, 0)
        at = self._key_at(slot)
        self._map[at : at + 16] = key
        self._mark(slot, _USED)
        return slot

    def _expire(self, now: int) -> None:
        idle = [
            (key, at)
            for key, at in self._admitted.items()
            if now - _VALUES.unpack_from(self._map, at)[4] > self.policy.ttl
        ]
        for key, at in idle:
            self._map[at - 8] = _USED
            del self._admitted[key]

    def _admit(self, slots: Iterable[int]) -> None:
        for slot in slots:
            if len(self._admitted) >= self.policy.series:
                return
            tx, rx, *_, last, number = self._values(slot)
            if self._flags(slot) & _ADMITTED or tx + rx < self.policy.admit_bytes:
                continue
            _VALUES.pack_into(self._map, self._at(slot) + 8, tx, rx, tx, rx, last, number)
            self._mark(slot, _USED | _ADMITTED)
            self._admitted[self._key(slot)] = self._at(slot) + 8

    # Where things lie: the keys of a set, then its flags and values.

    def _key_at(self, slot: int) -> int:
        first, place = divmod(slot, _SET)
        return self._remotes + first * _SET * _REMOTE + place * 16

    def _at(self, slot: int) -> int:
        """Where flags (one byte of eight) and values of a remote lie."""
        first, place = divmod(slot, _SET)
        return self._remotes + first * _SET * _REMOTE + _SET * 16 + place * 48

    def _key(self, slot: int) -> bytes:
        at = self._key_at(slot)
        return self._map[at : at + 16]

    def _flags(self, slot: int) -> int:
        return self._map[self._at(slot)]

    def _mark(self, slot: int, flags: int) -> None:
        self._map[self._at(slot)] = flags

    def _values(self, slot: int) -> tuple[int, ...]:
        return _VALUES.unpack_from(self._map, self._at(slot) + 8)

    def _cell(self, at: int) -> Bytes:
        _, tx, rx = _CELL.unpack_from(self._map, at)
        return Bytes(tx, rx)


class _Names:
    """Cells with names; the first takes what finds no place of its own."""

    def __init__(self, mapped: mmap.mmap, start: int, size: int) -> None:
        self._map, self._start, self._size = mapped, start, size
        self._places: dict[str, int] = {}
        for place in range(_NAMED):
            name = self._name(place)
            if name:
                self._places[name] = place

    def add(self, found: dict[str, list[int]], number: int) -> None:
        amounts: dict[int, list[int]] = {}
        for name, (tx, rx) in found.items():
            amount = amounts.setdefault(self._place(name), [0, 0])
            amount[0], amount[1] = amount[0] + tx, amount[1] + rx
        for place, (tx, rx) in amounts.items():
            _add(self._map, self._at(place), number, tx, rx)

    def items(self) -> Iterator[tuple[str, Bytes]]:
        for name, place in self._places.items():
            _, tx, rx = _CELL.unpack_from(self._map, self._at(place))
            yield name, Bytes(tx, rx)

    def _place(self, name: str) -> int:
        name = name.encode()[: self._size - _CELL.size].decode(errors="ignore") or OTHER
        if name not in self._places:
            place = len(self._places) + (OTHER not in self._places and name != OTHER)
            place = place if place < _NAMED and name != OTHER else 0
            name = name if place else OTHER
            at = self._start + place * self._size
            raw = name.encode()
            self._map[at : at + len(raw)] = raw
            self._places[name] = place
        return self._places[name]

    def _name(self, place: int) -> str:
        at = self._start + place * self._size
        raw = self._map[at : at + self._size - _CELL.size]
        return raw.rstrip(b"\0").decode(errors="replace")

    def _at(self, place: int) -> int:
        return self._start + (place + 1) * self._size - _CELL.size


def _add(mapped: mmap.mmap, at: int, number: int, tx: int, rx: int) -> None:
    """Add to a cell, unless it has taken this letter."""
    last, before_tx, before_rx = _CELL.unpack_from(mapped, at)
    if last != number:
        _CELL.pack_into(mapped, at, number, before_tx + tx, before_rx + rx)


def _described(path: Path, size: int) -> tuple[Any, ...]:
    if not path.exists() or path.stat().st_size != size:
        return b"", 0, b""
    with path.open("rb") as file:
        return _HEAD.unpack(file.read(_HEAD.size))[:3]


def _new_head(slots: int, now: int) -> bytes:
    a, b = (int.from_bytes(os.urandom(8), "little") | 1 for _ in range(2))
    return _HEAD.pack(MAGIC, slots, _CLOSED, a, b, now, bytes(8), 0, 0, 0)


def _create(path: Path, size: int, head: bytes) -> None:
    """A file of zeros with a head, in place at once; its space is taken from the disk now, because
    a mapped page that finds no room later ends the process.
    """
    fresh = path.with_name(path.name + ".new")
    try:
        with fresh.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)
            file.write(head)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise

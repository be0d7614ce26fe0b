"""Read a log in RocksDB: key ``frame:`` and the seq in 20 digits, value a record with its CRC.

To readers it is one segment that is never sealed; its offsets are seqs. A reader sees what the
kernel had when it opened the database, so it asks again for more.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TypeGuard

from rocksdict import AccessType, DBRecoveryMode, Options, Rdict

from gateway_assets.frames.frame import Frame
from gateway_assets.frames.quarantine import Damage
from gateway_assets.frames.record import take
from gateway_assets.frames.refusals import refused
from gateway_assets.frames.segment import Segment

PREFIX = b"frame:"
LAST_KEY = PREFIX + b"9" * 20
_WRITE_BUFFER = 8 * 2**20


def segments(path: Path) -> list[Segment]:
    """The one segment of a database; none as long as it has no frame."""
    try:
        with _reading(path) as database:
            for key in database.keys(from_key=PREFIX):
                return [Segment(path, seq_of(key), is_sealed=False)] if is_frame(key) else []
    except OSError as error:
        raise refused("read", path, error) from error
    return []


def read(
    segment: Segment, offset: int, damaged: Callable[[Damage], object]
) -> Iterator[tuple[Frame, int]]:
    """The frames whose seq is ``offset`` or more, as they are when the database is opened."""
    try:
        with _reading(segment.path) as database:
            for key, value in database.items(from_key=key_of(offset)):
                if not is_frame(key):
                    return
                seq = seq_of(key)
                frame = take(BytesIO(value), salt=0)
                if frame is None or frame.seq != seq:
                    reason = f"the value of {key.decode()} is no record of it"
                    damaged(Damage(segment, seq, seq + 1, value, reason))
                else:
                    yield frame, seq + 1
    except OSError as error:
        raise refused("read", segment.path, error) from error


def key_of(seq: int) -> bytes:
    return PREFIX + b"%020d" % seq


def seq_of(key: bytes) -> int:
    return int(key[len(PREFIX) :])


def is_frame(key: object) -> TypeGuard[bytes]:
    return (
        isinstance(key, bytes)
        and key.startswith(PREFIX)
        and len(key) == len(LAST_KEY)
        and key[len(PREFIX) :].isdigit()
    )


def options() -> Options:
    """The same for writers and readers. RocksDB's own recovery keeps all up to the first damage of
    its write-ahead log: https://github.com/facebook/rocksdb/wiki/WAL-Recovery-Modes
    """
    chosen = Options(raw_mode=True)  # otherwise rocksdict pickles values
    chosen.create_if_missing(True)
    chosen.set_write_buffer_size(_WRITE_BUFFER)
    chosen.set_keep_log_file_num(2)
    chosen.set_wal_recovery_mode(DBRecoveryMode.point_in_time())
    return chosen


@contextmanager
def as_os_error() -> Iterator[None]:
    """rocksdict raises plain exceptions, whose text alone says what happened."""
    try:
        yield
    except Exception as error:
        number = errno.ENOSPC if "No space left" in str(error) else errno.EIO
        raise OSError(number, str(error)) from error


@contextmanager
def _reading(path: Path) -> Iterator[Rdict]:
    """A view of the database as it is now; the writer, in any process, goes on."""
    with as_os_error():
        database = Rdict(str(path), options(), access_type=AccessType.read_only())
    try:
        yield database
    finally:
        database.close()

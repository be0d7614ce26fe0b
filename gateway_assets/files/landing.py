"""Landing files: one source's raw rows of one interval, immutable and self-checking.

    {"name": "ip_traffic-v1-…", "source": "ip_traffic", "version": 1, "host": …, "time": …}
    {"time": …, "end_time": …, "remote_ip": "192.0.2.7", "tx_bytes": 1500, …}      one line a row
    {"rows": 1, "sums": {"tx_bytes": 1500, …}, "crc32": "5d0a8c1e", "complete": true}

Lines are JSON in UTF-8, ended by a line feed (https://github.com/ndjson/ndjson-spec). The CRC-32
(zlib) covers every byte before the footer line. The file's name repeats the header's and is the
identity under which the loader remembers the file.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from gateway_assets import clock
from gateway_assets.errors import DamagedFile
from gateway_assets.files.appear import PARTIAL, PUBLIC, appearing, publish, target_of
from gateway_assets.model import misfit
from gateway_assets.source import Source

MAX_BYTES = 256 * 2**20
SUFFIXES = (".ndjson", ".ndjson.gz")
PRIVATE = 0o640  # the loader may be another user of the same group

Row = tuple[Any, ...]


class Origin(NamedTuple):
    """Who writes: names the writer uniquely, as long as one process holds the instance."""

    host: str
    instance: str
    boot: str


class Stamp(NamedTuple):
    """Which file of that writer: when its interval began and a running number."""

    origin: Origin
    time: int
    sequence: int


class Landed(NamedTuple):
    """What a landing file holds, as its footer says."""

    name: str
    path: Path
    rows: int
    sums: dict[str, int]
    crc32: str
    complete: bool
    size: int  # bytes on disk
    facts: dict[str, Any]  # what the writer says about itself, if anything


class LandingFile(NamedTuple):
    landed: Landed
    rows: list[Row]  # in the order of the source's columns


def plain(text: str) -> str:
    """A text as it may stand in a landing name: anything but letters, digits, . becomes _."""
    return re.sub(r"[^A-Za-z0-9.]", "_", text)[:64] or "_"


def landing_name(source: Source, stamp: Stamp) -> str:
    """The identity of a landing file; sorts by time within one writer."""
    host, instance, boot = (plain(part) for part in stamp.origin)
    moment = clock.compact(stamp.time)
    version = f"v{source.version}"
    number = f"{stamp.sequence:06d}"
    return "-".join((source.name, version, host, instance, boot[:8], moment, number))


def land(
    root: Path,
    source: Source,
    stamp: Stamp,
    rows: Iterable[Sequence[Any]],
    *,
    complete: bool = True,
    facts: dict[str, Any] | None = None,
) -> Landed:
    """Write rows (in the order of ``source.columns``) as one file below ``root``.

    ``facts`` about the writer go into the footer, as JSON.

    Raises FileExistsError when this interval of this writer has landed before, LandingError
    when the directory cannot be written.
    """
    name = landing_name(source, stamp)
    day = clock.day_text(clock.day_of(stamp.time)).replace("-", "/")
    path = root / source.name / day / f"{name}.ndjson"
    header = {
        "name": name,
        "source": source.name,
        "version": source.version,
        **stamp.origin._asdict(),
        "time": stamp.time,
        "sequence": stamp.sequence,
    }
    names = [column.name for column in source.columns]
    places = [names.index(column) for column in source.summed]
    totals = [0] * len(places)
    count = crc = size = 0
    with appearing(path, PRIVATE if source.is_private else PUBLIC) as file:
        for number, record in enumerate(_chain(header, names, rows)):
            line = _encode(record)
            file.write(line)
            crc = zlib.crc32(line, crc)
            size += len(line)
            if number:
                count += 1
                for index, place in enumerate(places):
                    totals[index] += record[names[place]] or 0
        sums = dict(zip(source.summed, totals, strict=True))
        crc32 = f"{crc:08x}"
        footer = {"rows": count, "sums": sums, "crc32": crc32, "complete": complete}
        size += file.write(_encode({**footer, "facts": facts} if facts else footer))
    return Landed(name, path, count, sums, crc32, complete, size, facts or {})


def read_landing(path: Path, source: Source) -> LandingFile:
    """Read and check a whole landing file.

    Raises DamagedFile with the reason when anything breaks the contract, FileNotFoundError when
    the file has gone.
    """
    content = _content(path)
    head, _, last = content.rstrip(b"\n").rpartition(b"\n")
    if not content.endswith(b"\n") or not head:
        raise DamagedFile("the file is cut: it does not end with a footer line")
    body = head + b"\n"
    footer = _decode(last, "footer")
    if not footer.keys() >= {"rows", "sums", "crc32", "complete"}:
        raise DamagedFile("the file is cut: its last line is not a footer")
    if footer["crc32"] != f"{zlib.crc32(body):08x}":
        raise DamagedFile(f"the content does not match its CRC-32 {footer['crc32']!r}")
    lines = body.splitlines()
    name = _check_header(_decode(lines[0], "header"), path, source)
    rows = list(_rows(lines[1:], source))
    sums = _sums(rows, source)
    if footer["rows"] != len(rows):
        raise DamagedFile(f"the footer counts {footer['rows']} rows, the file has {len(rows)}")
    if footer["sums"] != sums:
        raise DamagedFile(f"the footer's sums {footer['sums']} differ from the rows' {sums}")
    complete = footer["complete"] is True
    size = path.stat().st_size
    facts = footer.get("facts")
    known = facts if isinstance(facts, dict) else {}
    landed = Landed(name, path, len(rows), sums, footer["crc32"], complete, size, known)
    return LandingFile(landed, rows)


def salvage(root: Path, source: Source, origin: Origin) -> list[Landed]:
    """Seal what a killed writer of the same host and instance left behind, as incomplete files.

    Call it only while holding the instance's lock. Rows that are whole and valid are kept; what
    has no readable header appears as it is, so that the loader quarantines it. A partial file
    goes only after its rows have landed, so a salvage that was interrupted is done again.
    """
    sealed = []
    for partial in _partial_files(root, source, origin):
        lines = partial.read_bytes().split(b"\n")[:-1]
        try:
            landed = _seal(root, source, lines) if lines else None
        except DamagedFile:
            landed = None
            with suppress(FileExistsError):
                publish(partial, target_of(partial))
        if landed:
            sealed.append(landed)
        partial.unlink(missing_ok=True)
    return sealed


def discard(root: Path, source: Source, origin: Origin) -> None:
    """Remove what a killed writer of the same host and instance left behind, for one that can
    write it again. Call it only while holding the instance's lock.
    """
    for partial in _partial_files(root, source, origin):
        partial.unlink(missing_ok=True)


def _partial_files(root: Path, source: Source, origin: Origin) -> list[Path]:
    writer = f"{source.name}-v{source.version}-{plain(origin.host)}-{plain(origin.instance)}-"
    return sorted((root / source.name).glob(f"*/*/*/.{writer}*{PARTIAL}"))


def landing_files(root: Path, source: Source) -> Iterator[Path]:
    """Every landing file of a source, in the order of days and names."""
    for day in sorted((root / source.name).glob("*/*/*")):
        names: list[str] = []
        with suppress(OSError), os.scandir(day) as entries:  # gone meanwhile, or no directory
            names += (
                each.name
                for each in entries
                if each.name.endswith(SUFFIXES) and each.name[0] != "." and _is_file(each)
            )
        yield from (day / name for name in sorted(names))


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link to itself
        return False


def stem(path: Path) -> str:
    """The identity in a landing file's name; bytes that are not UTF-8 are shown escaped."""
    name = path.name.removesuffix(".gz").removesuffix(".ndjson")
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _chain(
    header: dict[str, Any], names: list[str], rows: Iterable[Sequence[Any]]
) -> Iterator[Any]:
    yield header
    for row in rows:
        yield dict(zip(names, row, strict=True))


_TO_JSON = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _encode(record: dict[str, Any]) -> bytes:
    return _TO_JSON.encode(record).encode() + b"\n"


def _content(path: Path) -> bytes:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DamagedFile(f"the file cannot be decompressed: {error}") from error
    if len(content) > MAX_BYTES:
        raise DamagedFile(f"the file is larger than {MAX_BYTES // 2**20} MiB")
    return content


def _decode(line: bytes, what: str) -> dict[str, Any]:
    try:
        record = _JSON.decode(line.decode())
    except (ValueError, RecursionError) as error:
        raise DamagedFile(f"the {what} is not JSON: {error}") from error
    if not isinstance(record, dict):
        raise DamagedFile(f"the {what} is not a JSON object")
    return record


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


_JSON = json.JSONDecoder(parse_constant=_refuse_constant)


def _check_header(header: dict[str, Any], path: Path, source: Source) -> str:
    if header.get("source") != source.name:
        raise DamagedFile(f"the header names source {header.get('source')!r}, not {source.name!r}")
    found = header.get("version")
    if type(found) is not int or not 1 <= found <= source.version:
        raise DamagedFile(
            f"schema version {found!r} is not version {source.version} of this release"
        )
    if header.get("name") != stem(path):
        raise DamagedFile(f"the file is named {stem(path)!r} but its header {header.get('name')!r}")
    return stem(path)


def _rows(lines: list[bytes], source: Source) -> Iterator[Row]:
    known = {column.name for column in source.columns}
    for number, line in enumerate(lines, start=2):
        record = _decode(line, f"row in line {number}")
        unknown = record.keys() - known
        if unknown:
            raise DamagedFile(f"line {number}: unknown column {min(unknown)!r}")
        row = tuple(record.get(column.name) for column in source.columns)
        for column, value in zip(source.columns, row, strict=True):
            reason = misfit(column, value)
            if reason:
                raise DamagedFile(f"line {number}: {reason}")
        yield row


def _sums(rows: list[Row], source: Source) -> dict[str, int]:
    names = [column.name for column in source.columns]
    return {name: sum(row[names.index(name)] or 0 for row in rows) for name in source.summed}


def _seal(root: Path, source: Source, lines: list[bytes]) -> Landed | None:
    """Land the valid rows; None when this file has landed before."""
    header = _decode(lines[0], "header")
    try:
        origin = Origin(header["host"], header["instance"], header["boot"])
        stamp = Stamp(origin, int(header["time"]), int(header["sequence"]))
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedFile(f"the header lacks {error}") from error
    rows: list[Row] = []
    for line in lines[1:]:
        try:
            rows.extend(_rows([line], source))
        except DamagedFile:
            break
    try:
        return land(root, source, stamp, rows, complete=False)
    except FileExistsError:
        return None

"""Replays of recordings through the command: deterministic, repeatable, honest about damage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway_assets.capture.cli import main
from gateway_assets.files.landing import landing_files, read_landing
from gateway_assets.sources.ip_traffic import SOURCE

CASES = Path(__file__).parents[1] / "cases" / "ip_traffic"
ROW = {"time": 1_800_000_000_000_000, "remote_ip": "192.0.2.7", "tx_bytes": 5, "rx_bytes": 7}


def replay(
    file: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> tuple[int, dict[str, Any], str]:
    arguments = ["--backend", "replay", "--file", str(file), "--data-dir", str(data)]
    code = main([*arguments, "--host", "h", "--json"])
    printed = capsys.readouterr()
    return code, json.loads(printed.out or "{}"), printed.err


def rows_of(data: Path) -> list[tuple[Any, ...]]:
    files = landing_files(data / "landing", SOURCE)
    return [row for file in files for row in read_landing(file, SOURCE).rows]


def expected_of(case: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((case / "expected.json").read_text())
    return found


TRANSCRIPTS = sorted(CASES.iterdir())
EMPTY = [case for case in TRANSCRIPTS if not expected_of(case)["blocks"]]
FULL = [case for case in TRANSCRIPTS if case not in EMPTY]


@pytest.mark.parametrize("case", EMPTY, ids=lambda case: case.name)
def test_a_transcript_without_a_block_is_an_error(
    case: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, summary, errors = replay(case / "input.txt", tmp_path, capsys)
    assert (code, summary) == (4, {})
    assert "holds no traffic" in errors
    assert rows_of(tmp_path) == []


@pytest.mark.parametrize("case", FULL, ids=lambda case: case.name)
def test_a_transcript_lands_once(
    case: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = expected_of(case)
    del expected["blocks"]
    code, first, _ = replay(case / "input.txt", tmp_path, capsys)
    assert code == 0
    assert {name: first[name] for name in expected} == expected
    rows = rows_of(tmp_path)
    assert len(rows) == first["rows"]
    assert sum(row[9] for row in rows) == expected["tx_bytes"]
    assert sum(row[10] for row in rows) == expected["rx_bytes"]
    code, again, _ = replay(case / "input.txt", tmp_path, capsys)
    assert code == 0
    assert (again["files"], again["already_landed"]) == (0, first["files"])
    assert {name: again[name] for name in expected} == expected
    assert rows_of(tmp_path) == rows


def test_blocks_are_two_seconds_apart_from_the_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    replay(CASES / "32_cumulative_reset_after_expiry" / "input.txt", tmp_path, capsys)
    names = [path.name for path in landing_files(tmp_path / "landing", SOURCE)]
    assert [name.split("-")[5] for name in names] == [
        "20260101T000000000000Z",
        "20260101T000030000000Z",
    ]
    assert {name.split("-")[3] for name in names} == {"replay"}


def test_recorded_rows_and_damage_among_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged: list[object] = [
        {**ROW, "tx_bytes": -1},
        {**ROW, "tx_bytes": 1.5},
        {**ROW, "tx_bytes": True},
        {**ROW, "rx_bytes": 2**63},
        {**ROW, "remote_ip": "example.org"},
        {**ROW, "time": "2026-01-01"},
        {**ROW, "time": 10**18},
        {**ROW, "process": 5},
        {**ROW, "layer": "tcp"},
        {**ROW, "layer": "osi"},
        [ROW],
        {},
    ]
    good: list[object] = [
        ROW,
        {**ROW, "process": "curl", "pid": 9, "remote_ip": "::ffff:192.0.2.7"},
    ]
    lines = [json.dumps(line) for line in good + damaged] + ["{", "", '{"time": NaN}', "[" * 99_999]
    file = tmp_path / "rows.ndjson"
    file.write_bytes("\n".join(lines).encode() + b'\n{"x": "\xff"}\n')
    code, summary, errors = replay(file, tmp_path, capsys)
    assert code == 0
    assert (summary["tx_bytes"], summary["rx_bytes"], summary["rows"]) == (10, 14, 2)
    assert summary["remotes"] == 1
    assert summary["parse_errors"] == len(damaged) + 4
    assert "line 3 is left out: tx_bytes is not an amount" in errors
    found = [(row[6], row[7], row[8]) for row in rows_of(tmp_path)]
    assert found == [("192.0.2.7", None, None), ("192.0.2.7", "curl", 9)]


def test_a_landing_file_can_be_replayed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "rows.ndjson"
    file.write_text(json.dumps({**ROW, "layer": "tcp"}) + "\n")
    replay(file, tmp_path / "one", capsys)
    [landed] = landing_files(tmp_path / "one" / "landing", SOURCE)
    code, summary, _ = replay(landed, tmp_path / "two", capsys)
    assert (code, summary["parse_errors"], summary["layer"]) == (0, 0, "tcp")
    assert rows_of(tmp_path / "two") == rows_of(tmp_path / "one")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "holds no traffic"),
        (b"Listening on lo\n", "holds no traffic"),
        (b'{"a": 1}\n', "holds no traffic"),
        (bytes(range(256)) * 9, "is not text"),
        (None, "No such file"),
        ("directory", "Is a directory"),
    ],
)
def test_what_is_no_recording_is_told_apart(
    content: bytes | str | None, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "input"
    if content == "directory":
        file.mkdir()
    elif isinstance(content, bytes):
        file.write_bytes(content)
    code, summary, errors = replay(file, tmp_path, capsys)
    assert (code, summary) == (4, {})
    assert "gateway-capture: error: " in errors
    assert words in errors
    assert "Traceback" not in errors
    assert list(landing_files(tmp_path / "landing", SOURCE)) == []

"""How the columns of an archived file are encoded: as what makes them small."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from gateway_assets.archive.parquet import read_batches, write_parquet
from gateway_assets.archive.rows import record_batch
from gateway_assets.model import Kind
from gateway_assets.tiers.fields import Field

ROWS = 5_000


def walk(seed: int) -> list[float]:
    rng, value, found = random.Random(seed), 50.0, []
    for _ in range(ROWS):
        value = min(100.0, max(0.0, value + rng.choice((-1.0, 0.0, 0.0, 1.0))))
        found.append(value)
    return found


def drawn(values: list[Any]) -> list[Any]:
    return random.Random(3).choices(values, k=ROWS)


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        (Kind.REAL, [random.Random(n).random() for n in range(ROWS)], "BYTE_STREAM_SPLIT"),
        (Kind.REAL, walk(1), "BYTE_STREAM_SPLIT"),
        (Kind.REAL, drawn([None, *(n / 7 for n in range(9))]), "RLE_DICTIONARY"),
        (Kind.INTEGER, [10**18 + 7 * n for n in range(ROWS)], "DELTA_BINARY_PACKED"),
        (Kind.INTEGER, list(map(int, walk(2))), "DELTA_BINARY_PACKED"),
        (Kind.INTEGER, drawn([None, *(10**15 * n * n for n in range(9))]), "RLE_DICTIONARY"),
    ],
    ids=["noise", "walk", "settings", "times", "small steps", "codes"],
)
def test_numbers(kind: Kind, values: list[Any], expected: str, tmp_path: Path) -> None:
    fields = (Field(1, "value", kind),)
    path = tmp_path / "rows.parquet"
    with path.open("wb") as file:
        write_parquet(file, [record_batch([(value,) for value in values], fields)], fields)
    (batch,) = read_batches(path, fields)
    assert batch["value"].to_pylist() == values
    assert expected in pq.read_metadata(path).row_group(0).column(0).encodings

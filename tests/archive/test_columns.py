"""Arrow arrays made by hand equal those that pyarrow makes, and hashes see only values."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_assets.archive.columns import arrow_array, numbers, texts, validity
from gateway_assets.archive.facts import ContentHash
from gateway_assets.model import INT64_MAX, INT64_MIN

integers = st.lists(st.none() | st.integers(INT64_MIN, INT64_MAX))
strings = st.lists(st.none() | st.text())


@given(integers)
def test_integers(values: list[int | None]) -> None:
    made = arrow_array(values, pa.int64())
    made.validate(full=True)
    assert made.equals(pa.array(values, pa.int64()))
    assert numbers(made).tolist() == [value or 0 for value in values]


@given(strings, st.integers(0, 5))
def test_texts_also_of_a_slice(values: list[str | None], start: int) -> None:
    made = arrow_array(values, pa.string())
    made.validate(full=True)
    assert made.equals(pa.array(values, pa.string()))
    rest = made[start:]
    assert validity(rest).tolist() == [value is not None for value in values[start:]]
    lengths, content = texts(rest)
    assert bytes(content).decode() == "".join(value or "" for value in values[start:])
    assert sum(lengths) == len(content)


def digest(batches: list[list[tuple[int | None, str | None]]]) -> str:
    schema = pa.schema([("number", pa.int64()), ("text", pa.string())])
    content = ContentHash(2)
    for rows in batches:
        columns: list[list[Any]] = [[row[place] for row in rows] for place in range(2)]
        arrays = [
            arrow_array(column, field.type) for column, field in zip(columns, schema, strict=True)
        ]
        content.update(arrays)
    return content.hexdigest()


ROWS: list[tuple[int | None, str | None]] = [(1, "a"), (None, "bc"), (0, None), (-1, ""), (2, "é")]


@pytest.mark.parametrize("cut", range(6))
def test_the_hash_does_not_depend_on_batches(cut: int) -> None:
    assert digest([ROWS[:cut], ROWS[cut:]]) == digest([ROWS])


@pytest.mark.parametrize(
    "other",
    [
        [(1, "a"), (0, "bc"), (0, None), (-1, ""), (2, "é")],
        [(1, "a"), (None, "bc"), (0, ""), (-1, None), (2, "é")],
        [(1, "ab"), (None, "c"), (0, None), (-1, ""), (2, "é")],
        [(1, "a"), (0, None), (None, "bc"), (-1, ""), (2, "é")],
        [(1, "a"), (None, "bc"), (0, None), (-1, "")],
    ],
)
def test_the_hash_tells_any_difference(other: list[tuple[int | None, str | None]]) -> None:
    assert digest([other]) != digest([ROWS])

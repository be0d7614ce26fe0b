"""What is landed fits, whatever was read."""

from __future__ import annotations

import pytest

from gateway_assets.collect.fitting import fitting
from gateway_assets.model import Column, Kind
from gateway_assets.source import Source

SOURCE = Source(
    name="made_up",
    version=1,
    about="",
    columns=(
        Column("time", Kind.TIME, ""),
        Column("amount", Kind.INTEGER, "", nullable=True, summed=True),
        Column("share", Kind.REAL, "", nullable=True),
        Column("name", Kind.TEXT, "", nullable=True),
    ),
)


@pytest.mark.parametrize(
    ("values", "wanted", "lines"),
    [
        ({"amount": 5, "share": 2, "name": "x"}, (1, 5, 2, "x"), 0),
        ({"amount": 5.0, "share": float("nan")}, (1, 5, None, None), 0),
        ({"amount": float("inf"), "share": float("-inf")}, (1, None, None, None), 0),
        ({"amount": True}, (1, 1, None, None), 0),
        ({"name": "\ud800x"}, (1, None, None, "?x"), 0),
        ({"amount": 2**48}, (1, None, None, None), 1),
        ({"amount": -1}, (1, None, None, None), 1),
        ({"share": "much"}, (1, None, None, None), 1),
    ],
)
def test_values(values: dict[str, object], wanted: tuple[object, ...], lines: int) -> None:
    said: list[str] = []
    assert fitting(SOURCE, {"time": 1, **values}, said) == wanted
    assert len(said) == lines


@pytest.mark.parametrize(
    ("unit", "wanted"), [("%", 12.35), ("ms", 12.3), ("s", 12.346), ("1/s", 12.346), ("", 12.3457)]
)
def test_no_more_decimals_than_are_known(unit: str, wanted: float) -> None:
    column = Column("share", Kind.REAL, "", unit, nullable=True)
    assert fitting(SOURCE._replace(columns=(column,)), {"share": 12.345678}, []) == (wanted,)


@pytest.mark.parametrize("values", [{}, {"time": None}, {"time": -1}])
def test_a_row_without_what_it_must_have_is_left_out_and_said(values: dict[str, object]) -> None:
    said: list[str] = []
    assert fitting(SOURCE, values, said) is None
    assert said
    assert said[0].startswith("made_up: time")

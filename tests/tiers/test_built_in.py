"""Lines that the project declares for databases of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway_assets.errors import ConfigError
from gateway_assets.settings import Settings
from gateway_assets.tables import TABLES
from gateway_assets.tiers.built_in import built_in_lines, existing
from gateway_assets.tiers.catalog import catalog
from gateway_assets.tiers.registry import TableLine
from tests.tiers.places import declare


def points(settings: Settings) -> TableLine:
    return TableLine.model_validate(
        {"name": "points", "database": settings.data_dir / "points.db", "about": "A value."}
    )


def names(settings: Settings) -> list[str]:
    return [declared.name for declared in catalog(settings, [points])]


def test_a_built_in_table_comes_with_its_database_and_before_those_of_users(
    settings: Settings,
) -> None:
    own = [table.name for table in TABLES]
    users = declare("first", priority=1)
    assert names(users) == [*own, "first"]
    users.data_dir.mkdir()
    (users.data_dir / "points.db").touch()
    assert names(users) == [*own, "points", "first"]
    declared = catalog(users, [points])[len(own)]
    assert (declared.own, declared.about) == (None, "A value.")
    assert declared.database == users.data_dir / "points.db"


def test_what_is_there_is_looked_at_anew(settings: Settings) -> None:
    lines = built_in_lines(settings, [points])
    assert existing(lines) == ()
    settings.data_dir.mkdir()
    (settings.data_dir / "points.db").touch()
    assert existing(lines) == lines


@pytest.mark.parametrize("name", ["points", "Points"])
def test_a_name_is_taken_before_its_database_is_there(settings: Settings, name: str) -> None:
    declare(name)
    with pytest.raises(ConfigError, match=f"'{name}' is one of this project's own"):
        names(settings)


def test_the_same_table_under_another_name(settings: Settings) -> None:
    declare("mine", path=Path("data/points.db"), table="points")
    with pytest.raises(ConfigError, match="tables 'points' and 'mine' are the same table"):
        names(settings)

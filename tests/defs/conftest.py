"""An instance of Dagster of its own for each test, and the definitions of its data directory."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

import gateway_assets
from gateway_assets.defs.build import build_defs
from gateway_assets.settings import Settings

INSTANCE = Path(gateway_assets.__file__).with_name("deploy") / "dagster.yaml"


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(INSTANCE, home / "dagster.yaml")
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with dg.DagsterInstance.get() as instance:
        yield instance


@pytest.fixture
def defs(settings: Settings) -> dg.Definitions:
    return quietly_built(settings)


def quietly_built(settings: Settings) -> dg.Definitions:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        return build_defs(settings)

"""Filled data directories, and a real PostgreSQL."""

from __future__ import annotations

import pytest

from gateway_assets.settings import Settings
from tests.backups.filled import fill
from tests.points.conftest import postgres_url

__all__ = ["postgres_url"]


@pytest.fixture
def filled(settings: Settings) -> Settings:
    fill(settings)
    return settings

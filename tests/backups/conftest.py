"""Filled data directories."""

from __future__ import annotations

import pytest

from gateway_assets.settings import Settings
from tests.backups.filled import fill


@pytest.fixture
def filled(settings: Settings) -> Settings:
    fill(settings)
    return settings

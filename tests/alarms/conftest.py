"""A plant whose registry is in each of the two databases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway_assets.registry.database import Registry
from gateway_assets.settings import Settings
from tests.alarms.plant import Plant, running_plant


@pytest.fixture
def plant(registry_settings: Settings, registry: Registry) -> Iterator[Plant]:
    # The points are of a fixed day, whatever day it is.
    settings = registry_settings.model_copy(update={"points_keep_days": 36_500})
    with running_plant(settings, registry) as made:
        yield made

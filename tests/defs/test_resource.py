"""Assets of somebody's own ask hot and archived rows as one table."""

from __future__ import annotations

import dagster as dg
import pyarrow as pa
import pytest

from gateway_assets import clock
from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.defs.resource import GatewayResource
from gateway_assets.hot.load import load
from gateway_assets.hot.store import open_store
from gateway_assets.settings import Settings
from gateway_assets.tables import IP_TRAFFIC
from tests.traffic import TODAY, land_days, roll_up

DAYS = range(TODAY - 10, TODAY + 1)


@pytest.fixture(autouse=True)
def _both_tiers(settings: Settings) -> None:
    with open_store(settings.hot_database) as store:
        land_days(settings.landing, DAYS)
        load(store, IP_TRAFFIC, settings)
        roll_up(store, settings)
        UniversalArchiver(settings).archive_table(IP_TRAFFIC)


def answered(asset: dg.AssetsDefinition, settings: Settings) -> pa.Table:
    gateway = GatewayResource(data_dir=str(settings.data_dir), tables=["ip_traffic"])
    done = dg.materialize([asset], resources={"gateway": gateway})
    return done.output_for_node(asset.node_def.name)


def test_an_asset_of_three_lines(settings: Settings) -> None:
    @dg.asset
    def rows_a_day(gateway: GatewayResource) -> pa.Table:
        return gateway.sql("SELECT time::DATE AS day, count(*) AS n FROM ip_traffic GROUP BY 1")

    found = answered(rows_a_day, settings).sort_by("day").to_pylist()
    assert [clock.parse_day(str(row["day"])) for row in found] == list(DAYS)


def test_a_connection_has_the_tables_as_views(settings: Settings) -> None:
    @dg.asset
    def both_tiers(gateway: GatewayResource) -> pa.Table:
        with gateway.get_connection() as connection:
            return connection.sql(
                "SELECT (SELECT count(*) FROM ip_traffic) AS n, "
                "(SELECT count(*) FROM ip_traffic_hot) AS hot, "
                "(SELECT count(*) FROM ip_traffic_cold) AS cold"
            ).to_arrow_table()

    (row,) = answered(both_tiers, settings).to_pylist()
    assert row["hot"] > 0
    assert row["cold"] > 0
    assert row["n"] == row["hot"] + row["cold"] == 120 * len(DAYS)

"""Alarms in Dagster: evaluated, checked, measured."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from gateway_assets.alarms.run import held_engine
from gateway_assets.defs.alarms import ALARMS, EVALUATE, KPIS, LIMITS, MEASURE, RULES, URGENT
from gateway_assets.points.load import Loader
from gateway_assets.points.schema import open_points
from gateway_assets.points.spool import spool
from gateway_assets.registry.alerts import AlertRule
from gateway_assets.registry.database import Registry
from gateway_assets.registry.opened import opened_registry
from gateway_assets.registry.words import AlertLevel, CompareOp
from gateway_assets.settings import Settings
from tests.defs.conftest import quietly_built


def rule(registry: Registry, name: str, since: datetime, **given: object) -> None:
    fields = {"op": CompareOp.GT, "threshold_value": 80.0, "fleet": True, "metric": "temperature"}
    with registry.writing() as session:
        session.add(AlertRule(name=name, activated_at=since, **{**fields, **given}))


@pytest.fixture
def hot(settings: Settings) -> Settings:
    """A device that has been too hot for an hour."""
    since = datetime.now(UTC) - timedelta(hours=1)
    with opened_registry(settings) as registry:
        rule(registry, "hot", since, level=AlertLevel.CRITICAL)
    at = int(since.timestamp()) * 10**9 + 10**9
    lines = "".join(
        f"device_data,device_id=plc-1,tag_name=temperature value={value} {at + number}\n"
        for number, value in enumerate((70, 90, 91))
    )
    spool(settings, io.BytesIO(lines.encode()), "ns")
    with open_points(settings.points_database) as connection:
        Loader(connection, settings).load()
    return settings


def made(settings: Settings, asset: str) -> dg.ExecuteInProcessResult:
    job = {ALARMS: EVALUATE, KPIS: MEASURE}[asset]
    return quietly_built(settings).resolve_job_def(job).execute_in_process()


def checks(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {one.check_name: one.passed for one in result.get_asset_check_evaluations()}


def test_what_stands_in_alarm(hot: Settings) -> None:
    result = made(hot, ALARMS)
    metadata = result.asset_materializations_for_node(ALARMS)[0].metadata
    assert metadata["samples"].value == 3
    assert metadata["standing"].value == 1
    assert "hot: plc-1 temperature is 90, above 80" in str(metadata["alarms"].value)
    assert checks(result) == {RULES: True, URGENT: False}


def test_a_wrong_rule_is_told(hot: Settings) -> None:
    with opened_registry(hot) as registry:
        none = {"op": None, "threshold_value": None, "condition_expression": "value +"}
        rule(registry, "odd", datetime.now(UTC), **none)
    result = made(hot, ALARMS)
    assert not checks(result)[RULES]
    assert "odd" in str(result.get_asset_check_evaluations()[0].metadata)


def test_an_engine_at_work_is_left_alone(hot: Settings) -> None:
    with held_engine(hot):
        result = made(hot, ALARMS)
    metadata = result.asset_materializations_for_node(ALARMS)[0].metadata
    assert "samples" not in metadata
    assert metadata["standing"].value == 0


def test_figures_beside_their_limits(hot: Settings) -> None:
    made(hot, ALARMS)
    result = made(hot, KPIS)
    metadata = result.asset_materializations_for_node(KPIS)[0].metadata
    assert metadata["activations"].value == 1
    assert metadata["chattering"].value == 0
    assert checks(result) == {LIMITS: True}


def test_too_many_alarms_are_told(hot: Settings) -> None:
    at = int((datetime.now(UTC) - timedelta(minutes=50)).timestamp()) * 10**9
    lines = "".join(
        f"device_data,device_id=plc-{number},tag_name=temperature value=99 {at + number}\n"
        for number in range(12)
    )
    spool(hot, io.BytesIO(lines.encode()), "ns")
    with open_points(hot.points_database) as connection:
        Loader(connection, hot).load()
    made(hot, ALARMS)
    result = made(hot, KPIS)
    assert checks(result) == {LIMITS: False}
    assert "peak_rate" in str(result.get_asset_check_evaluations()[0].metadata)


def test_a_host_without_a_registry_has_no_such_assets(settings: Settings) -> None:
    with open_points(settings.points_database):
        pass
    names = {key.to_user_string() for key in quietly_built(settings).resolve_all_asset_keys()}
    assert not names & {ALARMS, KPIS}

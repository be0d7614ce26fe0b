"""Settings: where each comes from, and what a wrong one is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway_assets.errors import ConfigError
from gateway_assets.settings import Settings, described, load_settings


def origins() -> dict[str, str]:
    return {row.name: row.origin for row in described(load_settings())}


def test_every_setting_has_a_sentence() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description and field.description.endswith("."), name


def test_environment_beats_dotenv_beats_toml(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "gateway.toml").write_text("dagster_port = 3001\nload_every_seconds = 11\n")
    assert load_settings().dagster_port == 3001
    assert origins()["dagster_port"] == "gateway.toml"
    (tmp_path / ".env").write_text("GATEWAY_DAGSTER_PORT=3002\n")
    assert load_settings().dagster_port == 3002
    assert origins()["dagster_port"] == ".env GATEWAY_DAGSTER_PORT"
    monkeypatch.setenv("GATEWAY_DAGSTER_PORT", "3003")
    assert load_settings().dagster_port == 3003
    assert origins()["dagster_port"] == "environment GATEWAY_DAGSTER_PORT"
    assert origins()["load_every_seconds"] == "gateway.toml"
    assert origins()["archive_cron"] == "default"


def test_older_names_still_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AUTO_ARCHIVE_ENABLED", "false")
    monkeypatch.setenv("DUCKDB_MEMORY_LIMIT", "2GB")
    (tmp_path / ".env").write_text("ARCHIVE_BATCH_SIZE=500\n")
    settings = load_settings()
    assert not settings.archive_enabled
    assert (settings.query_memory_limit, settings.archive_batch_size) == ("2GB", 500)
    assert origins()["archive_enabled"] == "environment AUTO_ARCHIVE_ENABLED"
    assert origins()["archive_batch_size"] == ".env ARCHIVE_BATCH_SIZE"


def test_every_path_lies_below_the_data_directory(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path / "x")
    paths = (settings.landing, settings.quarantine, settings.hot_database, settings.archive)
    assert all(path.is_relative_to(tmp_path / "x") for path in (*paths, settings.dagster_home))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("GATEWAY_DAGSTER_PORT", "http", ["dagster_port", "'http'", "integer"]),
        ("GATEWAY_DAGSTER_PORT", "0", ["dagster_port", "'0'", "greater than or equal to 1"]),
        ("GATEWAY_CAPTURE_BACKEND", "magic", ["capture_backend", "'magic'", "sockdiag"]),
        ("GATEWAY_HOT_DAYS", '{"ip_traffic": -1}', ["hot_days.ip_traffic", "-1"]),
        ("GATEWAY_HOT_DAYS", "three", ["hot_days", "JSON"]),
        ("GATEWAY_FIRST_DAY", "yesterday", ["first_day", "'yesterday'", "date"]),
        ("GATEWAY_ARCHIVE_CRON", "often", ["archive_cron", "'often'", "cron"]),
        ("DUCKDB_MEMORY_LIMIT", "lots", ["query_memory_limit", "'lots'", "DUCKDB_MEMORY_LIMIT"]),
    ],
)
def test_a_wrong_value_is_named_with_rule_and_origin(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: list[str]
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as wrong:
        load_settings()
    for word in words:
        assert word in str(wrong.value)
    if name != "GATEWAY_HOT_DAYS":
        assert f"environment {name}" in str(wrong.value)


def test_unknown_and_unreadable_toml(tmp_path: Path) -> None:
    (tmp_path / "gateway.toml").write_text("dagster_prt = 1\n")
    with pytest.raises(ConfigError, match="no setting 'dagster_prt'"):
        load_settings()
    (tmp_path / "gateway.toml").write_text("= broken")
    with pytest.raises(ConfigError, match=r"gateway\.toml cannot be read"):
        load_settings()

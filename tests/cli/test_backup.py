"""``gateway backup`` and ``gateway restore``, as scripts and people use them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway_assets.settings import Settings
from tests.backups.filled import declare_user_table, fill
from tests.cli.test_cli import Done

ROOT = Path(__file__).parents[2]
RUN = [sys.executable, "-c", "from gateway_assets.cli.main import main; main()"]


def gateway(*arguments: str) -> Done:
    done = subprocess.run(
        [*RUN, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    return Done(done.returncode, done.stdout, done.stderr)


def test_the_way_of_a_backup(settings: Settings, tmp_path: Path) -> None:
    fill(settings)
    declare_user_table(settings, tmp_path / "bot.db", 3)
    planned = json.loads(gateway("backup", "--dry-run", "--json").out)
    assert {row["part"] for row in planned} >= {"data/hot.db", "data/points.db"}
    assert not list(settings.backups.glob("*/backup.json"))
    made = json.loads(gateway("backup", "--json").out)
    name = Path(made["path"]).name
    (row,) = json.loads(gateway("backup", "--list", "--json").out)
    assert (row["backup"], row["proven"], row["parts"]) == (name, "never", len(made["parts"]))
    checked = gateway("restore", "--check")
    assert checked.code == 0
    assert f"{name} is good: {len(made['parts'])} parts, 3 databases" in checked.out
    (row,) = json.loads(gateway("backup", "--list", "--json").out)
    assert row["proven"].startswith("20")
    target = tmp_path / "restored"
    restored = gateway("restore", name, "--to", str(target))
    assert restored.code == 0
    assert f"export GATEWAY_DATA_DIR={target}" in restored.out
    assert f"{tmp_path / 'bot.db'} is {target}/elsewhere/" in restored.out
    query = ("query", "SELECT count(*) AS n, sum(tx_bytes) AS sent FROM ip_traffic")
    assert gateway("--data-dir", str(target), *query).out == gateway(*query).out != ""
    again = gateway("restore", name, "--to", str(target))
    assert (again.code, again.err.splitlines()[0]) == (
        13,
        f"gateway: error: {target} is not empty",
    )


def test_before_there_is_anything(settings: Settings) -> None:
    assert gateway("backup", "--list").code == 0
    made = json.loads(gateway("backup", "--json").out)
    assert [part["path"] for part in made["parts"]] == ["archive.jsonl"]
    assert gateway("restore", "--check").code == 0


def test_a_damaged_one_is_listed_as_such(settings: Settings) -> None:
    made = Path(json.loads(gateway("backup", "--json").out)["path"])
    (made / "backup.json").write_text("{")
    listed = gateway("backup", "--list")
    assert listed.code == 0
    assert f"{made.name}" in listed.out
    assert "backup.json is damaged" in listed.out


def test_archived_files_that_are_gone_end_in_an_error(settings: Settings, tmp_path: Path) -> None:
    fill(settings)
    made = json.loads(gateway("backup", "--json").out)
    gone = min(settings.archive.rglob("*.parquet"))
    gone.unlink()
    restored = gateway("restore", made["path"], "--to", str(tmp_path / "restored"))
    assert restored.code == 13
    assert f"archived files are missing: {gone} is missing" in restored.err
    assert (tmp_path / "restored" / "hot.db").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["restore"], 2, "say what is to be restored"),
        (["restore", "--check"], 13, "there is no backup in"),
        (["restore", "nowhere", "--check"], 13, "nowhere is no backup"),
        (["restore", "--check", "--to", "x"], 2, "--check restores to a directory of its own"),
        (["restore", "--to", "x"], 13, "there is no backup in"),
        (["backup", "--archive", "zip"], 2, "'zip' is not one of"),
    ],
    ids=["nothing", "none", "nowhere", "both", "unnamed", "mode"],
)
def test_arguments_that_cannot_be_used(
    arguments: list[str], code: int, said: str, settings: Settings
) -> None:
    done = gateway(*arguments)
    assert done.code == code
    assert said in done.err


def test_the_url_of_the_registry_is_never_shown(settings: Settings, tmp_path: Path) -> None:
    url = f"postgresql+psycopg://me:sesame77@/registry?host={tmp_path}"
    (tmp_path / ".env").write_text(f"GATEWAY_REGISTRY_URL={url}\n")
    for command in (["config"], ["backup"], ["backup", "--dry-run"]):
        done = gateway(*command)
        assert "sesame77" not in done.out + done.err
    assert gateway("backup").code == 13

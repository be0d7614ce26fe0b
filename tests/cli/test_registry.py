"""``gateway registry``, ``devices``, ``tags``, ``rules`` and ``channels`` as people use them."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select

from gateway_assets.registry.database import Registry
from gateway_assets.registry.users import AuditLog
from gateway_assets.settings import Settings
from tests.cli.test_cli import Gateway, refused
from tests.cli.test_cli import gateway as gateway  # noqa: PLC0414  the fixture


@pytest.fixture
def plant(gateway: Gateway, registry_settings: Settings) -> Gateway:
    assert gateway("registry", "upgrade").code == 0
    assert gateway("registry", "seed-demo").code == 0
    return gateway


def test_the_way_of_a_registry(gateway: Gateway, registry_settings: Settings) -> None:
    before = json.loads(gateway("registry", "status", "--json").out)
    assert (before["revision"], bool(before["missing"]), before["rows"]) == ("", True, {})
    assert not registry_settings.registry_database.exists()
    if registry_settings.registry_url:
        refused(gateway("devices", "list"), 12, "is not there yet", "gateway registry upgrade")
        assert "(run: gateway registry upgrade)" in gateway("registry", "status").out
    done = json.loads(gateway("registry", "upgrade", "--json").out)
    assert done["applied"][0] == "0001"
    assert "nothing to do" in gateway("registry", "upgrade").out
    after = json.loads(gateway("registry", "status", "--json").out)
    assert (after["revision"], after["missing"]) == (done["revision"], [])
    assert after["rows"]["devices"] == 0
    assert after["size"] > 0


def test_what_was_refused_is_in_the_audit(plant: Gateway, registry_settings: Settings) -> None:
    again = ("devices", "add", "Demo-PLC", "--protocol", "Mqtt", "--endpoint", "mqtt://me:hush@h")
    refused(plant(*again), 12, "there is a device 'demo-plc' already", "take another name")
    registry = Registry(registry_settings)
    with registry.reading() as session:
        (one,) = session.scalars(select(AuditLog).where(AuditLog.success.is_(False)))
    registry.close()
    assert (one.action, one.error_message) == (
        "devices.add",
        "there is a device 'demo-plc' already",
    )


def test_a_device_in_maintenance(plant: Gateway) -> None:
    assert plant("devices", "status", "demo-plc", "Maintenance").out == (
        "device demo-plc is Maintenance\n"
    )
    assert "already" in plant("devices", "status", "demo-plc", "Maintenance").out
    found = json.loads(plant("devices", "list", "--status", "Maintenance", "--json").out)
    assert [one["name"] for one in found] == ["demo-plc"]


def test_devices(plant: Gateway) -> None:
    added = plant(
        "devices", "add", "plc-1", "--protocol", "ModbusTcp", "--endpoint", "tcp://a:502",
        "--config", '{"unit_id": 1, "password": "hush"}', "--json",
    )  # fmt: skip
    assert json.loads(added.out)["config"] == {"unit_id": 1, "password": "(hidden)"}
    assert "hush" not in plant("devices", "show", "PLC-1").out
    edited = plant("devices", "edit", "plc-1", "--location", "hall 3", "--no-enabled")
    assert edited.out == (
        "device plc-1: location: nothing → hall 3\ndevice plc-1: enabled: true → false\n"
    )
    assert "is that already" in plant("devices", "edit", "plc-1", "--location", "hall 3").out
    assert json.loads(plant("devices", "edit", "plc-1", "--location", "", "--json").out) == {
        "name": "plc-1",
        "fields": {"location": ["hall 3", None]},
    }
    found = json.loads(plant("devices", "list", "--no-enabled", "--json").out)
    assert [one["name"] for one in found] == ["plc-1"]
    gone = plant("devices", "delete", "demo-plc")
    assert "tags deleted with it: motor_temperature, " in gone.out
    assert "rules disabled: demo motor hot, " in gone.out
    assert "demo-plc" in plant("devices", "list", "--deleted").out
    assert json.loads(plant("devices", "restore", "demo-plc", "--json").out)["tags"]
    assert plant("devices", "list", "--location", "nowhere").err == "no devices\n"


def test_tags(plant: Gateway) -> None:
    fields = ["--address", "1", "--data-type", "Float", "--scaling", "-0.5", "--scan-rate", "10"]
    assert plant("tags", "add", "demo-plc", "t", *fields).out == "tag demo-plc/t added\n"
    shown = json.loads(plant("tags", "show", "DEMO-PLC", "T", "--json").out)
    assert (shown["scaling"], shown["scan_rate"], shown["enabled"]) == (-0.5, 10, True)
    assert (
        "scan_rate: 10 → nothing" in plant("tags", "edit", "demo-plc", "t", "--scan-rate", "").out
    )
    assert len(plant("tags", "list", "--device", "demo-plc").out.splitlines()) == 8
    assert plant("tags", "delete", "demo-plc", "t").out == "tag t deleted\n"
    refused(plant("tags", "show", "demo-plc", "tank_levl"), 12, "no tag", "'tank_level'")


def test_rules(plant: Gateway) -> None:
    assert plant("channels", "add", "ops", "--type", "log").code == 0
    fields = ["--device", "demo-plc", "--tag", "tank_level", "--op", "GT", "--channel", "ops"]
    spans = ["--eval-duration", "90s", "--off-delay", "2h", "--threshold-value", "5"]
    added = plant("rules", "add", "r", *fields, *spans, "--json")
    row = json.loads(added.out)
    assert (row["eval_duration"], row["off_delay"], row["channels"]) == (90_000, 7_200_000, ["ops"])
    edited = plant("rules", "edit", "r", "--eval-duration", "5m", "--channel", "").out
    assert edited == 'rule r: eval_duration: 90s → 5m\nrule r: channels: ["ops"] → nothing\n'
    assert "is enabled already" in plant("rules", "enable", "r").out
    assert plant("rules", "disable", "r", "demo motor hot").out.count("disabled") == 2
    found = json.loads(plant("rules", "list", "--no-enabled", "--json").out)
    assert {one["name"]: one["version"] for one in found} == {"demo motor hot": 1, "r": 2}
    assert "GT 5 " in plant("rules", "list").out
    assert plant("rules", "delete", "r").out == "rule r deleted\n"
    assert plant("channels", "delete", "ops").out == "channel ops deleted\n"


WRONG = {
    "unknown device": (["devices", "show", "demo-plk"], 12, "did you mean 'demo-plc'?"),
    "taken": (["rules", "edit", "demo motor hot", "--name", "Demo Steam Hot"], 12, "already"),
    "a word for a number": (
        ["tags", "edit", "demo-plc", "tank_level", "--scaling", "x"], 2, "number",
    ),
    "a duration": (["rules", "edit", "demo motor hot", "--off-delay", "1y"], 12, "500ms, 30s"),
    "no json": (["devices", "edit", "demo-plc", "--config", "{"], 2, "no JSON"),
    "json of another kind": (["devices", "edit", "demo-plc", "--config", "[]"], 12, "config"),
    "nothing to look at": (["rules", "add", "x", "--op", "GT"], 12, "it looks at nothing"),
    "required": (["devices", "add", "x"], 2, "--protocol"),
    "no file": (["registry", "import", "nowhere.yaml"], 12, "cannot be read"),
    "csv without a place": (["registry", "export", "--format", "csv"], 2, "--to plant/"),
    "others": (["registry", "seed-demo"], 12, "--force"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_what_is_refused(plant: Gateway, what: str) -> None:
    arguments, code, told = WRONG[what]
    other = ["--protocol", "Mqtt", "--endpoint", "x"]
    assert plant("devices", "add", "other", *other).code == 0
    before = plant("registry", "export").out
    done = plant(*arguments)
    assert (done.code, told in done.err) == (code, True), done
    assert plant("registry", "export").out == before


def test_import_and_export(plant: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "plant.yaml"
    assert plant("registry", "export", "--to", str(file)).code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    refused(plant("registry", "export", "--to", str(file)), 2, "exists already", "remove it")
    assert file.read_text("utf-8") == plant("registry", "export").out
    assert "26 as they are" in plant("registry", "import", str(file), "--prune").out
    file.write_text(file.read_text("utf-8").replace("eval_duration: 1m", "eval_duration: 2m", 1))
    shown = plant("registry", "import", str(file), "--dry-run")
    assert "eval_duration: 1m → 2m" in shown.out
    would = json.loads(plant("registry", "import", str(file), "--dry-run", "--json").out)
    assert (would["counts"]["change"], would["done"]) == (1, False)
    assert plant("registry", "import", str(file)).out.endswith("done\n")
    assert not json.loads(plant("registry", "import", str(file), "--json").out)["done"]
    folder = tmp_path / "tables"
    assert plant("registry", "export", "--format", "csv", "--to", str(folder)).code == 0
    files = [str(folder / name) for name in ("devices.csv", "tags.csv")]
    assert "18 as they are" in plant("registry", "import", *files, "--prune").out
    (folder / "devices.csv").write_text("name,protocol,endpoint\nx,Mqtt,e\n")
    done = plant("registry", "import", str(folder / "devices.csv"), "--prune")
    assert "1 to add, 8 to change, 3 to delete" in done.out  # eight rules look at nothing now


def test_nothing_else_waits_for_the_library_of_databases() -> None:
    code = (
        "import sys; sys.argv = ['gateway', '--help']\n"
        "from gateway_assets.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "sys.exit('sqlalchemy' in sys.modules or 'alembic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, "registry" in done.stdout) == (0, True)

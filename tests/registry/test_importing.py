"""A document against a registry: what would change, exactly that is done, and back again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from gateway_assets.errors import RegistryError
from gateway_assets.registry.audit import Actor
from gateway_assets.registry.change_channels import list_channels
from gateway_assets.registry.change_devices import (
    add_device,
    delete_device,
    edit_device,
    find_device,
    list_devices,
)
from gateway_assets.registry.change_rules import find_rule, list_rules
from gateway_assets.registry.change_tags import edit_tag, list_tags
from gateway_assets.registry.database import Registry
from gateway_assets.registry.demo import plant, seed_demo
from gateway_assets.registry.document import Document, parsed
from gateway_assets.registry.exporting import export_csv, export_yaml
from gateway_assets.registry.importing import Action, Change, apply, plan
from gateway_assets.registry.opened import opened_registry
from gateway_assets.registry.users import AuditLog
from gateway_assets.registry.words import AlertLevel, ChannelType, NoData, Protocol, TagType
from gateway_assets.settings import Settings, load_settings
from tests.registry.test_changes import device
from tests.registry.test_document import VALUES

ANN = Actor("ann")

PLANT = """
devices:
- name: plc
  protocol: ModbusTcp
  endpoint: tcp://10.0.0.9:502
  tags:
  - {name: level, address: '40001', data_type: UInt16, scaling: 0.1}
  - {name: flow, address: '40002', data_type: UInt16}
- {name: roof, protocol: Mqtt, endpoint: mqtt://10.0.0.8, tags: []}
rules:
- {name: full, device: plc, tag: level, op: GT, threshold_value: 90, eval_duration: 60s,
   channels: [ops]}
- {name: fast, device: plc, tag: flow, condition_expression: value > 3}
channels:
- {name: ops, type: log}
"""


def imported(registry: Registry, content: str, *, prune: bool = False) -> list[Change]:
    document = parsed(content, "x.yaml")
    changes = plan(registry, document, prune=prune)
    apply(registry, ANN, document, changes, prune=prune)
    return [one for one in changes if one.action is not Action.KEEP]


def short(changes: list[Change]) -> set[tuple[str, str, str]]:
    return {(str(one.action), one.kind, one.name) for one in changes}


@pytest.fixture
def filled(registry: Registry) -> Registry:
    imported(registry, PLANT)
    return registry


def test_what_is_new_is_added_and_then_nothing(registry: Registry) -> None:
    added = short(imported(registry, PLANT))
    assert added == {
        ("add", "device", "plc"),
        ("add", "device", "roof"),
        ("add", "tag", "level"),
        ("add", "tag", "flow"),
        ("add", "rule", "full"),
        ("add", "rule", "fast"),
        ("add", "channel", "ops"),
    }
    assert imported(registry, PLANT, prune=True) == []
    with registry.reading() as session:
        rows = session.scalars(select(AuditLog).order_by(AuditLog.id)).all()
        assert [row.action for row in rows].count("registry.import") == 1
        assert len(rows) == 8
        assert {row.username for row in rows} == {"ann"}


def test_a_plan_says_old_and_new_and_writes_nothing(filled: Registry) -> None:
    changed = PLANT.replace("scaling: 0.1", "scaling: 0.2").replace("60s", "2m")
    before = export_yaml(filled)
    changes = [one for one in plan(filled, parsed(changed, "x.yaml")) if one.fields]
    assert export_yaml(filled) == before
    assert changes == [
        Change("tag", "level", Action.CHANGE, {"scaling": (0.1, 0.2)}, "plc"),
        Change("rule", "full", Action.CHANGE, {"eval_duration": (60_000, 120_000)}),
    ]
    imported(filled, changed)
    with filled.reading() as session:
        assert find_rule(session, "full").version == 2
        assert find_rule(session, "fast").version == 1


def test_what_a_file_does_not_have_stays_without_prune(filled: Registry) -> None:
    small = "devices: [{name: plc, protocol: ModbusTcp, endpoint: 'tcp://10.0.0.9:502', tags: []}]"
    assert imported(filled, small) == []
    assert short(imported(filled, small, prune=True)) == {
        ("delete", "device", "roof"),
        ("delete", "tag", "level"),
        ("delete", "tag", "flow"),
        ("change", "rule", "full"),  # disabled: what it looks at goes; rules are not spoken of
        ("change", "rule", "fast"),
    }
    with filled.reading() as session:
        assert [one.name for one in list_devices(session)] == ["plc"]
        assert list_tags(session) == []
        assert [one.enabled for one in list_rules(session)] == [False, False]
        assert [one.name for one in list_channels(session)] == ["ops"]


def test_prune_leaves_alone_what_is_not_spoken_of(filled: Registry) -> None:
    assert imported(filled, "tags: [{device: PLC, name: Level, address: x, data_type: Float}]")
    assert short(imported(filled, "channels: [{name: ops, type: log}]", prune=True)) == set()
    one = "tags: [{device: plc, name: level, address: x, data_type: Float}]"
    assert short(imported(filled, one, prune=True)) == {
        ("change", "tag", "level"),
        ("delete", "tag", "flow"),
        ("change", "rule", "fast"),
    }


def test_everything_that_is_not_spoken_of_may_go_at_once(filled: Registry) -> None:
    nothing = "{devices: [], rules: [], channels: []}"
    assert {str(one.action) for one in imported(filled, nothing, prune=True)} == {"delete"}
    found = export_yaml(filled).texts["registry.yaml"]
    assert found == "devices: []\nrules: []\nchannels: []\n"


LOST = {
    "rules: [{name: r, device: plc, tag: levle, op: GT, threshold_value: 1}]": "mean 'level'",
    "rules: [{name: r, device: plcc, op: GT, threshold_value: 1}]": "mean 'plc'",
    "rules: [{name: r, device: plc, op: GT, threshold_value: 1, channels: [opa]}]": "mean 'ops'",
    "tags: [{device: rof, name: t, address: a, data_type: Float}]": "mean 'roof'",
    "channels: []": "rule full: it tells the channel ops, which would go",
    "{devices: [], rules: [{name: r, device: plc, op: GT, threshold_value: 1}]}": "no device",
    "{devices: [], tags: [{device: plc, name: t, address: a, data_type: Float}]}": "no device",
}


@pytest.mark.parametrize("number", range(len(LOST)))
def test_names_that_would_lead_nowhere(filled: Registry, number: int) -> None:
    content, told = list(LOST.items())[number]
    with pytest.raises(RegistryError) as raised:
        plan(filled, parsed(content, "x.yaml"), prune=True)
    assert told in raised.value.message


def test_nothing_is_done_when_the_registry_has_changed_since(filled: Registry) -> None:
    document = parsed(PLANT.replace("0.1", "0.2"), "x.yaml")
    planned = plan(filled, document)
    with filled.writing() as session:
        edit_tag(session, ANN, "plc", "level", scaling=0.3)
    with pytest.raises(RegistryError, match="changed since"):
        apply(filled, ANN, document, planned)
    with filled.reading() as session:
        assert {tag.scaling for _, tag in list_tags(session)} == {0.3, 1.0}


def test_an_import_that_fails_leaves_nothing(filled: Registry) -> None:
    before = export_yaml(filled)
    document = parsed(PLANT.replace("name: fast", "name: last").replace("0.1", "0.2"), "x.yaml")
    planned = plan(filled, document)
    with filled.writing() as session:
        session.execute(text(_REFUSING[filled.is_postgres]))
    with pytest.raises(RegistryError, match="not today"):
        apply(filled, ANN, document, planned)
    assert export_yaml(filled) == before


_REFUSING = {
    False: "CREATE TRIGGER refuse BEFORE INSERT ON alert_rules"
    " BEGIN SELECT raise(ABORT, 'not today'); END",
    True: "CREATE FUNCTION refuse() RETURNS trigger AS 'BEGIN RAISE EXCEPTION ''not today''; END'"
    " LANGUAGE plpgsql; CREATE TRIGGER refuse BEFORE INSERT ON alert_rules"
    " FOR EACH ROW EXECUTE FUNCTION refuse()",
}


def test_a_rule_of_a_deleted_device_is_left_out_and_found_again(filled: Registry) -> None:
    with filled.writing() as session:
        delete_device(session, ANN, "plc")
    exported = export_yaml(filled)
    assert exported.left_out == ("fast", "full")
    assert imported(filled, exported.texts["registry.yaml"]) == []
    assert ("change", "rule", "full") in short(imported(filled, PLANT))
    with filled.reading() as session:
        plc = find_device(session, "plc")
        assert find_rule(session, "full").device_id == plc.id
        assert find_rule(session, "full").enabled
    assert imported(filled, PLANT, prune=True) == []


def test_rows_that_no_file_may_have_are_named(filled: Registry) -> None:
    with filled.writing() as session:
        session.execute(text("UPDATE devices SET endpoint = ' x' WHERE name = 'plc'"))
    with pytest.raises(RegistryError, match="device 'plc' is none that a file may have: endpoint"):
        export_yaml(filled)


def test_the_demo(registry: Registry) -> None:
    assert {str(one.action) for one in seed_demo(registry, ANN)} == {"add"}
    assert {str(one.action) for one in seed_demo(registry, ANN)} == {"keep"}
    with registry.writing() as session:
        edit_device(session, ANN, "demo-plc", location="elsewhere")
        for one in list_devices(session):
            assert (one.description or "").startswith("Demo")
    assert [one.name for one in seed_demo(registry, ANN) if one.fields] == ["demo-plc"]
    with registry.writing() as session:
        add_device(session, ANN, device())
    with pytest.raises(RegistryError, match="other devices: PLC-1"):
        seed_demo(registry, ANN)
    assert seed_demo(registry, ANN, force=True)
    document = plant()
    assert (len(document.devices or []), len(document.rules or [])) == (3, 8)


CHARACTERS = st.characters(exclude_categories=["Cs", "Cc", "Lu", "Lt"]) | st.sampled_from("AZaz")
LINES = st.text(CHARACTERS, min_size=1, max_size=12).map(str.strip).filter(bool)
TEXTS = st.none() | st.text(CHARACTERS | st.sampled_from("\n\t\r"), min_size=1, max_size=20)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
DISTANCES = st.floats(0, 1e300)
MS = st.integers(0, 10**10)


def unique(entries: Any) -> Any:
    return st.lists(entries, max_size=4, unique_by=lambda one: one["name"].lower())


TAGS = st.fixed_dictionaries(
    {
        "name": LINES,
        "address": LINES,
        "data_type": st.sampled_from(TagType),
        "description": TEXTS,
        "unit": st.none() | LINES,
        "scaling": NUMBERS.filter(bool),
        "tag_offset": NUMBERS,
        "min_value": st.none() | st.floats(-1e300, 0),
        "max_value": st.none() | st.floats(0, 1e300),
        "deadband": st.none() | DISTANCES,
        "scan_rate": st.none() | st.integers(1, 2**31 - 1),
        "enabled": st.booleans(),
    }
)
DEVICES = st.fixed_dictionaries(
    {
        "name": LINES,
        "protocol": st.sampled_from(Protocol),
        "endpoint": LINES,
        "description": TEXTS,
        "location": st.none() | LINES,
        "config": st.dictionaries(LINES, VALUES, max_size=3),
        "enabled": st.booleans(),
        "tags": unique(TAGS),
    }
)
CHANNELS = st.fixed_dictionaries(
    {
        "name": LINES,
        "type": st.sampled_from(ChannelType),
        "config": st.dictionaries(LINES, VALUES, max_size=2),
        "enabled": st.booleans(),
    }
)


@st.composite
def documents(draw: st.DrawFn) -> Document:
    devices, channels = draw(unique(DEVICES)), draw(unique(CHANNELS))
    scopes: list[dict[str, Any]] = [{"fleet": True, "metric": "m"}]
    for one in devices:
        scopes.append({"device": one["name"]})
        scopes += [{"device": one["name"], "tag": tag["name"]} for tag in one["tags"]]
    conditions = st.one_of(
        st.fixed_dictionaries({"op": st.sampled_from(["GT", "EQ"]), "threshold_value": NUMBERS}),
        st.fixed_dictionaries(
            {
                "op": st.just("BETWEEN"),
                "threshold_low": st.floats(-1e9, 0),
                "threshold_high": st.floats(0, 1e9),
            }
        ),
        st.fixed_dictionaries({"condition_expression": LINES}),
    )
    rules = st.builds(
        lambda scope, condition, rest: {**scope, **condition, **rest},
        st.sampled_from(scopes),
        conditions,
        st.fixed_dictionaries(
            {
                "name": LINES,
                "deadband": DISTANCES,
                "level": st.sampled_from([AlertLevel.INFO, AlertLevel.CRITICAL]),
                "escalations": st.lists(
                    st.fixed_dictionaries({"level": st.just("FATAL"), "after": MS}), max_size=1
                ),
                "eval_duration": MS,
                "max_gap": st.none() | MS,
                "no_data": st.sampled_from(NoData),
                "message": TEXTS,
                "channels": st.lists(
                    st.sampled_from([one["name"] for one in channels]), unique=True
                )
                if channels
                else st.just([]),
                "enabled": st.booleans(),
            }
        ),
    )
    content = {"devices": devices, "rules": draw(unique(rules)), "channels": channels}
    return Document.model_validate(content)


# Each example begins where the one before has ended, so a failing one cannot be made smaller.
QUICK = {"suppress_health_check": list(HealthCheck), "phases": [Phase.generate]}


@settings(max_examples=40, **QUICK)  # type: ignore[arg-type]
@given(document=documents())
def test_what_is_exported_changes_nothing_when_imported(
    registry: Registry, tmp_path_factory: pytest.TempPathFactory, document: Document
) -> None:
    """From whatever the example before has left, in this database and then in another one."""
    apply(registry, ANN, document, plan(registry, document, prune=True), prune=True)
    assert {one.action for one in plan(registry, document, prune=True)} <= {Action.KEEP}
    exported = export_yaml(registry)
    again = parsed(exported.texts["registry.yaml"], "x.yaml")
    assert {one.action for one in plan(registry, again, prune=True)} <= {Action.KEEP}
    for name, content in export_csv(registry).texts.items():
        assert {one.action for one in plan(registry, parsed(content, name))} <= {Action.KEEP}


@settings(max_examples=20, **QUICK)  # type: ignore[arg-type]
@given(document=documents())
def test_from_sqlite_to_postgresql_and_back(
    registry: Registry, tmp_path: Path, document: Document
) -> None:
    if not registry.is_postgres:
        pytest.skip("it needs both databases")
    embedded = load_settings(data_dir=tmp_path / "embedded", registry_url="")
    with opened_registry(embedded) as here:
        apply(here, ANN, document, plan(here, document, prune=True), prune=True)
        first = export_yaml(here)
        moved = parsed(first.texts["registry.yaml"], "x.yaml")
        apply(registry, ANN, moved, plan(registry, moved, prune=True), prune=True)
        assert export_yaml(registry) == first
        back = parsed(export_yaml(registry).texts["registry.yaml"], "x.yaml")
        assert {one.action for one in plan(here, back, prune=True)} <= {Action.KEEP}


def test_the_embedded_registry_is_made_by_whoever_opens_it(registry_settings: Settings) -> None:
    if registry_settings.registry_url:
        with (
            pytest.raises(RegistryError, match="gateway registry upgrade"),
            opened_registry(registry_settings),
        ):
            pass
        return
    with opened_registry(registry_settings) as registry, registry.reading() as session:
        assert list_devices(session) == []

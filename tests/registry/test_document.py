"""Files of devices, tags, rules and channels: read as data only, all that is wrong told at once."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_assets.errors import RegistryError
from gateway_assets.registry.document import Document, parsed, read_documents
from gateway_assets.registry.durations import duration_text, milliseconds
from gateway_assets.registry.yaml_text import MAX_BYTES, read_yaml, write_yaml

PLC = "devices: [{name: plc, protocol: Mqtt, endpoint: e"


def refusal(text: str, name: str = "plant.yaml") -> str:
    with pytest.raises(RegistryError) as raised:
        parsed(text, name)
    return raised.value.message


LAUGHS = "a: &a [x, x]\nb: &b [*a, *a]\ndevices: [*b, *b]"

HOSTILE = {
    "aliases": (LAUGHS, "aliases"),
    "merge keys": ("a: &a {b: 1}\ndevices: [{<<: *a}]", "aliases"),
    "python": ("devices: !!python/object/apply:os.system ['true']", "tags"),
    "binary": ("devices: !!binary aGk=", "tags"),
    "own tags": ("devices: !thing []", "tags"),
    "deep flow": ("devices: " + "[" * 100_000, "nested deeper"),
    "deep blocks": ("- " * 5_000 + "x", "nested deeper"),
    "two documents": ("devices: []\n---\nrules: []", "second document"),
    "unclosed": ("devices: [{name: plc", "no YAML"),
    "tab": ("devices:\n\t- name: x", "no YAML"),
    "control character": ("devices: [\x01]", "no YAML"),
    "nothing": ("", "must have"),
    "text": ("devices", "must have"),
    "list": ("[1, 2]", "must have"),
    "a key that is a list": ("? [a, b]\n: 1", "a key must be a text"),
    "a key twice": ("devices: []\ndevices: []", "plant.yaml:2: devices: the key is there twice"),
    "an unknown key": ("device: []", "device: Extra inputs are not permitted"),
    "no list": ("devices: {name: plc}", "must be a valid list"),
    "a huge number": (PLC + ", config: {x: " + "9" * 5_000 + "}}]", "not finite"),
    "a number beyond": (PLC + ", config: {x: 99999999999999999}}]", "beyond 2^53"),
    "a number for a text": (PLC + ", location: 12}]", "must be a valid string"),
    "a text for a boolean": (PLC + ", enabled: yes}]", "must be a valid boolean"),
    "infinity": (
        "devices: [{name: p, protocol: Mqtt, endpoint: e, tags: "
        "[{name: t, address: a, data_type: Float, scaling: 1e999}]}]",
        "finite number",
    ),
    "a name twice": (PLC + "}, {name: PLC, protocol: Mqtt, endpoint: e}]", "there twice"),
    "a device without a name": ("devices: [{protocol: Mqtt, endpoint: e}]", "name: Field required"),
    "null": ("devices: [null]", "devices.0"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_yaml_that_is_refused(what: str) -> None:
    text, told = HOSTILE[what]
    message = refusal(text)
    assert told in message
    assert message.startswith("plant.yaml")


def test_dates_octals_and_other_words_are_texts() -> None:
    given = "{a: 2026-01-01, b: no, c: 1:30, d: 0o17, e: 0x1F, f: .inf, g: 1_000, h: on, i: <<}"
    (device,) = parsed(f"{PLC}, config: {given}}}]", "x.yaml").devices or []
    assert set(map(type, device.config.values())) == {str}
    given = "{a: 017, b: 1.5, c: true, d: ~, e: , f: 1e3, g: -.5}"
    (device,) = parsed(f"{PLC}, config: {given}}}]", "x.yaml").devices or []
    assert device.config == {
        "a": 17, "b": 1.5, "c": True, "d": None, "e": None, "f": 1000.0, "g": -0.5,
    }  # fmt: skip


def test_all_problems_are_told_with_their_lines() -> None:
    message = refusal(
        "devices:\n"
        "- name: plc\n"
        "  protocol: Modbus\n"
        "  endpoint: e\n"
        "  endpoint: f\n"
        "  tags:\n"
        "  - {name: t, address: a, data_type: Float, scaling: x}\n"
        "  - {name: T, address: a, data_type: Float, scaling: 0}\n"
        "rules:\n"
        "- name: r\n"
    )
    lines = message.splitlines()
    places = ["5", "8", "3", "7", "8", "10"]
    assert [line.split(":")[1] for line in lines] == places
    assert "devices.0.protocol: must be 'ModbusTcp'" in lines[2]
    assert "scaling is 0" in lines[4]


def test_problems_of_all_files_and_names_in_two_of_them(tmp_path: Path) -> None:
    first, second = tmp_path / "a.yaml", tmp_path / "b.csv"
    first.write_text(PLC + ", location: 1}]")
    second.write_text("name,protocol,endpoint\nplc,Mqtt,\n")
    with pytest.raises(RegistryError) as raised:
        read_documents([first, second])
    assert len(raised.value.message.splitlines()) == 2
    first.write_text(PLC + "}]")
    second.write_text("name,protocol,endpoint\nPLC,Mqtt,e\n")
    with pytest.raises(RegistryError, match="there twice"):
        read_documents([first, second])


def test_files_that_are_no_texts(tmp_path: Path) -> None:
    file = tmp_path / "plant.yaml"
    with pytest.raises(RegistryError, match="cannot be read"):
        read_documents([file])
    with pytest.raises(RegistryError, match="cannot be read"):
        read_documents([tmp_path])
    file.write_bytes(b"devices: \xff")
    with pytest.raises(RegistryError, match="no UTF-8"):
        read_documents([file])
    with file.open("wb") as big:
        big.truncate(MAX_BYTES + 1)
    with pytest.raises(RegistryError, match="larger than 16 MiB"):
        read_documents([file])


HEADER = "device,name,address,data_type,scaling,scan_rate,enabled\n"


def test_csv_of_tags() -> None:
    text = HEADER + 'plc,"a,b",40001,Float,0.5,1000,TRUE\n\nplc,c,007,String,,,\n'
    first, second = parsed(text, "tags.csv").tags or []
    assert (first.name, first.address, first.scaling, first.scan_rate) == (
        "a,b",
        "40001",
        0.5,
        1000,
    )
    assert (second.address, second.scaling, second.scan_rate) == ("007", 1.0, None)
    assert second.enabled


@pytest.mark.parametrize(
    ("cells", "scaling"), [("0,5", 0.5), ("0.5", 0.5), ("-1,25", -1.25), ("2", 2.0)]
)
def test_csv_of_excel(tmp_path: Path, cells: str, scaling: float) -> None:
    file = tmp_path / "tags.CSV"
    row = f"plc;t;a,b;Float;{cells};;WAHR\r\n"
    file.write_bytes(b"\xef\xbb\xbf" + (HEADER.strip().replace(",", ";") + "\r\n" + row).encode())
    (tag,) = read_documents([file]).tags or []
    assert (tag.address, tag.scaling, tag.enabled) == ("a,b", scaling, True)


WRONG_CSV = {
    "no header": ("", "need a column 'name'"),
    "unknown column": ("name,protocol,endpoint,ip\n", "no column 'ip'"),
    "column twice": ("name,name,protocol,endpoint\n", "there twice"),
    "column missing": ("device,name,address\n", "need a column 'data_type'"),
    "mixed marks": ("name;protocol,endpoint\n", "which one separates"),
    "too few cells": (HEADER + "plc,t,a\n", "tags.csv:2: 3 cells"),
    "truncated": (HEADER + 'plc,"t', "is the file whole"),
    "text after a quote": (HEADER + '"plc"x,t,a,Float,,,\n', "no CSV"),
    "a word for a number": (HEADER + "plc,t,a,Float,many,,\n", "scaling: it is a number"),
    "infinity": (HEADER + "plc,t,a,Float,inf,,\n", "scaling: it is a number"),
    "a comma": (HEADER + 'plc,t,a,Float,"0,5",,\n', "scaling: it is a number"),
    "a fraction": (HEADER + "plc,t,a,Float,,1.5,\n", "scan_rate: it is a whole number"),
    "a boolean": (HEADER + "plc,t,a,Float,,,1\n", "enabled: it is true or false"),
    "no name": (HEADER + "plc,,a,Float,,,\n", "name: String should have at least 1 character"),
    "another word": (HEADER + "plc,t,a,float,,,\n", "data_type: must be 'Boolean'"),
    "a name twice": (HEADER + "plc,t,a,Float,,,\nPLC,T,a,Float,,,\n", "tags.csv:3: "),
    "thousands": ((HEADER + "plc,t,a,Float,1.000,,\n").replace(",", ";"), "may be thousands"),
    "both": (
        HEADER.replace(",", ";") + "plc;t;a;Float;1,5;;\nplc;u;a;Float;1.5;;\n",
        "which one is decimal",
    ),
    "config": ("name,protocol,endpoint,config\np,Mqtt,e,{a:1}\n", "config: it is no JSON"),
    "deep config": (
        "name,protocol,endpoint,config\np,Mqtt,e," + "[" * 50_000 + "\n",
        "config: it is nested too deep",
    ),
    "a key twice": (
        'name,protocol,endpoint,config\np,Mqtt,e,"{""a"": 1, ""a"": 2}"\n',
        "config: it has a key twice",
    ),
    "a huge cell": ("name,protocol,endpoint\np,Mqtt," + "e" * 200_000 + "\n", "no CSV"),
}


@pytest.mark.parametrize("what", WRONG_CSV)
def test_csv_that_is_refused(what: str) -> None:
    text, told = WRONG_CSV[what]
    with pytest.raises(RegistryError) as raised:
        parsed(text, "tags.csv")
    assert told in str(raised.value)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_document_or_refused(content: bytes) -> None:
    text = content.decode("latin-1")
    for name in ("x.yaml", "x.csv"):
        try:
            assert isinstance(parsed(text, name), Document)
        except RegistryError as error:
            assert error.message.startswith(name)


WHOLE = PLC + ", tags: [{name: t, address: a, data_type: Float}]}]"


@given(st.integers(0, len(WHOLE) - 1))
def test_a_truncated_file_is_refused(cut: int) -> None:
    assert parsed(WHOLE, "x.yaml").devices
    with pytest.raises(RegistryError, match=r"^x.yaml"):
        parsed(WHOLE[:cut], "x.yaml")


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs", "Cc"])),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abn~-1 :"), inner, max_size=3)
    ),
    max_leaves=8,
)
WORDS = st.sampled_from(
    ["no", "1e5", "017", "0x1F", "2026-01-01", "~", "null", "", "1:30", "<<", "="]
)


@given(VALUES | WORDS)
def test_what_is_written_as_yaml_is_read_again(value: object) -> None:
    read = read_yaml(write_yaml({"value": value}), "x")
    assert read.content == {"value": value}
    assert repr(read.content) == repr({"value": value})
    assert read.problems == []


@given(st.integers(0, 10**12))
def test_durations(number: int) -> None:
    assert milliseconds(duration_text(number)) == number


def test_durations_that_are_none() -> None:
    assert [duration_text(n) for n in (0, 1, 90_000, 7_200_000)] == ["0s", "1ms", "90s", "2h"]
    for text in ("", "5", "-1s", "1.5h", "1 s", "٣s", "1" * 16 + "s"):
        with pytest.raises(ValueError, match="a duration is written as"):
            milliseconds(text)
    assert milliseconds(math.inf) == math.inf  # left to the check of the field


def test_what_is_there_twice_is_written_twice() -> None:
    shared = [1]
    assert read_yaml(write_yaml({"a": shared, "b": shared}), "x").content == {"a": [1], "b": [1]}


@pytest.mark.parametrize("text", ["devices:", "{rules: ~, devices: []}", PLC + ", tags: }]"])
def test_a_list_without_content_is_refused(text: str) -> None:
    assert "leave it out, or write []" in refusal(text)

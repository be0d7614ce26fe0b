"""The dashboard asks for metrics that exist, and never takes a counter for a number."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway_assets.capture.metrics.counters import Counters, Policy
from gateway_assets.capture.metrics.letters import letter_of
from gateway_assets.capture.metrics.meter import Meter

FILE = Path(__file__).parents[1] / "docs" / "grafana" / "ip-traffic.json"
BOARD: dict[str, Any] = json.loads(FILE.read_text("utf-8"))
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]


def _exported() -> dict[str, set[str]]:
    """The metrics that the capture serves, and their labels."""
    with TemporaryDirectory() as folder:
        counters = Counters(Path(folder) / "counters", Policy(slots=128), bytes(16), 1)
        meter = Meter(counters, "sockdiag", "tcp", None)
        meter.post(letter_of("0badcafe", 0, 1, [("192.0.2.1", "curl", None, None, 1, 1)]))
        text = meter.render().decode()
        meter.close()
    found = {
        sample.name: set(sample.labels)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    return {**found, "ip_traffic_capture_coverage_ratio": {"device"}}  # of an interface only


LABELS = _exported()
COUNTED = re.compile(
    r"(?:increase\((?P<of>\w+_total)(?P<with>\{[^}]*\})?\[\$__range\](?: @ end\(\))?\)"
    r"|rate\((?P<rate_of>\w+_total)(?P<rate_with>\{[^}]*\})?\[\$__rate_interval\]\))"
)


def expressions() -> list[str]:
    return [target["expr"] for panel in PANELS for target in panel["targets"]]


def without_texts(expression: str) -> str:
    return re.sub(r'"(?:[^"\\]|\\.)*"', '""', expression)


def unbalanced(expression: str) -> str:
    """What is left open, or closed without having been opened; empty when all is well."""
    closing = {"(": ")", "[": "]", "{": "}"}
    expected: list[str] = []
    for character in without_texts(expression):
        if character in closing:
            expected.append(closing[character])
        elif character in closing.values() and (not expected or expected.pop() != character):
            return character
    return "".join(expected)


def uncounted(expression: str) -> list[str]:
    """Counters that stand outside of increase over the range and rate over the interval."""
    return re.findall(r"\w+_total\b", COUNTED.sub("", without_texts(expression)))


def unknown(expression: str) -> set[str]:
    return set(re.findall(r"\bip_traffic_\w+", without_texts(expression))) - LABELS.keys()


def misused_labels(expression: str) -> Iterator[str]:
    """Labels that a metric is asked for and does not have."""
    metrics = re.findall(r"\bip_traffic_\w+", expression)
    for metric, selector in re.findall(r"\b(ip_traffic_\w+)\{([^}]*)\}", expression):
        yield from set(re.findall(r"(\w+)\s*[=!]", selector)) - LABELS[metric]
    for names in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression):
        for metric in metrics:
            yield from set(names.split(", ")) - LABELS[metric]


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_an_expression(expression: str) -> None:
    assert unbalanced(expression) == ""
    assert unknown(expression) == set()
    assert uncounted(expression) == []
    assert list(misused_labels(expression)) == []
    assert not re.search(r"\boffset\b| - ", expression), "increase() knows of resets, this does not"


def test_the_judges_judge() -> None:
    good = 'sum by (city) (increase(ip_traffic_tx_bytes_total{city=~"(a|}"}[$__range]))'
    assert (unbalanced(good), unknown(good), uncounted(good)) == ("", set(), [])
    assert not list(misused_labels(good))
    assert unbalanced("sum(a[1m)])") and unbalanced("sum(a") and unbalanced("a)")
    assert unknown("ip_traffic_bytes_total") == {"ip_traffic_bytes_total"}
    for wrong in ("x_total", "increase(x_total[1h])", "rate(x_total[$__range])", "sum(x_total)"):
        assert uncounted(wrong) == ["x_total"]
    assert list(misused_labels("sum by (city) (ip_traffic_backend_up)")) == ["city"]
    assert list(misused_labels('ip_traffic_backend_up{comm="a"}')) == ["comm"]


def test_every_byte_and_the_capture_itself_are_shown() -> None:
    shown = {name for text in expressions() for name in re.findall(r"\bip_traffic_\w+", text)}
    wanted = {name for name in LABELS if name.endswith("_bytes_total")}
    assert wanted | {"ip_traffic_backend_up", "ip_traffic_capture_coverage_ratio"} <= shown


def test_lists_of_the_first_few_have_as_many_as_chosen_and_leave_out_other() -> None:
    lists = [text for text in expressions() if "topk" in text]
    assert lists
    for text in lists:
        assert re.findall(r"topk\(([^,]*),", text) == ["$top_k"]
        for of, selector in re.findall(r"\b(ip_traffic_[tr]x_bytes_total)(\{[^}]*\})?", text):
            assert 'remote_ip!="other"' in selector, of
    assert any('{remote_ip="other"}' in text for text in expressions())


def test_variables_and_rows() -> None:
    assert BOARD["schemaVersion"] >= 39
    variables = {one["name"]: one for one in BOARD["templating"]["list"]}
    assert list(variables) == ["datasource", "country", "city", "top_k"]
    assert variables["datasource"]["query"] == "prometheus"
    used = "".join(expressions()) + "".join(str(one.get("query")) for one in variables.values())
    assert all(f"${name}" in used for name in ("country", "city", "top_k"))
    for name in ("country", "city"):
        metric, label = re.findall(
            r"label_values\((\w+)(?:\{.*\})?, (\w+)\)", variables[name]["definition"]
        )[0]
        assert label == name and label in LABELS[metric]
    assert [panel["title"] for panel in BOARD["panels"] if panel["type"] == "row"] == [
        "Overview",
        "By country",
        "By remote",
        "By process and unit",
        "Health of the capture",
    ]


def test_panels_are_of_one_data_source_and_do_not_overlap() -> None:
    numbers = [panel["id"] for panel in BOARD["panels"]]
    assert len(set(numbers)) == len(numbers)
    for panel in PANELS:
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert all(one == {"type": "prometheus", "uid": "${datasource}"} for one in sources)
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
    for one, other in combinations((panel["gridPos"] for panel in BOARD["panels"]), 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above, (one, other)

"""Values without secrets."""

from __future__ import annotations

from typing import Any

import pytest

from gateway_assets.registry.hidden import shown

SECRET = {
    "number": {"password": 12345},
    "below": {"auth": {"user": "hush", "parts": ["hush", 7]}},
    "short": {"pw": "hush", "sim_pin": 1234, "MQTT_PWD": "hush", "psk": "hush"},
    "connection": {"dsn": "host=h password=hush dbname=d"},
    "address": {"broker": "tls://me:hush@h:8883/x", "text": "go to https://me:hush@h/x?t=hush"},
}


@pytest.mark.parametrize("what", SECRET)
def test_what_may_be_a_secret_is_out_of_sight(what: str) -> None:
    text = str(shown(SECRET[what], "config"))
    assert "hush" not in text
    assert "1234" not in text
    assert "7" not in text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("message", "too hot, see https://wiki.example/runbooks/5 and call 42"),
        ("config", {"unit": 3, "key_file": "/etc/x", "use_auth": True, "spinning": 4}),
        ("condition_expression", "token == 5 and key_rate > 3"),
        ("endpoint", "ns=2;s=Steam"),
        ("client_key_path", "/etc/key"),
    ],
    ids=["message", "config", "expression", "endpoint", "path"],
)
def test_what_is_none_is_left_as_it_is(name: str, value: Any) -> None:
    assert shown(value, name) == value

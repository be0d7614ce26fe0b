"""What a channel may say, and what it is told when it says something else."""

from __future__ import annotations

from typing import Any

import pytest

from gateway_assets.errors import ConfigError
from gateway_assets.notify.channels import config_of, sink_of
from gateway_assets.notify.log import Log
from gateway_assets.notify.mail import Mail
from gateway_assets.notify.webhook import Webhook
from gateway_assets.registry.alerts import Channel
from gateway_assets.registry.words import ChannelType
from gateway_assets.settings import Settings

MAIL = {"host": "mx.example", "sender": "a@b.example", "recipients": ["c@d.example"]}


def channel(kind: str, config: dict[str, Any]) -> Channel:
    return Channel(name="ops", type=ChannelType(kind), config=config)


def test_webhooks(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = sink_of(channel("webhook", {"url": "https://x.example/a?b=c"}), settings)
    assert plain == Webhook("https://x.example/a?b=c", "", 10.0)
    monkeypatch.setenv("HOOK", "https://x.example/T0K3N")
    monkeypatch.setenv("SECRET", "sesame")
    config = {"url_env": "HOOK", "secret_env": "SECRET", "timeout_seconds": 3}
    secret = sink_of(channel("webhook", config), settings)
    assert secret == Webhook("https://x.example/T0K3N", "sesame", 3.0)


@pytest.mark.parametrize(
    ("tls", "port"), [("starttls", 587), ("ssl", 465), ("none", 25)], ids=["starttls", "ssl", "no"]
)
def test_mails(settings: Settings, tls: str, port: int) -> None:
    sink = sink_of(channel("email", {**MAIL, "tls": tls}), settings)
    assert isinstance(sink, Mail)
    assert (sink.port, sink.security, sink.recipients) == (port, tls, ("c@d.example",))


def test_logs(settings: Settings) -> None:
    assert sink_of(channel("log", {}), settings) == Log(settings.data_dir / "notifications.log")
    assert sink_of(channel("log", {"stdout": True}), settings) == Log(None)


@pytest.mark.parametrize(
    ("kind", "config", "words"),
    [
        pytest.param("webhook", {}, "either url or url_env", id="no-url"),
        pytest.param("webhook", {"url": "http://x", "url_env": "X"}, "either url", id="two-urls"),
        pytest.param("webhook", {"url": "ftp://x/"}, "http or https", id="ftp"),
        pytest.param("webhook", {"url": "file:///etc/passwd"}, "http or https", id="file"),
        pytest.param("webhook", {"url": "http://"}, "http or https", id="no-host"),
        pytest.param("webhook", {"url": "http://x:0/"}, "http or https", id="port-0"),
        pytest.param("webhook", {"url": "http://x:99999/"}, "http or https", id="port-high"),
        pytest.param("webhook", {"url": "http://[::1/"}, "http or https", id="half-ipv6"),
        pytest.param("webhook", {"url": "http://x/\r\nA: b"}, "http or https", id="newline"),
        pytest.param("webhook", {"url": "http://x/a b"}, "http or https", id="space"),
        pytest.param("webhook", {"url": "http://u:p@x/"}, "no user", id="password"),
        pytest.param("webhook", {"url": 7}, "url", id="number"),
        pytest.param("webhook", {"url": "http://x", "secret": "s"}, "secret: Extra", id="secret"),
        pytest.param("webhook", {"url": "http://x", "secret_env": "a b"}, "secret_env", id="env"),
        pytest.param("webhook", {"url": "http://x", "timeout_seconds": 0}, "timeout", id="no-time"),
        pytest.param("email", {}, "host", id="no-host-of-mail"),
        pytest.param("email", {**MAIL, "recipients": []}, "recipients", id="nobody"),
        pytest.param("email", {**MAIL, "recipients": ["a@b\nBcc: c@d"]}, "recipients", id="bcc"),
        pytest.param("email", {**MAIL, "recipients": ["a@b.c\n"]}, "recipients", id="end-newline"),
        pytest.param("email", {**MAIL, "sender": "a@b>\r\nX: y"}, "sender", id="sender"),
        pytest.param("email", {**MAIL, "sender": "nobody"}, "sender", id="no-address"),
        pytest.param("email", {**MAIL, "host": "a b"}, "host", id="bad-host"),
        pytest.param("email", {**MAIL, "tls": "maybe"}, "tls", id="tls"),
        pytest.param("email", {**MAIL, "user_env": "U"}, "belong together", id="half-a-login"),
        pytest.param(
            "email",
            {**MAIL, "tls": "none", "user_env": "U", "password_env": "P"},
            "over TLS only",
            id="login-in-the-clear",
        ),
        pytest.param("log", {"path": "/etc/passwd"}, "path: Extra", id="path"),
    ],
)
def test_configurations_that_cannot_be(kind: str, config: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        config_of("ops", ChannelType(kind), config)
    assert "channel 'ops'" in caught.value.message


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        pytest.param("webhook", {"url": "http://x", "secret_env": "NOT_SET"}, id="secret"),
        pytest.param("webhook", {"url_env": "NOT_SET"}, id="url"),
        pytest.param("email", {**MAIL, "user_env": "NOT_SET", "password_env": "P"}, id="user"),
    ],
)
def test_variables_that_are_not_set(settings: Settings, kind: str, config: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="NOT_SET is not set"):
        sink_of(channel(kind, config), settings)


def test_variables_that_hold_something_else(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK", "gopher://T0K3N/")
    with pytest.raises(ConfigError, match="HOOK: url must be one of http") as caught:
        sink_of(channel("webhook", {"url_env": "HOOK"}), settings)
    assert "T0K3N" not in str(caught.value)
    monkeypatch.setenv("U", "gateway")
    monkeypatch.setenv("P", "pässword")
    config = {**MAIL, "user_env": "U", "password_env": "P"}
    with pytest.raises(ConfigError, match="P holds letters beyond ASCII"):
        sink_of(channel("email", config), settings)

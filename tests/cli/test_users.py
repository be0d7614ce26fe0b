"""``gateway users``: what people and scripts get, on both databases."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway_assets.accounts.login import verify
from gateway_assets.accounts.sessions import open_session
from gateway_assets.errors import LoginRefused
from gateway_assets.registry.database import Registry
from gateway_assets.settings import Settings, load_settings
from tests.cli.test_cli import Done, Gateway, refused
from tests.cli.test_cli import gateway as gateway  # noqa: PLC0414  the fixture

PASSWORD = "a long way home"
GATEWAY = [sys.executable, "-c", "from gateway_assets.cli.main import main; main()"]
ROOT = Path(__file__).parents[2]


def read(done: Done) -> Any:
    assert (done.code, done.err) == (0, "")
    return json.loads(done.out)


def test_from_the_first_user_to_the_audit(
    gateway: Gateway, registry: Registry, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\nanother line\n")
    assert read(gateway("users", "list", "--json")) == []
    ann = read(gateway("users", "add", "ann", "--role", "ADMIN", "--generate", "--json"))
    assert (ann["role"], ann["status"], ann["must change"]) == ("ADMIN", "ACTIVE", True)
    add = ("users", "add", "vic", "--email", "vic@example.org", "--password-file", str(file))
    assert gateway(*add, "--keep").out == "vic is VIEWER\n"
    refused(gateway("users", "disable", "ann"), 12, "last active ADMIN", "--role ADMIN")
    refused(gateway("users", "edit", "ann", "--role", "viewer"), 12, "last active ADMIN", "ADMIN")
    assert read(gateway("users", "edit", "vic", "--role", "operator", "--json"))["role"] == (
        "OPERATOR"
    )
    settings = load_settings()
    verify(registry, settings, "ann", ann["password"])
    vic = verify(registry, settings, "vic", PASSWORD)
    open_session(registry, settings, vic, ip="192.0.2.7")
    assert [one["address"] for one in read(gateway("users", "sessions", "--json"))] == ["192.0.2.7"]
    assert read(gateway("users", "sessions", "VIC", "--close", "--json")) == []
    for _ in range(5):
        with pytest.raises(LoginRefused):
            verify(registry, settings, "vic", "wrong")
    assert "LOCKED" in gateway("users", "list").out
    assert gateway("users", "unlock", "vic").out == "vic is ACTIVE\n"
    assert gateway("users", "disable", "vic").out == "vic is INACTIVE\n"
    done = read(gateway("users", "audit", "--json"))
    actions = [(one["action"], one["done"]) for one in reversed(done)]
    assert actions == [
        ("user.add", True), ("user.add", True), ("user.edit", False), ("user.edit", False),
        ("user.edit", True), ("login", True), ("login", True), ("sessions.close", True),
        *[("login", False)] * 5, ("user.unlock", True), ("user.edit", True),
    ]  # fmt: skip
    failed = read(gateway("users", "audit", "--failed", "--user", "vic", "--json"))
    assert [one["refused because"] for one in failed] == ["wrong password"] * 5
    some = read(gateway("users", "audit", "--action", "login", "--limit", "2", "--json"))
    assert [one["action"] for one in some] == ["login", "login"]


def test_tokens(gateway: Gateway, registry: Registry) -> None:
    gateway("users", "add", "vic", "--generate")
    add = ("users", "token", "add", "vic", "grafana", "--scope", "points:read")
    made = read(gateway(*add, "--scope", "alerts:read", "--expires", "90d", "--json"))
    assert made["token"].startswith("gwt_")
    refused(gateway(*add), 12, "already", "token revoke vic grafana")
    wrong = ("users", "token", "add", "vic", "w", "--scope", "points:write")
    refused(gateway(*wrong), 2, "has no points:write", "points:read")
    (one,) = read(gateway("users", "token", "list", "vic", "--json"))
    assert (one["scopes"], one["revoked"]) == ("alerts:read points:read", None)
    assert made["token"] not in json.dumps(one)
    assert gateway("users", "token", "revoke", "vic", "grafana").out == (
        "grafana of vic is revoked\n"
    )
    assert read(gateway("users", "token", "list", "--json"))[0]["revoked"]


def test_a_password_is_never_an_argument(gateway: Gateway, registry: Registry) -> None:
    assert gateway("users", "add", "ann", PASSWORD).code == 2
    assert gateway("users", "add", "ann", "--password", PASSWORD).code == 2
    assert read(gateway("users", "list", "--json")) == []


@pytest.mark.parametrize(
    ("content", "what"),
    [(b"", "shorter"), (b"short\n", "shorter"), (b"\xff" * 20, "not UTF-8")],
    ids=["empty", "short", "bytes"],
)
def test_passwords_of_files_that_may_not_be(
    gateway: Gateway, tmp_path: Path, content: bytes, what: str
) -> None:
    file = tmp_path / "password"
    file.write_bytes(content)
    done = gateway("users", "add", "ann", "--password-file", str(file))
    assert (done.code, what in done.err) == (2, True)


def test_without_a_terminal_there_is_nobody_to_ask() -> None:
    done = subprocess.run(
        [*GATEWAY, "users", "add", "ann"],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (done.returncode, "--password-file or --generate" in done.stderr) == (2, True)


def test_on_a_terminal_it_is_asked_for_and_not_shown(settings: Settings) -> None:
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [*GATEWAY, "users", "add", "ann"],
        stdin=child,
        stdout=child,
        stderr=child,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    os.close(child)
    shown = b""
    for _ in range(2):
        while not shown.endswith(b": "):
            shown += os.read(parent, 1000)
        os.write(parent, PASSWORD.encode() + b"\n")
        shown += b"|"
    try:
        while part := os.read(parent, 1000):
            shown += part
    except OSError:  # the other end is closed
        pass
    os.close(parent)
    assert process.wait(60) == 0
    assert b"ann is VIEWER" in shown
    assert PASSWORD.encode() not in shown
    registry = Registry(settings)
    assert verify(registry, settings, "ann", PASSWORD).must_change_password
    registry.close()


def test_who_is_not_there(gateway: Gateway, registry: Registry) -> None:
    for command in (
        ("users", "edit", "bob", "--full-name", "Bob"),
        ("users", "password", "bob", "--generate"),
        ("users", "unlock", "bob"),
        ("users", "disable", "bob"),
        ("users", "sessions", "bob"),
        ("users", "token", "add", "bob", "t", "--scope", "points:read"),
        ("users", "token", "list", "bob"),
        ("users", "token", "revoke", "bob", "t"),
    ):
        refused(gateway(*command), 12, "no user 'bob'", "gateway users list")
    refused(gateway("users", "edit", "bob"), 2, "nothing to change", "--help")
    refused(gateway("users", "sessions", "--close"), 2, "whose sessions", "NAME --close")


def test_a_server_is_upgraded_by_its_own_command(
    gateway: Gateway, registry_settings: Settings
) -> None:
    done = gateway("users", "list")
    if registry_settings.registry_url:
        refused(done, 12, "is not there yet", "gateway registry upgrade")
    else:
        assert done.code == 0


def test_hashes_are_not_for_everybody(gateway: Gateway, settings: Settings) -> None:
    assert gateway("users", "list").code == 0
    assert settings.registry_database.stat().st_mode & 0o007 == 0


def test_arguments_that_are_not_unicode(gateway: Gateway, registry: Registry) -> None:
    refused(gateway("users", "audit", "--user", "\udcff"), 12, "not Unicode", "UTF-8")
    refused(gateway("alerts", "ack", "\udcff" * 9), 12, "not Unicode", "UTF-8")
    huge = gateway("notifications", "retry", "9" * 30)
    assert (huge.code, "is not in the range" in huge.err) == (2, True)

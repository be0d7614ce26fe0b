"""The registry's users decide: over real sockets, with the official clients, on both databases."""

from __future__ import annotations

import base64
import json
import select
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import influxdb_client
import psycopg
import pytest
from influxdb import InfluxDBClient  # type: ignore[import-untyped]
from influxdb.exceptions import InfluxDBClientError  # type: ignore[import-untyped]
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException
from influxdb_client_3 import InfluxDBClient3
from influxdb_client_3.exceptions.exceptions import InfluxDBError
from sqlalchemy import make_url

from gateway_assets.accounts.roles import Scope
from gateway_assets.accounts.tokens import add_token
from gateway_assets.accounts.users import add_user
from gateway_assets.errors import ConfigError
from gateway_assets.registry.alerts import Alert, AlertRule
from gateway_assets.registry.audit import Actor
from gateway_assets.registry.database import Registry
from gateway_assets.registry.upgrade import upgrade
from gateway_assets.registry.words import AlertLevel, AlertStatus, CompareOp, Role
from gateway_assets.serve.with_users import with_users
from gateway_assets.settings import Settings, load_settings
from tests.accounts.conftest import NOON
from tests.serve.conftest import Answer, Server

Client2: Any = influxdb_client.InfluxDBClient  # type: ignore[attr-defined]
Client3: Any = InfluxDBClient3
HOST = Actor("os:test")
V1, V2, V3 = "/write?db=d", "/api/v2/write?org=o&bucket=b", "/api/v3/write_lp?db=d"
ROOT, VIC, NEW = "roots own password", "violets are blüe", "news first password"
FUTURE = 1_790_000_000_000_000_000


class Guarded:
    """A service whose registry has an administrator, a viewer, and one with a first password."""

    def __init__(self, settings: Settings, **env: str) -> None:
        registry = Registry(settings)
        upgrade(registry)
        for name, role, password in (
            ("root", Role.ADMIN, ROOT),
            ("vic", Role.VIEWER, VIC),
            ("new", Role.ADMIN, NEW),
        ):
            add_user(
                registry, settings, HOST, name, role, password, must_change=name == "new", now=NOON
            )
        _, self.write_token = add_token(registry, HOST, "root", "w", [Scope.POINTS_WRITE])
        _, self.read_token = add_token(registry, HOST, "root", "r", [Scope.POINTS_READ])
        self.registry = registry
        self.server = Server(settings.data_dir, "--no-loader", GATEWAY_SERVE_USERS="true", **env)

    def post(self, path: str, content: Any, token: str = "") -> Answer:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        return self.server.ask("POST", path, body, **headers)

    def login(self, username: str, password: str) -> Answer:
        return self.post("/api/login", {"username": username, "password": password})

    def session(self, username: str, password: str) -> str:
        answer = self.login(username, password)
        assert answer.status == 200
        return str(json.loads(answer.body)["token"])

    def end(self) -> None:
        self.registry.close()
        code, said = self.server.stop()
        assert (code, said) == (0, "")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """For tests that disturb no other."""
    data = tmp_path_factory.mktemp("users") / "data"
    found = Guarded(load_settings(data_dir=data))
    yield found
    found.end()


@pytest.fixture
def guarded(registry_settings: Settings) -> Iterator[Guarded]:
    """One of its own, on each database."""
    found = Guarded(registry_settings, GATEWAY_REGISTRY_URL=registry_settings.registry_url)
    yield found
    found.end()


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_the_official_clients(guarded: Guarded) -> None:
    server, token = guarded.server, guarded.write_token
    for number, (name, secret) in enumerate([("root", ROOT), ("any", token)]):
        one = InfluxDBClient("127.0.0.1", server.port, name, secret, "d")
        one.create_database("d")
        one.write_points([{"measurement": "m1", "fields": {"v": 1}, "time": FUTURE + number}])
        one.close()
    one = InfluxDBClient("127.0.0.1", server.port, "vic", VIC, "d")
    with pytest.raises(InfluxDBClientError, match="is not authorized to write"):
        one.write_points([{"measurement": "m1", "fields": {"v": 2}}])
    one.close()
    with Client2(server.url, token, org="o") as two:
        two.write_api(write_options=SYNCHRONOUS).write("b", record=f"m2 v=1 {FUTURE}")
    with Client2(server.url, guarded.read_token, org="o") as two:
        with pytest.raises(ApiException) as refused:
            two.write_api(write_options=SYNCHRONOUS).write("b", record="m2 v=2")
        assert refused.value.status == 403
    with Client3(host=server.url, token=token, database="d") as three:
        three.write(f"m3 v=1 {FUTURE}")
    with (
        Client3(host=server.url, token="gwt_wrong", database="d") as three,
        pytest.raises(InfluxDBError),
    ):
        three.write("m3 v=2")
    found = server.rows(
        "SELECT measurement, count(*), max(value) FROM points_described GROUP BY 1 ORDER BY 1"
    )
    assert found == [("m1", 2, 1.0), ("m2", 1, 1.0), ("m3", 1, 1.0)]


@pytest.mark.parametrize("path", [V1, V2, V3])
@pytest.mark.parametrize("scheme", ["Token", "bearer", "any:", "basic", "session", "password"])
def test_what_a_request_may_show(shared: Guarded, path: str, scheme: str) -> None:
    token = shared.write_token
    header = {
        "Token": f"Token {token}",
        "bearer": f"bearer {token}",
        "any:": f"Token any:{token}",
        "basic": basic("any", token),
        "password": basic("ROOT", ROOT),
    }
    shown = header.get(scheme) or f"Bearer {shared.session('root', ROOT)}"
    assert shared.server.ask("POST", path, b"m v=1", Authorization=shown).status == 204


@pytest.mark.parametrize(
    "query", [f"u=root&p={ROOT.replace(' ', '+')}", "u=any&p={token}", "p={token}"]
)
def test_what_an_address_may_show(shared: Guarded, query: str) -> None:
    path = f"{V1}&{query.format(token=shared.write_token)}"
    assert shared.server.ask("POST", path, b"m v=1").status == 204


@pytest.mark.parametrize(
    "header",
    [
        None, "", "Token", "Token gwt_wrong", "Token gws_wrong", "Token vic", "Basic !",
        "Basic \xff",
        basic("root", "wrong"), basic("nobody", ROOT), basic("root", ""), f"Digest {ROOT}",
        "Token root:wrong", "Bearer \xff\xfe", "Token $argon2id$v=19$",
    ],
    ids=map(str, range(15)),
)  # fmt: skip
def test_strangers(shared: Guarded, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    for path in (V1, V2, V3, "/query?q=SHOW+DATABASES"):
        answer = shared.server.ask("POST", path, b"m v=2", **headers)
        assert answer.status == 401
        assert answer.headers["www-authenticate"] in {'Basic realm="InfluxDB"', "Token"}
        if path == V2:
            assert json.loads(answer.body)["code"] == "unauthorized"
        else:
            assert set(json.loads(answer.body)) == {"error"}
    for path in ("/metrics", "/api/status", "/api/me", "/api/alerts"):
        assert shared.server.ask("GET", path, None, **headers).status == 401


def test_who_may_not(shared: Guarded) -> None:
    read = {"Authorization": f"Token {shared.read_token}"}
    told = [shared.server.ask("POST", path, b"m v=2", **read) for path in (V1, V2, V3)]
    assert [answer.status for answer in told] == [403] * 3
    assert [json.loads(answer.body) for answer in told] == [
        {"error": '"root" user is not authorized to write to database "d"'},
        {"code": "forbidden", "message": "insufficient permissions for write"},
        {"error": "root lacks the scope points:write"},
    ]
    write = {"Authorization": f"Token {shared.write_token}"}
    for path in ("/metrics", "/api/status"):
        assert shared.server.ask("GET", path, None, **read).status == 200
        assert shared.server.ask("GET", path, None, **write).status == 403
    assert shared.server.ask("GET", "/api/alerts", None, **write).status == 403
    for path, status in (("/ping", 204), ("/health", 200)):
        assert shared.server.ask("GET", path).status == status
    assert shared.server.rows("SELECT value FROM points WHERE value = 2") == []


def test_logging_in_and_out(guarded: Guarded) -> None:
    answer = guarded.login("VIC", VIC)
    told = json.loads(answer.body)
    assert answer.status == 200
    assert {name: told[name] for name in ("role", "must_change_password")} == {
        "role": "VIEWER", "must_change_password": False,
    }  # fmt: skip
    assert set(told) == {"token", "expires_at", "role", "must_change_password"}
    assert "set-cookie" not in answer.headers
    bearer = {"Authorization": f"Bearer {told['token']}"}
    me = guarded.server.ask("GET", "/api/me", None, **bearer)
    assert json.loads(me.body) == {
        "username": "vic",
        "role": "VIEWER",
        "scopes": ["alerts:read", "points:read", "registry:read"],
    }
    assert guarded.server.ask("GET", "/metrics", None, **bearer).status == 200
    assert guarded.post("/api/logout", {}, told["token"]).status == 204
    assert guarded.post("/api/logout", {}, told["token"]).status == 401
    assert guarded.server.ask("GET", "/api/me", None, **bearer).status == 401
    assert guarded.post("/api/logout", {}, guarded.write_token).status == 400


def test_refused_logins_are_alike(guarded: Guarded) -> None:
    answers = [guarded.login("vic", "wrong guess") for _ in range(5)]
    answers += [guarded.login("vic", VIC), guarded.login("nobody", VIC), guarded.login("\0", "")]
    kept = {"content-type", "content-length", "x-influxdb-error", "www-authenticate"}
    seen = {
        (one.status, one.body, *(one.headers.get(name) for name in sorted(kept))) for one in answers
    }
    assert len(seen) == 1
    assert (answers[0].status, json.loads(answers[0].body)) == (
        401, {"error": "authorization failed"},
    )  # fmt: skip
    assert json.loads(guarded.login("root", ROOT).body)["role"] == "ADMIN"


def test_a_first_password_is_only_good_for_changing_it(guarded: Guarded) -> None:
    login = json.loads(guarded.login("new", NEW).body)
    assert login["must_change_password"]
    token = login["token"]
    bearer = {"Authorization": f"Bearer {token}"}
    for answer in (
        guarded.server.ask("POST", V1, b"m v=1", **bearer),
        guarded.server.ask("POST", V1, b"m v=1", Authorization=basic("new", NEW)),
        guarded.server.ask("GET", "/api/me", None, **bearer),
        guarded.server.ask("GET", "/metrics", None, **bearer),
    ):
        assert answer.status == 403
        assert "POST /api/password" in answer.body.decode()
    for old, new, status in (
        ("wrong", "a better password", 401),
        (NEW, "short", 400),
        (NEW, NEW, 400),
        (NEW, "a better password", 204),
    ):
        content = {"old_password": old, "new_password": new}
        assert guarded.post("/api/password", content, token).status == status
    assert guarded.server.ask("GET", "/api/me", None, **bearer).status == 401
    answers = [
        guarded.server.ask("POST", V1, b"m v=1", Authorization=basic("new", password)).status
        for password in (NEW, "a better password")
    ]
    assert answers == [401, 204]


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b'{"username": "vic"}', b'{"username": 1, "password": []}', b"[" * 9_999],
    ids=["empty", "list", "torn", "half", "types", "deep"],
)
def test_logins_that_cannot_be_read(shared: Guarded, body: bytes) -> None:
    answer = shared.post("/api/login", body)
    assert answer.status == 400
    assert "username and password" in json.loads(answer.body)["error"]


def test_a_login_that_is_too_large(shared: Guarded) -> None:
    assert shared.post("/api/login", b"x" * 20_000).status == 413


def test_alerts(guarded: Guarded) -> None:
    rule = AlertRule(name="hot", fleet=True, metric="t", op=CompareOp.GT, threshold_value=80.0)
    with guarded.registry.writing() as session:
        session.add(rule)
        session.flush()
        for number, (level, status) in enumerate(
            [
                (AlertLevel.WARNING, AlertStatus.ACTIVE),
                (AlertLevel.FATAL, AlertStatus.ACTIVE),
                (AlertLevel.FATAL, AlertStatus.ACKNOWLEDGED),
            ]
        ):
            session.add(
                Alert(
                    rule_id=rule.id, rule_name="hot", rule_version=1, series="s", occurrence=number,
                    condition_since=NOON, fired_at=NOON.replace(minute=number), level=level,
                    status=status, message=str(number), triggered_value=81.5,
                )
            )  # fmt: skip
    bearer = {"Authorization": f"Bearer {guarded.session('vic', VIC)}"}

    def asked(query: str) -> list[str]:
        answer = guarded.server.ask("GET", f"/api/alerts{query}", None, **bearer)
        assert answer.status == 200
        return [one["message"] for one in json.loads(answer.body)["alerts"]]

    assert asked("") == ["2", "1", "0"]
    assert asked("?limit=2") == ["2", "1"]
    assert asked("?status=ACTIVE") == ["1", "0"]
    assert asked("?status=active&level=FATAL") == ["1"]
    assert asked("?status=RESOLVED") == []
    for query in ("status=x", "level=", "limit=0", "limit=1001", "limit=-1", "limit=%D9%A3"):
        assert guarded.server.ask("GET", f"/api/alerts?{query}", None, **bearer).status == 400
    first = json.loads(guarded.server.ask("GET", "/api/alerts", None, **bearer).body)["alerts"][0]
    assert (first["fired_at"], first["triggered_value"]) == ("2026-03-01T12:02:00+00:00", 81.5)


def test_a_registry_that_is_away_is_no_refusal(
    guarded: Guarded, registry_settings: Settings
) -> None:
    """Clients keep what they have, and get rid of it once the registry is back."""
    shown = {"Authorization": f"Token {guarded.write_token}"}
    bring_back = _taken_away(guarded, registry_settings)
    asked = [("POST", path, b"m v=1") for path in (V1, V2, V3)]
    for method, path, body in [*asked, ("GET", "/metrics", None), ("GET", "/api/me", None)]:
        answer = guarded.server.ask(method, path, body, **shown)
        assert (answer.status, "retry-after" in answer.headers) == (503, True)
    assert guarded.login("vic", VIC).status == 503
    assert guarded.login("nobody", VIC).status == 503
    assert guarded.server.ask("GET", "/ping").status == 204
    bring_back()
    assert guarded.server.ask("POST", V1, b"m v=1", **shown).status == 204


def _taken_away(guarded: Guarded, settings: Settings) -> Callable[[], None]:
    if guarded.registry.path is not None:
        tables = ("users", "api_tokens")

        def rename(first: str, second: str) -> None:
            with sqlite3.connect(settings.registry_database) as connection:
                for table in tables:
                    connection.execute(f"ALTER TABLE {table}{first} RENAME TO {table}{second}")
            connection.close()

        rename("", "_away")
        return lambda: rename("_away", "")
    url = settings.registry_url
    name = make_url(url).database
    other = url.replace(f"/{name}?", "/postgres?")

    def allow(word: str) -> None:
        with psycopg.connect(other, autocommit=True) as connection:
            connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {word}')
            ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
            connection.execute(ended, [name])

    allow("false")
    return lambda: allow("true")


def test_hashing_keeps_nobody_waiting(shared: Guarded) -> None:
    """An answer that needs no password comes while others' passwords are hashed."""
    body = json.dumps({"username": "nobody", "password": "x"})
    head = f"POST /api/login HTTP/1.1\r\nHost: h\r\nContent-Length: {len(body)}\r\n\r\n"
    slow = [shared.server.raw((head + body).encode()) for _ in range(24)]
    assert shared.server.ask("GET", "/ping").status == 204
    shown = {"Authorization": f"Token {shared.write_token}"}
    assert shared.server.ask("POST", V1, b"m v=1", **shown).status == 204
    answered, _, _ = select.select(slow, [], [], 0)
    assert len(answered) < len(slow)
    for one in slow:
        assert one.recv(100).startswith(b"HTTP/1.1 401")
        one.close()


def test_more_logins_than_can_wait(shared: Guarded) -> None:
    body = json.dumps({"username": "nobody", "password": "x"})
    head = f"POST /api/login HTTP/1.1\r\nHost: h\r\nContent-Length: {len(body)}\r\n\r\n"
    slow = [shared.server.raw((head + body).encode()) for _ in range(80)]
    answers = {one.recv(100)[9:12] for one in slow}
    for one in slow:
        one.close()
    assert answers == {b"401", b"503"}


def test_tokens_of_a_file_and_users_exclude_each_other(tmp_path: Path) -> None:
    settings = load_settings(
        data_dir=tmp_path / "data", serve_tokens_file=tmp_path / "tokens", serve_users=True
    )
    with pytest.raises(ConfigError, match="exclude each other"), with_users(settings):
        pass


@pytest.mark.parametrize("module", ["gateway_assets.serve.run", "gateway_assets.cli.main"])
def test_who_has_no_users_does_not_load_what_they_need(module: str) -> None:
    code = f"import sys, {module}; print({{'sqlalchemy', 'argon2', 'alembic'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"

"""Alarms acknowledged, shelved and reset over real sockets, on both databases."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from gateway_assets.accounts.roles import Scope
from gateway_assets.accounts.tokens import add_token
from gateway_assets.accounts.users import add_user
from gateway_assets.registry.alerts import Alert, Transition
from gateway_assets.registry.audit import Actor
from gateway_assets.registry.database import Registry
from gateway_assets.registry.upgrade import upgrade
from gateway_assets.registry.users import AuditLog
from gateway_assets.registry.words import Role
from gateway_assets.settings import Settings, load_settings
from tests.alarms.plant import running_plant
from tests.serve.conftest import Answer, Server

HOST = Actor("os:test")


class Control:
    """A service, its registry, an operator's token and one that may read only."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings.model_copy(update={"points_keep_days": 36_500})
        self.registry = Registry(settings)
        upgrade(self.registry)
        for name, role in (("opal", Role.OPERATOR), ("mat", Role.MAINTENANCE)):
            add_user(self.registry, settings, HOST, name, role, "long enough", must_change=False)
        scopes = [Scope.ALERTS_ACK, Scope.ALERTS_READ]
        _, self.token = add_token(self.registry, HOST, "opal", "desk", scopes)
        _, self.reader = add_token(self.registry, HOST, "opal", "wall", scopes[1:])
        url = {"GATEWAY_REGISTRY_URL": settings.registry_url}
        self.server = Server(settings.data_dir, "--no-loader", GATEWAY_SERVE_USERS="true", **url)

    def fired(self, *, latched: bool = False, values: tuple[float, ...] = (90.0,)) -> Alert:
        """An alarm of a rule of its own, in its last state."""
        with running_plant(self.settings, self.registry) as plant:
            name = f"d{uuid4().hex[:8]}"
            rule = plant.rule(plant.device(name), name=name, latched=latched)
            plant.feed(name, list(enumerate(values, start=1)))
            return next(one for one in plant.alerts() if one.rule_id == rule)

    def ask(self, path: str, content: Any, token: str = "") -> Answer:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        shown = {"Authorization": f"Bearer {token or self.token}"}
        return self.server.ask("POST", f"/api/alerts/{path}", body, **shown)

    def steps(self, alert: Alert) -> list[tuple[str, str | None, str]]:
        with self.registry.reading() as session:
            found = select(Transition).where(Transition.rule_id == alert.rule_id)
            told = session.scalars(found.order_by(Transition.seq)).all()
            return [(one.to_state, one.actor, one.reason) for one in told if one.actor]

    def audit(self, action: str) -> list[tuple[str | None, str | None, bool, str | None]]:
        with self.registry.reading() as session:
            found = session.scalars(select(AuditLog).where(AuditLog.action == action))
            return [
                (one.username, one.resource_id, one.success, one.error_message) for one in found
            ]

    def count(self) -> int:
        with self.registry.reading() as session:
            return session.scalar(select(func.count()).select_from(AuditLog)) or 0

    def end(self) -> None:
        self.registry.close()
        assert self.server.stop() == (0, "")


@pytest.fixture
def control(registry_settings: Settings) -> Iterator[Control]:
    found = Control(registry_settings)
    yield found
    found.end()


@pytest.fixture(scope="module")
def untouched(shared: Control) -> Alert:
    return shared.fired()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Control]:
    found = Control(load_settings(data_dir=tmp_path_factory.mktemp("operators") / "data"))
    yield found
    found.end()


def test_an_alarm_is_shelved_told_again_and_acknowledged(control: Control) -> None:
    alert = control.fired()
    shelved = control.ask(f"{alert.id}/shelve", {"reason": "sensor is moved", "seconds": 600})
    told = json.loads(shelved.body)
    assert (shelved.status, told["changed"], told["alert"]["id"]) == (200, True, alert.id)
    assert told["alert"]["shelved_until"]
    back = json.loads(control.ask(f"{alert.id}/unshelve", b"").body)
    assert (back["changed"], back["alert"]["shelved_until"]) == (True, None)
    seen = json.loads(control.ask(f"{alert.id}/acknowledge", {"note": "auf dem Weg ü"}).body)
    kept = ("status", "acknowledged_by", "ack_note")
    assert [seen["alert"][name] for name in kept] == ["ACKNOWLEDGED", "opal", "auf dem Weg ü"]
    again = control.ask(f"{alert.id[:8]}/acknowledge", {"note": "me too"})
    assert (again.status, json.loads(again.body)["changed"]) == (200, False)
    assert control.steps(alert) == [
        ("SHELVED", "opal", "sensor is moved"),
        ("NONE", "opal", ""),
        ("ACK", "opal", "auf dem Weg ü"),
    ]
    assert control.audit("alert.shelve") == [("opal", alert.id, True, None)]


def test_a_latched_alarm_is_reset_when_it_is_over(control: Control) -> None:
    active = control.fired(latched=True)
    refused = control.ask(f"{active.id}/reset", {})
    assert (refused.status, "while it is active" in refused.body.decode()) == (409, True)
    assert [one[2] for one in control.audit("alert.reset")] == [False]
    over = control.fired(latched=True, values=(90.0, 70.0))
    done = json.loads(control.ask(f"{over.id}/reset", {"note": "valve mended"}).body)
    assert (done["changed"], done["alert"]["status"]) == (True, "RESOLVED")


def test_an_alarm_that_was_followed_by_another_is_left_alone(shared: Control) -> None:
    with running_plant(shared.settings, shared.registry) as plant:
        rule = plant.rule(plant.device("twice"), name="twice")
        plant.feed("twice", [(1, 90), (2, 70), (1000, 90)])
        first, second = (one for one in plant.alerts() if one.rule_id == rule)
    assert shared.ask(f"{first.id}/acknowledge", {}).status == 409
    assert shared.ask(f"{second.id}/acknowledge", {}).status == 200


@pytest.mark.parametrize(
    ("verb", "content", "told"),
    [
        ("acknowledge", b"[]", "a JSON object"),
        ("acknowledge", b"{", "a JSON object"),
        ("acknowledge", {"note": 1}, "note is one line"),
        ("acknowledge", {"note": "nul \0"}, "note is one line"),
        ("acknowledge", b'{"note": "\\ud800"}', "note is one line"),
        ("acknowledge", {"note": "x" * 1_001}, "note is one line"),
        ("shelve", {"seconds": 60}, "needs a reason"),
        ("shelve", {"reason": "r"}, "seconds is a number"),
        ("shelve", {"reason": "r", "seconds": True}, "seconds is a number"),
        ("shelve", b'{"reason": "r", "seconds": NaN}', "seconds is a number"),
        ("shelve", b'{"reason": "r", "seconds": 1e308}', "seconds is a number"),
        ("shelve", b'{"reason": "r", "seconds": 1%s}' % (b"0" * 400), "seconds is a number"),
        ("shelve", {"reason": "r", "seconds": 10**7}, "cannot be shelved"),
        ("shelve", {"reason": "r", "seconds": -1}, "cannot be shelved"),
    ],
    ids=map(str, range(14)),
)
def test_what_cannot_be_used(
    shared: Control, untouched: Alert, verb: str, content: Any, told: str
) -> None:
    alert = untouched
    answer = shared.ask(f"{alert.id}/{verb}", content)
    assert answer.status == 400
    assert told in json.loads(answer.body)["error"]
    assert shared.steps(alert) == []


def test_alarms_that_there_are_not(control: Control) -> None:
    percents = "%25%25%25%25%25%25%25%25"
    for name in ("00000000", str(uuid4()), "x", "%00" * 9, percents, "a" * 500):
        answer = control.ask(f"{name}/acknowledge", {})
        assert (answer.status, "no alarm" in answer.body.decode()) == (404, True)


def test_who_may_not(control: Control) -> None:
    alert = control.fired()
    verbs = ("acknowledge", "shelve", "unshelve", "reset")
    for verb in verbs:
        for token, status in (("gwt_wrong", 401), (control.reader, 403)):
            assert control.ask(f"{alert.id}/{verb}", {}, token).status == status
    assert control.server.ask("GET", f"/api/alerts/{alert.id}/reset").status == 405
    assert control.steps(alert) == []
    before = control.count()
    (refused,) = control.audit("request")
    assert (refused[0], *refused[2:]) == ("opal", False, "lacks alerts:ack")
    assert control.ask(f"{alert.id}/reset", {}, control.reader).status == 403
    assert control.count() == before


def test_a_gateway_writes_with_a_token_of_maintenance(shared: Control) -> None:
    _, token = add_token(shared.registry, HOST, "mat", "gateway", [Scope.POINTS_WRITE])
    shown = {"Authorization": f"Token {token}"}
    assert shared.server.ask("POST", "/write?db=d", b"m v=1", **shown).status == 204
    assert shared.server.ask("GET", "/api/alerts", None, **shown).status == 403

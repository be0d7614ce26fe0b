"""Tokens of programs, and who is behind a request."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text

from gateway_assets.accounts.identity import Authenticator, Given, Identity
from gateway_assets.accounts.roles import SCOPES, Scope
from gateway_assets.accounts.sessions import close_session, open_session
from gateway_assets.accounts.tokens import add_token, check_token, list_tokens, revoke_token
from gateway_assets.accounts.users import edit_user, set_password
from gateway_assets.errors import GatewayError, LoginRefused, RegistryError, UsageError
from gateway_assets.registry.audit import Actor
from gateway_assets.registry.words import Role, UserStatus
from tests.accounts.conftest import HOST, NOON, VIC, People

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
WRITE, READ = Scope.POINTS_WRITE, Scope.POINTS_READ
FROM = Actor("?", None, "192.0.2.7", "test/1")


def added(people: People, user: str = "ann", *scopes: Scope, days: int = 0) -> str:
    ends = NOON + timedelta(days=days) if days else None
    wanted = scopes or (WRITE,)
    return add_token(people.registry, HOST, user, "t", wanted, expires_at=ends, now=NOON)[1]


def refused(people: People, secret: str, now: datetime = NOON) -> str:
    try:
        check_token(people.registry, secret, now=now)
    except LoginRefused as error:
        return error.reason
    return ""


def test_what_each_role_may_do() -> None:
    reads = {"points:read", "alerts:read", "registry:read"}
    assert {role: set(scopes) for role, scopes in SCOPES.items()} == {
        Role.ADMIN: {*reads, "points:write", "alerts:ack", "registry:write", "users:admin"},
        Role.OPERATOR: {*reads, "alerts:ack"},
        Role.MAINTENANCE: {*reads, "registry:write", "points:write"},
        Role.VIEWER: reads,
    }


def test_a_token_is_kept_as_a_hash(people: People) -> None:
    secret = added(people)
    assert secret.startswith("gwt_")
    assert len(secret) == 47
    held = people.everything()
    assert (secret in held, secret.removeprefix("gwt_") in held) == (False, False)
    assert check_token(people.registry, secret)[1].username == "ann"


@pytest.mark.parametrize(
    ("user", "name", "scopes", "what"),
    [
        ("vic", "t", [WRITE], "VIEWER and has no points:write"),
        ("vic", "t", [READ, Scope.USERS_ADMIN], "has no users:admin"),
        ("vic", "t", [], "needs a scope"),
        ("vic", " ", [READ], "cannot be a token's name"),
        ("bob", "t", [READ], "no user 'bob'"),
        ("ann", "there", [READ], "already"),
    ],
    ids=["write", "admin", "none", "name", "user", "taken"],
)
def test_tokens_that_cannot_be(
    people: People, user: str, name: str, scopes: list[Scope], what: str
) -> None:
    add_token(people.registry, HOST, "ann", "there", [READ])
    with pytest.raises(GatewayError, match=what):
        add_token(people.registry, HOST, user, name, scopes)
    assert [done for _, done, _ in people.audit("token.add")] == [True, False]


def test_a_token_ends(people: People) -> None:
    secret = added(people, days=1)
    assert refused(people, secret, NOON + timedelta(hours=23)) == ""
    assert "has expired" in refused(people, secret, NOON + timedelta(days=1))
    with pytest.raises(UsageError):
        add_token(people.registry, HOST, "ann", "u", [READ], expires_at=NOON, now=NOON)


def test_a_token_is_revoked_and_its_name_is_free(people: People) -> None:
    secret = added(people)
    revoke_token(people.registry, HOST, "ann", "t", now=NOON)
    assert "is revoked" in refused(people, secret)
    with pytest.raises(RegistryError, match="no token 't'"):
        revoke_token(people.registry, HOST, "ann", "t")
    assert refused(people, added(people)) == ""
    assert {one.revoked_at for one, _ in list_tokens(people.registry, "ann")} == {NOON, None}
    assert [done for _, done, _ in people.audit("token.revoke")] == [True, False]


def test_use_is_noted_once_a_minute(people: People) -> None:
    secret, seen = added(people), []
    for after in (0 * MINUTE, 59 * SECOND, 60 * SECOND, 61 * SECOND):
        check_token(people.registry, secret, now=NOON + after)
        seen.append(list_tokens(people.registry)[0][0].last_used)
    assert seen == [NOON, NOON, NOON + MINUTE, NOON + MINUTE]


def test_a_token_has_what_its_users_role_has_left(people: People) -> None:
    secret = added(people, "ann", WRITE, READ)
    edit_user(people.registry, HOST, "vic", role=Role.ADMIN)
    known = Authenticator(people.registry, people.settings)
    assert known.identify(Given(secret), FROM, NOON).scopes == {WRITE, READ}
    edit_user(people.registry, HOST, "ann", role=Role.VIEWER)
    assert known.identify(Given(secret), FROM, NOON + 9 * SECOND).scopes == {WRITE, READ}
    assert known.identify(Given(secret), FROM, NOON + 10 * SECOND).scopes == {READ}


def test_scopes_that_somebody_wrote_by_hand_give_nothing_more(people: People) -> None:
    secret = added(people, "vic", READ)
    with people.registry.writing() as session:
        held = """UPDATE api_tokens SET scopes = '["points:read", "users:admin", "nonsense"]'"""
        session.execute(text(held))
    known = Authenticator(people.registry, people.settings)
    assert known.identify(Given(secret), FROM, NOON).scopes == {READ}


def test_tokens_outlive_a_lock_out_but_not_their_user(people: People) -> None:
    secret = added(people, "vic", READ)
    known = Authenticator(people.registry, people.settings)
    for _ in range(5):
        with pytest.raises(LoginRefused):
            known.identify(Given("wrong", "vic"), FROM, NOON)
    assert people.user(people.vic).status is UserStatus.LOCKED
    assert known.identify(Given(secret, "any"), FROM, NOON).username == "Vic"
    edit_user(people.registry, HOST, "vic", status=UserStatus.INACTIVE)
    later = NOON + 10 * SECOND
    with pytest.raises(LoginRefused):
        known.identify(Given(secret), FROM, later)


def test_a_password_is_remembered_for_a_minute(people: People) -> None:
    known, given = Authenticator(people.registry, people.settings), Given(VIC, "vic")
    found = known.identify(given, FROM, NOON)
    assert found == Identity(people.vic.id, "Vic", "VIEWER", SCOPES[Role.VIEWER], False)
    set_password(people.registry, people.settings, HOST, "vic", "another long one", now=NOON)
    assert known.remembered(given, NOON + 59 * SECOND) == found
    assert known.remembered(given, NOON + 60 * SECOND) is None
    assert known.remembered(given, NOON - SECOND) is None  # a clock that was set back
    for other in (Given(VIC, "ann"), Given(VIC), Given("vic", VIC), Given(VIC + "x", "vic")):
        assert known.remembered(other, NOON) is None
    known.forget(people.ann.id)
    assert known.remembered(given, NOON) == found
    known.forget(people.vic.id)
    assert known.remembered(given, NOON) is None
    with pytest.raises(LoginRefused):
        known.identify(given, FROM, NOON)
    assert known.identify(Given("another long one", "vic"), FROM, NOON).must_change


def test_many_requests_with_the_same_pair_are_checked_once(people: People) -> None:
    known, given = Authenticator(people.registry, people.settings), Given("wrong", "vic")

    def asked(_: int) -> bool:
        try:
            known.identify(Given(VIC, "vic"), FROM, NOON)
        except LoginRefused:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(asked, range(40)))
    with pytest.raises(LoginRefused):
        known.identify(given, FROM, NOON)
    assert known.remembered(given, NOON) is None


def test_a_session_is_looked_up_each_time(people: People) -> None:
    token = open_session(people.registry, people.settings, people.vic, now=NOON).token
    known = Authenticator(people.registry, people.settings)
    assert known.identify(Given(token), FROM, NOON).scopes == SCOPES[Role.VIEWER]
    close_session(people.registry, HOST, token)
    with pytest.raises(LoginRefused):
        known.identify(Given(token), FROM, NOON)


def test_a_refused_token_is_in_the_audit_once_a_minute(people: People) -> None:
    known = Authenticator(people.registry, people.settings)
    other = FROM._replace(ip_address="192.0.2.8")
    for number in range(5):
        for actor in (FROM, other):
            with pytest.raises(LoginRefused):
                known.identify(Given(f"gwt_{number}"), actor, NOON + 20 * number * SECOND)
    assert people.audit("token.use") == [("?", False, "there is no such token")] * 4

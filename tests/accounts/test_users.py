"""Adding and changing users; what is refused is in the audit."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway_assets.accounts.login import verify
from gateway_assets.accounts.sessions import check_session, open_session
from gateway_assets.accounts.users import (
    add_user,
    change_password,
    edit_user,
    get_user,
    list_users,
    set_password,
)
from gateway_assets.errors import GatewayError, LoginRefused, RegistryError, UsageError
from gateway_assets.registry.audit import Actor
from gateway_assets.registry.words import Role, UserStatus
from tests.accounts.conftest import ANN, HOST, NOON, VIC, People

BOB = "bobs own password"


def add(people: People, name: str, password: str = BOB, role: Role = Role.VIEWER) -> None:
    add_user(people.registry, people.settings, HOST, name, role, password, now=NOON)


def test_users_are_listed_and_found(people: People) -> None:
    assert [user.username for user in list_users(people.registry)] == ["ann", "Vic"]
    assert get_user(people.registry, "VIC").role is Role.VIEWER
    with pytest.raises(RegistryError, match="no user 'bob'"):
        get_user(people.registry, "bob")


@pytest.mark.parametrize(
    ("name", "password", "what"),
    [
        ("VIC", BOB, "already"),
        ("", BOB, "cannot be a username"),
        ("a b", BOB, "cannot be a username"),
        ("os:root", BOB, "cannot be a username"),
        ("a\0", BOB, "cannot be a username"),
        ("x" * 65, BOB, "cannot be a username"),
        ("bob", "short", "shorter"),
    ],
    ids=["taken", "empty", "space", "host", "nul", "long", "password"],
)
def test_users_that_cannot_be(people: People, name: str, password: str, what: str) -> None:
    with pytest.raises(GatewayError, match=what):
        add(people, name, password)
    assert len(list_users(people.registry)) == 2
    *_, (who, done, why) = people.audit("user.add")
    assert (who, done, what in (why or "")) == ("os:test", False, True)


@pytest.mark.parametrize(
    ("given", "what", "told"),
    [
        ({"email": "nonsense"}, UsageError, "no e-mail address"),
        ({"email": "ANN@example.org"}, RegistryError, "the e-mail address of ann"),
        ({"email": "a\n@example.org"}, UsageError, "cannot be an e-mail"),
        ({"full_name": "x" * 256}, UsageError, "cannot be a name"),
        ({"full_name": "\udcff"}, UsageError, "cannot be a name"),
        ({"full_name": "\0"}, UsageError, "cannot be a name"),
    ],
    ids=map(str, range(6)),
)
def test_profiles_that_cannot_be(
    people: People, given: dict[str, str], what: type[GatewayError], told: str
) -> None:
    edit_user(people.registry, HOST, "ann", email="ann@example.org")
    edit_user(people.registry, HOST, "ann", email="Ann@example.org")
    with pytest.raises(what, match=told) as refused:
        edit_user(people.registry, HOST, "vic", **given)  # type: ignore[arg-type]
    assert refused.value.hint
    with pytest.raises(what, match=told):
        add_user(people.registry, people.settings, HOST, "new", Role.VIEWER, BOB, **given)  # type: ignore[arg-type]
    assert [done for _, done, _ in people.audit("user.edit")] == [True, True, False]


def test_names_are_changed_and_removed(people: People) -> None:
    edit_user(people.registry, HOST, "vic", full_name="Vic Li", email="vic@example.org")
    user = people.user(people.vic)
    assert (user.full_name, user.email, user.role) == ("Vic Li", "vic@example.org", Role.VIEWER)
    edit_user(people.registry, HOST, "vic", full_name="", email="")
    user = people.user(people.vic)
    assert (user.full_name, user.email) == (None, None)


def test_one_active_administrator_stays(people: People) -> None:
    last = pytest.raises(RegistryError, match="last active ADMIN")
    with last:
        edit_user(people.registry, HOST, "ann", status=UserStatus.INACTIVE)
    with last:
        edit_user(people.registry, HOST, "ann", role=Role.OPERATOR)
    assert people.audit("user.edit") == [("os:test", False, "ann is the last active ADMIN")] * 2
    add(people, "bob", role=Role.ADMIN)
    edit_user(people.registry, HOST, "ann", role=Role.OPERATOR)
    with last:
        edit_user(people.registry, HOST, "bob", status=UserStatus.INACTIVE)
    assert people.user(people.ann).role is Role.OPERATOR


def test_two_administrators_cannot_remove_each_other(people: People) -> None:
    edit_user(people.registry, HOST, "vic", role=Role.ADMIN)

    def disabled(name: str) -> bool:
        try:
            edit_user(people.registry, HOST, name, status=UserStatus.INACTIVE)
        except RegistryError:
            return False
        return True

    for _ in range(5):
        with ThreadPoolExecutor(2) as threads:
            assert sorted(threads.map(disabled, ["ann", "vic"])) == [False, True]
        for name in ("ann", "vic"):
            edit_user(people.registry, HOST, name, status=UserStatus.ACTIVE)


def test_a_status_that_logins_set_is_not_given(people: People) -> None:
    with pytest.raises(UsageError):
        edit_user(people.registry, HOST, "vic", status=UserStatus.LOCKED)


@pytest.mark.parametrize("change", ["role", "status", "password"])
def test_a_change_ends_sessions(people: People, change: str) -> None:
    token = open_session(people.registry, people.settings, people.vic, now=NOON).token
    kept = open_session(people.registry, people.settings, people.ann, now=NOON).token
    if change == "role":
        edit_user(people.registry, HOST, "vic", role=Role.OPERATOR)
    elif change == "status":
        edit_user(people.registry, HOST, "vic", status=UserStatus.INACTIVE)
    else:
        set_password(people.registry, people.settings, HOST, "vic", BOB, now=NOON)
    with pytest.raises(LoginRefused):
        check_session(people.registry, people.settings, token, now=NOON)
    assert check_session(people.registry, people.settings, kept, now=NOON).username == "ann"


def test_the_own_password_needs_the_old_one(people: People) -> None:
    vic = Actor("Vic", people.vic.id)
    with pytest.raises(LoginRefused):
        change_password(people.registry, people.settings, vic, "wrong", BOB, now=NOON)
    assert people.user(people.vic).failed_login_attempts == 1
    with pytest.raises(UsageError, match="the old one"):
        change_password(people.registry, people.settings, vic, VIC, VIC, now=NOON)
    change_password(people.registry, people.settings, vic, VIC, BOB, now=NOON)
    assert verify(people.registry, people.settings, "vic", BOB, now=NOON).must_change_password is (
        False
    )
    with pytest.raises(LoginRefused):
        verify(people.registry, people.settings, "vic", VIC, now=NOON)
    assert people.audit("user.password") == [("Vic", True, None)]
    assert [done for _, done, _ in people.audit("password.change")] == [False, False]


def test_a_password_that_others_set_must_be_changed(people: People) -> None:
    set_password(people.registry, people.settings, HOST, "vic", BOB, now=NOON)
    assert people.user(people.vic).must_change_password


def test_no_password_is_in_the_registry(people: People) -> None:
    set_password(people.registry, people.settings, HOST, "vic", BOB, now=NOON)
    for name, password in (("vic", BOB), ("vic", "wrong guess 77"), ("nobody", "wrong guess 78")):
        try:
            verify(people.registry, people.settings, name, password, now=NOON)
        except LoginRefused:
            continue
    held = people.everything()
    assert "$argon2id$" in held
    for password in (ANN, VIC, BOB, "wrong guess"):
        assert password not in held

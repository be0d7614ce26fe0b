"""Who is let in, who is locked out, and what the audit says of it."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import psycopg
import pytest
from argon2 import PasswordHasher
from sqlalchemy import event, update

from gateway_assets.accounts.login import REQUEST, verify
from gateway_assets.accounts.users import edit_user, must_change, set_password, unlock_user
from gateway_assets.errors import LoginRefused
from gateway_assets.registry.audit import Actor
from gateway_assets.registry.users import User
from gateway_assets.registry.words import UserStatus
from tests.accounts.conftest import ANN, HOST, NOON, VIC, People

MINUTE = timedelta(minutes=1)


def tried(people: People, username: str, password: str, now: datetime = NOON) -> str:
    """Why the attempt was refused, or nothing."""
    try:
        verify(people.registry, people.settings, username, password, now=now)
    except LoginRefused as refused:
        assert str(refused) == "authorization failed"
        return refused.reason
    return ""


def locked_minutes(people: People, now: datetime) -> float:
    until = people.user(people.vic).locked_until
    assert until is not None
    return (until - now) / MINUTE


def test_the_right_password(people: People) -> None:
    actor = Actor("?", None, "192.0.2.7", "test/1")
    user = verify(people.registry, people.settings, "VIC", VIC, actor=actor, now=NOON)
    assert (user.id, user.last_login, must_change(user, NOON)) == (people.vic.id, NOON, False)
    assert people.audit("login") == [("Vic", True, None)]


def test_refusals_look_alike_and_the_audit_knows_why(people: People) -> None:
    edit_user(people.registry, HOST, "vic", status=UserStatus.INACTIVE)
    for name, password in (("ann", "wrong"), ("nobody", ANN), ("Vic", VIC), ("n\0\ud800", ANN)):
        assert tried(people, name, password)
    assert people.audit("login") == [
        ("ann", False, "wrong password"),
        ("nobody", False, "there is no such user"),
        ("Vic", False, "the user is inactive"),
        ("n??", False, "there is no such user"),
    ]


def test_strange_names_and_passwords_are_refused(people: People) -> None:
    for text in ("", " ", "x" * 10_000, "' OR 1=1 --", "%", "\ud800", "a\0nn"):
        assert tried(people, text, ANN) == "there is no such user"
        assert tried(people, "vic", text) in {"wrong password", "the user is locked out"}


def test_lock_out_doubles_up_to_a_day(people: People) -> None:
    now = NOON
    for _ in range(4):
        assert tried(people, "vic", "wrong", now) == "wrong password"
    assert people.user(people.vic).status is UserStatus.ACTIVE
    lengths = []
    for _ in range(9):
        assert tried(people, "vic", "wrong", now) == "wrong password"
        assert people.user(people.vic).status is UserStatus.LOCKED
        lengths.append(locked_minutes(people, now))
        now += timedelta(minutes=lengths[-1])
    assert lengths == [15, 30, 60, 120, 240, 480, 960, 1440, 1440]
    assert tried(people, "vic", VIC, now - timedelta(microseconds=1)) == "the user is locked out"
    assert tried(people, "vic", VIC, now) == ""
    user = people.user(people.vic)
    assert (user.status, user.failed_login_attempts, user.locked_until) == (
        UserStatus.ACTIVE, 0, None,
    )  # fmt: skip


def test_an_administrator_unlocks(people: People) -> None:
    for _ in range(5):
        tried(people, "vic", "wrong")
    assert tried(people, "vic", VIC) == "the user is locked out"
    unlock_user(people.registry, HOST, "vic")
    assert tried(people, "vic", VIC) == ""
    assert people.audit("user.unlock") == [("os:test", True, None)]


def test_guesses_at_the_same_time_are_all_counted(people: People) -> None:
    with ThreadPoolExecutor(8) as threads:
        reasons = list(threads.map(lambda _: tried(people, "vic", "wrong"), range(8)))
    assert sorted(reasons) == ["the user is locked out"] * 3 + ["wrong password"] * 5
    assert people.user(people.vic).failed_login_attempts == 5
    assert len(people.audit("login")) == 8


class Waiting:
    """Knows when as many attempts stand before the user's row, which somebody else holds."""

    def __init__(self, people: People) -> None:
        self._people, self._begun = people, 0
        event.listen(people.registry.engine, "checkout", self._begin)

    def _begin(self, *_: object) -> None:
        self._begun += 1

    def until(self, attempts: int) -> None:
        """Each has read in one transaction, and has a connection for another."""
        before = time.monotonic()
        while self._begun < 2 * attempts or self._held_up() < attempts:
            assert time.monotonic() < before + 15, "they did not come"
            time.sleep(0.01)

    def _held_up(self) -> int:
        if not self._people.registry.is_postgres:
            return sys.maxsize  # its lock comes with the transaction
        with psycopg.connect(self._people.settings.registry_url) as connection:
            row = connection.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            ).fetchone()
        return int(row[0]) if row else 0


def test_guesses_that_wait_for_each_other_are_all_counted(people: People) -> None:
    with ThreadPoolExecutor(4) as threads:
        with people.registry.writing() as session:
            session.get_one(User, people.vic.id, with_for_update=True)
            waiting = Waiting(people)
            tries = [threads.submit(tried, people, "vic", "wrong") for _ in range(4)]
            waiting.until(4)
        assert [one.result() for one in tries] == ["wrong password"] * 4
    assert people.user(people.vic).failed_login_attempts == 4


def test_a_password_that_is_changed_meanwhile_is_wrong(people: People) -> None:
    with ThreadPoolExecutor(1) as threads:
        with people.registry.writing() as session:
            user = session.get_one(User, people.vic.id, with_for_update=True)
            waiting = Waiting(people)
            attempt = threads.submit(tried, people, "vic", VIC)
            waiting.until(1)
            user.password_hash = people.ann.password_hash
        assert attempt.result() == "wrong password"


def test_the_last_of_many_guesses_is_too_late(people: People) -> None:
    for _ in range(4):
        tried(people, "vic", "wrong")
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda word: tried(people, "vic", word), ["wrong", "wrong", "no"]))
    assert found.count("wrong password") == 1
    assert tried(people, "vic", VIC) == "the user is locked out"


def test_a_hash_of_old_parameters_is_renewed(people: People) -> None:
    old = PasswordHasher(time_cost=1, memory_cost=1024).hash(VIC)
    with people.registry.writing() as session:
        session.execute(update(User).where(User.id == people.vic.id).values(password_hash=old))
    assert tried(people, "vic", "wrong") == "wrong password"
    assert people.user(people.vic).password_hash == old
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda _: tried(people, "vic", VIC), range(4))) == [""] * 4
    assert "m=65536,t=3,p=4" in people.user(people.vic).password_hash
    assert tried(people, "vic", VIC) == ""


def test_a_password_expires(people: People) -> None:
    aged = people.settings.model_copy(update={"password_max_days": 30})
    set_password(people.registry, aged, HOST, "vic", VIC, must_change=False, now=NOON)
    assert tried(people, "vic", VIC, NOON + timedelta(days=29)) == ""
    assert people.user(people.vic).status is UserStatus.ACTIVE
    late = NOON + timedelta(days=30)
    user = verify(people.registry, aged, "vic", VIC, now=late)
    assert (user.status, must_change(user, late)) == (UserStatus.EXPIRED, True)
    set_password(people.registry, aged, HOST, "vic", VIC, must_change=False, now=late)
    assert people.user(people.vic).status is UserStatus.ACTIVE


def test_passwords_of_requests_leave_a_row_only_when_refused(people: People) -> None:
    verify(people.registry, people.settings, "vic", VIC, action=REQUEST, now=NOON)
    assert people.audit(REQUEST) == []
    with pytest.raises(LoginRefused):
        verify(people.registry, people.settings, "vic", "wrong", action=REQUEST, now=NOON)
    assert people.audit(REQUEST) == [("Vic", False, "wrong password")]

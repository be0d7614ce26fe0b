"""Sessions: how they end, and what is kept of them."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select

from gateway_assets.accounts.sessions import (
    check_session,
    close_session,
    list_sessions,
    open_session,
)
from gateway_assets.accounts.users import edit_user, set_password
from gateway_assets.errors import LoginRefused
from gateway_assets.registry.audit import Actor
from gateway_assets.registry.users import UserSession
from gateway_assets.registry.words import UserStatus
from tests.accounts.conftest import HOST, NOON, People

MINUTE = timedelta(minutes=1)


def opened(people: People, now: datetime = NOON) -> str:
    return open_session(people.registry, people.settings, people.vic, now=now).token


def ended(people: People, token: str, now: datetime) -> str:
    """Why it has, or nothing."""
    try:
        user = check_session(people.registry, people.settings, token, now=now)
    except LoginRefused as refused:
        return refused.reason
    assert user.username == "Vic"
    return ""


def test_a_session_ends_by_its_age(people: People) -> None:
    token, now = opened(people), NOON
    while now < NOON + timedelta(hours=12):
        assert ended(people, token, now) == ""
        now += 59 * MINUTE
    assert ended(people, token, NOON + timedelta(hours=12)) == "the session has ended"


def test_a_session_ends_by_lying_idle(people: People) -> None:
    token = opened(people)
    assert ended(people, token, NOON + 59 * MINUTE) == ""
    assert ended(people, token, NOON + 118 * MINUTE) == ""
    assert ended(people, token, NOON + 178 * MINUTE) == "the session has ended"


def test_a_session_is_closed_once(people: People) -> None:
    token, vic = opened(people), Actor("Vic", people.vic.id)
    assert close_session(people.registry, vic, token)
    assert not close_session(people.registry, vic, token)
    assert ended(people, token, NOON) == "the session is closed"
    assert people.audit("logout") == [("Vic", True, None)]


def test_the_oldest_goes_when_there_are_too_many(people: People) -> None:
    tokens = [opened(people, NOON + number * MINUTE) for number in range(7)]
    now = NOON + 8 * MINUTE
    assert [ended(people, token, now) for token in tokens] == (
        ["there is no such session"] * 2 + [""] * 5
    )


def test_ended_ones_are_removed(people: People) -> None:
    for number in range(3):
        opened(people, NOON + number * MINUTE)
    opened(people, NOON + timedelta(hours=2))
    with people.registry.reading() as session:
        assert session.scalar(select(func.count()).select_from(UserSession)) == 1


def test_who_is_disabled_meanwhile_gets_none(people: People) -> None:
    edit_user(people.registry, HOST, "vic", status=UserStatus.INACTIVE)
    with pytest.raises(LoginRefused):
        opened(people)


def test_a_password_that_was_changed_meanwhile_opens_none(people: People) -> None:
    new = "another long one"
    set_password(people.registry, people.settings, HOST, "vic", new, now=NOON + MINUTE)
    with pytest.raises(LoginRefused) as refused:
        opened(people, NOON + 2 * MINUTE)
    assert refused.value.reason == "the password was changed meanwhile"


def test_open_ones_are_listed(people: People) -> None:
    for now in (NOON, NOON + 30 * MINUTE):
        opened(people, now)
    listed = list_sessions(people.registry, people.settings, now=NOON + 61 * MINUTE)
    assert [(one.created_at, name) for one, name in listed] == [(NOON + 30 * MINUTE, "Vic")]
    of_ann = list_sessions(people.registry, people.settings, people.ann.id, now=NOON)
    assert of_ann == []


def test_no_token_is_in_the_registry(people: People) -> None:
    token = opened(people)
    assert len(token) == 47
    held = people.everything()
    assert (token in held, token.removeprefix("gws_") in held) == (False, False)


@pytest.mark.parametrize("token", ["", "gws_", "gws_\0", "\ud800", "x" * 100_000])
def test_tokens_that_are_none(people: People, token: str) -> None:
    assert ended(people, token, NOON) == "there is no such session"

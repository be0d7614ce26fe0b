"""What a password may be, and how it is kept."""

from __future__ import annotations

import pytest
from argon2 import PasswordHasher

from gateway_assets.accounts import passwords
from gateway_assets.errors import UsageError


@pytest.mark.parametrize(
    ("password", "what"),
    [
        ("", "shorter than 10"),
        ("nine char", "shorter than 10"),
        ("x" * 257, "longer than 256"),
        ("Ann.Of.The.Pumps", "the username"),
        ("Password123", "everybody tries first"),
        ("qwertyuiop", "everybody tries first"),
    ],
    ids=["empty", "short", "long", "username", "common", "row"],
)
def test_passwords_that_may_not_be(password: str, what: str) -> None:
    with pytest.raises(UsageError, match=what) as raised:
        passwords.check_policy(password, "ann.of.the.pumps", 10)
    assert not password or password not in str(raised.value)


@pytest.mark.parametrize(
    "password", ["ten chars!", "aaaaaaaaab", "密码是一句很长的话语", "x" * 256]
)
def test_length_counts_and_nothing_else(password: str) -> None:
    passwords.check_policy(password, "ann", 10)


def test_a_hash_tells_only_its_own_password() -> None:
    kept = passwords.hashed("a long way home")
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert passwords.matches(kept, "a long way home")
    assert not passwords.matches(kept, "a long way homf")
    assert not passwords.matches(None, "a long way home")
    assert not passwords.matches("no hash", "a long way home")
    assert kept != passwords.hashed("a long way home")


def test_every_keyboard_sends_the_same() -> None:
    kept = passwords.hashed("caf\u00e9 au lait")
    assert passwords.matches(kept, "cafe\u0301 au lait")


def test_a_password_is_not_cut() -> None:
    most = passwords.MOST_CHARACTERS
    assert not passwords.matches(passwords.hashed("x" * most), "x" * (most + 1))


def test_other_parameters_are_noticed() -> None:
    assert passwords.is_outdated(PasswordHasher(time_cost=1).hash("a long way home"))
    assert not passwords.is_outdated(passwords.hashed("a long way home"))


def test_made_ones_differ_and_may_be() -> None:
    made = {passwords.generated() for _ in range(100)}
    assert len(made) == 100
    for one in made:
        passwords.check_policy(one, "ann", 20)

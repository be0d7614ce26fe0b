"""Passwords: argon2id with the parameters of RFC 9106 for little memory (64 MiB, 3 passes).

What a password may be follows NIST SP 800-63B, section 5.1.1.2: length counts, composition does
not; not the username, not one that everybody tries first. Unicode is normalized (NFKC), so that
every keyboard sends the same bytes.
"""

from __future__ import annotations

import secrets
import unicodedata
from functools import cache
from importlib.resources import files

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from gateway_assets.errors import UsageError

MOST_CHARACTERS = 256
_HASHER = PasswordHasher()
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that looks like another


def check_policy(password: str, username: str, least: int) -> None:
    """Raises UsageError for a password that may not be; its text is never part of the error."""
    hint = f"{least} to {MOST_CHARACTERS} characters of any kind; or: --generate"
    if len(password) < least:
        raise UsageError(f"the password is shorter than {least} characters", hint=hint)
    if len(password) > MOST_CHARACTERS:
        raise UsageError(f"the password is longer than {MOST_CHARACTERS} characters", hint=hint)
    if password.casefold() == username.casefold():
        raise UsageError("the password is the username", hint=hint)
    if password.casefold() in _common():
        raise UsageError("the password is one that everybody tries first", hint=hint)


def hashed(password: str) -> str:
    """Takes some 50 to 200 ms and 64 MiB."""
    return _HASHER.hash(_bytes(password))


def matches(password_hash: str | None, password: str) -> bool:
    """Takes as long without a hash, so that time does not tell which users there are."""
    fallback = _nobodys_hash()
    usable = len(password) <= MOST_CHARACTERS
    try:
        _HASHER.verify(password_hash or fallback, _bytes(password[:MOST_CHARACTERS]))
    except (VerificationError, InvalidHashError):
        return False
    return usable and password_hash is not None


def is_outdated(password_hash: str) -> bool:
    """Whether it was made with other parameters than those of today."""
    return _HASHER.check_needs_rehash(password_hash)


def generated() -> str:
    """A first password, of 99 random bits."""
    parts = ("".join(secrets.choice(_LETTERS) for _ in range(5)) for _ in range(4))
    return "-".join(parts)


def _bytes(password: str) -> bytes:
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


@cache
def _nobodys_hash() -> str:
    return _HASHER.hash(secrets.token_bytes(16))


@cache
def _common() -> frozenset[str]:
    text = files("gateway_assets.accounts").joinpath("common_passwords.txt").read_text("utf-8")
    return frozenset(text.split())

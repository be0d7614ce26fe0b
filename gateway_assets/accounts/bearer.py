"""Tokens: 256 random bits each. SHA-256 is enough to keep of such, because nobody can guess them.

The first letters tell what a token is, to programs and to those who search for leaked ones.
"""

from __future__ import annotations

import hashlib
from secrets import token_urlsafe

API_TOKEN = "gwt_"  # noqa: S105  a prefix
SESSION = "gws_"


def new_secret(prefix: str) -> str:
    return prefix + token_urlsafe(32)


def hash_of(secret: str) -> str:
    """What is kept of a token, 64 hexadecimal digits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()

"""Who is behind a request: from a token, a session's token, or a username and password.

argon2 is slow on purpose, so a pair that was right is remembered for a minute, and a token for ten
seconds: a change reaches who is remembered after that at the latest. What is remembered is the HMAC
of what was given, under a key of this process.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from threading import Lock
from typing import NamedTuple

from gateway_assets.accounts.bearer import API_TOKEN, SESSION
from gateway_assets.accounts.login import REQUEST, verify
from gateway_assets.accounts.roles import SCOPES, Scope, scopes_of
from gateway_assets.accounts.sessions import check_session
from gateway_assets.accounts.tokens import check_token
from gateway_assets.accounts.users import must_change
from gateway_assets.errors import LoginRefused
from gateway_assets.registry.audit import Actor, record
from gateway_assets.registry.database import Registry
from gateway_assets.registry.model import utc_now
from gateway_assets.registry.users import User
from gateway_assets.settings import Settings

PASSWORD_KEPT = timedelta(seconds=60)
TOKEN_KEPT = timedelta(seconds=10)
_MOST_KEPT = 1_000
_TOLD_EVERY = timedelta(minutes=1)
_NOWHERE = Actor("?")


class Identity(NamedTuple):
    """Who it is and what it may do; with ``must_change`` only change the password."""

    user_id: str
    username: str
    role: str
    scopes: frozenset[Scope]
    must_change: bool = False


class Given(NamedTuple):
    """What a request shows: a token, or a username with a password or a token."""

    secret: str
    username: str | None = None

    @property
    def is_token(self) -> bool:
        return self.username is None or self.secret.startswith(API_TOKEN)


class _Kept(NamedTuple):
    identity: Identity
    since: datetime
    until: datetime


class Authenticator:
    """Safe from any number of threads."""

    def __init__(self, registry: Registry, settings: Settings) -> None:
        self._registry, self._settings = registry, settings
        self._key = secrets.token_bytes(32)
        self._lock = Lock()
        self._kept: dict[bytes, _Kept] = {}
        self._told: dict[str, datetime] = {}
        # The same pair from many requests at once is checked once.
        self._turns = [Lock() for _ in range(16)]

    def remembered(self, given: Given, now: datetime | None = None) -> Identity | None:
        """Takes no time; None when it has to be looked up."""
        moment, name = now or utc_now(), self._name(given)
        with self._lock:
            kept = self._kept.get(name)
        return kept.identity if kept and kept.since <= moment < kept.until else None

    def identify(
        self, given: Given, actor: Actor = _NOWHERE, now: datetime | None = None
    ) -> Identity:
        """``actor`` tells where the request comes from.

        Raises LoginRefused, which is in the audit then; RegistryUnavailable and Busy.
        """
        moment, name = now or utc_now(), self._name(given)
        with self._turns[name[0] % len(self._turns)]:
            known = self.remembered(given, moment)
            if known is not None:
                return known
            if not given.is_token:
                return self._by_password(given, actor, moment)
            try:
                return self._by_token(given, moment)
            except LoginRefused as refusal:
                self._tell(actor, "token.use", refusal.reason, moment)
                raise

    def note_refusal(self, actor: Actor, reason: str, now: datetime | None = None) -> None:
        """Somebody known may not do what was asked: into the audit. Raises as ``identify``."""
        self._tell(actor, REQUEST, reason, now or utc_now())

    def is_noted(self, actor: Actor, reason: str, now: datetime | None = None) -> bool:
        """Whether such a refusal is in the audit since a minute or less; takes no time."""
        moment = now or utc_now()
        with self._lock:
            before = self._told.get(_refusal(actor, REQUEST, reason))
        return before is not None and before <= moment < before + _TOLD_EVERY

    def forget(self, user_id: str) -> None:
        """What is remembered of a user, after a change."""
        with self._lock:
            self._kept = {
                name: kept for name, kept in self._kept.items() if kept.identity.user_id != user_id
            }

    def _by_password(self, given: Given, actor: Actor, moment: datetime) -> Identity:
        user = verify(
            self._registry,
            self._settings,
            given.username or "",
            given.secret,
            actor=actor,
            action=REQUEST,
            now=moment,
        )
        found = identity_of(user, must=must_change(user, moment))
        return self._keep(given, found, moment, PASSWORD_KEPT)

    def _by_token(self, given: Given, moment: datetime) -> Identity:
        if given.secret.startswith(SESSION):
            # Looked up each time: a session that is closed ends at once, everywhere.
            user = check_session(self._registry, self._settings, given.secret, now=moment)
            return identity_of(user, must=must_change(user, moment))
        token, user = check_token(self._registry, given.secret, now=moment)
        scopes = scopes_of(user.role, token.scopes)
        found = Identity(user.id, user.username, user.role.value, scopes)
        until_end = token.expires_at - moment if token.expires_at else TOKEN_KEPT
        return self._keep(given, found, moment, min(until_end, TOKEN_KEPT))

    def _keep(
        self, given: Given, identity: Identity, moment: datetime, length: timedelta
    ) -> Identity:
        with self._lock:
            if len(self._kept) >= _MOST_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[self._name(given)] = _Kept(identity, moment, moment + length)
        return identity

    def _tell(self, actor: Actor, action: str, reason: str, moment: datetime) -> None:
        """The same refusal of the same address once a minute: it costs no argon2, and must not
        fill the disk.
        """
        what = _refusal(actor, action, reason)
        with self._lock:
            before = self._told.get(what)
            if before is not None and before <= moment < before + _TOLD_EVERY:
                return
            if len(self._told) >= _MOST_KEPT:
                del self._told[next(iter(self._told))]
            self._told[what] = moment
        kind = "users" if actor.user_id else "api_tokens"
        try:
            with self._registry.writing() as session:
                record(session, actor, action, kind=kind, id=actor.user_id, error=reason)
        except BaseException:
            with self._lock:
                self._told.pop(what, None)
            raise

    def _name(self, given: Given) -> bytes:
        user = "" if given.username is None else "u" + given.username
        text = f"{user}\0{given.secret}".encode("utf-8", "surrogatepass")
        return hmac.new(self._key, text, hashlib.sha256).digest()


def _refusal(actor: Actor, action: str, reason: str) -> str:
    return f"{actor.ip_address} {actor.user_id} {action} {reason}"


def identity_of(user: User, *, must: bool) -> Identity:
    return Identity(user.id, user.username, user.role.value, SCOPES[user.role], must)

"""Who may do what, when the registry's users decide.

What has to be looked up is looked up in threads: passwords in two, because each takes 64 MiB,
tokens in others, so that somebody who guesses passwords keeps no token waiting. A registry that
cannot be asked is answered with 503, never with a 4xx: clients drop what such an answer refuses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from starlette.requests import Request

from gateway_assets.accounts.identity import Authenticator, Identity
from gateway_assets.accounts.roles import Scope
from gateway_assets.errors import Busy, LoginRefused, RegistryError
from gateway_assets.registry.audit import Actor
from gateway_assets.registry.database import Registry
from gateway_assets.serve.credentials import actor_of, allow, given_by
from gateway_assets.serve.gate import unauthorized
from gateway_assets.serve.refusal import Refusal
from gateway_assets.settings import Settings

Found = TypeVar("Found")
_PASSWORD_THREADS, _OTHER_THREADS = 2, 4
_MOST_WAITING = 64


class Users:
    """The gate, and what its routes share."""

    def __init__(self, registry: Registry, settings: Settings) -> None:
        self.registry, self.settings = registry, settings
        self.authenticator = Authenticator(registry, settings)
        self._passwords = _Turns(_PASSWORD_THREADS, "password")
        self._others = _Turns(_OTHER_THREADS, "user")

    async def check(self, request: Request, scope: Scope | None) -> None:
        await self.allowed(request, scope)

    async def allowed(self, request: Request, scope: Scope | None) -> Identity:
        """Who may do what has this scope. Raises Refusal: 403, and those of ``identified``."""
        identity = await self.identified(request)
        try:
            allow(request, identity, scope)
        except Refusal:
            await self._note(actor_of(request, identity), identity, scope)
            raise
        return identity

    async def _note(self, actor: Actor, identity: Identity, scope: Scope | None) -> None:
        what = "the password must be changed first" if identity.must_change else f"lacks {scope}"
        if not self.authenticator.is_noted(actor, what):
            await self.run(partial(self.authenticator.note_refusal, actor, what))

    async def identified(self, request: Request) -> Identity:
        """Raises Refusal: 401 for nobody known, 503 when that cannot be found out."""
        given = given_by(request)
        if given is None:
            raise unauthorized(request, given=False)
        known = self.authenticator.remembered(given)
        if known is not None:
            return known
        work = partial(self.authenticator.identify, given, actor_of(request))
        try:
            return await self.run(work, slow=not given.is_token)
        except LoginRefused:
            raise unauthorized(request, given=True) from None

    async def run(self, work: Callable[[], Found], *, slow: bool = False) -> Found:
        """In a thread; ``slow`` is what hashes passwords. Raises Refusal (503) when the registry
        cannot be asked, and LoginRefused.
        """
        try:
            return await (self._passwords if slow else self._others).run(work)
        except LoginRefused:
            raise
        except (RegistryError, Busy) as error:
            raise Refusal(503, "the registry cannot be asked now; try again") from error


class _Turns:
    """A few threads, and an end of how many may wait for them."""

    def __init__(self, threads: int, name: str) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._waiting = 0

    async def run(self, work: Callable[[], Found]) -> Found:
        if self._waiting >= _MOST_WAITING:
            raise Refusal(503, "too many logins at once; try again")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1

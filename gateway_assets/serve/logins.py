"""Logging in and out, changing the password, and who one is: JSON in, JSON out, no cookies.

``POST /api/login``     username, password → token, expires_at, role, must_change_password
``POST /api/logout``    ends the session whose token it comes with
``POST /api/password``  old_password, new_password; ends all sessions of the user
``GET /api/me``         username, role, scopes
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway_assets.accounts.bearer import SESSION
from gateway_assets.accounts.login import verify
from gateway_assets.accounts.sessions import close_session, open_session
from gateway_assets.accounts.users import change_password, must_change
from gateway_assets.errors import LoginRefused, UsageError
from gateway_assets.registry.audit import Actor
from gateway_assets.registry.model import utc_now
from gateway_assets.serve.body import Bodies
from gateway_assets.serve.credentials import actor_of, allow, given_by
from gateway_assets.serve.gate import unauthorized
from gateway_assets.serve.refusal import Refusal, response
from gateway_assets.serve.room import Room
from gateway_assets.serve.users import Users

_BODY_BYTES = 16_384
_ALL_BYTES, _AT_ONCE = (
    64 * _BODY_BYTES,
    64,
)  # apart from writes, so that neither keeps the other out


class Logins:
    def __init__(self, users: Users) -> None:
        self._users = users
        self._bodies = Bodies(_BODY_BYTES, users.settings.serve_receive_seconds)
        self._room = Room(_ALL_BYTES, _AT_ONCE)
        self.router = APIRouter()
        for path, answer, method in (
            ("/api/login", self._login, "POST"),
            ("/api/logout", self._logout, "POST"),
            ("/api/password", self._password, "POST"),
            ("/api/me", self._me, "GET"),
        ):
            self.router.add_api_route(path, partial(_told, answer), methods=[method])

    async def _login(self, request: Request) -> Response:
        username, password = await self._texts(request, "username", "password")
        work = partial(self._opened, username, password, actor_of(request))
        try:
            return JSONResponse(await self._users.run(work, slow=True))
        except LoginRefused:
            raise unauthorized(request, given=True) from None

    def _opened(self, username: str, password: str, actor: Actor) -> dict[str, Any]:
        users = self._users
        user = verify(users.registry, users.settings, username, password, actor=actor)
        opened = open_session(
            users.registry, users.settings, user.id, ip=actor.ip_address, agent=actor.user_agent
        )
        return {
            "token": opened.token,
            "expires_at": opened.expires_at.isoformat(),
            "role": user.role.value,
            "must_change_password": must_change(user, utc_now()),
        }

    async def _logout(self, request: Request) -> Response:
        identity = await self._users.identified(request)
        given = given_by(request)
        if given is None or not given.secret.startswith(SESSION):
            raise Refusal(400, "only a session can be ended; come with its token")
        actor = actor_of(request, identity)
        await self._users.run(partial(close_session, self._users.registry, actor, given.secret))
        return Response(status_code=204)

    async def _password(self, request: Request) -> Response:
        identity = await self._users.identified(request)
        old, new = await self._texts(request, "old_password", "new_password")
        users, actor = self._users, actor_of(request, identity)
        work = partial(change_password, users.registry, users.settings, actor, old, new)
        try:
            await users.run(work, slow=True)
        except LoginRefused:
            raise unauthorized(request, given=True) from None
        except UsageError as error:
            raise Refusal(400, error.message) from None
        users.authenticator.forget(identity.user_id)
        return Response(status_code=204)

    async def _me(self, request: Request) -> Response:
        identity = await self._users.identified(request)
        allow(request, identity, None)
        told = {
            "username": identity.username,
            "role": identity.role,
            "scopes": sorted(identity.scopes),
        }
        return JSONResponse(told)

    async def _texts(self, request: Request, *names: str) -> list[str]:
        """Fields of a JSON object that are texts. Raises Refusal (400) for anything else."""
        with self._room.share() as share:
            body = await self._bodies.read(request, share)
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            found = None
        fields = [found.get(name) for name in names] if isinstance(found, dict) else []
        texts = [field for field in fields if isinstance(field, str)]
        if len(texts) != len(names):
            raise Refusal(400, f"a JSON object with {' and '.join(names)} is expected")
        return texts


async def _told(answer: Callable[[Request], Awaitable[Response]], request: Request) -> Response:
    try:
        return await answer(request)
    except Refusal as refusal:
        return response(refusal, 1)

"""Logging in and out, changing the password, and who one is: JSON in, JSON out, no cookies.

``POST /api/login``     username, password → token, expires_at, role, must_change_password
``POST /api/logout``    ends the session whose token it comes with
``POST /api/password``  old_password, new_password; ends all sessions of the user
``GET /api/me``         username, role, scopes
"""

from __future__ import annotations

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
from gateway_assets.serve.credentials import actor_of, given_by
from gateway_assets.serve.gate import unauthorized
from gateway_assets.serve.objects import Objects, told
from gateway_assets.serve.refusal import Refusal
from gateway_assets.serve.users import Users


class Logins:
    def __init__(self, users: Users, objects: Objects) -> None:
        self._users, self._objects = users, objects
        self.router = APIRouter()
        for path, answer, method in (
            ("/api/login", self._login, "POST"),
            ("/api/logout", self._logout, "POST"),
            ("/api/password", self._password, "POST"),
            ("/api/me", self._me, "GET"),
        ):
            self.router.add_api_route(path, partial(told, answer), methods=[method])

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
            users.registry, users.settings, user, ip=actor.ip_address, agent=actor.user_agent
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
        identity = await self._users.allowed(request, None)
        return JSONResponse(
            {
                "username": identity.username,
                "role": identity.role,
                "scopes": sorted(identity.scopes),
            }
        )

    async def _texts(self, request: Request, *names: str) -> list[str]:
        """Fields of a JSON object that are texts. Raises Refusal (400) for anything else."""
        found = await self._objects.read(request) or {}
        texts = [field for name in names if isinstance(field := found.get(name), str)]
        if len(texts) != len(names):
            raise Refusal(400, f"a JSON object with {' and '.join(names)} is expected")
        return texts

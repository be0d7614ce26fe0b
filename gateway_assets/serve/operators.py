"""What operators do to an alarm: JSON in, and the alarm as it is then out.

``POST /api/alerts/{id}/acknowledge``  note
``POST /api/alerts/{id}/shelve``       reason, seconds
``POST /api/alerts/{id}/unshelve``     note
``POST /api/alerts/{id}/reset``        note

A note may be left away, and so may the body of a request that has nothing else. What was done
already is no error: ``changed`` is false then.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway_assets.accounts.roles import Scope
from gateway_assets.alarms import operate
from gateway_assets.alarms.operate import Done
from gateway_assets.errors import ConfigError, NotNow, NotThere, UsageError
from gateway_assets.registry.audit import Actor
from gateway_assets.registry.database import Registry
from gateway_assets.serve.alerts import shown
from gateway_assets.serve.credentials import actor_of
from gateway_assets.serve.objects import Objects, told
from gateway_assets.serve.refusal import Refusal
from gateway_assets.serve.users import Users
from gateway_assets.settings import Settings

_ID = re.compile(r"[0-9a-fA-F-]{8,36}", re.ASCII)
_MOST_CHARACTERS = 1_000
_MOST_SECONDS = 1e9  # that can be reckoned with; ``shelve_max_hours`` is far below
Act = Callable[[Registry, Settings, str, Actor], Done]


class Operators:
    def __init__(self, users: Users, objects: Objects) -> None:
        self._users, self._objects = users, objects
        self.router = APIRouter()
        for verb, given in (
            ("acknowledge", _noted(operate.acknowledge)),
            ("shelve", _shelved),
            ("unshelve", _noted(operate.unshelve)),
            ("reset", _noted(operate.reset)),
        ):
            path, answer = f"/api/alerts/{{id}}/{verb}", partial(self._done, given)
            self.router.add_api_route(path, partial(told, answer), methods=["POST"])

    async def _done(self, given: Callable[[dict[str, Any]], Act], request: Request) -> Response:
        users, name = self._users, str(request.path_params["id"])
        identity = await users.allowed(request, Scope.ALERTS_ACK)
        act = given(await self._fields(request))
        if not _ID.fullmatch(name):
            raise Refusal(404, "no alarm of this id")
        work = partial(act, users.registry, users.settings, name, actor_of(request, identity))
        try:
            done = await users.run(work)
        except NotThere as error:
            raise Refusal(404, error.message) from None
        except (NotNow, ConfigError) as error:
            raise Refusal(409, error.message) from None
        except UsageError as error:
            raise Refusal(400, error.message) from None
        return JSONResponse({"alert": shown(done.alert), "changed": done.changed})

    async def _fields(self, request: Request) -> dict[str, Any]:
        if request.headers.get("content-length") == "0":
            return {}
        fields = await self._objects.read(request)
        if fields is None:
            raise Refusal(400, "a JSON object is expected")
        return fields


def _noted(act: Callable[[Registry, Settings, str, Actor, str], Done]) -> Any:
    def given(fields: dict[str, Any]) -> Act:
        note = _text(fields, "note")
        return lambda registry, settings, name, actor: act(registry, settings, name, actor, note)

    return given


def _shelved(fields: dict[str, Any]) -> Act:
    reason, seconds = _text(fields, "reason"), _number(fields, "seconds")
    return lambda registry, settings, name, actor: operate.shelve(
        registry, settings, name, actor, reason, seconds
    )


def _number(fields: dict[str, Any], name: str) -> float:
    found: Any = fields.get(name)
    is_number = isinstance(found, int | float) and not isinstance(found, bool)
    if not is_number or not abs(found) < _MOST_SECONDS:  # which no NaN is
        raise Refusal(400, f"{name} is a number")
    return float(found)


def _text(fields: dict[str, Any], name: str) -> str:
    text = fields.get(name, "")
    if not (isinstance(text, str) and text.isprintable() and len(text) <= _MOST_CHARACTERS):
        raise Refusal(400, f"{name} is one line of {_MOST_CHARACTERS:,} characters at most")
    return text

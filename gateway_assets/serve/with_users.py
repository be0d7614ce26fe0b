"""The registry's users as the gate, with the routes that come with them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import APIRouter

from gateway_assets.errors import ConfigError
from gateway_assets.registry.opened import opened_registry
from gateway_assets.serve.alerts import Alerts
from gateway_assets.serve.logins import Logins
from gateway_assets.serve.objects import Objects
from gateway_assets.serve.operators import Operators
from gateway_assets.serve.users import Users
from gateway_assets.settings import Settings


@contextmanager
def with_users(settings: Settings) -> Iterator[tuple[Users, list[APIRouter]]]:
    """Raises ConfigError when there is a file of tokens, too, and what opening the registry raises:
    a service that cannot know its users does not start.
    """
    if settings.serve_tokens_file is not None:
        raise ConfigError(
            "serve_users and serve_tokens_file exclude each other",
            hint="make tokens of users: gateway users token add --help",
        )
    with opened_registry(settings) as registry:
        users = Users(registry, settings)
        objects = Objects(settings.serve_receive_seconds)
        routes = (Logins(users, objects), Alerts(users), Operators(users, objects))
        yield users, [one.router for one in routes]

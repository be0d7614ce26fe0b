"""``gateway serve``: the service and the parts beside it, until they are told to stop."""

from __future__ import annotations

import resource
import signal
import socket
from collections.abc import Callable
from contextlib import ExitStack, closing

import uvicorn
from fastapi import APIRouter

from gateway_assets.errors import UsageError
from gateway_assets.frames.log import open_log
from gateway_assets.points.schema import open_points
from gateway_assets.serve.app import make_app
from gateway_assets.serve.body import Bodies
from gateway_assets.serve.connection import MOST_CONNECTIONS, Connection
from gateway_assets.serve.gate import Gate
from gateway_assets.serve.keeper import kept
from gateway_assets.serve.named import Named
from gateway_assets.serve.tokens import Tokens
from gateway_assets.settings import Settings

INSTANCE = "serve"
STOP_SECONDS = 10  # for what is being stored
_FILES = 2 * MOST_CONNECTIONS


def run(settings: Settings, say: Callable[[str], None], *, loads: bool = True) -> None:
    """Serve until SIGTERM or SIGINT; requests in flight end, then the log is sealed.

    Raises Busy when another one serves this data directory, UsageError for an address that cannot
    be listened on, ConfigError for tokens that cannot be used, RegistryError for users that cannot.
    """
    with ExitStack() as held:
        gate, others = _gate(settings, held)
        log = open_log(settings.frames / INSTANCE, durability=settings.serve_durability)
        held.enter_context(closing(log))
        listener = held.enter_context(_listening(settings.serve_host, settings.serve_port))
        connection = held.enter_context(open_points(settings.points_database, any_thread=True))
        bodies = Bodies(settings.serve_body, settings.serve_receive_seconds)
        app = make_app(settings, log, connection, bodies, gate, others)
        server = _Server(settings, app, bodies)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, server.handle_exit)
        _allow_files()
        say(f"writes: {_url(listener)}")
        if loads:
            for part in ("loader", "alarms"):
                held.enter_context(kept(settings, part, say))
        server.run(sockets=[listener])


def _gate(settings: Settings, held: ExitStack) -> tuple[Gate, list[APIRouter]]:
    """Who decides, and the routes that this one brings."""
    if not settings.serve_users:
        return Tokens(settings), []
    # SQLAlchemy and argon2 take time and memory, which a service without users does not pay.
    from gateway_assets.serve.with_users import with_users  # noqa: PLC0415

    return held.enter_context(with_users(settings))


class _Server(uvicorn.Server):
    """Stops without waiting for bodies that have not arrived."""

    def __init__(self, settings: Settings, app: Named, bodies: Bodies) -> None:
        class Patient(Connection):
            receive_seconds = settings.serve_receive_seconds

        super().__init__(
            uvicorn.Config(
                app,
                http=Patient,
                ws="none",
                lifespan="off",
                access_log=False,
                log_level="error",
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=STOP_SECONDS,
            )
        )
        self._bodies = bodies

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._bodies.wait_no_more()
        await super().shutdown(sockets)


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=MOST_CONNECTIONS)
    except OSError as error:
        raise UsageError(
            f"cannot listen on {host}:{port}: {error.strerror or error}",
            hint="choose another: GATEWAY_SERVE_PORT=8087 gateway serve",
        ) from None


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _allow_files() -> None:
    """Connections are files, and many systems allow a thousand unless one asks for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < _FILES:
        most = _FILES if hard < 0 else min(hard, _FILES)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))

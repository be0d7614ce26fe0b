"""A StarRocks cluster that is none: real sockets on loopback, a made-up world behind them."""

from __future__ import annotations

import itertools
import json
import socket
import ssl
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from gateway_assets import clock
from gateway_assets.errors import UsageError
from gateway_assets.simulated import mysql, pages, web
from gateway_assets.simulated.faults import KINDS, Fault
from gateway_assets.simulated.listening import Listener, reserve
from gateway_assets.simulated.making import age, furnish, make_frontend, make_worker
from gateway_assets.simulated.model import Frontend, Node, Truth, Worker, Workload, World
from gateway_assets.simulated.mysql import Account, Result, Session
from gateway_assets.simulated.statements import Manners, answer
from gateway_assets.simulated.work import advance

NAME = "simulated"
PASSWORD_ENV = "SIMULATED_PASSWORD"  # noqa: S105  the name of a variable


class SimulatedCluster:
    """A cluster to look at, for tests and demos. Everything is deterministic by ``seed``.

    Time stands still but for ``step``; with ``real_time`` it also goes on by itself. All frontends
    share one query port and one HTTP port, each on an address of its own, and so do the others.
    ``manners`` are what the cluster answers and how, ``workload`` what its users do. With ``tls``,
    a server's context, the query port offers TLS. Raises UsageError when no ports are free.
    """

    def __init__(
        self,
        frontends: int = 3,
        backends: int = 3,
        compute_nodes: int = 0,
        *,
        seed: int = 1,
        version: str = "3.3.10",
        shared_data: bool = False,
        user: str = "monitor",
        password: str = "",
        http_auth: bool = False,
        clean: bool = False,
        real_time: bool = False,
        start: int | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        now = clock.now() if start is None else start
        self.world = World(seed, now, shared_data=shared_data, version=version)
        self.manners = Manners(user)
        self.user, self.password = user, password
        self.http_auth, self.clean, self.tls = http_auth, clean, tls
        self._numbers = itertools.count(11)
        self._kept: list[socket.socket] = []
        self._sql: dict[str, Listener] = {}  # by host
        self._http: dict[str, Listener] = {}
        self._make(frontends, backends, compute_nodes)
        furnish(self.world)
        age(self.world)
        self.world.elect()
        advance(self.world, 0)
        self._stopping = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True) if real_time else None

    # what there is --------------------------------------------------------------------------------

    @property
    def frontends(self) -> list[Frontend]:
        return self.world.frontends

    @property
    def backends(self) -> list[Worker]:
        return self.world.backends

    @property
    def compute_nodes(self) -> list[Worker]:
        return self.world.compute_nodes

    @property
    def leader(self) -> Frontend | None:
        return self.world.leader

    @property
    def truth(self) -> Truth:
        """Queries and errors that really happened, also by second."""
        return self.world.truth

    @property
    def workload(self) -> Workload:
        return self.world.workload

    @property
    def now(self) -> int:
        """The cluster's own time in microseconds since 1970."""
        return self.world.now

    @property
    def refuses_time_zone(self) -> bool:
        return self.manners.refuses_time_zone

    @refuses_time_zone.setter
    def refuses_time_zone(self, value: bool) -> None:
        self.manners.refuses_time_zone = value

    @property
    def locale_comma(self) -> bool:
        return self.manners.locale_comma

    @locale_comma.setter
    def locale_comma(self, value: bool) -> None:
        self.manners.locale_comma = value

    # life -----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Listen; in real time, first let pass what has passed since ``start``."""
        if self._ticker:
            self._catch_up()
        for listener in self._listeners():
            listener.start()
        if self._ticker:
            self._ticker.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._ticker and self._ticker.is_alive():
            self._ticker.join()
        for listener in self._listeners():
            listener.stop()
        for one in self._kept:
            one.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.stop()

    def step(self, seconds: float = 30) -> None:
        """Let time go on in the cluster."""
        with self.world.lock:
            advance(self.world, seconds)

    # what can happen ------------------------------------------------------------------------------

    def lead(self, index: int) -> None:
        """Make a frontend the leader; its counters go on from their own values."""
        chosen = self.frontends[index]
        if not chosen.is_alive:
            raise UsageError(f"frontend {chosen.host} is dead", hint="cluster.revive(node) first")
        with self.world.lock:
            for fe in self.frontends:
                fe.is_leader = fe is chosen

    def restart(self, node: Node) -> None:
        """A new process at once: counters from 0, a new start time, connections lost.

        A leader loses the lead to another frontend, if there is one.
        """
        with self.world.lock:
            if isinstance(node, Frontend) and node.is_leader:
                node.is_alive = False
                self.world.elect()
                node.is_alive = True
                self.world.elect()
            self._begin(node)
        for listener in self._listeners(node):
            listener.drop()

    def kill(self, node: Node) -> None:
        """End a node's process: its sockets are closed, and the others say that it is dead."""
        with self.world.lock:
            node.is_alive = False
            self.world.elect()
        for listener in self._listeners(node):
            listener.stop()

    def revive(self, node: Node) -> None:
        """Start a killed node again: a new process."""
        with self.world.lock:
            node.is_alive = True
            self._begin(node)
            self.world.elect()
        for listener in self._listeners(node):
            if not (listener.fault and listener.fault.kind == "refuse"):
                listener.start()

    def replace(self, node: Node) -> Node:
        """Another node at the same address: a new id, nothing counted, no capacity known yet."""
        with self.world.lock:
            new = self._successor(node)
            self.world.elect()
        for listener in self._listeners(new):
            listener.stop()
            listener.start()
        return new

    def decommission(self, node: Worker) -> None:
        """Begin to remove a node: its tablets go elsewhere, it stays alive."""
        with self.world.lock:
            node.is_decommissioned = True

    def upgrade(self, version: str, nodes: list[Node] | None = None) -> None:
        """Restart nodes (all, if none are given) with another version."""
        for node in self.world.nodes if nodes is None else nodes:
            node.version = version
            self.restart(node)

    def clock_skew(self, node: Node, seconds: float) -> None:
        """Put a node's clock ahead, or back. The leader's shows in every LastHeartbeat."""
        with self.world.lock:
            node.skew = int(seconds * clock.SECOND)
            advance(self.world, 0)

    def fault(
        self, node: Node, kind: str, what: str = "", *, on: str = "", seconds: float | None = None
    ) -> None:
        """Let a node's answers go wrong (see ``faults``), at ``sql``, ``http`` or both.

        ``on`` limits it to statements or paths that begin so: the login is then as always.
        """
        if kind not in KINDS:
            raise UsageError(f"{kind!r} is no fault", hint=f"one of {', '.join(KINDS)}")
        chosen = Fault(kind, KINDS[kind] if seconds is None else seconds, on)
        for listener in self._listeners(node, what):
            listener.fault = chosen
            if kind == "refuse":
                listener.stop()
            elif node.is_alive:
                listener.start()

    def clear(self, node: Node) -> None:
        """End a node's faults, and the connections that hang."""
        for listener in self._listeners(node):
            listener.fault = None
            if node.is_alive:
                listener.drop()
                listener.start()

    def as_toml(self, name: str = NAME, password_file: Path | None = None) -> str:
        """The cluster as a ``[[clusters]]`` line.

        Without a file the password is expected in the variable PASSWORD_ENV names.
        """
        lines = ["[[clusters]]", f"name = {json.dumps(name)}"]
        seeds = [f"{fe.host}:{fe.query_port}" for fe in self.frontends]
        lines += [f"frontends = {json.dumps(seeds)}", f"user = {json.dumps(self.user)}"]
        if password_file:
            lines.append(f"password_file = {json.dumps(str(password_file))}")
        elif self.password:
            lines.append(f"password_env = {json.dumps(PASSWORD_ENV)}")
        return "\n".join([*lines, f"http_port = {self.frontends[0].http_port}", ""])

    # inside ---------------------------------------------------------------------------------------

    def _make(self, frontends: int, backends: int, compute_nodes: int) -> None:
        world = self.world
        hosts = [f"127.0.1.{n}" for n in range(1, frontends + 1)]
        ports = self._reserve(hosts), self._reserve(hosts)
        world.frontends = [make_frontend(world, host, *ports) for host in hosts]
        for fe in world.frontends:
            self._sql[fe.host] = Listener(fe.host, ports[0], self._serve_sql)
            self._http[fe.host] = Listener(fe.host, ports[1], self._serve_http)
        for kind, block, count in (("be", 2, backends), ("cn", 3, compute_nodes)):
            hosts = [f"127.0.{block}.{n}" for n in range(1, count + 1)]
            port = self._reserve(hosts) if hosts else 0
            made = [make_worker(world, kind, host, port) for host in hosts]
            (world.backends if kind == "be" else world.compute_nodes).extend(made)
            for host in hosts:
                self._http[host] = Listener(host, port, self._serve_http)

    def _reserve(self, hosts: list[str]) -> int:
        port, kept = reserve(hosts)
        self._kept += kept
        return port

    def _listeners(self, node: Node | None = None, what: str = "") -> list[Listener]:
        chosen = {"sql": [self._sql], "http": [self._http]}.get(what, [self._sql, self._http])
        return [
            listener
            for listeners in chosen
            for host, listener in listeners.items()
            if node is None or host == node.host
        ]

    def _begin(self, node: Node) -> None:
        assert isinstance(node, Frontend | Worker)
        node.begin(self.world.now)
        advance(self.world, 0)

    def _successor(self, node: Node) -> Node:
        world = self.world
        if isinstance(node, Frontend):
            new = make_frontend(world, node.host, node.query_port, node.http_port)
            world.frontends[world.frontends.index(node)] = new
            return new
        worker = make_worker(world, node.kind, node.host, node.http_port)
        worker.has_reported = False
        nodes = world.backends if node.kind == "be" else world.compute_nodes
        assert isinstance(node, Worker)
        nodes[nodes.index(node)] = worker
        return worker

    def _at(self, host: str) -> Node:
        return next(node for node in self.world.nodes if node.host == host)

    def _tick(self) -> None:
        while not self._stopping.wait(1):
            self._catch_up()

    def _catch_up(self) -> None:
        self.step(max(clock.now() - self.world.now, 0) / clock.SECOND)

    def _serve_sql(self, connection: socket.socket, listener: Listener) -> None:
        fe = self._at(listener.host)
        assert isinstance(fe, Frontend)
        peer = "{}:{}".format(*connection.getpeername()[:2])
        session = Session(next(self._numbers), peer)
        account = Account(self.user, self.password)

        def ask(session: Session, text: str) -> Result | None:
            return answer(self.world, fe, self.manners, session, text)

        mysql.serve(connection, listener, account, session, ask, self.tls)

    def _serve_http(self, connection: socket.socket, listener: Listener) -> None:
        node = self._at(listener.host)
        web.serve(connection, listener, lambda request: self._page(node, request))

    def _page(self, node: Node, request: web.Request) -> web.Reply:
        known = (request.user, request.password) == (self.user, self.password)
        with self.world.lock:
            if request.path == "/metrics":
                if self.http_auth and not known:
                    return web.NEEDS_PASSWORD
                return self._metrics(node, request.parameters, known)
            if request.path == "/api/health":
                return self._health(node)
            if request.path == "/api/show_runtime_info" and isinstance(node, Frontend):
                return web.json_reply(_runtime(node))
        return web.NOT_FOUND

    def _metrics(self, node: Node, parameters: dict[str, str], known: bool) -> web.Reply:
        if isinstance(node, Frontend):
            views = parameters.get("with_materialized_view_metrics", "")
            views = views if known and self.manners.privileged else ""  # else left out, silently
            text = pages.frontend_page(self.world, node, views, clean=self.clean)
        else:
            assert isinstance(node, Worker)
            text = pages.worker_page(self.world, node, clean=self.clean)
        kind = parameters.get("type", "")
        if kind == "json":
            return web.Reply(200, pages.as_json(text).encode(), "application/json")
        return web.Reply(200, (pages.core(text) if kind == "core" else text).encode())

    def _health(self, node: Node) -> web.Reply:
        if not isinstance(node, Frontend):
            return web.json_reply({"status": "OK", "msg": "To Be Added"})
        alive = sum(one.is_alive for one in self.backends)
        numbers = {"online_backend_num": alive, "total_backend_num": len(self.backends)}
        return web.json_reply({**numbers, "status": "OK"})


def _runtime(fe: Frontend) -> dict[str, str]:
    """What the JVM says of itself: of the heap as committed, in texts."""
    total = max(fe.heap_used, fe.heap_max // 2)
    numbers = {"free_mem": total - fe.heap_used, "total_mem": total, "max_mem": fe.heap_max}
    return {key: str(value) for key, value in numbers.items()} | {
        "thread_cnt": str(162 + fe.connections)
    }

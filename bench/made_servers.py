"""Servers of simulated clusters, in a process of their own, until its standard input ends.

``python bench/made_servers.py live FE BE`` is one simulated cluster in real time.
``python bench/made_servers.py recorded CLUSTERS FE BE`` are many whose answers are prepared: every
cluster has the pages of the same one, each tick those of a later moment, and SHOW tells its own
addresses. What is answered once is sent again, so that the servers leave the processors to whoever
asks. Prints the clusters' lines for clusters.toml and an empty line when all listen.
"""

from __future__ import annotations

import asyncio
import re
import sys
from functools import partial

from gateway_assets import clock
from gateway_assets.simulated import mysql, pages, statements
from gateway_assets.simulated.cluster import SimulatedCluster
from gateway_assets.simulated.model import Frontend

_MOMENTS = 6  # of which there are pages; then the last one again
_FIRST = 10  # second part of the first cluster's addresses
_FE, _BE = 1, 2  # third part
_OK = mysql._packet(1, mysql._ok())
_LOGGED_IN = mysql._packet(2, mysql._ok())
_TIME = re.compile(r"'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d'")
_HEAD = "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n"


def live(frontends: int, backends: int) -> None:
    """An hour of audit log is there already."""
    start = clock.now() - clock.HOUR
    with SimulatedCluster(frontends, backends, start=start, real_time=True) as cluster:
        print(cluster.as_toml(), flush=True)
        print(flush=True)
        sys.stdin.read()


class Recorded:
    """All clusters behind three ports; the address that was asked tells which node it is."""

    def __init__(self, clusters: int, frontends: int, backends: int) -> None:
        self._cluster = SimulatedCluster(
            frontends, backends, start=clock.now() - 600 * clock.SECOND
        )
        self._clusters = clusters
        self._pages: list[dict[tuple[int, int], bytes]] = []
        for _ in range(_MOMENTS):
            self._cluster.step(30)
            self._pages.append(self._prepared())
        self._answers: dict[tuple[int, str], bytes] = {}
        self._asked: dict[str, int] = {}

    def _prepared(self) -> dict[tuple[int, int], bytes]:
        world = self._cluster.world
        texts = {
            (_FE, at): pages.frontend_page(world, node, "minified", clean=False)
            for at, node in enumerate(world.frontends, 1)
        }
        for at, worker in enumerate(world.backends, 1):
            texts[_BE, at] = pages.worker_page(world, worker, clean=False)
        return {
            node: (_HEAD.format(len(text.encode())) + text).encode() for node, text in texts.items()
        }

    async def serve(self) -> None:
        ports = []
        for answer in (self._sql, partial(self._http), partial(self._http)):
            server = await asyncio.start_server(answer, "0.0.0.0", 0, backlog=4096)
            ports.append(server.sockets[0].getsockname()[1])
        self._number(*ports)
        for number in range(self._clusters):
            seeds = ", ".join(
                f'"127.{_FIRST + number}.{_FE}.{at}:{ports[0]}"'
                for at in range(1, len(self._cluster.frontends) + 1)
            )
            print(f'[[clusters]]\nname = "cluster-{number:02}"\nfrontends = [{seeds}]')
            print(f'user = "{self._cluster.user}"\nhttp_port = {ports[1]}')
        print(flush=True)
        print(flush=True)
        await asyncio.to_thread(sys.stdin.read)

    def _number(self, sql: int, fe_http: int, be_http: int) -> None:
        for fe in self._cluster.frontends:
            fe.query_port, fe.http_port = sql, fe_http
        for worker in self._cluster.backends:
            worker.http_port = be_http

    async def _http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        host = writer.get_extra_info("sockname")[0]
        _, _, kind, at = map(int, host.split("."))
        asked = self._asked[host] = self._asked.get(host, -1) + 1
        writer.write(self._pages[min(asked, _MOMENTS - 1)][kind, at])
        await writer.drain()
        writer.close()

    async def _sql(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host = writer.get_extra_info("sockname")[0]
        _, number, _, at = map(int, host.split("."))
        frontend = self._cluster.frontends[at - 1]
        writer.write(mysql._packet(0, mysql._greeting(1, bytes(range(1, 21)))))
        session = mysql.Session(1, "10.9.0.1:40001")
        try:
            await self._packet(reader)
            writer.write(_LOGGED_IN)
            while (packet := await self._packet(reader))[0] != mysql.COM_QUIT:
                text = packet[1:].decode()
                writer.write(self._answer(number, frontend, session, text))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()

    async def _packet(self, reader: asyncio.StreamReader) -> bytes:
        head = await reader.readexactly(4)
        return await reader.readexactly(int.from_bytes(head[:3], "little"))

    def _answer(self, number: int, fe: Frontend, session: mysql.Session, text: str) -> bytes:
        if text.startswith("SET"):
            mysql._answered(session, text, partial(self._ask, fe), None)
            return _OK
        key = (number if text.startswith("SHOW") else 0, _TIME.sub("''", text))
        if key not in self._answers:
            for kind, nodes in ((_FE, self._cluster.frontends), (_BE, self._cluster.backends)):
                for at, node in enumerate(nodes, 1):
                    node.host = f"127.{number}.{kind}.{at}"
            self._answers[key] = mysql._answered(session, text, partial(self._ask, fe), None)
        return self._answers[key]

    def _ask(self, fe: Frontend, session: mysql.Session, text: str) -> mysql.Result | None:
        return statements.answer(self._cluster.world, fe, self._cluster.manners, session, text)


if __name__ == "__main__":
    given = [int(one) for one in sys.argv[2:]]
    if sys.argv[1] == "live":
        live(*given)
    else:
        asyncio.run(Recorded(*given).serve())

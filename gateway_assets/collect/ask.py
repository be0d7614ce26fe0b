"""One look at one cluster: SHOW first, then the metrics of all nodes beside the statements due.

What fails is one line of ``errors``; nothing raises. A look keeps to its own deadline as far as
sockets go; what cannot be stopped, such as looking a name up, is left behind by ``tick``.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, tzinfo
from functools import partial
from typing import NamedTuple

from gateway_assets import clock
from gateway_assets.collect.config import Cluster
from gateway_assets.collect.configs import address_of, differing, own_settings
from gateway_assets.collect.fetch import FetchError, Page, fetch
from gateway_assets.collect.nodes import leader_of, listed, nodes_of
from gateway_assets.collect.observed import Node, Observed, Record, Scrape
from gateway_assets.collect.parallel import in_parallel
from gateway_assets.collect.series import WANTED
from gateway_assets.collect.sql import Lost, Refused, Session
from gateway_assets.errors import ConfigError
from gateway_assets.starrocks.definitions import QUERIES, Every, Query
from gateway_assets.starrocks.exposition import parse

MINUTE = 60 * clock.SECOND
WINDOW = 5 * MINUTE
SETTLED = 3 * MINUTE  # the audit log is written once a minute, at the latest
CATCH_UP = clock.HOUR
REST_SECONDS = 3600.0
MOST_ERRORS = 20
HTTP_PORT = 8030
LOSSES = 2  # of sessions in one look, after which the rest of the statements is left out
PATIENCE = 3  # looks in a row after which a window no longer waits for a statement
_GOOD, _NOT_BEGUN, _FAILED = range(3)
_GRACE = 0.03  # of a look: for calls that were ended at its end to say so
# Minified leaves out gauges and counters at zero, so a view's first failure would not be growth.
_EXTRAS = "?with_materialized_view_metrics=all&with_user_connections=minified"
_ALWAYS = ("frontends", "backends")  # without them there is no look
# A statement, table, column or variable that this version does not have: nothing is wrong.
_LACKING_CODES = frozenset({1049, 1051, 1054, 1109, 1146, 1193, 1235, 5001, 5501, 5502})
# 1064 is what StarRocks gives to everything without a code of its own, so its words decide.
_UNNAMED_CODE = 1064
_LACKING_WORDS = re.compile(
    r"syntax error|no viable (statement|alternative)|unexpected input|cannot be resolved"
    r"|no matching function|unknown (table|database|column|function|system variable)"
    r"|\b(table|database|column|proc path|path)\b.*(not found|not exist|doesn't exist)",
    re.IGNORECASE,
)
_DENIED_CODES = frozenset({1044, 1045, 1142, 1143, 1227, 5203})
_INSTEAD = (("fe_metrics", ("fe",)), ("be_metrics", ("be", "cn")))


class Limits(NamedTuple):
    """Seconds of a call and of a look; nodes asked at the same time."""

    call: float
    look: float
    nodes: int


class _Failed(Exception):
    """No frontend answered."""


class _Look:
    """What one look has brought so far."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.answers: dict[str, list[Record]] = {}
        self.errors: list[str] = []
        self.moment = 0
        self.answered_by = self.leader = ""
        self.is_leader_view: bool | None = None
        self.is_own_view = False  # asked without the leader
        self.is_window_met = False
        self.is_zone_known = True

    @property
    def seconds_left(self) -> float:
        return self.deadline - time.monotonic()


class Watched:
    """A cluster, and what is remembered of it from look to look; one look at a time."""

    def __init__(self, cluster: Cluster, limits: Limits) -> None:
        self.cluster = cluster
        self._limits = limits
        self._frontends = list(cluster.frontends)  # the best first
        self._session: Session | None = None
        self._spelling: dict[str, int] = {}
        self._resting: dict[str, float] = {}
        self._missed: dict[str, int] = {}  # looks in a row, by statement of a window
        self._places: dict[str, int] = {}  # of nodes, after the look before
        self._with_extras: set[str] = set()

    def look(self, tick: int, groups: frozenset[Every], window: tuple[int, int] | None) -> Observed:
        """Look at the cluster: what is due of ``groups``, and the window's statements, if any."""
        began = time.monotonic()
        look = _Look(began + self._limits.look)
        scrapes: dict[Node, Scrape] = {}
        try:
            self._show(look)
            scrapes = self._metrics_and_statements(look, self._nodes(look), groups, window)
        except _Failed:
            pass
        if look.is_own_view:
            self.close()  # else it would come first again when there is a leader to ask
        return Observed(
            cluster=self.cluster.name,
            time=tick,
            moment=look.moment or clock.now(),
            milliseconds=round(1000 * (time.monotonic() - began)),
            answered_by=look.answered_by,
            leader=look.leader,
            is_leader_view=look.is_leader_view,
            answers=dict(look.answers),
            scrapes=scrapes,
            errors=shortened(look.errors),
            window=window if look.is_window_met else None,
            is_zone_known=look.is_zone_known,
        )

    def close(self) -> None:
        """End the session, if there is one."""
        if self._session:
            self._session.close()
        self._session = None

    def _show(self, look: _Look) -> None:
        """Ask what nodes there are, all of one frontend; of the next one when it fails."""
        for session in self._sessions(look):
            look.answers.clear()
            try:
                for query in QUERIES:
                    if query.every is Every.FAST:
                        self._ask(session, query, look, None)
            except Lost as error:
                self._lose(session, f"{query.name}: {error}", look)
                continue
            if "frontends" in look.answers:
                look.moment = clock.now()
                look.is_zone_known = session.zone is not None
                self._note_leader(session, look)
                return
            self._lose(session, "no answer to SHOW FRONTENDS", look)
        raise _Failed

    def _sessions(self, look: _Look) -> Iterator[Session]:
        """The session there is, then new ones, each frontend once, until time is up."""
        if self._session:
            yield self._session
        for frontend in tuple(self._frontends):
            if look.seconds_left <= 0:
                look.errors.append("no time left for the other frontends")
                return
            try:
                session = Session(self.cluster, frontend, self._limits.call, look.seconds_left)
            except Lost as error:
                look.errors.append(f"{frontend}: {error}")
                self._put_last(frontend)
            else:
                look.errors += [f"{frontend}: {note}" for note in session.notes]
                self._session = session
                yield session

    def _lose(self, session: Session, reason: str, look: _Look) -> None:
        session.close()
        if self._session is session:
            self._session = None
        look.errors.append(f"{session.frontend}: {reason}")
        self._put_last(session.frontend)

    def _put_last(self, frontend: str) -> None:
        self._frontends.remove(frontend)
        self._frontends.append(frontend)

    def _note_leader(self, session: Session, look: _Look) -> None:
        look.answered_by = session.frontend
        leader = leader_of(listed(look.answers))
        port = session.frontend.rpartition(":")[2]
        names: set[str] = set()
        if leader:
            query_port = leader.row.get("queryport")
            look.leader = f"{leader.node.host}:{query_port}"
            hosts = (leader.node.host, leader.row.get("hostname"))
            names = {f"{host}:{query_port}" for host in hosts if host}
        if session.is_forwarded or names & {session.frontend, f"{session.peer}:{port}"}:
            look.is_leader_view = True
        else:
            look.is_leader_view = False if leader else None
            look.is_own_view = True
        self._frontends.sort(key=lambda frontend: frontend not in names)

    def _nodes(self, look: _Look) -> list[Node]:
        """All nodes; SHOW FRONTENDS gives all of them the HTTP port of the one that answers."""
        nodes = nodes_of(look.answers)
        given = self.cluster.http_port
        return [
            node._replace(http_port=given or node.http_port or HTTP_PORT)
            if node.kind == "fe"
            else node
            for node in nodes
        ]

    def _metrics_and_statements(
        self,
        look: _Look,
        nodes: list[Node],
        groups: frozenset[Every],
        window: tuple[int, int] | None,
    ) -> dict[Node, Scrape]:
        jobs: dict[Node | None, Callable[[], Scrape | None]] = {
            None: lambda: self._ask_due(look, groups, window)
        }
        begun: set[str] = set()
        for node in self._in_order(nodes, look):
            if self.cluster.http:
                jobs[node] = lambda node=node: self._scrape(node, look, begun)  # type: ignore[misc]
        done = in_parallel(jobs, self._limits.nodes + 1, look.deadline + _GRACE * self._limits.look)
        if None not in done:
            self._session = None  # a thread that was left behind has it
            look.errors.append("statements: not done in time")
        off = Scrape(None, clock.now(), "HTTP is off" if not self.cluster.http else "not in time")
        scrapes = {node: done.get(node) or off for node in nodes}
        self._places = {
            node.key: (_FAILED if node.key in begun else _NOT_BEGUN) if scrape.error else _GOOD
            for node, scrape in scrapes.items()
        }
        look.errors += [
            f"{node.address}: metrics {scrape.error}"
            for node, scrape in scrapes.items()
            if scrape.exposition and scrape.error
        ]
        for name, kinds in _INSTEAD:
            of_kind = [scrape for node, scrape in scrapes.items() if node.kind in kinds]
            if of_kind and not any(scrape.exposition for scrape in of_kind):
                self._ask_instead(look, name)
        return scrapes

    def _in_order(self, nodes: list[Node], look: _Look) -> list[Node]:
        """Good nodes first, and those that time ran out for before those that take it."""
        up = {each.node.key for each in listed(look.answers) if each.is_up}
        return sorted(
            nodes, key=lambda node: (node.key not in up, self._places.get(node.key, _GOOD))
        )

    def _scrape(self, node: Node, look: _Look, begun: set[str]) -> Scrape:
        """A node's metrics; of a frontend also those that need more rights, if it gives any.

        ``begun`` are the nodes that had time enough to answer.
        """
        if look.seconds_left >= min(self._limits.call, self._limits.look / 2):
            begun.add(node.key)
        if not node.http_port:
            return Scrape(None, clock.now(), "no HTTP port")
        plain = "/metrics"
        wide = node.key in self._with_extras and not self._is_resting(node.key)
        try:
            try:
                page = self._page(node, plain + _EXTRAS if wide else plain, look)
            except FetchError:
                if not wide:
                    raise
                page = self._page(node, plain, look)
                self._rest(node.key)
        except FetchError as error:
            return Scrape(None, clock.now(), str(error))
        except ConfigError as error:
            return Scrape(None, clock.now(), error.message)
        moment = clock.now()
        if node.kind == "fe":
            self._with_extras.add(node.key)
        is_whole = not page.cut
        exposition = parse(page.body, WANTED)._replace(is_whole=is_whole)
        if not exposition.series:
            empty = "no metrics in the answer" if page.body else "empty"
            return Scrape(None, moment, page.cut or empty)
        return Scrape(exposition, moment, page.cut)

    def _page(self, node: Node, path: str, look: _Look) -> Page:
        cluster = self.cluster
        seconds = max(0.0, min(self._limits.call, look.seconds_left))
        return fetch(node.host, node.http_port, path, cluster.user, cluster.password(), seconds)

    def _ask_due(
        self, look: _Look, groups: frozenset[Every], window: tuple[int, int] | None
    ) -> None:
        due = [
            query
            for query in QUERIES
            if query.every not in {Every.FAST, Every.INSTEAD}
            and not query.is_of_each
            and (window is not None if is_windowed(query) else query.every in groups)
        ]
        windowed = {query.name for query in due if is_windowed(query)}
        done = self._ask_each(due, look, window)
        for name in windowed:
            self._missed[name] = 0 if name in done else self._missed.get(name, 0) + 1
        waited_for = {name for name in windowed - done if self._missed[name] < PATIENCE}
        look.is_window_met = bool(windowed & done) and not waited_for
        for query in QUERIES:
            if query.is_of_each and query.every in groups and not self._is_resting(query.name):
                self._ask_frontends(query, look)

    def _ask_frontends(self, query: Query, look: _Look) -> None:
        """Ask each frontend that is alive; unless all answer, what differs is unknown."""
        alive = [each for each in listed(look.answers) if each.node.kind == "fe" and each.is_up]
        addresses = [address_of(each, self.cluster) for each in alive]
        jobs = {address: partial(self._own_settings, address, query, look) for address in addresses}
        done = in_parallel(jobs, self._limits.nodes, look.deadline)
        known = {address: rows for address, rows in done.items() if rows is not None}
        if known and len(known) == len(jobs):
            look.answers[query.name] = differing(known)

    def _own_settings(self, frontend: str, query: Query, look: _Look) -> list[Record] | None:
        try:
            seconds = min(self._limits.call, look.seconds_left)
            return own_settings(self.cluster, frontend, query.statements[0], seconds)
        except Refused as error:
            if _is_lacking(error) or error.code in _DENIED_CODES:
                self._rest(query.name)
            if _is_lacking(error):
                return None
            problem: Exception = error
        except Lost as error:
            problem = error
        look.errors.append(f"{query.name}: {problem} ({frontend})")
        return None

    def _ask_each(self, due: list[Query], look: _Look, window: tuple[int, int] | None) -> set[str]:
        """The names of those that need not be asked again."""
        done: set[str] = set()
        losses = 0
        for number, query in enumerate(due):
            session = self._session or next(self._sessions(look), None)
            if session is None or losses >= LOSSES or look.seconds_left <= 0:
                look.errors.append("left out: " + ", ".join(each.name for each in due[number:]))
                break
            try:
                if self._ask(session, query, look, window):
                    done.add(query.name)
            except Lost as error:
                losses += 1
                self._lose(session, f"{query.name}: {error}", look)
        return done

    def _ask_instead(self, look: _Look, name: str) -> None:
        (query,) = (query for query in QUERIES if query.name == name)
        session = self._session or next(self._sessions(look), None)
        if session is None or look.seconds_left <= 0:
            return
        try:
            self._ask(session, query, look, None)
        except Lost as error:
            self._lose(session, f"{name}: {error}", look)

    def _ask(
        self, session: Session, query: Query, look: _Look, window: tuple[int, int] | None
    ) -> bool:
        """Ask in the spelling that answered last, else in the others. Raises Lost.

        Whether there is nothing to be asked again: it answered, was refused or has a rest.
        """
        if self._is_resting(query.name):
            return True
        zone = session.zone_of(is_stored=query.is_stored)
        if is_windowed(query) and zone is None:
            look.errors.append(f"{query.name}: left out, the time zone of its times is unknown")
            return False
        known = self._spelling.get(query.name, 0)
        spellings = [known, *(n for n in range(len(query.statements)) if n != known)]
        problems: list[Refused] = []
        for number in spellings:
            statement = _filled(query.statements[number], self.cluster, zone, window)
            try:
                look.answers[query.name] = session.ask(
                    statement, look.seconds_left, is_stored=query.is_stored
                )
            except Refused as error:
                problems.append(error)
            else:
                if all(map(_is_lacking, problems)):  # else the other spelling may be a better one
                    self._spelling[query.name] = number
                return True
        problem = next((each for each in problems if not _is_lacking(each)), problems[0])
        if query.name in _ALWAYS and session.is_forwarded:
            session.own_view()
            look.errors.append(f"{query.name}: {problem}; asked without the leader")
            return self._ask(session, query, look, window)
        if query.name in _ALWAYS or not _is_lacking(problem):
            look.errors.append(f"{query.name}: {problem}")
        if query.every is not Every.FAST and (
            _is_lacking(problem) or problem.code in _DENIED_CODES
        ):
            self._rest(query.name)
        return True

    def _rest(self, name: str) -> None:
        self._resting[name] = time.monotonic() + REST_SECONDS

    def _is_resting(self, name: str) -> bool:
        return time.monotonic() < self._resting.get(name, 0.0)


def _is_lacking(error: Refused) -> bool:
    is_said = error.code == _UNNAMED_CODE and _LACKING_WORDS.search(str(error))
    return bool(is_said) or error.code in _LACKING_CODES


def is_windowed(query: Query) -> bool:
    """Whether a query is about a window of closed minutes."""
    return any("{since}" in statement for statement in query.statements)


def next_window(asked_until: int | None, now: int) -> tuple[int, int] | None:
    """The next five closed minutes that nobody has asked about, at most an hour back."""
    newest = (now - SETTLED) // WINDOW * WINDOW
    if asked_until is None or asked_until > newest + CATCH_UP:  # a clock that was wrong
        asked_until = newest - WINDOW
    since = max(asked_until, newest - CATCH_UP)
    return (since, since + WINDOW) if since + WINDOW <= newest else None


def is_behind(asked_until: int | None, now: int) -> bool:
    """Whether more than one window is waiting."""
    window = next_window(asked_until, now)
    return window is not None and next_window(window[1], now) is not None


def failed(cluster: str, tick: int, milliseconds: int, error: str) -> Observed:
    """A look that brought nothing."""
    return Observed(cluster, tick, clock.now(), milliseconds, "", "", None, {}, {}, [error])


def shortened(errors: list[str]) -> list[str]:
    """The first errors, each once, and how many more there are."""
    distinct = list(dict.fromkeys(errors))
    more = len(distinct) - MOST_ERRORS
    return [*distinct[:MOST_ERRORS], f"and {more} more"] if more > 0 else distinct


def _filled(
    statement: str, cluster: Cluster, zone: tzinfo | None, window: tuple[int, int] | None
) -> str:
    since, until = (
        f"{datetime.fromtimestamp(moment / clock.SECOND, zone or UTC):%Y-%m-%d %H:%M:%S}"
        for moment in window or (0, 0)
    )
    return statement.format(
        since=since,
        until=until,
        user=cluster.user,
        slow=cluster.slow_query_ms,
        wanted=_QUOTED,
    )


# The tables of metrics leave out the beginning of the names, at least those of backends.
_QUOTED = ", ".join(
    f"'{name}'"
    for name in sorted(
        WANTED
        | {name.removeprefix("starrocks_fe_").removeprefix("starrocks_be_") for name in WANTED}
    )
)

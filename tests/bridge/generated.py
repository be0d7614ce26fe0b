"""Random SELECT statements over a few tables, the same from the same seed.

Every statement has one right answer: LIMIT stands behind an order that ends in a unique key,
windows are ordered by a key, and sums are of numbers that floating point adds exactly. What is not
exact any more (``Kind.RATIO``, an average) is shown and compared, never added up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from random import Random
from typing import Any, NamedTuple


class Kind(Enum):
    TIME = "TIMESTAMPTZ"
    INTEGER = "BIGINT"
    REAL = "DOUBLE"
    TEXT = "VARCHAR"
    RATIO = "inexact"


class Column(NamedTuple):
    """A column as an expression calls it, with its alias in front where it has one."""

    name: str
    kind: Kind

    @property
    def bare(self) -> str:
        return self.name.rpartition(".")[2]


Columns = Sequence[Column]


class Table(NamedTuple):
    """``key`` is a column without NULL that no two rows share."""

    name: str
    columns: tuple[Column, ...]
    key: str

    def called(self, alias: str) -> list[Column]:
        return [Column(f"{alias}.{column.name}", column.kind) for column in self.columns]


class Domain(NamedTuple):
    """What statements are about: tables, the days that rows are of, the texts that columns hold.

    ``joins`` are conditions by the names of two tables, which are their aliases, too.
    """

    tables: tuple[Table, ...]
    days: tuple[datetime, ...]
    words: dict[str, tuple[str, ...]]
    joins: dict[tuple[str, str], tuple[str, ...]]


class Statement(NamedTuple):
    seed: int
    text: str
    params: tuple[Any, ...]
    is_ordered: bool


class Query(NamedTuple):
    """A SELECT without its end, the columns it gives, what makes its rows unique, if known."""

    text: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]


COMPARE = ("=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM")
_PARAM = re.compile("\x01(\\d+)\x02")


def statement(domain: Domain, seed: int) -> Statement:
    return _Writer(domain, seed).statement()


class _Writer:
    def __init__(self, domain: Domain, seed: int) -> None:
        self._domain = domain
        self._seed = seed
        self._random = Random(seed)
        self._params: list[Any] = []
        self._names = 0

    def statement(self) -> Statement:
        shapes: list[tuple[int, Callable[[], Query]]] = [
            (5, lambda: self._plain(*self._base())),
            (5, lambda: self._grouped(*self._base())),
            (2, self._star),
            (5, self._joined),
            (2, self._natural),
            (4, self._with),
            (4, self._correlated),
            (4, self._windowed),
            (3, self._set_operation),
            (2, self._distinct),
            (2, self._pivoted),
            (2, self._rolled_up),
            (2, self._nested),
        ]
        (shape,) = self._random.choices([s for _, s in shapes], [weight for weight, _ in shapes])
        text, is_ordered = self._ended(shape())
        return self._filled(text, is_ordered)

    def _filled(self, text: str, is_ordered: bool) -> Statement:
        """Parameters by their place, or by number."""
        params: list[Any] = []
        numbered = self._chance(0.3)

        def fill(match: re.Match[str]) -> str:
            params.append(self._params[int(match[1])])
            return f"${len(params)}" if numbered else "?"

        return Statement(self._seed, _PARAM.sub(fill, text), tuple(params), is_ordered)

    # --- Small choices ---------------------------------------------------------------------------

    def _chance(self, share: float) -> bool:
        return self._random.random() < share

    def _any(self, options: Sequence[str]) -> str:
        return self._random.choice(options)

    def _name(self) -> str:
        self._names += 1
        return f"c{self._names}"

    def _param(self, value: Any) -> str:
        self._params.append(value)
        return f"\x01{len(self._params) - 1}\x02"

    def _of(self, scope: Columns, *kinds: Kind) -> Column | None:
        fitting = [column for column in scope if column.kind in kinds]
        return self._random.choice(fitting) if fitting else None

    def _table(self) -> Table:
        return self._random.choice(self._domain.tables)

    # --- Constants -------------------------------------------------------------------------------

    def _constant(self, column: Column) -> str:
        match column.kind:
            case Kind.TIME:
                return self._moment()
            case Kind.INTEGER:
                return self._integer()
            case Kind.TEXT:
                return self._word(column)
            case _:
                return self._number()

    def _span(self) -> tuple[str, str]:
        """Two moments, the earlier one first, as far as their days tell."""
        first, last = sorted(self._random.choices(self._domain.days, k=2))
        return self._moment(first), self._moment(last)

    def _moment(self, day: datetime | None = None) -> str:
        pick = self._random
        day = day or pick.choice(self._domain.days)
        moment = day + timedelta(seconds=pick.choice((0, 0, 1, 3600, 43_200, 86_399)))
        odd = moment + timedelta(microseconds=pick.choice((1, 999, 500_000, -1)))
        away = moment + timedelta(hours=2)
        return self._any(
            [
                f"TIMESTAMPTZ '{_written(moment)}+00'",
                f"TIMESTAMPTZ '{_written(moment)}Z'",
                f"TIMESTAMPTZ '{_written(away)}+02'",
                f"TIMESTAMPTZ '{_written(odd)}+00'",
                f"'{_written(moment)}+00'",
                f"DATE '{day:%Y-%m-%d}'",
                f"TIMESTAMP '{_written(moment)}'",
                f"(TIMESTAMPTZ '{_written(moment)}+00' - INTERVAL 36 HOUR)",
                f"make_timestamptz({round(moment.timestamp()) * 1_000_000})",
                f"(date_trunc('day', now()) - INTERVAL {pick.randrange(12)} DAY)",
                self._param(moment),
                self._param(odd),
                self._param(away.replace(tzinfo=UTC).isoformat()),
            ]
        )

    def _integer(self) -> str:
        number = self._random.choice((*range(-4, 13), 50, 100, 400, 2**40))
        return self._any([str(number), self._param(number), f"{number}.5", f"{number}::HUGEINT"])

    def _number(self) -> str:
        number = self._random.randrange(-40, 400) / 4
        return self._any([f"{number}", self._param(number), f"{int(number)}", f"{number}::DOUBLE"])

    def _word(self, column: Column) -> str:
        every = [word for words in self._domain.words.values() for word in words]
        word = self._any(self._domain.words.get(column.bare, every))
        if self._chance(0.1):
            word = word.swapcase()
        return self._param(word) if self._chance(0.3) else _quoted(word)

    # --- Conditions ------------------------------------------------------------------------------

    def _where(self, scope: Columns, share: float = 0.8) -> str:
        return f" WHERE {self._condition(scope)}" if self._chance(share) else ""

    def _condition(self, scope: Columns, depth: int = 2) -> str:
        if depth and self._chance(0.45):
            parts = [
                self._condition(scope, depth - 1) for _ in range(self._random.choice((2, 2, 3)))
            ]
            joined = self._any((" AND ", " AND ", " OR ")).join(f"({part})" for part in parts)
            return f"NOT ({joined})" if self._chance(0.15) else joined
        if self._chance(0.35) and (time := self._of(scope, Kind.TIME)):
            return self._time_condition(time)
        column = self._random.choice(scope)
        if column.kind is Kind.RATIO:
            return f"{column.name} > {self._number()}"
        forms = [self._comparison, self._comparison, self._membership, self._between, self._null]
        if column.kind is Kind.TEXT:
            forms += [self._text_condition] * 3
        if column.kind is Kind.INTEGER:
            forms.append(self._number_condition)
        return self._random.choice(forms)(column, scope)

    def _comparison(self, column: Column, scope: Columns) -> str:
        operator = self._any(COMPARE)
        if self._chance(0.12) and (other := self._of(scope, column.kind)):
            return f"{column.name} {operator} {other.name}"
        if self._chance(0.1):
            return f"{self._constant(column)} {operator} {column.name}"
        if self._chance(0.1):
            default = self._constant(column)
            return f"COALESCE({column.name}, {default}) {operator} {self._constant(column)}"
        return f"{column.name} {operator} {self._constant(column)}"

    def _membership(self, column: Column, scope: Columns) -> str:
        values = [self._constant(column) for _ in range(self._random.choice((1, 2, 3, 6)))]
        if self._chance(0.1):
            values.append("NULL")
        verb = self._any(("IN", "IN", "IN", "NOT IN"))
        return f"{column.name} {verb} ({', '.join(values)})"

    def _between(self, column: Column, scope: Columns) -> str:
        verb = self._any(("BETWEEN", "BETWEEN", "NOT BETWEEN"))
        low, high = self._constant(column), self._constant(column)
        if column.kind is Kind.TIME:
            low, high = self._span()
        return f"{column.name} {verb} {low} AND {high}"

    def _null(self, column: Column, scope: Columns) -> str:
        return f"{column.name} {self._any(('IS NULL', 'IS NOT NULL'))}"

    def _text_condition(self, column: Column, scope: Columns) -> str:
        words = [w for w in self._domain.words.get(column.bare, ("ann", "b")) if w] or ["a"]
        word = self._any(words)
        cut = self._random.randrange(1, len(word) + 1)
        pattern = self._any(
            (f"{word[:cut]}%", f"%{word[-cut:]}", f"%{word[:cut]}%", f"_{word[1:]}")
        )
        given = self._param(pattern) if self._chance(0.3) else _quoted(pattern)
        escaped = _quoted(word[:cut].replace("_", "!_").replace("%", "!%") + "%")
        return self._any(
            [
                f"{column.name} LIKE {given}",
                f"{column.name} NOT LIKE {given}",
                f"{column.name} ILIKE {given}",
                f"{column.name} LIKE {escaped} ESCAPE '!'",
                f"starts_with({column.name}, {_quoted(word[:cut])})",
                f"contains({column.name}, {_quoted(word[-cut:])})",
                f"lower({column.name}) = {_quoted(word.lower())}",
                f"length({column.name}) > {self._random.randrange(6)}",
                f"{column.name} COLLATE NOCASE = {_quoted(word)}",
            ]
        )

    def _number_condition(self, column: Column, scope: Columns) -> str:
        divisor = self._random.randrange(2, 8)
        return self._any(
            [
                f"{column.name} % {divisor} = {self._random.randrange(divisor)}",
                f"{column.name} + 1 > {self._integer()}",
                f"abs({column.name}) < {self._integer()}",
                f"{column.name} / 2 > {self._integer()}",
                f"{column.name} // 2 = {self._integer()}",
            ]
        )

    def _time_condition(self, time: Column) -> str:
        name, pick = time.name, self._random
        day, (start, end) = pick.choice(self._domain.days), self._span()
        return self._any(
            [
                f"{name} >= {start} AND {name} < {end}",
                f"{name} > {start} AND {name} <= {end}",
                f"{name} > {self._moment()}",
                f"{name} <= {self._moment()}",
                f"{name} = {self._moment()}",
                f"{name} BETWEEN {start} AND {end}",
                f"{name}::DATE = DATE '{day:%Y-%m-%d}'",
                f"{name}::DATE >= DATE '{day:%Y-%m-%d}'",
                f"date_trunc('day', {name}) = {self._moment()}",
                f"extract('hour' FROM {name}) {self._any(COMPARE[:6])} {pick.randrange(24)}",
                f"strftime({name}, '%Y-%m') = '{day:%Y-%m}'",
                f"{name} < 'infinity'::TIMESTAMPTZ",
                f"{name} > TIMESTAMPTZ '1800-01-01 00:00:00+00'",
                f"epoch({name}) >= {round(day.timestamp())}",
            ]
        )

    # --- Values ----------------------------------------------------------------------------------

    def _value(self, scope: Columns) -> Column:
        """An expression, not yet named."""
        column = self._random.choice(scope)
        if self._chance(0.5):
            return column
        if self._chance(0.2):
            text = f"CASE WHEN {self._condition(scope, 1)} THEN {column.name} ELSE NULL END"
            return Column(text, column.kind)
        match column.kind:
            case Kind.TIME:
                return self._time_value(column)
            case Kind.TEXT:
                return self._text_value(column)
            case Kind.RATIO:
                return column
            case _:
                return self._number_value(column, scope)

    def _time_value(self, column: Column) -> Column:
        unit = self._any(("month", "day", "hour", "week"))
        bucket = self._any(("6 hours", "1 day", "3 days", "45 minutes"))
        part = self._any(("hour", "day", "dow", "year"))
        name = column.name
        return self._random.choice(
            [
                Column(f"date_trunc('{unit}', {name})", Kind.TIME),
                Column(f"time_bucket(INTERVAL '{bucket}', {name})", Kind.TIME),
                Column(f"extract('{part}' FROM {name})", Kind.INTEGER),
                Column(f"strftime({name}, '%Y-%m-%d %H')", Kind.TEXT),
                Column(f"epoch_ms({name})", Kind.INTEGER),
                Column(f"{name} + INTERVAL 1 HOUR", Kind.TIME),
            ]
        )

    def _text_value(self, column: Column) -> Column:
        name = column.name
        return self._random.choice(
            [
                Column(f"upper({name})", Kind.TEXT),
                Column(f"substr({name}, 1, 2)", Kind.TEXT),
                Column(f"COALESCE({name}, 'none')", Kind.TEXT),
                Column(f"{name} || '/' || length({name})", Kind.TEXT),
                Column(f"length({name})", Kind.INTEGER),
                Column(f"NULLIF({name}, {self._word(column)})", Kind.TEXT),
            ]
        )

    def _number_value(self, column: Column, scope: Columns) -> Column:
        name = column.name
        other = self._of(scope, Kind.INTEGER, Kind.REAL) or column
        kind = Kind.REAL if Kind.REAL in {column.kind, other.kind} else Kind.INTEGER
        return self._random.choice(
            [
                Column(f"{name} + {other.name}", kind),
                Column(f"{name} - {other.name}", kind),
                Column(f"{name} * 2", column.kind),
                Column(f"{name} / 4", Kind.RATIO),
                Column(f"abs({name})", column.kind),
                Column(f"COALESCE({name}, 0)", column.kind),
                Column(f"{name}::DOUBLE", Kind.REAL),
                Column(f"greatest({name}, {other.name})", kind),
            ]
        )

    def _aggregate(self, scope: Columns) -> Column:
        column = self._random.choice(scope)
        number = self._of(scope, Kind.INTEGER, Kind.REAL) or column
        text = self._of(scope, Kind.TEXT)
        options = [
            Column("count(*)", Kind.INTEGER),
            Column(f"count({column.name})", Kind.INTEGER),
            Column(f"count(DISTINCT {column.name})", Kind.INTEGER),
            Column(f"min({column.name})", column.kind),
            Column(f"max({column.name})", column.kind),
        ]
        if number.kind is not column.kind or number.kind in {Kind.INTEGER, Kind.REAL}:
            options += [
                Column(f"sum({number.name})", number.kind),
                Column(f"avg({number.name})", Kind.RATIO),
                Column(f"sum(DISTINCT {number.name})", number.kind),
                Column(f"sum({number.name}) - min({number.name})", number.kind),
            ]
        chosen = self._random.choice(options)
        if self._chance(0.2) and chosen.name.endswith(")"):
            given = f" FILTER (WHERE {self._condition(scope, 1)})"
            return Column(f"{chosen.name}{given}", chosen.kind)
        if text and self._chance(0.05):
            return Column(f"string_agg({text.name}, ',' ORDER BY {text.name})", Kind.TEXT)
        return chosen

    # --- Shapes ----------------------------------------------------------------------------------

    def _base(self) -> tuple[str, list[Column], tuple[str, ...]]:
        """One table: what FROM says, its columns, its key."""
        table = self._table()
        if self._chance(0.5):
            return table.name, list(table.columns), (table.key,)
        return f"{table.name} AS t", table.called("t"), (f"t.{table.key}",)

    def _named(self, values: Columns, always: bool = False) -> tuple[str, tuple[Column, ...]]:
        """A list of expressions, and the columns that it gives; some keep the engine's names."""
        texts, columns = [], []
        for value in values:
            if always or self._chance(0.6):
                alias = self._name()
                texts.append(f"{value.name} AS {alias}")
                columns.append(Column(alias, value.kind))
            else:
                texts.append(value.name)
        return ", ".join(texts), tuple(columns)

    def _plain(
        self, source: str, scope: list[Column], key: tuple[str, ...], always: bool = False
    ) -> Query:
        values = [self._value(scope) for _ in range(self._random.randrange(1, 5))]
        shown, columns = self._named(values, always)
        return Query(f"SELECT {shown} FROM {source}{self._where(scope)}", columns, key)

    def _grouped(
        self, source: str, scope: list[Column], _key: tuple[str, ...] = (), always: bool = False
    ) -> Query:
        groups = [self._value(scope) for _ in range(self._random.choice((0, 1, 1, 1, 2)))]
        groups = [value for value in groups if value.kind is not Kind.RATIO]
        figures = [self._aggregate(scope) for _ in range(self._random.randrange(1, 4))]
        shown, columns = self._named([*groups, *figures], True if groups else always)
        text = f"SELECT {shown} FROM {source}{self._where(scope)}"
        names = [column.name for column in columns[: len(groups)]]
        if groups:
            places = ", ".join(str(place + 1) for place in range(len(groups)))
            text += f" GROUP BY {self._any((places, 'ALL', ', '.join(names)))}"
            if self._chance(0.3):
                text += f" HAVING {self._any(('count(*) > 2', 'count(*) % 2 = 0', 'max(1) = 1'))}"
        return Query(text, columns, tuple(names))

    def _star(self) -> Query:
        source, scope, key = self._base()
        one = self._random.choice(scope).bare
        shown = self._any(
            ["*", "*", f"* EXCLUDE ({one})", f"* REPLACE (NULL AS {one})", "COLUMNS('e')"]
        )
        return Query(f"SELECT {shown} FROM {source}{self._where(scope)}", (), key)

    def _sources(self) -> tuple[str, list[Column], tuple[str, ...]]:
        """Two or three tables of different databases, joined."""
        pairs = list(self._domain.joins)
        left, right = self._random.choice(pairs)
        order = [left, right]
        text = f"{left} {self._join(left, right)}"
        if self._chance(0.3):
            third = next(table.name for table in self._domain.tables if table.name not in order)
            beside = self._any([name for name in order if self._links(name, third)])
            order.append(third)
            text += f" {self._join(beside, third)}"
        tables = {table.name: table for table in self._domain.tables}
        scope = [column for name in order for column in tables[name].called(name)]
        return text, scope, tuple(f"{name}.{tables[name].key}" for name in order)

    def _links(self, left: str, right: str) -> tuple[str, ...]:
        joins = self._domain.joins
        return joins.get((left, right), ()) + joins.get((right, left), ())

    def _join(self, left: str, right: str) -> str:
        tables = {table.name: table for table in self._domain.tables}
        on = self._any(self._links(left, right))
        if self._chance(0.3):
            on += f" AND {self._condition(tables[right].called(right), 0)}"
        return f"{self._any(('JOIN', 'JOIN', 'LEFT JOIN', 'FULL JOIN'))} {right} ON {on}"

    def _joined(self) -> Query:
        source, scope, key = self._sources()
        if self._chance(0.5):
            return self._grouped(source, scope)
        return self._plain(source, scope, key)

    def _natural(self) -> Query:
        """Tables joined with what only names columns, or asked for rows of another."""
        (left, right), conditions = self._random.choice(list(self._domain.joins.items()))
        tables = {table.name: table for table in self._domain.tables}
        scope, on = tables[left].called(left), self._any(conditions)
        inner = self._condition(tables[right].called(right), 1)
        verb = self._any(("SEMI", "ANTI"))
        source = f"{left} {verb} JOIN {right} ON {on} AND ({inner})"
        return self._plain(source, scope, (f"{left}.{tables[left].key}",))

    def _correlated(self) -> Query:
        """Subqueries in WHERE and among the values, of this or another table."""
        (left, right), conditions = self._random.choice(list(self._domain.joins.items()))
        tables = {table.name: table for table in self._domain.tables}
        if self._chance(0.5):
            left, right = right, left
        outer, inner = tables[left].called(left), tables[right].called(right)
        on, more = self._any(conditions), self._condition(inner, 1)
        figure = self._aggregate(inner)
        same = self._random.choice(outer)
        other = self._of(inner, same.kind) or same
        exists = f"EXISTS (SELECT 1 FROM {right} WHERE {on} AND ({more}))"
        member = f"{same.name} IN (SELECT {other.name} FROM {right} WHERE {more})"
        single = f"(SELECT {figure.name} FROM {right} WHERE {on} AND ({more}))"
        whole = f"(SELECT max({other.name}) FROM {right} WHERE {more})"
        test = self._any((exists, f"NOT {exists}", member, f"{same.name} <= {whole}"))
        values, _ = self._named([self._random.choice(outer), Column(single, figure.kind)])
        shown = self._any((values, f"{left}.*", "count(*)"))
        key = () if shown == "count(*)" else (f"{left}.{tables[left].key}",)
        text = f"SELECT {shown} FROM {left} WHERE ({test}) AND ({self._condition(outer, 1)})"
        return Query(text, (), key)

    def _with(self) -> Query:
        source, scope, key = self._base() if self._chance(0.6) else self._sources()
        shape = self._any(("plain", "grouped"))
        first = (self._grouped if shape == "grouped" else self._plain)(source, scope, key, True)
        hint = self._any(("", "", "MATERIALIZED ", "NOT MATERIALIZED "))
        begin = f"WITH w AS {hint}({first.text})"
        inner = [Column(f"w.{column.name}", column.kind) for column in first.columns]
        if self._chance(0.4):
            table = self._table()
            one = self._random.choice(inner)
            other = self._of(table.called("t"), one.kind)
            if other is not None and one.kind is not Kind.RATIO:
                on = f"w.{one.bare} = {other.name}"
                source = f"w JOIN {table.name} AS t ON {on}"
                second = self._grouped(source, [*inner, *table.called("t")])
                return second._replace(text=f"{begin} {second.text}")
        if self._chance(0.3):
            second = self._grouped("w", inner, (), True)
            names = [Column(f"x.{column.name}", column.kind) for column in second.columns]
            third = self._plain("x", names, ())
            return third._replace(text=f"{begin}, x AS ({second.text}) {third.text}", key=())
        second = (self._grouped if self._chance(0.5) else self._plain)("w", inner, ())
        return second._replace(text=f"{begin} {second.text}")

    def _windowed(self) -> Query:
        source, scope, key = self._base() if self._chance(0.7) else self._sources()
        windows = [self._window(scope, key) for _ in range(self._random.randrange(1, 3))]
        plain = [self._random.choice(scope) for _ in range(2)]
        shown, columns = self._named([*plain, *windows], True)
        text = f"SELECT {shown} FROM {source}{self._where(scope)}"
        if self._chance(0.3):
            number = f"row_number() OVER ({self._over(scope, key)})"
            text += f" QUALIFY {number} <= {self._random.randrange(1, 5)}"
        return Query(text, columns, key)

    def _over(self, scope: Columns, key: tuple[str, ...]) -> str:
        one, other = self._random.choice(scope), self._random.choice(scope)
        part = f"PARTITION BY {one.name} " if self._chance(0.6) else ""
        way = self._any(("", " DESC", " DESC NULLS LAST", " NULLS FIRST"))
        return f"{part}ORDER BY {', '.join([other.name + way, *key])}"

    def _window(self, scope: Columns, key: tuple[str, ...]) -> Column:
        over = self._over(scope, key)
        column = self._random.choice(scope)
        number = self._of(scope, Kind.INTEGER, Kind.REAL) or column
        frame = self._any(
            ("", " ROWS BETWEEN 3 PRECEDING AND CURRENT ROW", " ROWS UNBOUNDED PRECEDING")
        )
        options = [
            Column(f"row_number() OVER ({over})", Kind.INTEGER),
            Column(f"rank() OVER ({over})", Kind.INTEGER),
            Column(f"lag({column.name}) OVER ({over})", column.kind),
            Column(f"lead({column.name}, 2) OVER ({over})", column.kind),
            Column(f"first_value({column.name}) OVER ({over})", column.kind),
            Column(f"count(*) OVER ({over}{frame})", Kind.INTEGER),
        ]
        if number.kind in {Kind.INTEGER, Kind.REAL}:
            options += [
                Column(f"sum({number.name}) OVER ({over}{frame})", number.kind),
                Column(f"max({number.name}) OVER ({over}{frame})", number.kind),
                Column(f"avg({number.name}) OVER ({over}{frame})", Kind.RATIO),
            ]
        return self._random.choice(options)

    def _set_operation(self) -> Query:
        """Two or three lists of the same kinds, of any tables."""
        kinds = [
            self._random.choice((Kind.TEXT, Kind.TIME, Kind.INTEGER, Kind.REAL))
            for _ in range(self._random.randrange(1, 3))
        ]
        parts = []
        for _ in range(self._random.choice((2, 2, 3))):
            source, scope, _ = self._base()
            values = [self._of(scope, kind) or Column("NULL", kind) for kind in kinds]
            names = ", ".join(f"{value.name} AS c{n}" for n, value in enumerate(values))
            parts.append(f"SELECT {names} FROM {source}{self._where(scope)}")
        verbs = ("UNION", "UNION ALL", "INTERSECT", "EXCEPT", "EXCEPT ALL", "INTERSECT ALL")
        text = parts[0]
        for part in parts[1:]:
            text = f"({text}) {self._any(verbs)} ({part})"
        return Query(text, tuple(Column(f"c{n}", kind) for n, kind in enumerate(kinds)), ())

    def _distinct(self) -> Query:
        source, scope, key = self._base() if self._chance(0.6) else self._sources()
        found = self._plain(source, scope, key, True)
        if self._chance(0.3):
            one = self._random.choice(scope).name
            text = found.text.replace("SELECT ", f"SELECT DISTINCT ON ({one}) ", 1)
            order = ", ".join([one, *key])
            text = f"SELECT * FROM ({text} ORDER BY {order})"
            return Query(text, found.columns, ())
        return Query(found.text.replace("SELECT ", "SELECT DISTINCT ", 1), found.columns, ())

    def _pivoted(self) -> Query:
        source, scope, _ = self._base()
        by = self._of(scope, Kind.TEXT) or scope[0]
        row = self._of(scope, Kind.TEXT, Kind.INTEGER) or scope[0]
        number = self._of(scope, Kind.INTEGER, Kind.REAL) or scope[0]
        words = [word for word in self._domain.words.get(by.bare, ("a", "b")) if word][:4]
        values = ", ".join(map(_quoted, words))
        inner = (
            f"SELECT {row.name} AS r, {by.name} AS b, {number.name} AS n "
            f"FROM {source}{self._where(scope)}"
        )
        figure = self._any(("sum(n)", "count(n)", "max(n)", "sum(n) AS s, count(*) AS k"))
        text = f"SELECT * FROM ({inner}) PIVOT ({figure} FOR b IN ({values}) GROUP BY r)"
        return Query(text, (), ("r",))

    def _rolled_up(self) -> Query:
        source, scope, _ = self._base()
        one = self._of(scope, Kind.TEXT) or scope[0]
        two = self._random.choice(scope)
        kind = self._any(("ROLLUP", "CUBE"))
        figures = ", ".join(self._aggregate(scope).name for _ in range(2))
        text = f"SELECT {one.name} AS a, {two.name} AS b, {figures} FROM {source}"
        return Query(f"{text}{self._where(scope)} GROUP BY {kind} ({one.name}, {two.name})", (), ())

    def _nested(self) -> Query:
        """A derived table, asked again from outside."""
        source, scope, key = self._base() if self._chance(0.6) else self._sources()
        inner = self._plain(source, scope, key, True)
        text = inner.text
        if self._chance(0.4):
            text += f" ORDER BY {', '.join(key)} LIMIT {self._random.randrange(1, 60)}"
        columns = [Column(f"d.{column.name}", column.kind) for column in inner.columns]
        return (self._grouped if self._chance(0.5) else self._plain)(f"({text}) AS d", columns, ())

    def _ended(self, query: Query) -> tuple[str, bool]:
        """With or without an order; a part of the rows only where the order tells all of them."""
        if self._chance(0.5):
            return query.text, False
        way = self._any(("", " ASC NULLS FIRST", " DESC", " DESC NULLS LAST"))
        if query.key:
            leading = [column.name for column in query.columns if self._chance(0.5)]
            order = ", ".join([*(name + way for name in leading), *query.key])
        else:
            order = f"ALL{way}"
        text = f"{query.text} ORDER BY {order}"
        if self._chance(0.6):
            text += f" LIMIT {self._param(self._random.randrange(40))}"
            if self._chance(0.4):
                text += f" OFFSET {self._random.randrange(20)}"
        return text, True


def _written(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f").removesuffix(".000000")


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "''") + "'"

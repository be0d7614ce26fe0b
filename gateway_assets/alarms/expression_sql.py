"""Conditions in DuckDB's SQL: for every sample of a series what ``expression`` says of it.

Each step is a column of a query around the one before. Written as one expression, a step would be
repeated wherever it is looked at twice, and the text would double with every level.
"""

from __future__ import annotations

from gateway_assets.alarms.expression import MAX_WINDOW, Node, parse

# From the samples before, of whatever quality or good.
_BEFORE = "OVER (ORDER BY time ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
_NAMES = {
    "value": "good",
    "quality": "CAST(coalesce(quality, 2) AS DOUBLE)",
    "previous": f"last_value(good IGNORE NULLS) {_BEFORE}",
    "age": f"(time - last_value(time) {_BEFORE}) / 1e9",
    "elapsed": f"(time - last_value(good_time IGNORE NULLS) {_BEFORE}) / 1e9",
}


def condition_rows(text: str, relation: str, *, use_uncertain: bool = False) -> str:
    """A SELECT of ``time`` and ``holds`` (true, false, or NULL for unknown) in the order of time.

    ``relation`` is SQL of what stands behind FROM: samples of one series, each time once, with
    ``time`` (BIGINT, ns), ``value`` (DOUBLE) and ``quality`` (NULL is good). It is not checked.
    Raises ConfigError as ``expression.parse`` does.
    """
    return _Query(relation, 1 if use_uncertain else 2).of(parse(text))


class _Query:
    def __init__(self, relation: str, least_quality: int) -> None:
        self._base = (
            "SELECT time, quality, CASE WHEN good THEN value END AS good, "
            "CASE WHEN good THEN time END AS good_time FROM (SELECT time, value, quality, "
            f"isfinite(value) AND coalesce(quality, 2) >= {least_quality} AS good FROM {relation})"
        )
        self._columns = 0
        self._levels: list[list[str]] = [[]]

    def of(self, node: Node) -> str:
        _, column = self._column(node)
        query = self._base
        for level in self._levels:
            query = f"SELECT {', '.join(['*', *level])} FROM ({query})"
        return f"SELECT time, {column} AS holds FROM ({query}) ORDER BY time"

    def _column(self, node: Node) -> tuple[int, str]:
        """From which level on a step is known, and by which text."""
        match node.kind:
            case "number":
                return 0, f"'{node.number!r}'::DOUBLE"
            case "truth":
                return 0, "true" if node.number else "false"
            case "name":
                return 1, self._add(0, _NAMES[node.name])
            case "avg_over":
                frame = f"RANGE BETWEEN {int(node.number)} PRECEDING AND CURRENT ROW"
                listed = f"list(good) FILTER (WHERE good IS NOT NULL) OVER (ORDER BY time {frame})"
                newest = self._add(0, f"({listed})[-{MAX_WINDOW}:]")
                total = f"list_reduce({newest}, lambda a, b: a + b)"
                return self._known(1, f"{total} / len({newest})")
        found = [self._column(arg) for arg in node.args]
        level = max(level for level, _ in found)
        args = [column for _, column in found]
        if node.kind in {"and", "or"}:
            return level + 1, self._add(level, f" {node.kind.upper()} ".join(args))
        if node.kind == "not":
            return level + 1, self._add(level, f"NOT {args[0]}")
        numbers = [
            f"CAST({column} AS DOUBLE)" if arg.is_truth else column
            for arg, column in zip(node.args, args, strict=True)
        ]
        if node.kind == "compare":
            pairs = zip(numbers, node.signs, numbers[1:], strict=False)
            joined = " AND ".join(f"({left} {sign} {right})" for left, sign, right in pairs)
            return level + 1, self._add(level, joined)
        return self._known(level, _computed(node.kind, numbers))

    def _known(self, level: int, text: str) -> tuple[int, str]:
        """What is not finite is unknown, not only in the end: 1 / (1e300 * 1e300) is no 0."""
        column = self._add(level, text)
        return level + 2, self._add(level + 1, f"CASE WHEN isfinite({column}) THEN {column} END")

    def _add(self, level: int, text: str) -> str:
        while len(self._levels) <= level:
            self._levels.append([])
        self._columns += 1
        name = f"_{self._columns}"
        self._levels[level].append(f"{text} AS {name}")
        return name


def _computed(kind: str, numbers: list[str]) -> str:
    match kind:
        case "/" | "%":
            left, right = numbers
            return f"CASE WHEN {right} <> 0 THEN {left} {kind} {right} END"
        case "neg":
            return f"- {numbers[0]}"
        case "pos":
            return numbers[0]
        case "abs":
            return f"abs({numbers[0]})"
        case "min" | "max":
            # least and greatest look past NULL.
            known = " AND ".join(f"{number} IS NOT NULL" for number in numbers)
            function = "least" if kind == "min" else "greatest"
            return f"CASE WHEN {known} THEN {function}({', '.join(numbers)}) END"
    return f"{numbers[0]} {kind} {numbers[1]}"

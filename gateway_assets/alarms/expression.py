"""Conditions that people write: a small language, parsed by Python's grammar, compiled to closures.

    value > 80 and rate() > 0.5 or avg_over(300) > 75

Numbers are doubles. ``value`` is the sample's value, ``previous`` that of the good sample before
it, ``quality`` 0 bad, 1 uncertain, 2 good, ``age`` the seconds since the sample before, good or
not. ``delta()`` is ``value - previous``, ``rate()`` that by second, ``changed()`` whether it is
another one. ``avg_over(seconds)`` is the mean of the good samples from so long ago until now, both
ends included, the newest 1,000 of them at most. ``%`` has the sign of its left side, as C's fmod.
``clamp(x, low, high)`` is ``min(max(x, low), high)``. In arithmetic true is 1 and false is 0.

What cannot be known (a bad sample's value, nothing before, a division by zero, an overflow) is
unknown, and so is what is computed from it. ``and``, ``or`` and ``not`` are Kleene's: false and
unknown is false, true or unknown is true.
"""

from __future__ import annotations

import ast
import math
import operator
import re
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from gateway_assets.errors import ConfigError

MAX_LENGTH = 1000
MAX_NODES = 200
MAX_DEPTH = 25
MAX_NUMBER = 1e300
MAX_SPAN_SECONDS = 86_400
MAX_WINDOW = 1000
MAX_FINITE = sys.float_info.max
SECOND = 1_000_000_000

ALLOWED = (
    "allowed: numbers, true, false, value, previous, quality, age, + - * / %, < <= > >= == !=, "
    "and, or, not, abs, min, max, clamp, rate(), delta(), changed(), avg_over(seconds)"
)

_TOKENS = re.compile(
    r"(?:[ \t\r\n]+|[A-Za-z_]\w*|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.])"
    r"|[<>=!]=|[-+*/%<>(),])",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Node:
    """A step of an expression: what it does, to what; ``name`` tells constants and names apart."""

    kind: str  # number, truth, name, avg_over, compare, and, or, not, or an operator or function
    args: tuple[Node, ...] = ()
    number: float = 0.0
    signs: tuple[str, ...] = ()
    name: str = ""
    is_truth: bool = False


VALUE, PREVIOUS, ELAPSED = (Node("name", name=name) for name in ("value", "previous", "elapsed"))
_DELTA = Node("-", (VALUE, PREVIOUS))
_WITHOUT_ARGUMENTS = {
    "delta": _DELTA,
    "rate": Node("/", (_DELTA, ELAPSED)),
    "changed": Node("compare", (VALUE, PREVIOUS), signs=("!=",), is_truth=True),
}
_NAMES = {
    "value": VALUE,
    "previous": PREVIOUS,
    "quality": Node("name", name="quality"),
    "age": Node("name", name="age"),
    "true": Node("truth", number=1, is_truth=True),
    "false": Node("truth", number=0, is_truth=True),
}
_ARITHMETIC: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Mod: "%",
}
_SIGNS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}


def parse(text: str) -> Node:
    """The condition as steps. Raises ConfigError with the column for all that is not allowed."""
    if len(text) > MAX_LENGTH:
        raise ConfigError(
            f"an expression has {len(text)} characters", hint=f"at most {MAX_LENGTH} are allowed"
        )
    _check_tokens(text)
    plain = re.sub(r"\s", " ", text)
    indent = len(plain) - len(plain.lstrip())
    try:
        tree = ast.parse(plain.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        column = getattr(error, "offset", None) or 1
        raise _refused(column + indent, "it cannot be understood") from None
    return _Parser(indent).truth(tree, 1)


def _refused(column: int, what: str, hint: str = ALLOWED) -> ConfigError:
    return ConfigError(f"expression, column {column}: {what}", hint=hint)


def _check_tokens(text: str) -> None:
    """Only tokens of the language reach Python's parser, and none too deep for it."""
    at = depth = signs = 0
    while at < len(text):
        token = _TOKENS.match(text, at)
        if token is None:
            raise _refused(at + 1, f"{text[at]!a} is not allowed here")
        word = token[0]
        depth += (word == "(") - (word == ")")
        # A run of signs nests as parentheses do, without one.
        signs = signs + 1 if word in {"-", "+", "not"} else signs if word.isspace() else 0
        if max(depth, signs) > MAX_DEPTH:
            raise _refused(
                at + 1, "it is nested too deep", f"at most {MAX_DEPTH} levels are allowed"
            )
        at = token.end()
    if not text.strip():
        raise _refused(1, "it is empty")


class _Parser:
    """Python's syntax tree as steps; everything that is not on the list is refused."""

    def __init__(self, indent: int) -> None:
        self._indent = indent
        self._nodes = 0

    def truth(self, tree: ast.expr, depth: int) -> Node:
        node = self.any(tree, depth)
        if not node.is_truth:
            raise self._refused(tree, "a number is no condition", "compare it, as in value != 0")
        return node

    def any(self, tree: ast.expr, depth: int) -> Node:
        self._count(tree, depth)
        match tree:
            case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
                return self._number(tree, number)
            case ast.Name(id=name) if name in _NAMES:
                return _NAMES[name]
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return Node("not", (self.truth(operand, depth + 1),), is_truth=True)
            case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
                kind = "neg" if isinstance(sign, ast.USub) else "pos"
                return Node(kind, (self.any(operand, depth + 1),))
            case ast.BinOp() | ast.Compare() | ast.BoolOp():
                return self._operation(tree, depth + 1)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
                return self._call(tree, name, args, depth + 1)
        what = f"{tree.id} is not known" if isinstance(tree, ast.Name) else "this is not allowed"
        raise self._refused(tree, what)

    def _count(self, tree: ast.expr, depth: int) -> None:
        self._nodes += 1
        if depth > MAX_DEPTH:
            raise self._refused(tree, "it is nested too deep", f"at most {MAX_DEPTH} levels")
        if self._nodes > MAX_NODES:
            raise self._refused(tree, "it is too long", f"at most {MAX_NODES} names and signs")

    def _operation(self, tree: ast.expr, depth: int) -> Node:
        match tree:
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
                return Node(_ARITHMETIC[type(op)], (self.any(left, depth), self.any(right, depth)))
            case ast.BoolOp(op=joint, values=values):
                kind = "and" if isinstance(joint, ast.And) else "or"
                parts = tuple(self.truth(value, depth) for value in values)
                return Node(kind, parts, is_truth=True)
            case ast.Compare(left=left, ops=ops, comparators=others) if all(
                type(op) in _SIGNS for op in ops
            ):
                parts = tuple(self.any(part, depth) for part in (left, *others))
                signs = tuple(_SIGNS[type(op)] for op in ops)
                return Node("compare", parts, signs=signs, is_truth=True)
        raise self._refused(tree, "this sign is not allowed")

    def _number(self, tree: ast.expr, number: float) -> Node:
        if not -MAX_NUMBER <= number <= MAX_NUMBER:
            raise self._refused(
                tree, "the number is too large", f"at most {MAX_NUMBER:g} is allowed"
            )
        return Node("number", number=float(number))

    def _call(self, tree: ast.expr, name: str, args: list[ast.expr], depth: int) -> Node:
        if name in _WITHOUT_ARGUMENTS and not args:
            return _WITHOUT_ARGUMENTS[name]
        parts = tuple(self.any(arg, depth) for arg in args)
        match name, len(parts):
            case "avg_over", 1:
                span = round(parts[0].number * SECOND) if parts[0].kind == "number" else 0
                if not 0 < span <= MAX_SPAN_SECONDS * SECOND:
                    raise self._refused(
                        tree,
                        "avg_over takes a number of seconds",
                        f"above 0, at most {MAX_SPAN_SECONDS}, as in avg_over(300)",
                    )
                return Node("avg_over", number=span)
            case "clamp", 3:
                return Node("min", (Node("max", parts[:2]), parts[2]))
            case ("abs", 1):
                return Node("abs", parts)
            case (("min" | "max"), count) if count >= 1:
                return Node(name, parts)
        raise self._refused(tree, f"{name} cannot be called so")

    def _refused(self, tree: ast.expr, what: str, hint: str = ALLOWED) -> ConfigError:
        return _refused(tree.col_offset + 1 + self._indent, what, hint)


def nodes(node: Node) -> Iterator[Node]:
    """The node and all below it."""
    yield node
    for arg in node.args:
        yield from nodes(arg)


class Window:
    """What an expression sees: a sample, the one before, and the good ones of its longest mean.

    ``push`` takes samples in the order of time (ns). ``value`` is None where the sample is bad.
    """

    __slots__ = (
        "age", "elapsed", "good_time", "last", "previous", "quality", "recent", "span", "time",
        "value",
    )  # fmt: skip

    def __init__(
        self,
        span: int = 0,
        time: int | None = None,
        last: float | None = None,
        good_time: int | None = None,
        recent: Iterable[tuple[int, float]] = (),
    ) -> None:
        self.span = span
        self.time = time
        self.last = last
        self.good_time = good_time
        self.recent = deque(recent if span else (), maxlen=MAX_WINDOW)
        self.value: float | None = None
        self.previous: float | None = None
        self.quality = 2.0
        self.age: float | None = None
        self.elapsed: float | None = None

    def push(self, time: int, value: float | None, quality: int | None) -> None:
        self.age = None if self.time is None else (time - self.time) / SECOND
        self.elapsed = None if self.good_time is None else (time - self.good_time) / SECOND
        self.previous = None if self.last is None else float(self.last)
        self.time = time
        self.quality = 2.0 if quality is None else float(quality)
        if value is None:
            self.value = None
            return
        self.value = float(value)
        self.last, self.good_time = value, time
        if self.span:
            self.recent.append((time, self.value))
            while self.recent[0][0] < time - self.span:
                self.recent.popleft()


def is_good(value: float | None, quality: int | None, least: int) -> bool:
    """Whether a sample says anything: a finite number, of at least this quality; None is good."""
    return (
        value is not None
        and -MAX_FINITE <= value <= MAX_FINITE
        and (quality is None or quality >= least)
    )


def longest_span(node: Node) -> int:
    """How far back (ns) the means of an expression look; 0 where it has none."""
    return max((int(part.number) for part in nodes(node) if part.kind == "avg_over"), default=0)


Known = float | None  # a number or a truth; None is unknown
Step = Callable[[Window], Known]


def compiled(node: Node) -> Callable[[Window], bool | None]:
    """The condition as a function: true, false, or None for unknown."""
    step = _step(node)

    def holds(window: Window) -> bool | None:
        found = step(window)
        return None if found is None else bool(found)

    return holds


def _step(node: Node) -> Step:
    match node.kind:
        case "number" | "truth":
            number = node.number
            return lambda _: number
        case "name":
            return operator.attrgetter(node.name)
        case "avg_over":
            return _mean(int(node.number))
    steps = tuple(_step(arg) for arg in node.args)
    match node.kind:
        case "compare":
            return _comparison(steps, tuple(_COMPARE[sign] for sign in node.signs))
        case "and":
            return _joint(steps, decides=False)
        case "or":
            return _joint(steps, decides=True)
    return _computed(_COMPUTE[node.kind], steps)


_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_COMPUTE: dict[str, Callable[..., float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": math.fmod,
    "neg": operator.neg,
    "pos": operator.pos,
    "not": operator.not_,
    "abs": abs,
    "min": lambda *args: min(args),
    "max": lambda *args: max(args),
}


def _computed(function: Callable[..., float], steps: tuple[Step, ...]) -> Step:
    def compute(window: Window) -> Known:
        args = [step(window) for step in steps]
        if None in args:
            return None
        try:
            found = function(*args)
        except (ArithmeticError, ValueError):  # a division by zero
            return None
        return found if -MAX_FINITE <= found <= MAX_FINITE else None

    return compute


def _comparison(steps: tuple[Step, ...], signs: tuple[Callable[[float, float], bool], ...]) -> Step:
    def compare(window: Window) -> Known:
        args = [step(window) for step in steps]
        known: bool | None = True
        for left, right, sign in zip(args, args[1:], signs, strict=False):
            if left is None or right is None:
                known = None
            elif not sign(left, right):
                return False
        return known

    return compare


def _joint(steps: tuple[Step, ...], *, decides: bool) -> Step:
    def join(window: Window) -> Known:
        known: bool | None = not decides
        for step in steps:
            found = step(window)
            if found is None:
                known = None
            elif bool(found) is decides:
                return decides
        return known

    return join


def _mean(span: int) -> Step:
    def mean(window: Window) -> Known:
        assert window.time is not None
        oldest = window.time - span
        # One by one: SQL adds in this order, too, and sum() of newer Pythons does not.
        total, count = 0.0, 0
        for time, value in window.recent:
            if time >= oldest:
                total += value
                count += 1
        if not count or not -MAX_FINITE <= total <= MAX_FINITE:
            return None
        return total / count

    return mean

"""Boolean expressions over telemetry: a subset of otelcol's OTTL, compiled once to closures.

    or      := and ("or" and)*
    and     := not ("and" not)*
    not     := "not" not | "(" or ")" | operand (("==" | "!=" | "<" | "<=" | ">" | ">=") operand)?
    operand := "text" | number | 0xbytes | nil | true | false | CONSTANT | Function(operand, ...)
             | path ("[" "key" | index "]")*

Two values of different types are not equal (and neither is greater); whole and fractional numbers
are one type; nil equals only nil. An operand alone counts as true when it is exactly `true`.
What a path, constant or function name means is the caller's table (`Names`). There are no loops and
no assignments, so an expression costs what its length says, except for patterns (see `_patterns`).
"""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Generic, NamedTuple, NoReturn, TypeAlias, TypeVar, cast

from genai_collector.model import Value

S = TypeVar("S")
Read: TypeAlias = Callable[[S], Value]

MAX_CHARS: Final = 4096
MAX_DEPTH: Final = 40

_TOKEN: Final = re.compile(
    r"""\s*(?:
    (?P<text>"(?:[^"\\]|\\.)*")
  | (?P<bytes>0x[0-9a-fA-F]+)
  | (?P<number>-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)
  | (?P<sign>==|!=|<=|>=|<|>|\(|\)|\[|\]|,)
  | (?P<end>$)
    )""",
    re.VERBOSE,
)
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r"}
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_WORDS: Final[dict[str, Value]] = {"nil": None, "true": True, "false": False}
_RESERVED: Final = ("and", "or", "not")


class ExpressionError(ValueError):
    """The expression is not one. The message begins with the column, counted from 1."""


class Function(NamedTuple):
    """A function of an expression. `build` gets its arguments' readers, in order, and the texts of
    those that are literals (None otherwise); it may raise ValueError."""

    arguments: int
    build: Callable[[list[Callable[..., Value]], list[str | None]], Callable[..., Value]]


class Names(NamedTuple, Generic[S]):
    """What names mean for one kind of thing."""

    paths: Mapping[str, Callable[[S], Value]]
    constants: Mapping[str, int]
    functions: Mapping[str, Function]


def compile_expression(text: str, names: Names[S]) -> Callable[[S], bool]:
    """The test that the expression describes. Raises `ExpressionError`."""
    if len(text) > MAX_CHARS:
        raise ExpressionError(f"column 1: an expression may have at most {MAX_CHARS} characters")
    parser = _Parser(text, names)
    test = parser.parse_or(0)
    if parser.kind != "end":
        parser.fail("expected and, or, or the end")
    return test


class _Parser(Generic[S]):
    """Recursive descent with one token of look-ahead: `kind`, `token`, `at`."""

    def __init__(self, text: str, names: Names[S]) -> None:
        self._text = text
        self._names = names
        self._next = 0
        self.kind, self.token, self.at = "", "", 0
        self.advance()

    def advance(self) -> str:
        """Go one token on; returns the one left behind."""
        token = self.token
        match = _TOKEN.match(self._text, self._next)
        if match is None:
            rest = self._text[self._next :]
            self.at = self._next + len(rest) - len(rest.lstrip())
            self.fail("a text without its closing quote" if rest.lstrip()[0] == '"' else
                      f"unexpected character {rest.lstrip()[0]!r}")  # fmt: skip
        self.kind = match.lastgroup or ""
        self.token = match[self.kind]
        self.at = match.start(self.kind)
        self._next = match.end()
        return token

    def fail(self, message: str, at: int | None = None) -> NoReturn:
        raise ExpressionError(f"column {(self.at if at is None else at) + 1}: {message}")

    def _at_sign(self, sign: str) -> bool:
        return self.kind == "sign" and self.token == sign

    def expect(self, sign: str) -> None:
        if not self._at_sign(sign):
            self.fail(f"expected {sign}")
        self.advance()

    def parse_or(self, depth: int) -> Callable[[S], bool]:
        if depth > MAX_DEPTH:
            self.fail(f"nested more than {MAX_DEPTH} deep")
        tests = [self._parse_and(depth)]
        while self._take_word("or"):
            tests.append(self._parse_and(depth))
        return tests[0] if len(tests) == 1 else lambda it: any(test(it) for test in tests)

    def _parse_and(self, depth: int) -> Callable[[S], bool]:
        tests = [self._parse_not(depth)]
        while self._take_word("and"):
            tests.append(self._parse_not(depth))
        return tests[0] if len(tests) == 1 else lambda it: all(test(it) for test in tests)

    def _parse_not(self, depth: int) -> Callable[[S], bool]:
        negated = False
        while self._take_word("not"):
            negated = not negated
        if self._at_sign("("):
            self.advance()
            test = self.parse_or(depth + 1)
            self.expect(")")
        else:
            test = self._parse_comparison(depth)
        return (lambda it: not test(it)) if negated else test

    def _parse_comparison(self, depth: int) -> Callable[[S], bool]:
        left, _ = self._parse_operand(depth)
        compare = _COMPARISONS.get(self.token) if self.kind == "sign" else None
        if compare is None:
            return lambda it: left(it) is True
        self.advance()
        right, _ = self._parse_operand(depth)
        return lambda it: compare(left(it), right(it))

    def _take_word(self, word: str) -> bool:
        if self.kind == "name" and self.token == word:
            self.advance()
            return True
        return False

    def _parse_operand(self, depth: int) -> tuple[Read[S], str | None]:
        """A reader, and the text itself where the operand is a literal text."""
        if depth > MAX_DEPTH:
            self.fail(f"nested more than {MAX_DEPTH} deep")
        if self.kind == "name" and self.token not in _RESERVED and self.token not in _WORDS:
            return self._parse_name(depth), None
        value = self._parse_literal()
        return (lambda _it: value), value if isinstance(value, str) else None

    def _parse_literal(self) -> Value:
        if self.kind == "text":
            return _ESCAPE.sub(lambda m: _ESCAPES.get(m[1], m[1]), self.advance()[1:-1])
        if self.kind == "number":
            token = self.advance()
            return int(token) if token.lstrip("-").isdecimal() else float(token)
        if self.kind == "bytes":
            if len(self.token) % 2:
                self.fail("bytes need an even number of hexadecimal digits")
            return bytes.fromhex(self.advance()[2:])
        if self.kind != "name" or self.token not in _WORDS:
            self.fail("expected a value: a path, a text, a number, a function, nil, true or false")
        return _WORDS[self.advance()]

    def _parse_name(self, depth: int) -> Read[S]:
        at, name = self.at, self.advance()
        if self._at_sign("("):
            return self._parse_call(name, at, depth)
        if name in self._names.constants:
            constant = self._names.constants[name]
            return lambda _it: constant
        read = self._names.paths.get(name)
        if read is None:
            known = [*self._names.paths, *self._names.constants]
            self.fail(f"unknown name {name}{_suggestion(name, known)}", at)
        while self._at_sign("["):
            self.advance()
            read = _index(read, self._parse_key())
            self.expect("]")
        return read

    def _parse_key(self) -> str | int:
        if self.kind not in ("text", "number") or not (
            self.kind == "text" or self.token.isdecimal()
        ):
            self.fail('expected a key such as "gen_ai.system", or an index')
        return cast("str | int", self._parse_literal())

    def _parse_call(self, name: str, at: int, depth: int) -> Read[S]:
        function = self._names.functions.get(name)
        if function is None:
            self.fail(f"unknown function {name}{_suggestion(name, self._names.functions)}", at)
        self.advance()
        readers: list[Callable[..., Value]] = []
        literals: list[str | None] = []
        places: list[int] = []
        while not self._at_sign(")"):
            if readers:
                self.expect(",")
            places.append(self.at)
            reader, literal = self._parse_operand(depth + 1)
            readers.append(reader)
            literals.append(literal)
        if len(readers) != function.arguments:
            self.fail(f"{name} takes {function.arguments} arguments, got {len(readers)}", at)
        self.advance()
        try:
            return function.build(readers, literals)
        except ValueError as exc:
            self.fail(f"{name}: {exc}", places[-1])


def _index(read: Read[S], key: str | int) -> Read[S]:
    def at_key(it: S) -> Value:
        value = read(it)
        if isinstance(key, str):
            return value.get(key) if isinstance(value, dict) else None
        return value[key] if isinstance(value, list) and key < len(value) else None

    return at_key


def _suggestion(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), 1)
    return f", did you mean {close[0]}?" if close else ""


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def equal(left: Value, right: Value) -> bool:
    """Equal in the sense of the language (see the module)."""
    if _is_number(left) and _is_number(right):
        return left == right
    return type(left) is type(right) and left == right


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Value, Value], bool]:
    def test(left: Value, right: Value) -> bool:
        if _is_number(left) and _is_number(right):
            return compare(left, right)
        same = type(left) is type(right) and isinstance(left, str | bytes)
        return same and compare(left, right)

    return test


_COMPARISONS: Final[dict[str, Callable[[Value, Value], bool]]] = {
    "==": equal,
    "!=": lambda left, right: not equal(left, right),
    "<": _ordered(operator.lt),
    "<=": _ordered(operator.le),
    ">": _ordered(operator.gt),
    ">=": _ordered(operator.ge),
}

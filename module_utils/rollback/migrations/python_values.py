"""Python's own functions and methods on values that are known. None of them reaches outside the reader."""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping, Sequence

from ansible.module_utils.rollback.migrations.sql_statement import MARK
from ansible.module_utils.rollback.migrations.values import (
    UNKNOWN_VALUE,
    Connection,
    Dialect,
    External,
    Method,
    Unknown,
)

# No loop over a list in a migration is longer; a longer one is not unrolled.
MOST_TURNS = 2000

_METHODS: Dict[type, "set[str]"] = {
    str: {
        "format", "join", "strip", "lstrip", "rstrip", "lower", "upper", "title", "capitalize", "replace", "split",
        "rsplit", "splitlines", "startswith", "endswith", "removeprefix", "removesuffix", "partition", "rpartition",
        "count", "find", "index", "zfill", "ljust", "rjust", "format_map", "isdigit", "encode", "casefold",
    },
    list: {"append", "extend", "insert", "pop", "remove", "index", "copy", "count", "reverse", "clear"},
    tuple: {"index", "count"},
    dict: {"items", "keys", "values", "get", "setdefault", "update", "pop", "copy", "clear"},
    set: {"add", "union", "update", "intersection", "difference", "discard", "copy", "issubset", "issuperset"},
    frozenset: {"union", "intersection", "difference", "issubset", "issuperset"},
}  # fmt: skip
# Methods that look for something: what nobody knows may be in it or not.
_LOOKING = {"get", "index", "count", "pop", "setdefault", "remove", "discard"}
# Methods that change what they are called on.
CHANGING = {"append", "extend", "insert", "pop", "remove", "reverse", "clear", "update", "setdefault", "add", "discard"}
_FAILURES = (TypeError, ValueError, KeyError, IndexError, AttributeError, OverflowError)


def _range(*args: Any) -> Any:
    numbers = range(*args)
    return list(numbers) if len(numbers) <= MOST_TURNS else UNKNOWN_VALUE


def _is_instance(value: Any, kind: Any) -> Any:
    """Only what can be told: which dialect the connection speaks, and plain values."""
    name = kind.name.lower() if isinstance(kind, External) else ""
    if isinstance(value, Dialect) and "dialect" in name:
        return name.startswith(("pg", "postgres", "psycopg", "asyncpg"))
    plain = {"str": str, "int": int, "list": list, "tuple": tuple, "dict": dict, "bool": bool, "set": set}
    if name in plain and (value is None or _bare(value)):
        return isinstance(value, plain[name])
    if name == "connection" and isinstance(value, Connection):
        return True
    return UNKNOWN_VALUE


_FUNCTIONS: Dict[str, Callable[..., Any]] = {
    "len": len,
    "range": _range,
    "enumerate": lambda items, start=0: list(enumerate(items, start)),
    "zip": lambda *items, **options: list(zip(*items)),
    "sorted": lambda items, **options: sorted(items) if not options else UNKNOWN_VALUE,
    "reversed": lambda items: list(reversed(items)),
    "list": list,
    "tuple": tuple,
    "set": lambda items=(): list(dict.fromkeys(items)),
    "frozenset": lambda items=(): list(dict.fromkeys(items)),
    "dict": dict,
    "str": lambda value="": value if isinstance(value, str) else str(value),
    "int": int,
    "bool": bool,
    "min": min,
    "max": max,
    "sum": sum,
    "isinstance": _is_instance,
    "iter": lambda items: items,
}


def readable(value: Any) -> bool:
    """Whether Python's own functions can work on it; an attribute of what nobody knows is not known either."""
    return not isinstance(value, (Unknown, Method))


def call_builtin(name: str, args: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """The result of a builtin on known values, UNKNOWN_VALUE otherwise. A set becomes a list, in the order written."""
    function = _FUNCTIONS.get(name)
    if function is None:
        return UNKNOWN_VALUE
    if name == "str" and args and not readable(args[0]):
        return MARK
    if not all(map(readable, args)):
        return UNKNOWN_VALUE
    if name in ("min", "max", "sum", "sorted") and not all(_plain(arg) for arg in args):
        return UNKNOWN_VALUE
    try:
        return function(*args, **options)
    except _FAILURES:
        return UNKNOWN_VALUE


def _bare(value: Any) -> bool:
    return isinstance(value, (str, int, float, list, tuple, dict, set))


def _plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_plain, value))
    return isinstance(value, (str, int, float))


def call_method(owner: Any, name: str, args: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """A method of a known str, list, dict or set; UNKNOWN_VALUE for any other, and where an argument is not known."""
    if name not in _METHODS.get(type(owner), set()):
        return UNKNOWN_VALUE
    if not isinstance(owner, str) and name in _LOOKING and not all(map(readable, args[:1])):
        return UNKNOWN_VALUE
    if isinstance(owner, str):
        args = [_marked(arg) for arg in args]
        options = {key: _marked(value) for key, value in options.items()}
    try:
        found = getattr(owner, name)(*args, **options)
    except _FAILURES:
        return UNKNOWN_VALUE
    return list(found) if name in ("items", "keys", "values") and isinstance(owner, dict) else found


def _marked(value: Any) -> Any:
    """Text with the mark in place of what is not known, also within a list that is joined."""
    if isinstance(value, (list, tuple)):
        return [_marked(part) for part in value]
    return value if isinstance(value, (str, int, float, bool)) or value is None else MARK


def operate(name: str, left: Any, right: Any) -> Any:
    """`left <operator> right` of known values; text keeps the mark for what is not known."""
    if name == "Mod" and isinstance(left, str):
        right = tuple(_marked(part) for part in right) if isinstance(right, tuple) else right
        right = {key: _marked(part) for key, part in right.items()} if isinstance(right, dict) else right
        right = right if isinstance(right, (tuple, dict)) else _marked(right)
    if name == "Add" and (isinstance(left, str) or isinstance(right, str)):
        left, right = _marked(left), _marked(right)
    if not (readable(left) and readable(right)):
        return UNKNOWN_VALUE
    try:
        if name == "Add":
            return left + right
        if name == "Mod":
            return left % right
        if name == "Mult" and isinstance(left, (int, float)) and isinstance(right, (int, float)):
            return left * right
        if name == "Sub":
            return [item for item in left if item not in right] if isinstance(left, list) else left - right
        if name == "BitAnd" and isinstance(left, list):
            return [item for item in left if item in right]
        if name == "BitOr" and isinstance(left, list):
            return list(dict.fromkeys([*left, *right]))
        if name == "BitOr":
            return {**left, **right} if isinstance(left, dict) else left | right
    except _FAILURES:
        return UNKNOWN_VALUE
    return UNKNOWN_VALUE


def compare(name: str, left: Any, right: Any) -> Any:
    """A comparison of known values; containers that hold something unknown only tell what they surely hold."""
    if not readable(left) or not readable(right):
        return UNKNOWN_VALUE
    try:
        if name in ("In", "NotIn"):
            within = left in right
            if not within and isinstance(right, (list, tuple, dict)) and not all(map(readable, right)):
                return UNKNOWN_VALUE
            return within if name == "In" else not within
        if not (left is None or right is None or (_bare(left) and _bare(right))):
            return UNKNOWN_VALUE
        if name in ("Eq", "Is"):
            return left == right
        if name in ("NotEq", "IsNot"):
            return left != right
        return {"Lt": left < right, "LtE": left <= right, "Gt": left > right, "GtE": left >= right}[name]
    except _FAILURES:
        return UNKNOWN_VALUE

"""Python's own functions and methods on values that are known. None of them reaches outside the reader.

Text may hold the mark for what is not known. That is worth keeping for SQL; nothing is ever decided by it.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping, Sequence

from ansible.module_utils.rollback.migrations.sql_statement import MARK
from ansible.module_utils.rollback.migrations.values import (
    UNKNOWN_VALUE,
    Connection,
    Dialect,
    External,
    Items,
    Method,
    Told,
    Unknown,
)

# No loop over a list in a migration is longer; a longer one is not unrolled.
MOST_TURNS = 2000

# Methods of text whose result shows the mark wherever something unknown went into it.
_WRITING = {
    "format", "join", "strip", "lstrip", "rstrip", "lower", "upper", "title", "capitalize", "replace", "removeprefix",
    "removesuffix", "zfill", "ljust", "rjust", "format_map", "casefold",
}  # fmt: skip
_METHODS: Dict[type, "set[str]"] = {
    str: {
        *_WRITING, "split", "rsplit", "splitlines", "startswith", "endswith", "partition", "rpartition", "count", "find",
        "index", "isdigit", "isalpha", "isalnum", "isidentifier", "islower", "isupper", "isspace", "encode",
    },
    list: {"append", "extend", "insert", "pop", "remove", "index", "copy", "count", "reverse", "clear"},
    tuple: {"index", "count"},
    dict: {"items", "keys", "values", "get", "setdefault", "update", "pop", "copy", "clear"},
}  # fmt: skip
# Methods that look for something: what is not known may be in it or not.
_LOOKING = {"get", "index", "count", "pop", "setdefault", "remove", "discard"}
# Methods that change what they are called on.
CHANGING = {
    "append", "extend", "insert", "pop", "popitem", "remove", "reverse", "sort", "clear", "update", "setdefault", "add",
    "discard", "intersection_update", "difference_update", "symmetric_difference_update",
}  # fmt: skip
_FAILURES = (TypeError, ValueError, KeyError, IndexError, AttributeError, ArithmeticError)

# Says whether nothing in a value is unknown.
Settled = Callable[[Any], bool]


def settled(value: Any) -> bool:
    """Whether nothing in a value is unknown."""
    if isinstance(value, str):
        return MARK not in value and not isinstance(value, Told)
    if isinstance(value, (list, tuple)):
        return all(map(settled, value))
    if isinstance(value, dict):
        return all(map(settled, value)) and all(map(settled, value.values()))
    return value is None or isinstance(value, (bool, int, float))


def is_marked(value: Any) -> bool:
    """Whether a value is text that holds something unknown."""
    return isinstance(value, str) and (MARK in value or isinstance(value, Told))


def _range(*args: Any) -> Any:
    numbers = range(*args)
    return list(numbers) if len(numbers) <= MOST_TURNS else UNKNOWN_VALUE


_PLAIN = {"str": str, "int": int, "float": float, "list": list, "tuple": tuple, "dict": dict, "bool": bool}
# Packages of SQLAlchemy's other dialects.
_OTHERS = {"sqlite", "mysql", "mariadb", "oracle", "mssql", "sybase", "firebird"}


def _is_instance(value: Any, kind: Any) -> Any:
    """Only what is certain: which dialect the connection speaks, and plain values."""
    if isinstance(kind, (list, tuple)):
        answers = [_is_instance(value, part) for part in kind]
        return True if True in answers else UNKNOWN_VALUE if UNKNOWN_VALUE in answers else False
    if not isinstance(kind, External):
        return UNKNOWN_VALUE
    if isinstance(value, Dialect) and kind.path.startswith("sqlalchemy."):
        if _OTHERS & set(kind.path.split(".")):
            return False
        # `postgresql.dialect` is that of one driver, and which driver the application has is not known.
        return True if kind.name in ("PGDialect", "Dialect", "DefaultDialect") else UNKNOWN_VALUE
    if isinstance(value, Connection) and kind.name == "Connection":
        return True
    if not kind.path.startswith("builtins."):
        return UNKNOWN_VALUE
    if kind.name in _PLAIN and (value is None or isinstance(value, (str, int, float, list, tuple, dict))):
        return isinstance(value, _PLAIN[kind.name]) and not isinstance(value, Items)
    if kind.name == "set" and (value is None or isinstance(value, (str, int, float, tuple, dict, Items))):
        return isinstance(value, Items)
    return UNKNOWN_VALUE


def _sorted(items: Any, reverse: Any = False) -> Any:
    return sorted(items, reverse=bool(reverse))


_FUNCTIONS: Dict[str, Callable[..., Any]] = {
    "len": len,
    "range": _range,
    "enumerate": lambda items, start=0: list(enumerate(items, start)),
    "zip": lambda *items, **options: list(zip(*items)),
    "sorted": _sorted,
    "reversed": lambda items: list(reversed(items)),
    "list": list,
    "tuple": tuple,
    "set": lambda items=(): Items(dict.fromkeys(items)),
    "frozenset": lambda items=(): Items(dict.fromkeys(items)),
    "dict": dict,
    "int": int,
    "min": min,
    "max": max,
    "sum": sum,
}
# Functions whose result depends on every part of their arguments.
_THOROUGH = {"int", "min", "max", "sum", "sorted"}


def readable(value: Any) -> bool:
    """Whether Python's own functions can work on it; an attribute of something unknown is unknown as well."""
    return not isinstance(value, (Unknown, Method))


def call_builtin(name: str, args: Sequence[Any], options: Mapping[str, Any], known: Settled = settled) -> Any:
    """The result of a builtin on known values, UNKNOWN_VALUE otherwise. `known` says whether a value is."""
    if name == "isinstance" and len(args) == 2:
        return _is_instance(*args) if readable(args[0]) and not isinstance(args[0], Told) else UNKNOWN_VALUE
    if name == "str":
        return text_of(args[0], known) if args else ""
    function = _FUNCTIONS.get(name)
    given = (*args, *options.values())
    if function is None or not all(map(readable, given)) or any(map(is_marked, given)):
        return UNKNOWN_VALUE
    if name in _THOROUGH and not all(map(known, given)):
        return UNKNOWN_VALUE
    try:
        return function(*args, **options)
    except _FAILURES:
        return UNKNOWN_VALUE


def text_of(value: Any, known: Settled = settled) -> str:
    """`str(value)`, the mark where that is not known."""
    if isinstance(value, str):
        return value
    return str(value) if known(value) and not _has_set(value) else MARK


def _has_set(value: Any) -> bool:
    """Whether the order of a set shows in its text."""
    if isinstance(value, (list, tuple)):
        return isinstance(value, Items) or any(map(_has_set, value))
    return isinstance(value, dict) and any(map(_has_set, value.values()))


def call_method(
    owner: Any, name: str, args: Sequence[Any], options: Mapping[str, Any], known: Settled = settled
) -> Any:
    """A method of a known str, list, dict or set; UNKNOWN_VALUE for any other, and where an argument is not known."""
    if isinstance(owner, Items):
        return _of_set(owner, name, args, known)
    if name not in _METHODS.get(type(owner), set()):
        return UNKNOWN_VALUE
    if isinstance(owner, str):
        return _of_text(owner, name, args, options, known)
    if name in _LOOKING and not all(map(known, args[:1])):
        return UNKNOWN_VALUE
    if name in ("index", "count", "remove") and not known(owner):
        return UNKNOWN_VALUE
    try:
        found = getattr(owner, name)(*args, **options)
    except _FAILURES:
        return UNKNOWN_VALUE
    return list(found) if name in ("items", "keys", "values") and isinstance(owner, dict) else found


def _of_text(owner: str, name: str, args: Sequence[Any], options: Mapping[str, Any], known: Settled) -> Any:
    certain = known(owner) and all(map(known, (*args, *options.values())))
    if not certain and name not in _WRITING:
        return UNKNOWN_VALUE
    try:
        found = getattr(owner, name)(
            *(_marked(arg, known) for arg in args), **{key: _marked(value, known) for key, value in options.items()}
        )
    except _FAILURES:
        return UNKNOWN_VALUE
    return found if certain or MARK in found else MARK


def _of_set(owner: Items, name: str, args: Sequence[Any], known: Settled) -> Any:
    others = [arg for arg in args if isinstance(arg, (list, tuple, dict, str))]
    if name == "copy":
        return Items(owner)
    if name == "clear":
        return owner.clear()
    if not (known(owner) and all(map(known, args))):
        return UNKNOWN_VALUE
    if name in ("add", "discard", "remove") and len(args) == 1:
        if name == "add" and args[0] not in owner:
            owner.append(args[0])
        elif name != "add" and args[0] in owner:
            owner.remove(args[0])
        return None
    if len(others) != len(args):
        return UNKNOWN_VALUE
    if name in ("union", "update"):
        both = Items(dict.fromkeys([*owner, *(item for other in others for item in other)]))
        if name == "union":
            return both
        owner[:] = both
        return None
    if name in ("intersection", "difference"):
        within = name == "intersection"
        return Items(item for item in owner if all((item in list(other)) is within for other in others))
    if name in ("issubset", "issuperset", "isdisjoint") and len(others) == 1:
        other = list(others[0])
        if name == "isdisjoint":
            return not any(item in other for item in owner)
        return all(item in other for item in owner) if name == "issubset" else all(item in owner for item in other)
    return UNKNOWN_VALUE


def _marked(value: Any, known: Settled) -> Any:
    """A value as it goes into a text: with the mark in place of what is not known, also within a list that is joined."""
    if isinstance(value, str) or (known(value) and not _has_set(value)):
        return value
    if type(value) in (list, tuple):
        return type(value)(_marked(part, known) for part in value)
    return MARK


def operate(name: str, left: Any, right: Any, known: Settled = settled) -> Any:
    """`left <operator> right` of known values; text keeps the mark for what is not known."""
    if name == "Mod" and isinstance(left, str):
        return _filled_in(left, right, known)
    if name == "Add" and (isinstance(left, str) or isinstance(right, str)):
        left, right = _marked(left, known), _marked(right, known)
        if isinstance(left, Told) or isinstance(right, Told):
            return Told(f"{left}{right}")
    if not (readable(left) and readable(right)):
        return UNKNOWN_VALUE
    sets = isinstance(left, Items) and isinstance(right, Items)
    if sets and not (known(left) and known(right)):
        return UNKNOWN_VALUE
    try:
        if name == "Add":
            return left + right if not isinstance(left, Items) else UNKNOWN_VALUE
        if name == "Mod":
            return left % right
        if name == "Mult" and isinstance(left, (int, float)) and isinstance(right, (int, float)):
            return left * right
        if name == "Sub":
            return Items(item for item in left if item not in right) if sets else left - right
        if name == "BitAnd" and sets:
            return Items(item for item in left if item in right)
        if name == "BitOr" and sets:
            return Items(dict.fromkeys([*left, *right]))
        if name == "BitOr":
            return {**left, **right} if isinstance(left, dict) else left | right
    except _FAILURES:
        return UNKNOWN_VALUE
    return UNKNOWN_VALUE


def _filled_in(text: str, given: Any, known: Settled) -> Any:
    """`text % given`."""
    if isinstance(given, tuple):
        parts: Any = tuple(_marked(part, known) for part in given)
    elif isinstance(given, dict):
        parts = {key: _marked(part, known) for key, part in given.items()}
    else:
        parts = _marked(given, known)
    try:
        found = text % parts
    except _FAILURES:
        return UNKNOWN_VALUE
    return found if MARK in found or (known(text) and known(given)) else MARK


def compare(name: str, left: Any, right: Any, known: Settled = settled) -> Any:
    """A comparison, UNKNOWN_VALUE where it hangs on anything that is not known."""
    try:
        if name in ("In", "NotIn"):
            within = _within(left, right, known)
            return within if name == "In" or within is UNKNOWN_VALUE else not within
        if name in ("Is", "IsNot", "Eq", "NotEq"):
            equal = _identical(left, right, known) if name in ("Is", "IsNot") else _equal(left, right, known)
            return equal if name in ("Is", "Eq") or equal is UNKNOWN_VALUE else not equal
        if not (known(left) and known(right)):
            return UNKNOWN_VALUE
        if isinstance(left, Items) or isinstance(right, Items):
            left, right = (set(side) if isinstance(side, Items) else side for side in (left, right))
        return {
            "Lt": lambda: left < right,
            "LtE": lambda: left <= right,
            "Gt": lambda: left > right,
            "GtE": lambda: left >= right,
        }[name]()
    except _FAILURES:
        return UNKNOWN_VALUE


def _within(left: Any, right: Any, known: Settled) -> Any:
    if isinstance(right, (list, tuple, dict)):
        if known(left) and any(known(part) and part == left for part in right):
            return True
        return False if not right or (known(left) and all(map(known, right))) else UNKNOWN_VALUE
    return left in right if isinstance(right, str) and known(left) and known(right) else UNKNOWN_VALUE


def _equal(left: Any, right: Any, known: Settled) -> Any:
    if left is None or right is None:
        other = right if left is None else left
        return other is None if not isinstance(other, (Unknown, Method, External, Told)) else UNKNOWN_VALUE
    if not (known(left) and known(right)):
        return UNKNOWN_VALUE
    if isinstance(left, Items) or isinstance(right, Items):
        return isinstance(left, Items) and isinstance(right, Items) and set(left) == set(right)
    return UNKNOWN_VALUE if _has_set(left) or _has_set(right) else left == right


def _identical(left: Any, right: Any, known: Settled) -> Any:
    """`is`: certain for None, true and false, and for what is not even equal."""
    equal = _equal(left, right, known)
    if left is None or right is None or equal is UNKNOWN_VALUE:
        return equal
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return UNKNOWN_VALUE if equal else False

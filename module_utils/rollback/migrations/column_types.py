"""What a change of a column's type does to its values, by PostgreSQL's own names of types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional, Tuple


@dataclass(frozen=True)
class Type:
    """A column's type: PostgreSQL's inner name (`int4`, `varchar`, `timestamptz`), its numbers, and whether an array."""

    name: str
    numbers: Tuple[int, ...] = ()
    array: bool = False
    builtin: bool = True

    def __str__(self) -> str:
        numbers = f"({', '.join(map(str, self.numbers))})" if self.numbers else ""
        return f"{_SAID.get(self.name, self.name)}{numbers}{'[]' if self.array else ''}"


@dataclass(frozen=True)
class Change:
    """`narrows`: values may be cut, rounded or refused. `rewrites`: each row is written anew. `why` is half a sentence."""

    narrows: bool
    rewrites: bool
    why: str


_SAID = {
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "float4": "real",
    "float8": "double precision",
    "bool": "boolean",
    "bpchar": "char",
    "timestamptz": "timestamp with time zone",
}
_SAME = {"serial": "int4", "serial4": "int4", "bigserial": "int8", "serial8": "int8", "smallserial": "int2"}
WORDS = {"varchar", "text", "bpchar", "citext", "name"}
_NUMBERS = {"int2": 1, "int4": 2, "int8": 3, "numeric": 4, "float4": 4, "float8": 5}
_EXACT = {"int2": 5, "int4": 10, "int8": 19}
_TIMES = {"timestamp", "timestamptz"}
_DOCUMENTS = {"json", "jsonb"}
_BUILTIN = {
    *_NUMBERS, *_TIMES, *_DOCUMENTS, "varchar", "text", "bpchar", "name", "bool", "bytea", "date", "time", "timetz",
    "interval", "uuid", "inet", "cidr", "macaddr", "xml", "bit", "varbit", "oid", "money", "tsvector", "tsquery",
    "point", "int4range", "int8range", "numrange", "tsrange", "tstzrange", "daterange",
}  # fmt: skip
# The first number of an INTERVAL stands for the fields that it has, this one for all of them.
_ALL_FIELDS = 0x7FFF
# So many characters the text of a value of a type has at most.
_LENGTHS = {"uuid": 36, "bool": 5, "date": 13, "int2": 6, "int4": 11, "int8": 20}


def read_type(node: Any) -> Type:
    """The type that a TypeName of PostgreSQL's parser stands for."""
    names = [part.sval for part in node.names or ()]
    name = _SAME.get(names[-1], names[-1]) if names else "unknown"
    numbers = tuple(
        number
        for part in node.typmods or ()
        if isinstance(number := getattr(getattr(part, "val", None), "ival", None), int)
    )
    if name == "bpchar" and not numbers and names[:1] == ["pg_catalog"]:
        numbers = (1,)
    builtin = names[:1] == ["pg_catalog"] or (len(names) == 1 and name in _BUILTIN)
    if name == "interval" and numbers[:1] == (_ALL_FIELDS,):
        numbers = numbers[1:]
    return Type(name, numbers, bool(node.arrayBounds), builtin)


# Casts that PostgreSQL makes in an assignment, beside those within a kind and those to text; the others need a USING.
_KINDS = (
    {*_NUMBERS},
    {"varchar", "text", "bpchar", "name"},
    {"date", *_TIMES},
    {*_DOCUMENTS},
    {"inet", "cidr"},
    {"time", "timetz"},
)
_ASSIGNED = {
    *((old, new) for old in _TIMES for new in ("time",)),
    ("timestamptz", "timetz"),
    ("time", "interval"),
    ("interval", "time"),
}
# Types of which every cast is known here.
_FIXED = {name for kind in _KINDS for name in kind} | {"bool", "bytea", "uuid", "macaddr", "interval"}


def refuses(old: Type, new: Type, is_enum: bool) -> bool:
    """Whether PostgreSQL never converts `old` into `new` without USING. `is_enum`: the new type is known to be an enum."""
    if old == new or old.name not in _FIXED or not old.builtin or not (is_enum or (new.builtin and new.name in _FIXED)):
        return False
    if not is_enum and new.name in _KINDS[1] and (old.array or not new.array):
        return False
    if old.array != new.array:
        return True
    fits = any({old.name, new.name} <= kind for kind in _KINDS) or (old.name, new.name) in _ASSIGNED
    return is_enum or not (fits or old.name == new.name)


def change(old: Optional[Type], new: Type, cast: bool = False, is_enum: bool = False) -> Change:
    """What `ALTER COLUMN … TYPE new` does, without USING, or with a plain `cast` in it, which cuts what does not fit.

    `is_enum`: the new type is known to be an enum.
    """
    if old is None:
        return _from_unknown(new)
    if old == new:
        return Change(False, False, f"it stays {new}")
    if not new.builtin and (is_enum or not (cast or old.name in {*_NUMBERS, *_TIMES})):
        return Change(False, True, f"values that {new} lacks make it fail")
    if not new.builtin and new.name not in WORDS:
        return Change(True, True, f"{new} may be a domain, as which values of {old} are cut or rounded")
    if old.array != new.array and (new.array or new.numbers or new.name not in WORDS):
        return _narrowing(old, new)
    if new.name in WORDS:
        return _to_words(old, new, cast)
    if old.name == new.name:
        return _other_numbers(old, new)
    if old.name in _NUMBERS and new.name in _NUMBERS:
        return _between_numbers(old, new)
    if old.name in _TIMES and new.name in _TIMES and (*new.numbers, 6)[0] >= (*old.numbers, 6)[0]:
        return Change(False, True, f"each value is converted from {old} with the session's time zone")
    widens = (
        (old.name, new.name) == ("jsonb", "json")  # the other way, a key that comes twice is kept once
        or (old.name == "date" and new.name in _TIMES)
        or (old.name == "bool" and new.name in _NUMBERS)
        or (old.name == "cidr" and new.name == "inet")
    )
    return Change(False, True, f"each value fits from {old} into {new}") if widens else _narrowing(old, new)


def _narrowing(old: Type, new: Type) -> Change:
    return Change(True, True, f"from {old} to {new} values may be cut, rounded or refused")


def _from_unknown(new: Type) -> Change:
    if new.name in _DOCUMENTS or not new.builtin or (new.name in WORDS and not new.numbers):
        return Change(False, True, f"each value fits into {new}")
    return Change(True, True, f"the type before is not told, and {new} may be narrower")


def _to_words(old: Type, new: Type, cast: bool) -> Change:
    if not new.numbers and new.name != "name":
        plain = {old.name, new.name} <= {"varchar", "text"} and old.array == new.array
        return Change(False, not plain, f"each value fits into {new}")
    room, cast = (63, True) if new.name == "name" else (new.numbers[0], cast)
    if old.name in ("varchar", "bpchar") and old.numbers and old.numbers[0] <= room:
        return Change(False, old.name != "varchar" or new.name != "varchar", f"{new} is wider than {old}")
    if old.name in _LENGTHS and _LENGTHS[old.name] <= room and not old.array:
        return Change(False, True, f"each value of {old} fits into {new}")
    if not old.builtin and not old.array:
        return Change(False, True, f"labels of {old} longer than {room} characters make it fail")
    become = "are cut without a word" if cast else "make it fail"
    return Change(True, True, f"from {old}, values longer than {room} characters {become}")


def _other_numbers(old: Type, new: Type) -> Change:
    """The same type with other numbers: length, precision and scale, or fractions of a second."""
    if not new.numbers:
        return Change(False, False, f"{new} is wider than {old}")
    if not old.numbers:
        # A time has six digits of a second unless it says fewer.
        return (
            Change(False, False, "it stays the same")
            if new.numbers == (6,) and old.name in {*_TIMES, "time", "timetz", "interval"}
            else _narrowing(old, new)
        )
    if old.name == "numeric":
        digits, scale = old.numbers[0], (*old.numbers, 0)[1]
        new_digits, new_scale = new.numbers[0], (*new.numbers, 0)[1]
        fits = new_scale >= scale and new_digits - new_scale >= digits - scale
        return Change(False, new_scale != scale, f"{new} is wider than {old}") if fits else _narrowing(old, new)
    if old.name == "interval" and (len(old.numbers) > 1 or len(new.numbers) > 1):
        return _narrowing(old, new)
    wider = new.numbers[0] >= old.numbers[0]
    return Change(False, False, f"{new} is wider than {old}") if wider else _narrowing(old, new)


def _between_numbers(old: Type, new: Type) -> Change:
    fits = _NUMBERS[new.name] > _NUMBERS[old.name]
    if new.name == "numeric":
        digits = _EXACT.get(old.name, 0)
        fits = not new.numbers or (digits > 0 and new.numbers[0] - (*new.numbers, 0)[1] >= digits)
    elif new.name == "float4":
        fits = old.name == "int2"
    elif new.name == "float8":
        fits = old.name in ("int2", "int4", "float4")
    return Change(False, True, f"each value of {old} fits into {new}") if fits else _narrowing(old, new)

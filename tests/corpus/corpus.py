"""The corpus: small schemas, one per kind of definition and object, gathered into databases ("packs").

A pack is a file packs/<name>.sql. Lines before its first kind may say, for the whole database,
`-- operator: superuser` (only a superuser can load it), `-- versions: 15 16`, and `-- prepare:` statements of SQL up to the
first kind. `-- kind: name` begins a kind; its statements run as the owner, in a schema of that name, which the kind
may leave. `[15]` after the name limits it to versions, `[superuser]` has a superuser make it, and with `[fails at the end]` its
last statement violates a unique key on purpose.
The pack `expressions` is made of the table in expressions.py.
"""

from __future__ import annotations

import re
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

import expressions
import psycopg
from ground import OWNER
from psycopg import sql

VERSIONS = (15, 16, 18)
DIRECTORY = Path(__file__).with_name("packs")
_SCHEMA = "CREATE SCHEMA {0} AUTHORIZATION {1}; SET search_path = {0}, public"
_KIND = re.compile(r"^-- kind: (?P<name>.+?)(?P<marks>(?: \[[^\]]+\])*)$", re.MULTILINE)


@dataclass(frozen=True)
class Kind:
    name: str
    statements: str
    marks: frozenset[str] = frozenset()

    def is_of(self, version: int) -> bool:
        versions = {mark for mark in self.marks if mark[0].isdigit()}
        return not versions or any(str(version) in mark.split() for mark in versions)


@dataclass(frozen=True)
class Pack:
    name: str
    kinds: tuple[Kind, ...]
    prepare: str = ""
    superuser: bool = False
    versions: tuple[int, ...] = field(default=VERSIONS)

    def fill(self, connection: psycopg.Connection, version: int) -> None:
        """Make the kinds in an empty database; `connection` is a superuser's."""
        connection.execute(self.prepare or "SELECT")
        for kind in self.kinds:
            if not kind.is_of(version):
                continue
            schema = sql.Identifier(kind.name[:63])
            connection.execute("RESET ALL; RESET ROLE; SET client_min_messages = error")
            if "superuser" not in kind.marks:
                connection.execute(f"SET ROLE {OWNER}")
            if "no schema" not in kind.marks:
                connection.execute(sql.SQL(_SCHEMA).format(schema, sql.Identifier(OWNER)))
            for statement in kind.statements.split("\n;;\n"):  # where one transaction may not hold all of them
                fails = "fails at the end" in kind.marks and kind.statements.endswith(statement)
                with suppress(psycopg.errors.UniqueViolation) if fails else nullcontext():
                    connection.execute(statement)
        connection.execute("RESET ROLE; RESET ALL")


def packs() -> list[Pack]:
    return [*map(_read, sorted(DIRECTORY.glob("*.sql"))), *expressions_packs()]


def expressions_packs() -> list[Pack]:
    kinds = [Kind(name, statements) for name, statements in expressions.kinds()]
    return [Pack("expressions", tuple(kinds), expressions.PREPARE)]


def _read(path: Path) -> Pack:
    text = path.read_text()
    found = list(_KIND.finditer(text))
    head = text[: found[0].start()]
    ends = [*(kind.start() for kind in found[1:]), len(text)]
    kinds = tuple(
        Kind(kind["name"], text[kind.end() : end], frozenset(re.findall(r"\[([^\]]+)\]", kind["marks"])))
        for kind, end in zip(found, ends, strict=True)
    )
    versions = re.search(r"^-- versions: (.+)$", head, re.MULTILINE)
    return Pack(
        path.stem,
        kinds,
        head.partition("-- prepare:")[2],
        "-- operator: superuser" in head,
        tuple(map(int, versions[1].split())) if versions else VERSIONS,
    )

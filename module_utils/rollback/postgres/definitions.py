"""Definitions as pg_dump words them: every kind of object that PostgreSQL can dump, whatever its version.

PostgreSQL words an expression differently once it has been dumped and parsed again, so the definitions of two databases
compare equal only where both came out of the same dump (postgres/round_trip.py).
"""

from __future__ import annotations

import hashlib
import re
import subprocess
from typing import Dict, Iterable, List

from ansible.module_utils.rollback.backups import column_versions
from ansible.module_utils.rollback.backups.script import RESTRICT
from ansible.module_utils.rollback.postgres import client_tools
from ansible.module_utils.rollback.postgres.client_tools import ClientTools
from ansible.module_utils.rollback.postgres.server import Server

_HEADER = re.compile(rb"-- Name: (.*); Type: ([A-Z][A-Z ]*); Schema: (.*); Owner: ")
# In force for the entries that follow; pg_dump sets it before those that have storage.
_STORAGE = re.compile(rb"SET (default_tablespace|default_table_access_method) = ")
# What a database may have as its default, and words constants and names: before its settings are carried over and after.
_WORDING = "-c TimeZone=UTC -c bytea_output=hex -c xmlbinary=base64 -c quote_all_identifiers=off -c lc_monetary=C"
_HAS_STORAGE = {"TABLE", "MATERIALIZED VIEW", "INDEX", "CONSTRAINT"}
_HAS_COLUMNS = {"TABLE", "FOREIGN TABLE", "MATERIALIZED VIEW", "VIEW"}
_PRIVILEGES = {"ACL", "DEFAULT ACL"}
_OWNER = re.compile(rb"ALTER [A-Z ]+ .* OWNER TO (.+);")


def read(server: Server, tools: ClientTools, database: str) -> Dict[str, str]:
    """Return a short hash of each definition in `database`, by `type schema.name`. Raises RollbackError where pg_dump fails."""
    return digests(entries(server, tools, database))


def entries(server: Server, tools: ClientTools, database: str) -> Dict[str, List[bytes]]:
    """Return pg_dump's statements for each object in `database`, by `type schema.name`; overloaded operators share one."""
    argv = [tools.path("pg_dump"), f"--dbname={server.conninfo(database)}", "--no-password", "--schema-only"]
    done = subprocess.run(
        argv, env=server.environment(_WORDING), stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    if done.returncode != 0:
        raise client_tools.failure("pg_dump", done.returncode, done.stderr)
    return parse(done.stdout.splitlines(keepends=True))


def parse(lines: Iterable[bytes]) -> Dict[str, List[bytes]]:
    """Cut the lines of a schema-only dump at the comments with which pg_dump begins each entry.

    A line of a function's body may look like such a comment. It then cuts the same way on both sides of a comparison.
    """
    found: Dict[str, List[bytes]] = {}
    storage: Dict[bytes, bytes] = {}
    name, kind, body = "", "", []  # type: ignore[var-annotated]

    def end() -> None:
        if kind:
            found.setdefault(name, []).append(_canonical(kind, body))

    for line in lines:
        header, setting = _HEADER.match(line), _STORAGE.match(line)
        if header:
            end()
            kind = header.group(2).decode()
            schema, of = (header.group(group).decode(errors="replace") for group in (3, 1))
            name = f"{kind.lower()} {of}" if schema == "-" else f"{kind.lower()} {schema}.{of}"
            body = list(storage.values()) if kind in _HAS_STORAGE else []
        elif setting:
            storage[setting.group(1)] = line
        elif not (line.isspace() or line.startswith(b"--") or RESTRICT.match(line)):
            body.append(line)
    end()
    return found


def digests(definitions: Dict[str, List[bytes]]) -> Dict[str, str]:
    """Return a hash for each name; the order in which overloads come does not count."""
    return {name: hashlib.sha256(b"\0".join(sorted(bodies))).hexdigest()[:16] for name, bodies in definitions.items()}


def owner_statements(definitions: Dict[str, List[bytes]]) -> Dict[str, List[bytes]]:
    """Return the `ALTER … OWNER TO` statements of each object that has an owner, by the same names."""
    found: Dict[str, List[bytes]] = {}
    for name, bodies in definitions.items():
        statements = [line for body in bodies for line in body.splitlines() if _OWNER.fullmatch(line)]
        if statements:
            found[name] = statements
    return found


def differences(expected: Dict[str, str], found: Dict[str, str]) -> List[str]:
    """Return the names that are missing, surplus or defined differently, in that order."""
    return [
        *(f"{name} is missing" for name in sorted(expected.keys() - found.keys())),
        *(f"{name} is not in the backup" for name in sorted(found.keys() - expected.keys())),
        *(
            f"{name} is defined differently"
            for name in sorted(expected.keys() & found.keys())
            if expected[name] != found[name]
        ),
    ]


def _canonical(kind: str, body: List[bytes]) -> bytes:
    """Privileges without their order: they are granted again in whichever order they can be."""
    if kind not in _PRIVILEGES:
        said = b"".join(body)
        return column_versions.removed_from_definition(said) if kind in _HAS_COLUMNS else said
    groups: List[List[bytes]] = []
    as_another = False
    for line in body:
        if as_another:
            groups[-1].append(line)
        else:
            groups.append([line])
        if line.startswith(b"SET SESSION AUTHORIZATION"):
            as_another = True
        elif line.startswith(b"RESET SESSION AUTHORIZATION"):
            as_another = False
    return b"".join(sorted(b"".join(group) for group in groups))

"""Which tables the names in a migration mean: those that the application's own connection finds by them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Sequence, Set, Tuple

from ansible.module_utils.rollback.migrations.operations import ROWS, VALUES, Loss
from ansible.module_utils.rollback.words import listed

if TYPE_CHECKING:
    import psycopg

# Whatever has a table's name hides those of later schemas, also a view.
_NAMED = """
SELECT c.relname, n.nspname, c.relkind IN ('r', 'p') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = ANY(%s) AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relpersistence <> 't'
  AND n.nspname NOT LIKE 'rollback_salvage_%%' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"""


def resolve(
    connection: "psycopg.Connection[Any]", losses: Sequence[Loss], sessions: Sequence[Mapping[str, Any]]
) -> Tuple[List[Loss], List[str]]:
    """Each loss with its schema, once for each tenant; and a sentence for each that may mean a table which the sessions do not find.

    `sessions` are those of application_sessions: `schemas` in the order of their search path, and `translate`.
    """
    there: Dict[str, Dict[str, bool]] = {}
    for name, schema, is_table in connection.execute(_NAMED, [sorted({loss.table for loss in losses})]).fetchall():
        there.setdefault(str(name), {})[str(schema)] = is_table
    found: List[Loss] = []
    lost: List[str] = []
    for loss in losses:
        schemas = there.get(loss.table, {})
        for session in sessions:
            meant = [schema for schema in _meant(loss, set(schemas), session) if schema in schemas]
            found += [replace(loss, schema=schema) for schema in meant if schemas[schema]]
            if not any(schemas[schema] for schema in meant) and any(schemas.values()):
                lost.append(
                    f"Taking back {loss.revision} takes data from {loss.name}, and Alembic's search_path ({session['search_path']})"
                    f" finds no table of that name, which is in schema {listed(sorted(schemas))}."
                )
            views = [schema for schema in meant if not schemas[schema]]
            if views and loss.kind in (ROWS, VALUES):
                lost.append(
                    f"Taking back {loss.revision} writes through {views[0]}.{loss.table}, which is not a table."
                )
    return list(dict.fromkeys(found)), list(dict.fromkeys(lost))


def _meant(loss: Loss, there: Set[str], session: Mapping[str, Any]) -> List[str]:
    """The schemas that a name may mean in a session; `there` are all those that have something of that name.

    SQLAlchemy translates some of its own statements, and no text: which of both this is, the loss does not say.
    """
    by_path = [schema for schema in session["schemas"] if schema in there][:1]
    translated = session["translate"].get(loss.schema)
    meant = [loss.schema] if loss.schema else by_path
    if translated is not None:
        meant = [*meant, *([str(translated)] if translated else by_path)]
    return list(dict.fromkeys(meant))

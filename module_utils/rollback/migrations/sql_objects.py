"""Statements about things as a whole: tables, indexes, types, views, functions and what a session sets."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Callable, Dict, Iterator

from ansible.module_utils.rollback.migrations.column_types import read_type
from ansible.module_utils.rollback.migrations.names import Table, table_key
from ansible.module_utils.rollback.migrations.operations import TABLE, UNKNOWN, Loss, Operation
from ansible.module_utils.rollback.migrations.sql_statement import (
    ACCESS_EXCLUSIVE,
    CASCADE,
    EXCLUSIVE,
    MARK,
    SHARE,
    SHARE_ROW_EXCLUSIVE,
    SHARE_UPDATE_EXCLUSIVE,
    VERSION_TABLE,
    Statement,
    dotted,
    key_of,
    said,
)

# Dropping one of these with CASCADE drops every column that uses it, or every table in it.
_HOLDING = {
    "OBJECT_TYPE": "type",
    "OBJECT_DOMAIN": "domain",
    "OBJECT_EXTENSION": "extension",
    "OBJECT_COLLATION": "collation",
    "OBJECT_ACCESS_METHOD": "access method",
    "OBJECT_SCHEMA": "schema",
}
# Settings that decide which table a name means.
_RESOLVING = {"search_path", "role", "session_authorization"}
_LOCKS = (
    "",
    "ACCESS SHARE",
    "ROW SHARE",
    "ROW EXCLUSIVE",
    SHARE_UPDATE_EXCLUSIVE,
    SHARE,
    SHARE_ROW_EXCLUSIVE,
    EXCLUSIVE,
)


def drop(statement: Statement) -> Iterator[Operation]:
    node = statement.node
    what, cascade = node.removeType.name, node.behavior.name == "DROP_CASCADE"
    for thing in node.objects:
        schema, name = _named(thing)
        called = f"{schema}.{name}" if schema else name
        if what in ("OBJECT_TABLE", "OBJECT_FOREIGN_TABLE"):
            apart = replace(statement, kind=CASCADE)
            parts = [
                apart.loses(
                    CASCADE, Loss(TABLE, *part), f"Drops {part[1]}, a partition of {called}, with all its rows."
                )
                for part in statement.schema.parts_of(table_key(schema, name))
            ]
            yield _drop_table(statement, schema, name, cascade)
            yield from parts
        elif what == "OBJECT_INDEX":
            lock = SHARE_UPDATE_EXCLUSIVE if node.concurrent else ACCESS_EXCLUSIVE
            reason = f"Drops the index {called}."
            yield statement.does("drop_index", reason, lock=lock, transactional=not node.concurrent)
        elif what in _HOLDING and cascade:
            inside = "every table in it" if what == "OBJECT_SCHEMA" else "every column that uses it"
            reason = f"Drops the {_HOLDING[what]} {called} and {inside} (CASCADE), which only the database can name."
            yield statement.does("drop", reason, lock=ACCESS_EXCLUSIVE, risk=UNKNOWN)
        else:
            words = what[len("OBJECT_") :].lower().replace("matview", "materialized view").replace("_", " ")
            # A view, a trigger or a policy stands on a table, which is locked with it.
            held = (
                ACCESS_EXCLUSIVE
                if words in ("view", "materialized view", "trigger", "policy", "rule", "sequence")
                else ""
            )
            table = schema if words in ("trigger", "policy", "rule") else ""
            if words == "type":
                statement.schema.enums.pop(table_key(schema, name), None)
            more = " and whatever depends on it (CASCADE)" if cascade else ""
            yield statement.does("drop", f"Drops the {words} {called}{more}.", table, held)


def _named(thing: Any) -> "tuple[str, str]":
    if isinstance(thing, tuple):
        return dotted(thing)
    if hasattr(thing, "names"):
        return dotted(thing.names)
    if hasattr(thing, "objname"):
        return dotted(thing.objname)
    return ("", getattr(thing, "sval", ""))


def _drop_table(statement: Statement, schema: str, name: str, cascade: bool) -> Operation:
    key, names = table_key(schema, name), statement.schema.names
    called = f"{schema}.{name}" if schema else name
    if name == VERSION_TABLE:
        return statement.does(
            "drop_table", f"Drops {called}, in which Alembic writes the revision.", called, ACCESS_EXCLUSIVE
        )
    if names.before(key) is not None and names.rows_copied(key, ""):
        reason = f"Drops table {called}, whose rows were copied to another table first."
        done = statement.does("drop_table", reason, called, ACCESS_EXCLUSIVE)
        names.rows_gone(key, "")
    else:
        more = ", and with it foreign keys and views that depend on it (CASCADE)" if cascade else ""
        done = statement.loses(
            "drop_table", Loss(TABLE, schema, name), f"Drops table {called} with all its rows{more}."
        )
    statement.schema.drop_table(key)
    return done


def create_table(statement: Statement) -> Iterator[Operation]:
    node, key = statement.node, key_of(statement.node.relation)
    # Where it is only perhaps made, and the upgrades have made it, it was there before, and so were its rows.
    there = statement.schema.columns(key) and not statement.schema.certain
    if not node.if_not_exists or statement.schema.names.before(key) is None:
        if not there:
            statement.schema.create_table(key)
            statement.schema.note_persistence(node.relation)
        _note_columns(statement, key)
        if node.partbound is not None and node.inhRelations:
            statement.schema.partitions.setdefault(key_of(node.inhRelations[0]), []).append(key)
    yield statement.does("create_table", f"Creates table {said(node.relation)}.", said(node.relation))


def _note_columns(statement: Statement, key: Table) -> None:
    """Takes down the columns and foreign keys of a new table."""
    relation, schema = statement.node.relation, statement.schema
    for element in statement.node.tableElts or ():
        if type(element).__name__ == "ColumnDef" and element.typeName is not None:
            schema.types[(key, element.colname)] = read_type(element.typeName)
            for constraint in element.constraints or ():
                if constraint.contype.name == "CONSTR_FOREIGN":
                    schema.refer(relation, constraint, [element.colname])
        elif type(element).__name__ == "Constraint" and element.contype.name == "CONSTR_FOREIGN":
            schema.refer(relation, element, [part.sval for part in element.fk_attrs or ()])
    if schema.columns(key) and not any(MARK in column for column in schema.columns(key)):
        schema.whole.add(key)


def create_index(statement: Statement) -> Iterator[Operation]:
    node = statement.node
    kind = "unique index" if node.unique else "index"
    fails = ", which fails if rows are equal in it" if node.unique else ""
    reason = f"Creates the {kind} {node.idxname or ''} on {said(node.relation)}{fails}.".replace("  ", " ")
    lock = SHARE_UPDATE_EXCLUSIVE if node.concurrent else SHARE
    table = said(node.relation)
    yield statement.does("create_index", reason, table, lock, scans=True, transactional=not node.concurrent)


def rename(statement: Statement) -> Iterator[Operation]:
    node = statement.node
    what, schema = node.renameType.name, statement.schema
    if what == "OBJECT_TABLE":
        schema.rename_table(key_of(node.relation), table_key(node.relation.schemaname, node.newname))
        reason = f"Renames {said(node.relation)} to {node.newname}."
        yield statement.does("rename_table", reason, said(node.relation), ACCESS_EXCLUSIVE)
    elif what == "OBJECT_COLUMN" and node.relationType.name in ("OBJECT_TABLE", "OBJECT_FOREIGN_TABLE"):
        schema.rename_column(key_of(node.relation), node.subname, node.newname)
        reason = f"Renames {said(node.relation)}.{node.subname} to {node.newname}."
        yield statement.does("alter_column", reason, said(node.relation), ACCESS_EXCLUSIVE)
    else:
        if what == "OBJECT_TYPE":
            old_type = _named(node.object)
            schema.rename_type(table_key(*old_type), table_key(old_type[0], node.newname))
        words = what[len("OBJECT_") :].lower().replace("tabconstraint", "constraint").replace("_", " ")
        old = node.subname or (node.relation.relname if node.relation else _named(node.object)[1])
        # Renaming an index needs less than anything else does.
        lock = SHARE_UPDATE_EXCLUSIVE if what == "OBJECT_INDEX" else ACCESS_EXCLUSIVE if node.relation else ""
        yield statement.does("rename", f"Renames the {words} {old} to {node.newname}.", lock=lock)


def move(statement: Statement) -> Iterator[Operation]:
    """ALTER … SET SCHEMA."""
    node = statement.node
    name = said(node.relation) if node.relation else ".".join(filter(None, _named(node.object)))
    if node.objectType.name == "OBJECT_TABLE":
        statement.schema.rename_table(key_of(node.relation), table_key(node.newschema, node.relation.relname))
    yield statement.does("rename", f"Moves {name} to the schema {node.newschema}.", name, ACCESS_EXCLUSIVE)


def create_enum(statement: Statement) -> Iterator[Operation]:
    labels = tuple(label.sval for label in statement.node.vals or ())
    statement.schema.enums[table_key(*dotted(statement.node.typeName))] = labels
    yield from anything(statement)


def add_label(statement: Statement) -> Iterator[Operation]:
    """A new label cannot be used in the transaction that adds it; before PostgreSQL 12 it could not be added in one."""
    node = statement.node
    name = dotted(node.typeName)[1]
    key, enums = table_key(*dotted(node.typeName)), statement.schema.enums
    if enums.get(key):
        kept = [node.newVal if label == node.oldVal else label for label in enums[key]]
        enums[key] = tuple(dict.fromkeys(kept if node.oldVal else [*kept, node.newVal]))
    if node.oldVal:
        yield statement.does("alter_enum", f"Renames the label {node.oldVal} of {name} to {node.newVal}.")
        return
    yield statement.does("alter_enum", f"Adds the label {node.newVal} to {name}.", transactional=False)


def maintain(statement: Statement) -> Iterator[Operation]:
    """VACUUM and its like; only ANALYZE runs in a transaction."""
    node = statement.node
    full = any(option.defname == "full" for option in node.options or ())
    kind = "vacuum" if node.is_vacuumcmd else "analyze"
    lock = ACCESS_EXCLUSIVE if full else SHARE_UPDATE_EXCLUSIVE
    reason = f"Runs {kind.upper()}{' FULL' if full else ''}."
    yield statement.does(kind, reason, lock=lock, rewrites=full, scans=True, transactional=not node.is_vacuumcmd)


def reindex(statement: Statement) -> Iterator[Operation]:
    node = statement.node
    at_once = any(option.defname == "concurrently" for option in node.params or ())
    alone = at_once or node.kind.name in ("REINDEX_OBJECT_DATABASE", "REINDEX_OBJECT_SYSTEM", "REINDEX_OBJECT_SCHEMA")
    lock = SHARE_UPDATE_EXCLUSIVE if at_once else SHARE
    yield statement.does("reindex", "Builds indexes anew.", lock=lock, scans=True, transactional=not alone)


def refresh(statement: Statement) -> Iterator[Operation]:
    node = statement.node
    lock = EXCLUSIVE if node.concurrent else ACCESS_EXCLUSIVE
    reason = f"Fills the materialized view {said(node.relation)} anew."
    yield statement.does("refresh", reason, said(node.relation), lock)


def cluster(statement: Statement) -> Iterator[Operation]:
    table = said(statement.node.relation) if statement.node.relation else ""
    reason = f"Writes {table or 'every clustered table'} anew in the order of an index."
    yield statement.does("cluster", reason, table, ACCESS_EXCLUSIVE, rewrites=True, transactional=bool(table))


def lock_table(statement: Statement) -> Iterator[Operation]:
    lock = (*_LOCKS, ACCESS_EXCLUSIVE)[statement.node.mode]
    for relation in statement.node.relations:
        yield statement.does("lock", f"Locks {said(relation)} in {lock} mode.", said(relation), lock)


def transaction(statement: Statement) -> Iterator[Operation]:
    """BEGIN and COMMIT frame the output of `--sql`. In a script they commit, for good, what was done so far."""
    if statement.node.kind.name == "TRANS_STMT_COMMIT" and statement.kind:
        reason = "Commits by itself: what was done so far stays done even if a later step fails."
        yield statement.does("commit", reason, transactional=False)
    elif statement.kind:
        yield statement.does("transaction", "Steers the transaction by itself.")


def drop_database(statement: Statement) -> Iterator[Operation]:
    name = statement.node.dbname
    yield statement.does("drop", f"Drops the database {name} as a whole.", risk=UNKNOWN, transactional=False)


def set_variable(statement: Statement) -> Iterator[Operation]:
    """Only a search path, or a role that has one, changes what the statements that follow mean."""
    node = statement.node
    values = [getattr(getattr(arg, "val", None), "sval", "") for arg in node.args or ()]
    if node.name not in _RESOLVING or (len(values) == 1 and table_key(values[0], "") == ("", "")):
        yield from anything(statement)
        return
    reason = f"Sets {node.name}, after which names without a schema may mean other tables."
    yield statement.does("execute", reason, risk=UNKNOWN)


def outside(words: str) -> Callable[[Statement], Iterator[Operation]]:
    """What refuses to run in a transaction and touches no rows."""

    def read(statement: Statement) -> Iterator[Operation]:
        yield statement.does("execute", words, transactional=False)

    return read


def unreadable(words: str) -> Callable[[Statement], Iterator[Operation]]:
    def read(statement: Statement) -> Iterator[Operation]:
        yield statement.does("execute", words, risk=UNKNOWN)

    return read


def trigger(statement: Statement) -> Iterator[Operation]:
    node = statement.node
    table = said(node.relation)
    yield statement.does("create", f"Creates the trigger {node.trigname} on {table}.", table, SHARE_ROW_EXCLUSIVE)


# Touch neither rows nor columns: views, functions, comments, rights, settings, types.
_HARMLESS = re.compile(
    r"(Copy|Create|Alter|Drop|Define|Comment|Grant|Import|SecLabel|Composite|Rule|View|Variable|Checkpoint|Discard|Listen|Unlisten|Notify"
    r"|Load|Constraints|Explain|Fetch|ClosePortal|Deallocate|Reassign|Refresh).*"
)


def anything(statement: Statement) -> Iterator[Operation]:
    """A statement that is read no further."""
    name = type(statement.node).__name__
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name.replace("Stmt", "")).strip()
    if not _HARMLESS.fullmatch(name):
        yield statement.does("execute", f"Runs a statement whose effect cannot be read ({words}).", risk=UNKNOWN)
        return
    yield statement.does("execute", f"Runs a statement that takes no data away ({words}).".replace(MARK, "…"))


STATEMENTS: Dict[str, Callable[[Statement], Iterator[Operation]]] = {
    "DropStmt": drop,
    "CreateStmt": create_table,
    "IndexStmt": create_index,
    "RenameStmt": rename,
    "AlterObjectSchemaStmt": move,
    "AlterEnumStmt": add_label,
    "CreateEnumStmt": create_enum,
    "VacuumStmt": maintain,
    "ReindexStmt": reindex,
    "RefreshMatViewStmt": refresh,
    "ClusterStmt": cluster,
    "LockStmt": lock_table,
    "TransactionStmt": transaction,
    "VariableSetStmt": set_variable,
    "CreateTrigStmt": trigger,
    "DropdbStmt": drop_database,
    "CreatedbStmt": outside("Creates a database."),
    "AlterSystemStmt": outside("Changes the server's settings."),
    "CreateTableSpaceStmt": outside("Creates a tablespace."),
    "DropTableSpaceStmt": outside("Drops a tablespace."),
    "CallStmt": unreadable("Calls a procedure, whose effect cannot be read."),
    "ExecuteStmt": unreadable("Runs a prepared statement, whose effect cannot be read."),
    "DropOwnedStmt": unreadable("Drops everything that a role owns, which only the database can name."),
}

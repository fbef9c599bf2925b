"""ALTER TABLE: the lock, the work on the whole table and the loss of each of its commands."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, Tuple

from ansible.module_utils.rollback.migrations.column_types import Type, change, read_type, refuses
from ansible.module_utils.rollback.migrations.operations import COLUMN, IRREVERSIBLE, SAFE, UNKNOWN, VALUES, Operation
from ansible.module_utils.rollback.migrations.sql_statement import (
    ACCESS_EXCLUSIVE,
    MARK,
    SHARE_ROW_EXCLUSIVE,
    SHARE_UPDATE_EXCLUSIVE,
    Statement,
    key_of,
    loss_of,
    said,
)
from ansible.module_utils.rollback.words import listed

# What is said of a column without values in which nulls are forbidden.
HOLLOW = "which fails if the table has any row: the column was added without values"
# What is said of a column that is to be filled and has nothing to be filled with.
FAILS_ON_ROWS = "which fails if it has rows: NOT NULL without a default"
# Functions in a default that PostgreSQL runs once for the table, not once for each row.
_STEADY = {"now", "current_setting", "timezone", "date_trunc", "to_timestamp", "lower", "upper", "json_build_object"}

# Commands that change nothing but the catalogue, and take less than ACCESS EXCLUSIVE.
_LIGHT = {
    "AT_SetStatistics": SHARE_UPDATE_EXCLUSIVE,
    "AT_SetOptions": SHARE_UPDATE_EXCLUSIVE,
    "AT_ResetOptions": SHARE_UPDATE_EXCLUSIVE,
    "AT_SetRelOptions": SHARE_UPDATE_EXCLUSIVE,
    "AT_ResetRelOptions": SHARE_UPDATE_EXCLUSIVE,
    "AT_ClusterOn": SHARE_UPDATE_EXCLUSIVE,
    "AT_DropCluster": SHARE_UPDATE_EXCLUSIVE,
    "AT_EnableTrig": SHARE_ROW_EXCLUSIVE,
    "AT_EnableTrigUser": SHARE_ROW_EXCLUSIVE,
    "AT_EnableTrigAll": SHARE_ROW_EXCLUSIVE,
    "AT_DisableTrig": SHARE_ROW_EXCLUSIVE,
    "AT_DisableTrigUser": SHARE_ROW_EXCLUSIVE,
    "AT_DisableTrigAll": SHARE_ROW_EXCLUSIVE,
}
_REWRITING = {"AT_SetTableSpace", "AT_SetLogged", "AT_SetUnLogged", "AT_SetAccessMethod", "AT_SetExpression"}


def alter_table(statement: Statement) -> Iterator[Operation]:
    """One operation for each command; they share the statement, and with it the strongest of their locks."""
    for command in statement.node.cmds:
        read = _COMMANDS.get(command.subtype.name)
        if read is not None:
            yield read(statement, command)
            continue
        table, name = said(statement.node.relation), command.subtype.name
        words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name[3:])
        lock = _LIGHT.get(name, ACCESS_EXCLUSIVE)
        reason = f"Alters {table}:{words}."
        yield statement.does("alter_table", reason, table, lock, rewrites=name in _REWRITING)


def alter_type(statement: Statement) -> Iterator[Operation]:
    """Of a composite type, which any column may have."""
    for command in statement.node.cmds:
        name = said(statement.node.relation)
        reason, risk = f"Alters the type {name}.", SAFE
        if command.subtype.name in ("AT_DropColumn", "AT_AlterColumnType"):
            verb = "Drops" if command.subtype.name == "AT_DropColumn" else "Retypes"
            reason = f"{verb} {command.name} of the type {name} in every column that has it, which only the database can name."
            risk = UNKNOWN
        yield statement.does("alter_type", reason, lock=ACCESS_EXCLUSIVE, risk=risk)


def _drop_column(statement: Statement, command: Any) -> Operation:
    relation, column = statement.node.relation, command.name
    key, names = key_of(relation), statement.schema.names
    reason = f"Drops column {column} of {said(relation)} and the values in it."
    if command.behavior.name == "DROP_CASCADE":
        reason = f"Drops column {column} of {said(relation)}, the values in it, and whatever depends on it (CASCADE)."
    home = names.column_home(key, column)
    if home is not None and home != (key, column):
        reason = f"Drops column {column} of {said(relation)}, whose values were copied to {home[0][1]}.{home[1]} first."
        done = statement.does("drop_column", reason, said(relation), ACCESS_EXCLUSIVE)
        if home[0] != key:  # within its table, the other column is it from here on
            names.column_gone(key, column, home)
    else:
        done = statement.loses("drop_column", loss_of(COLUMN, relation, [column]), reason)
    names.spoil(key, column)
    statement.schema.drop_column(key, column)
    return done


def _add_column(statement: Statement, command: Any) -> Operation:
    """Rewrites the table where each row needs a value of its own; scans nothing."""
    relation, column = statement.node.relation, command.def_
    key, kinds = key_of(relation), [constraint.contype.name for constraint in column.constraints or ()]
    # Where it is only perhaps added, and the upgrades have made it, it was there before, and so were its values.
    perhaps = command.missing_ok or not statement.schema.certain
    if not (perhaps and (key, column.colname) in statement.schema.types):
        is_new = key in statement.schema.whole and (key, column.colname) not in statement.schema.types
        statement.schema.names.add_column(key, column.colname, is_new)
    if column.typeName is not None:
        statement.schema.types[(key, column.colname)] = read_type(column.typeName)
    for constraint in column.constraints or ():
        if constraint.contype.name == "CONSTR_FOREIGN":
            statement.schema.refer(relation, constraint, [column.colname])
    serial = column.typeName is not None and "serial" in column.typeName.names[-1].sval
    default = next(
        (constraint.raw_expr for constraint in column.constraints or () if constraint.contype.name == "CONSTR_DEFAULT"),
        None,
    )
    filled = default is not None or serial or {"CONSTR_NOTNULL", "CONSTR_IDENTITY", "CONSTR_GENERATED"} & set(kinds)
    if not filled and statement.schema.names.before(key) is not None:
        statement.schema.hollow.add((key, column.colname))
    rewrites = serial or "CONSTR_IDENTITY" in kinds or "CONSTR_GENERATED" in kinds or _volatile(default)
    reason = f"Adds column {column.colname} to {said(relation)}."
    if "CONSTR_NOTNULL" in kinds and default is None and not rewrites:
        reason = f"Adds column {column.colname} to {said(relation)}, {FAILS_ON_ROWS}."
    return statement.does("add_column", reason, said(relation), ACCESS_EXCLUSIVE, rewrites=rewrites)


def _volatile(default: Any) -> bool:
    """Whether a default may differ from row to row: it calls a function that is not known to be steady."""
    kind = type(default).__name__
    if kind == "FuncCall":
        return default.funcname[-1].sval not in _STEADY
    if kind == "TypeCast":
        return _volatile(default.arg)
    if kind == "A_Expr":
        return _volatile(default.lexpr) or _volatile(default.rexpr)
    return False


def _retype(statement: Statement, command: Any) -> Operation:
    relation, column = statement.node.relation, command.name
    key, types = key_of(relation), statement.schema.types
    new, old = read_type(command.def_.typeName), types.get((key_of(relation), command.name))
    using = command.def_.raw_default
    enums = statement.schema.enums
    found = change(old, new, using is not None, ("", new.name) in enums)
    types[(key, column)] = new
    statement.schema.hollow.discard((key, column))
    labels, before = enums.get(("", new.name)), enums.get(("", old.name)) if old is not None else None
    if using is None and old is not None and statement.schema.certain and refuses(old, new, labels is not None):
        reason = (
            f"Changes {said(relation)}.{column} from {old} to {new}, which PostgreSQL always refuses: it converts no {old} "
            f"into {new} by itself, and there is no USING."
        )
        return statement.does("alter_column", reason, said(relation), ACCESS_EXCLUSIVE, risk=IRREVERSIBLE)
    what = f"Changes {said(relation)}.{column} to {new}"
    if MARK in new.name and using is None:
        reason = f"{what.replace(MARK, 'a type that cannot be read')}."
        return statement.does("alter_column", reason, said(relation), ACCESS_EXCLUSIVE, risk=UNKNOWN, rewrites=True)
    if found.narrows:
        statement.schema.names.spoil(key, column)
    if using is not None and not _only_cast(using, column, new):
        statement.schema.names.spoil(key, column)
        reason = f"{what} by an expression, which writes each value anew."
        return statement.loses("alter_column", loss_of(VALUES, relation, [column]), reason, rewrites=True)
    gone = [label for label in before or () if labels and label not in labels]
    why = f"rows that have {listed(gone)} make it fail" if gone else found.why
    if before and labels and not gone:
        why = f"{new} has every label of {old}"
    reason = f"{what}: {why}."
    if found.narrows:
        return statement.loses("alter_column", loss_of(VALUES, relation, [column]), reason, rewrites=found.rewrites)
    return statement.does("alter_column", reason, said(relation), ACCESS_EXCLUSIVE, rewrites=found.rewrites)


def _only_cast(node: Any, column: str, new: Type) -> bool:
    """`col::type`, also by way of text; by way of any other type, values may have been cut."""
    while type(node).__name__ == "TypeCast":
        by = read_type(node.typeName)
        if by != new and not (by.name in ("text", "varchar") and not by.numbers):
            return False
        node = node.arg
    return type(node).__name__ == "ColumnRef" and node.fields[-1].sval == column


def _set_not_null(statement: Statement, command: Any) -> Operation:
    table = said(statement.node.relation)
    hollow = (key_of(statement.node.relation), command.name) in statement.schema.hollow
    reason = f"Forbids nulls in {table}.{command.name}, {HOLLOW if hollow else 'which fails if a row has one'}."
    return statement.does("alter_column", reason, table, ACCESS_EXCLUSIVE, scans=True)


def _column_setting(words: str) -> Callable[[Statement, Any], Operation]:
    def setting(statement: Statement, command: Any) -> Operation:
        table = said(statement.node.relation)
        return statement.does("alter_column", f"{words} of {table}.{command.name}.", table, ACCESS_EXCLUSIVE)

    return setting


_CONSTRAINTS: Dict[str, Tuple[str, str, str]] = {
    "CONSTR_FOREIGN": ("create_foreign_key", "foreign key", "a row refers to nothing"),
    "CONSTR_CHECK": ("create_check_constraint", "check constraint", "a row breaks it"),
    "CONSTR_UNIQUE": ("create_unique_constraint", "unique constraint", "rows are equal in it"),
    "CONSTR_PRIMARY": ("create_primary_key", "primary key", "rows are equal in it or null"),
    "CONSTR_EXCLUSION": ("create_exclude_constraint", "exclusion constraint", "rows exclude each other"),
    "CONSTR_NOTNULL": ("create_check_constraint", "not-null constraint", "a row has a null"),
}


def _add_constraint(statement: Statement, command: Any) -> Operation:
    """A foreign key lets readers go on; all others lock them out. NOT VALID and USING INDEX spare the scan."""
    relation, constraint = statement.node.relation, command.def_
    kind, words, refused = _CONSTRAINTS.get(
        constraint.contype.name, ("create_constraint", "constraint", "a row breaks it")
    )
    if constraint.contype.name == "CONSTR_FOREIGN":
        statement.schema.refer(relation, constraint, [part.sval for part in constraint.fk_attrs or ()])
    scans = not (constraint.skip_validation or constraint.indexname)
    lock = SHARE_ROW_EXCLUSIVE if constraint.contype.name == "CONSTR_FOREIGN" else ACCESS_EXCLUSIVE
    named = f" {constraint.conname}" if constraint.conname else ""
    reason = f"Adds the {words}{named} to {said(relation)}{f', which fails if {refused}' if scans else ''}."
    return statement.does(kind, reason, said(relation), lock, scans=scans)


def _validate(statement: Statement, command: Any) -> Operation:
    table = said(statement.node.relation)
    reason = f"Checks every row of {table} against the constraint {command.name}."
    return statement.does("validate_constraint", reason, table, SHARE_UPDATE_EXCLUSIVE, scans=True)


def _drop_constraint(statement: Statement, command: Any) -> Operation:
    table = said(statement.node.relation)
    statement.schema.drop_constraint(key_of(statement.node.relation), command.name)
    cascade = " and whatever depends on it (CASCADE)" if command.behavior.name == "DROP_CASCADE" else ""
    reason = f"Drops the constraint {command.name} of {table}{cascade}."
    return statement.does("drop_constraint", reason, table, ACCESS_EXCLUSIVE)


def _detach(statement: Statement, command: Any) -> Operation:
    table, at_once = said(statement.node.relation), bool(command.def_.concurrent)
    statement.schema.detach(key_of(command.def_.name))
    lock = SHARE_UPDATE_EXCLUSIVE if at_once else ACCESS_EXCLUSIVE
    reason = f"Detaches a partition of {table}, whose rows stay in a table of their own."
    return statement.does("alter_table", reason, table, lock, transactional=not at_once)


def _attach(statement: Statement, command: Any) -> Operation:
    table, part = said(statement.node.relation), command.def_.name
    statement.schema.partitions.setdefault(key_of(statement.node.relation), []).append(key_of(part))
    return statement.does("alter_table", f"Makes {said(part)} a partition of {table}.", table, SHARE_UPDATE_EXCLUSIVE)


_COMMANDS: Dict[str, Callable[[Statement, Any], Operation]] = {
    "AT_DropColumn": _drop_column,
    "AT_AddColumn": _add_column,
    "AT_AlterColumnType": _retype,
    "AT_SetNotNull": _set_not_null,
    "AT_DropNotNull": _column_setting("Allows nulls"),
    "AT_ColumnDefault": _column_setting("Changes the default"),
    "AT_AddIdentity": _column_setting("Adds the identity"),
    "AT_SetIdentity": _column_setting("Changes the identity"),
    "AT_DropIdentity": _column_setting("Drops the identity"),
    "AT_DropExpression": _column_setting("Stops the computing"),
    "AT_AddConstraint": _add_constraint,
    "AT_ValidateConstraint": _validate,
    "AT_DropConstraint": _drop_constraint,
    "AT_DetachPartition": _detach,
    "AT_AttachPartition": _attach,
}

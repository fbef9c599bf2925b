"""How much harm each step of a downgrade does, read from its script."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import Dict, List, Optional, Sequence, Tuple

from ansible.module_utils.rollback.migrations.calls import Raised
from ansible.module_utils.rollback.migrations.interpreter import Interpreter, TooMuch
from ansible.module_utils.rollback.migrations.modules import Modules, module
from ansible.module_utils.rollback.migrations.names import merged, table_key
from ansible.module_utils.rollback.migrations.operations import (
    IRREVERSIBLE,
    Loss,
    Operation,
    StepRisk,
    worst,
)
from ansible.module_utils.rollback.migrations.recorder import Recorder
from ansible.module_utils.rollback.migrations.scripts import Script
from ansible.module_utils.rollback.migrations.sql_risk import SqlReader
from ansible.module_utils.rollback.migrations.sql_statement import VERSION_TABLE, Schema
from ansible.module_utils.rollback.migrations.tree import Tree
from ansible.module_utils.rollback.words import listed


def judge(script: Script, tree: Tree) -> StepRisk:
    """What taking back one revision does. Nothing of the script is run, and no script makes this fail."""
    modules = Modules(tree)
    up = _walk(script, script.upgrade, modules, SqlReader())
    down = _walk(script, script.downgrade, modules, SqlReader(Schema(types=dict(up.reader.schema.types))))
    names = down.reader.schema.names
    operations = [
        replace(done, losses=tuple(replace(names.settled(loss), revision=script.revision) for loss in done.losses))
        for done in down.operations
    ]
    operations = [_of_version_table(done) for done in operations]
    nothing = _does_nothing(script, bool(operations), bool(up.operations))
    if nothing:
        line = script.downgrade.lineno if script.downgrade is not None else 0
        operations.append(Operation("nothing", IRREVERSIBLE, nothing, script.path, line))
    risk = worst(done.risk for done in operations)
    return StepRisk(script.revision, script.down_revisions, script.title, script.path, risk, tuple(operations))


def _walk(script: Script, function: Optional[ast.FunctionDef], modules: Modules, reader: SqlReader) -> Recorder:
    """What a function of the script does, as far as it can be followed."""
    recorder = Recorder(reader)
    if function is None:
        return recorder
    try:
        Interpreter(modules, recorder).function(module(script.path, script.module), function)
    except Raised as error:
        recorder.path, recorder.line = error.path, error.line
        recorder.note(error.kind, f"{error.reason}.", IRREVERSIBLE)
    except (TooMuch, RecursionError):
        recorder.muted = 0
        recorder.path, recorder.line = script.path, function.lineno
        recorder.unread(f"Does more in {function.name} than can be followed")
    return recorder


def _does_nothing(script: Script, down: bool, up: bool) -> str:
    """Why the step leaves the schema as it is though the upgrade changed it, empty if it does not."""
    if script.downgrade is None:
        return "Has no downgrade, so Alembic fails on it."
    if down or not up:
        return ""
    if _is_empty(script.downgrade):
        return "The downgrade is empty, though the upgrade is not: the revision would go down and the schema stay up."
    return "The downgrade does nothing on PostgreSQL, though the upgrade does: the revision would go down and the schema stay up."


def _is_empty(function: ast.FunctionDef) -> bool:
    """Only a docstring, `pass`, `...` or a bare `return`."""
    return all(
        isinstance(node, ast.Pass)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        or (isinstance(node, ast.Return) and (node.value is None or isinstance(node.value, ast.Constant)))
        for node in function.body
    )


def _of_version_table(done: Operation) -> Operation:
    """A migration that drops Alembic's own table makes the whole downgrade fail, since Alembic writes there next."""
    if done.kind == "drop_table" and done.table.rpartition(".")[2] == VERSION_TABLE:
        return replace(done, risk=IRREVERSIBLE, reason=f"{done.reason} Alembic fails when it writes there next.")
    return done


def path_losses(steps: Sequence[StepRisk]) -> List[Loss]:
    """What a whole downgrade takes away, in the names that tables and columns have before its first step.

    `steps` come in the order in which they are taken. What one step renames is followed through the later ones, and what
    one has created itself is no loss. Each thing comes once: a lost table covers its columns.
    """
    reader = SqlReader()
    names = reader.schema.names
    found: List[Loss] = []
    for step in steps:
        # A step tells its losses in the names at its own beginning.
        beginning = names.copy()
        for done in step.operations:
            found += [known for loss in done.losses if (known := beginning.translated(loss)) is not None]
            if done.sql:
                reader.read(done.sql)
    return merged(found)


def disagreements(static: Sequence[Operation], sql: Sequence[Operation]) -> List[str]:
    """Where the script and the SQL that Alembic makes of it do not say the same; empty where they agree."""
    said: List[str] = []
    read, real = _by_thing(static), _by_thing(sql)
    for thing in real:
        if thing not in read:
            said.append(f"The SQL of the downgrade takes away {thing}, which the script does not show: trust the SQL.")
    for thing in read:
        if thing not in real:
            said.append(
                f"The script takes away {thing}, which its SQL does not show: it may depend on what the database holds."
            )
    risks = worst(done.risk for done in static), worst(done.risk for done in sql)
    if risks[0] != risks[1] and not said:
        why = [done.reason for done in (*static, *sql) if done.risk == worst(risks)]
        said.append(f"The script reads as {risks[0]}, its SQL as {risks[1]}: {listed(why, 1)}")
    return said


def _by_thing(operations: Sequence[Operation]) -> Dict[str, Tuple[Loss, ...]]:
    """The losses by the words that name them."""
    found: Dict[str, Tuple[Loss, ...]] = {}
    for loss in merged([loss for done in operations for loss in done.losses]):
        _, table = table_key(loss.schema, loss.table)
        for column in loss.columns or ("",):
            thing = f"{loss.kind} of {table}.{column}" if column else f"{loss.kind} of {table}"
            found[thing] = (loss,)
    return found

"""How much harm each step of a downgrade does, read from its script."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from typing import List, Sequence, Tuple

from ansible.module_utils.rollback.migrations.history_schema import Upgraded, upgraded
from ansible.module_utils.rollback.migrations.modules import Modules
from ansible.module_utils.rollback.migrations.names import merged, table_key
from ansible.module_utils.rollback.migrations.operations import (
    IRREVERSIBLE,
    LOSSY,
    SAFE,
    VALUES,
    Loss,
    Operation,
    StepRisk,
    worst,
)
from ansible.module_utils.rollback.migrations.scripts import Script
from ansible.module_utils.rollback.migrations.sql_alter import HOLLOW
from ansible.module_utils.rollback.migrations.sql_risk import SqlReader
from ansible.module_utils.rollback.migrations.sql_statement import CASCADE, VERSION_TABLE, Schema
from ansible.module_utils.rollback.migrations.tree import Tree
from ansible.module_utils.rollback.migrations.walk import walk
from ansible.module_utils.rollback.words import listed

# The kind of a downgrade that leaves everything as it is.
NOTHING = "nothing"
_RETYPED = re.compile(r"ALTER\s+(COLUMN\s+)?\S+\s+(SET\s+DATA\s+)?TYPE\s", re.IGNORECASE)


def judge(script: Script, tree: Tree) -> StepRisk:
    """What taking back one revision does. Nothing of the script is run, and no script makes this fail."""
    known = upgraded(tree).get(script.revision) or _alone(script, tree)
    down = walk(script, script.downgrade, Modules(tree), SqlReader(known.schema.at_start()))
    names = down.reader.schema.names
    operations = [
        replace(done, losses=tuple(replace(names.settled(loss), revision=script.revision) for loss in done.losses))
        for done in down.operations
    ]
    operations = [_of_version_table(done) for done in operations]
    nothing = _does_nothing(script, bool(operations), known.does_something)
    if nothing:
        line = script.downgrade.lineno if script.downgrade is not None else 0
        operations.append(Operation(NOTHING, IRREVERSIBLE, nothing, script.path, line))
    risk = worst(done.risk for done in operations)
    return StepRisk(script.revision, script.down_revisions, script.title, script.path, risk, tuple(operations))


def _alone(script: Script, tree: Tree) -> Upgraded:
    """As much as the script itself tells, where the tree does not hold it among others."""
    done = walk(script, script.upgrade, Modules(tree), SqlReader())
    return Upgraded(done.reader.schema, bool(done.operations))


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
    # A step tells by itself what it empties, and whether that is sure.
    reader = SqlReader(Schema(certain=False))
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


def along(steps: Sequence[StepRisk]) -> List[StepRisk]:
    """The steps of a path, in the order in which they are taken, with what only the path as a whole shows.

    A column that one step adds without values is as empty when a later one forbids nulls in it.
    """
    reader = SqlReader(Schema(certain=False))
    found: List[StepRisk] = []
    for step in steps:
        operations = []
        for done in step.operations:
            again = [one.reason for one in reader.read(done.sql)] if done.sql else []
            same = [reason for reason in again if reason.partition(",")[0] == done.reason.partition(",")[0]]
            hollow = next((reason for reason in same if HOLLOW in reason), "")
            operations.append(replace(done, reason=hollow) if hollow else done)
        found.append(replace(step, operations=tuple(operations)))
    return found


def disagreements(static: Sequence[Operation], sql: Sequence[Operation]) -> List[str]:
    """Where the script and the SQL that Alembic makes of it do not say the same; empty where they agree.

    The SQL alone knows neither foreign keys nor the types of before, so what the script's reading has from there is left out.
    """
    static = [done for done in static if done.kind not in (CASCADE, NOTHING)]
    retyped = {done.table for done in static if _RETYPED.search(done.sql)}
    sql = [done if done.table not in retyped else replace(done, losses=_kept(done), risk=_judged(done)) for done in sql]
    static = [replace(done, losses=_kept(done), risk=_judged(done)) for done in static]
    said: List[str] = []
    read, real = _things(static), _things(sql)
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


def _kept(done: Operation) -> Tuple[Loss, ...]:
    """The losses of an operation without those of a narrower type."""
    return tuple(loss for loss in done.losses if loss.kind != VALUES or not _RETYPED.search(done.sql))


def _judged(done: Operation) -> str:
    if done.risk == IRREVERSIBLE and _RETYPED.search(done.sql):
        return SAFE
    return SAFE if done.risk == LOSSY and done.losses and not _kept(done) else done.risk


def _things(operations: Sequence[Operation]) -> List[str]:
    """The losses in words that name them."""
    found: List[str] = []
    for loss in merged([loss for done in operations for loss in done.losses]):
        _, table = table_key(loss.schema, loss.table)
        found += [
            f"{loss.kind} of {table}.{column}" if column else f"{loss.kind} of {table}"
            for column in loss.columns or ("",)
        ]
    return found

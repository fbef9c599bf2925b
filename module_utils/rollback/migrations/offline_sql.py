"""The SQL in the output of `alembic downgrade --sql`, without what env.py and the scripts print between.

Alembic writes each statement with its semicolon, a remark (`-- Running downgrade b -> a`) before each step, and ends a step
with its own statement on the version table. BEGIN and COMMIT stand around all steps, around each, or nowhere.
"""

from __future__ import annotations

import re
from typing import Iterable, Iterator, List, Sequence

from pglast import parse_sql
from pglast.parser import ParseError

_STEP = re.compile(r"-- Running \w+ ")
_VERSION = re.compile(
    r"(UPDATE\s.*\sSET\s+version_num\b|DELETE\s+FROM\s.*\bversion_num\b|INSERT\s+INTO\s.*\bversion_num\b).*;\s*$"
)
_FRAME = re.compile(r"(BEGIN|COMMIT);\s*$")
# Whatever a statement or a remark can begin with.
_BEGINS = re.compile(
    r"\s*(--|/\*|\(|(ABORT|ALTER|ANALYZE|BEGIN|CALL|CHECKPOINT|CLUSTER|COMMENT|COMMIT|COPY|CREATE|DELETE|DISCARD|DO|DROP|END"
    r"|EXECUTE|EXPLAIN|GRANT|IMPORT|INSERT|LISTEN|LOCK|MERGE|NOTIFY|PREPARE|REASSIGN|REFRESH|REINDEX|RELEASE|RESET|REVOKE"
    r"|ROLLBACK|SAVEPOINT|SECURITY|SELECT|SET|SHOW|START|TABLE|TRUNCATE|UPDATE|VACUUM|VALUES|WITH)\b)",
    re.IGNORECASE,
)
# So many semicolons at the end of a line one statement may hold: the body of a long function.
_MOST_ENDS = 400


def cut(output: str) -> str:
    """The part of `output` that Alembic wrote. What may be a statement that PostgreSQL's parser does not take stays in it."""
    lines = output.splitlines()
    marks = [number for number, line in enumerate(lines) if _STEP.match(line)]
    if not marks:
        return _joined(_statements(lines))
    kept: List[str] = [line for line in lines[: marks[0]] if _FRAME.match(line)][-1:]
    if not kept or not kept[0].startswith("BEGIN"):
        kept = []
    for mark, following in zip(marks, [*marks[1:], len(lines)]):
        step = lines[mark:following]
        ends = [number for number, line in enumerate(step) if _VERSION.match(line)]
        end = ends[-1] + 1 if ends else len(step)
        kept += [step[0], *_statements(step[1:end]), *(line for line in step[end:] if _FRAME.match(line))]
    return _joined(kept)


def _joined(parts: Iterable[str]) -> str:
    return "".join(f"{part}\n\n" for part in parts)


def _statements(lines: Sequence[str]) -> Iterator[str]:
    """The statements in some lines, each with the remarks before it; other lines are left out unless they end like one."""
    strange: List[str] = []
    number = 0
    while number < len(lines):
        taken = _statement(lines, number) if _BEGINS.match(lines[number]) else 0
        if not taken:
            strange += [lines[number]] if lines[number].strip() else []
            if lines[number].rstrip().endswith(";"):
                yield "\n".join(strange)
                strange = []
            number += 1
            continue
        strange = []
        yield "\n".join(lines[number : number + taken])
        number += taken


def _statement(lines: Sequence[str], start: int) -> int:
    """How many lines the statement at `start` has, 0 where there is none."""
    ends = 0
    for number in range(start, len(lines)):
        if not lines[number].rstrip().endswith(";"):
            continue
        ends += 1
        if ends > _MOST_ENDS:
            return 0
        text = "\n".join(lines[start : number + 1])
        try:
            if parse_sql(text):
                return number + 1 - start
        except ParseError:
            continue
    return 0

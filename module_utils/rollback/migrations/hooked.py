"""The command line that runs Alembic with alembic_hook.py around it, however the application calls its Alembic."""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import re
from typing import Any, Dict, List, Mapping, Optional, Sequence

from ansible.module_utils.rollback.errors import RollbackError

# A shell finds the interpreter of a script where the script is: on the host, or in a container or pod. Its first line names it;
# where that would be too long or has a space in it, pip writes `'''exec' "/path/to/python" "$0" "$@"` in the second.
_FIND_PYTHON = r"""
code=$1 task=$2; shift 2
program=$(command -v -- "$0") || { echo "rollback: $0 was not found" >&2; exit 127; }
{ IFS= read -r first; IFS= read -r second; } <"$program"
case $first in
  '#!'*[Pp]ython* | '#!'*pypy*) exec ${first#??} -c "$code" "$task" "$program" "$@" ;;
esac
case $second in
  "'''exec' "*' "$0" "$@"')
    interpreter=${second#"'''exec' "}; interpreter=${interpreter%' "$0" "$@"'}
    interpreter=${interpreter#'"'}; exec "${interpreter%'"'}" -c "$code" "$task" "$program" "$@" ;;
esac
echo "rollback: $program is not a Python program" >&2
exit 126"""
# What the shell says of a program that cannot be hooked.
NO_PYTHON = re.compile(r"^rollback: (.* is not a Python program|.* was not found)$", re.MULTILINE)

_PYTHON = re.compile(r"(python|pypy)[\d.]*")
_PROGRAMS = ("alembic", "flask")
_WITH_VALUE = ("-X", "-W")


# For a command line that must stay short: kubectl sends it within a URL.
_FROM_ENVIRONMENT = "import base64, os; exec(base64.b64decode(os.environ['ROLLBACK_HOOK_CODE']))"


def command(words: Sequence[str], task: Mapping[str, Any]) -> List[str]:
    """`words` with the hook and its task: of `python -m alembic …`, of a script such as `alembic`, or of either behind `poetry run`."""
    return _around(words, _code(), json.dumps(task))


def short_command(words: Sequence[str]) -> List[str]:
    """The same for a place that is also given `environment(task)`."""
    return _around(words, _FROM_ENVIRONMENT, "-")


def environment(task: Mapping[str, Any]) -> Dict[str, str]:
    return {
        "ROLLBACK_HOOK": json.dumps(task),
        "ROLLBACK_HOOK_CODE": base64.b64encode(_code().encode()).decode(),
    }


def _around(words: Sequence[str], code: str, task: str) -> List[str]:
    names = [os.path.basename(word) for word in words]
    known = [at for at, name in enumerate(names) if _PYTHON.fullmatch(name) or name in _PROGRAMS]
    at = known[0] if known else 0
    before, program, rest = list(words[:at]), words[at], list(words[at + 1 :])
    if not _PYTHON.fullmatch(names[at]):
        return [*before, "sh", "-c", _FIND_PYTHON.strip(), program, code, task, *rest]
    options: List[str] = []
    while rest and rest[0].startswith("-") and rest[0] != "-m":
        options.append(rest.pop(0))
        if options[-1] in _WITH_VALUE and rest:
            options.append(rest.pop(0))
    return [*before, program, *options, "-c", code, task, *rest]


def _code() -> str:
    """The text of alembic_hook.py, which on a managed host lies in an archive."""
    spec = importlib.util.find_spec("ansible.module_utils.rollback.migrations.alembic_hook")
    code: Optional[str] = spec.loader.get_source(spec.name) if spec and spec.loader else None  # type: ignore[attr-defined]
    if code is None:
        raise RollbackError("alembic_hook.py is missing beside this module.", "Install the project again.")
    return code

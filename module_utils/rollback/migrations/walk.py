"""Walks through one function of a revision, and says what it does."""

from __future__ import annotations

import ast
from typing import Optional

from ansible.module_utils.rollback.migrations.calls import Raised
from ansible.module_utils.rollback.migrations.evaluator import TooMuch
from ansible.module_utils.rollback.migrations.interpreter import Interpreter
from ansible.module_utils.rollback.migrations.modules import Modules, module
from ansible.module_utils.rollback.migrations.operations import IRREVERSIBLE
from ansible.module_utils.rollback.migrations.recorder import Recorder
from ansible.module_utils.rollback.migrations.scripts import Script
from ansible.module_utils.rollback.migrations.sql_risk import SqlReader


def walk(script: Script, function: Optional[ast.FunctionDef], modules: Modules, reader: SqlReader) -> Recorder:
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

"""The one place where this package meets Ansible: runs a module's work and turns errors into its answer."""

from __future__ import annotations

import os
import traceback
from typing import Any, Callable, Dict, Tuple, Type

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible.module_utils.rollback import sealed
from ansible.module_utils.rollback.errors import RollbackError

Work = Callable[[Dict[str, Any], bool], Dict[str, Any]]


def run(argument_spec: Dict[str, Any], work: Work, needs_psycopg: bool = False, **rules: Any) -> None:
    """Call `work(params, check_mode)` and exit with what it returns, or fail with one sentence.

    `rules` are AnsibleModule's own, such as `required_if`.
    """
    module = AnsibleModule(argument_spec=argument_spec, supports_check_mode=True, **rules)
    if needs_psycopg:
        try:
            import psycopg
        except ImportError:
            module.fail_json(msg=missing_required_lib("psycopg") + " Run playbooks/prepare.yml in quiet times.")
        refusals: Tuple[Type[Exception], ...] = (psycopg.Error,)
    else:
        refusals = ()  # psycopg takes a quarter of a second to load: only those wait for it who talk to a database
    params = sealed.opened(module.params)  # a copy: Ansible shows its own, and knows only the seals
    try:
        result = work(params, module.check_mode)
    except RollbackError as error:
        module.fail_json(msg=sealed.redacted(str(error)), hint=sealed.redacted(error.hint))
    except OSError as error:
        module.fail_json(msg=f"{error.filename or 'A file'}: {error.strerror or error}.")
    except refusals as error:
        module.fail_json(msg=sealed.redacted(_of_postgres(error)))
    module.exit_json(**result)


def _of_postgres(error: Exception) -> str:
    """A sentence for an error that nothing else has words for, with what it was about, and where we met it."""
    said = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
    diag = getattr(error, "diag", None)
    named = [
        f"{kind} {name}"
        for kind, name in (
            ("table", ".".join(filter(None, [getattr(diag, "schema_name", None), getattr(diag, "table_name", None)]))),
            ("constraint", getattr(diag, "constraint_name", None)),
        )
        if name and name not in said
    ]
    ours = [frame for frame in traceback.extract_tb(error.__traceback__) if "/module_utils/rollback/" in frame.filename]
    step = [f"in {os.path.basename(frame.filename)[:-3]}.{frame.name}" for frame in ours[-1:]]
    state = getattr(error, "sqlstate", None)
    context = str(getattr(diag, "context", None) or "").splitlines()[:1]
    beside = ", ".join([*named, *context, *step, *([f"SQLSTATE {state}"] if state else [])])
    return f"PostgreSQL refused: {said}{f' ({beside})' if beside else ''}."

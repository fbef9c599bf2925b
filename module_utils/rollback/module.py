"""The one place where this package meets Ansible: runs a module's work and turns errors into its answer."""

from __future__ import annotations

from typing import Any, Callable, Dict

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible.module_utils.rollback.errors import RollbackError

try:
    import psycopg
except ImportError:
    psycopg = None  # type: ignore[assignment]

Work = Callable[[Dict[str, Any], bool], Dict[str, Any]]


def run(argument_spec: Dict[str, Any], work: Work, needs_psycopg: bool = False) -> None:
    """Call `work(params, check_mode)` and exit with what it returns, or fail with one sentence."""
    module = AnsibleModule(argument_spec=argument_spec, supports_check_mode=True)
    if needs_psycopg and psycopg is None:
        module.fail_json(msg=missing_required_lib("psycopg") + " Run playbooks/prepare.yml in quiet times.")
    try:
        result = work(module.params, module.check_mode)
    except RollbackError as error:
        module.fail_json(msg=str(error), hint=error.hint)
    except OSError as error:
        module.fail_json(msg=f"{error.filename or 'A file'}: {error.strerror or error}.")
    except Exception as error:
        if psycopg is None or not isinstance(error, psycopg.Error):
            raise
        module.fail_json(msg=f"PostgreSQL refused: {str(error).strip().splitlines()[0]}.")
    module.exit_json(**result)

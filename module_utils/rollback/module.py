"""The one place where this package meets Ansible: runs a module's work and turns errors into its answer."""

from __future__ import annotations

from typing import Any, Callable, Dict, Tuple, Type

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

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
    try:
        result = work(module.params, module.check_mode)
    except RollbackError as error:
        module.fail_json(msg=str(error), hint=error.hint)
    except OSError as error:
        module.fail_json(msg=f"{error.filename or 'A file'}: {error.strerror or error}.")
    except refusals as error:
        module.fail_json(msg=f"PostgreSQL refused: {str(error).strip().splitlines()[0]}.")
    module.exit_json(**result)

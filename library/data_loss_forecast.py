#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: data_loss_forecast
short_description: Count in the live database what a downgrade would take away
description:
  - Counts rows and values that are not null, one by one, and estimates what is left when the time for that is over.
    What can be neither counted nor estimated, such as rows that row-level security hides, has no number.
  - Says what can be kept aside (M(database_salvage)), and what else is built on it.
  - It changes nothing.
options:
  dsn:
    description: libpq connection string that names host and user, and holds neither password nor database.
    type: str
    required: true
  password:
    description: Password of the operator's role. Leave it empty to use a passfile or another way of libpq's.
    type: str
    default: ""
  database:
    description: Name of the database.
    type: str
    required: true
  losses:
    description: What would go, as RV(alembic_history#module:losses) says it.
    type: list
    elements: dict
    required: true
  sessions:
    description: The sessions in which Alembic migrates, from RV(application_sessions#module:sessions). Names mean what they mean there.
    type: list
    elements: dict
    required: true
  budget_s:
    description: Seconds for which is counted.
    type: float
    default: 10
attributes:
  check_mode:
    support: full
    description: Nothing is changed in any mode.
requirements: [psycopg >= 3.1]
author: [The Rollback authors]
"""

EXAMPLES = r"""
- name: Count what would be lost
  data_loss_forecast:
    dsn: host=127.0.0.1 user=rollback
    database: hunter
    losses: "{{ __history.losses }}"
    sessions: "{{ __compared.sessions }}"
"""

RETURN = r"""
losses:
  description:
    - What is really there of it, counted; what does not exist in the database is left out.
    - C(count) is null where there is no number, and C(uncounted) says why.
    - C(partitions) names those that go along with a whole table.
  returned: success
  type: list
  elements: dict
  sample:
    - {kind: column, schema: public, table: leads, columns: [phone], revision: 7e4d21c9a058, count: 4711, exact: true,
       bytes: 1703936, savable: true, reason: "", dependents: [view public.lead_pipeline], uncounted: "", partitions: []}
unresolved:
  description: Sentences about losses whose table the sessions do not find, though there is one of that name.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.rollback import module
from ansible.module_utils.rollback.migrations.operations import Loss
from ansible.module_utils.rollback.postgres import loss, resolved_names
from ansible.module_utils.rollback.postgres.server import ARGUMENTS, Server

ARGUMENT_SPEC = {
    **ARGUMENTS,
    "database": {"type": "str", "required": True},
    "losses": {"type": "list", "elements": "dict", "required": True},
    "sessions": {"type": "list", "elements": "dict", "required": True},
    "budget_s": {"type": "float", "default": 10},
}


def count(params, check_mode):
    wanted = [Loss.from_dict(entry) for entry in params["losses"]]
    with Server.of(params["dsn"], params["password"]).connect(params["database"]) as connection:
        meant, unresolved = resolved_names.resolve(connection, wanted, params["sessions"])
        counted = loss.forecast(connection, meant, params["budget_s"])
    return {"changed": False, "losses": [entry.as_dict() for entry in counted], "unresolved": unresolved}


def main() -> None:
    module.run(ARGUMENT_SPEC, count, needs_psycopg=True)


if __name__ == "__main__":
    main()

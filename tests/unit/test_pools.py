"""How pools are named in an inventory and to people; what PgBouncer does with them is tested on a real one."""

import shlex

import pytest
from psycopg.conninfo import conninfo_to_dict

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.postgres import pools


def entry(dsn="host=127.0.0.1 port=6432 user=pgbouncer", database=""):
    return {"dsn": dsn, "password": "hush", "database": database}


def test_a_pool_knows_the_database_by_the_live_name_unless_it_says_otherwise():
    assert [pool.database for pool in pools.of([entry(), entry(database="hunter_rw")], "hunter")] == [
        "hunter",
        "hunter_rw",
    ]


@pytest.mark.parametrize("dsn", ["host=127.0.0.1", "user=pgbouncer", "host=a user=b password=hush", "nonsense"])
def test_an_entry_that_cannot_be_used_is_refused(dsn):
    with pytest.raises(RollbackError, match=r"^An entry of rollback_pools cannot be used: ") as error:
        pools.of([entry(dsn)], "hunter")
    assert "hush" not in str(error.value)


@pytest.mark.parametrize(
    ("database", "command"),
    [
        ("hunter", "RESUME hunter;"),
        ("Hunter", 'RESUME "Hunter";'),
        ('a "b"; KILL', 'RESUME "a ""b""; KILL";'),
    ],
)
def test_the_command_for_people_quotes_what_needs_it_and_holds_no_password(database, command):
    (pool,) = pools.of([entry(database=database)], "hunter")
    psql, console, option, said = shlex.split(pool.typed("RESUME"))
    assert (psql, option, said) == ("psql", "-c", command)
    assert conninfo_to_dict(console) == {
        "host": "127.0.0.1",
        "port": "6432",
        "user": "pgbouncer",
        "dbname": "pgbouncer",
    }

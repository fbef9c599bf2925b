"""What is kept of a database outside of it, and what databases and roles have as defaults, on servers of each version."""

import re
from contextlib import contextmanager

import database_census
import pytest
from ansible.module_utils.testing import patch_module_args
from servers import OPERATOR, OWNER, READER

from ansible.module_utils.rollback import module
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.postgres import beside, client_tools, obstacles, settings
from ansible.module_utils.rollback.postgres.server import Server

# In the order of what a superuser may have said: known to the server and superusers' only, of an extension that is not loaded,
# of an application.
OF_SUPERUSERS = {"log_min_duration_statement": "250ms", "pgaudit.log": "ddl, role", "app.tenant": "north"}


@contextmanager
def said(awkward, *statements, undo=()):
    """Statements of a superuser, and what takes them back; databases go by themselves."""
    with awkward.as_superuser() as connection:
        for statement in statements:
            connection.execute(statement)
    try:
        yield
    finally:
        with awkward.as_superuser() as connection:
            for statement in undo:
                connection.execute(statement)


def stops(awkward):
    with awkward.server.connect() as connection:
        return obstacles.of_settings(connection, "awkward")


def carried(awkward):
    """What a restored database gets; raises as a run would."""
    with awkward.server.connect() as connection:
        beside.create(connection, "awkward", "awkward__new")
        settings.apply(connection, settings.read(connection, "awkward"), "awkward__new")
    return awkward.settings("awkward__new")


def test_nothing_stands_in_the_way_of_what_the_owner_has_said(awkward):
    with awkward.database():
        before = awkward.settings("awkward")
        assert stops(awkward) == []
        assert carried(awkward) == before == awkward.settings("awkward")


def test_what_a_superuser_has_set_is_found_when_planning_and_the_statement_that_is_named_helps(awkward):
    sets = [f"ALTER DATABASE awkward SET {name} = '{value}'" for name, value in OF_SUPERUSERS.items()]
    drop = [f"REVOKE SET ON PARAMETER {', '.join(OF_SUPERUSERS)} FROM {OPERATOR}"]
    with awkward.database(), said(awkward, *sets, undo=drop):
        (sentence,) = stops(awkward)
        assert sentence.startswith(
            "rollback may not set app.tenant, log_min_duration_statement, pgaudit.log, which a superuser set for database awkward"
        )
        with pytest.raises(RollbackError, match=r"GRANT SET ON PARAMETER \S+ TO rollback;") as refused:
            carried(awkward)
        assert "IN DATABASE" not in str(refused.value)
        with said(awkward, sentence.partition("Run as a superuser: ")[2]):
            assert stops(awkward) == []
            assert carried(awkward) == awkward.settings("awkward")


def test_the_module_that_plans_and_prepares_says_it(awkward, capsys):
    facts = awkward.place.facts
    given = {
        "dsn": f"host={facts['host']} port={facts['port']} user={OPERATOR}",
        "password": facts["operator_password"],
        "database": "awkward",
        "obstacles": True,
    }
    with awkward.database(), said(awkward, "ALTER DATABASE awkward SET log_min_duration_statement = 250"):
        with patch_module_args(given), pytest.raises(SystemExit):
            database_census.main()
        assert "GRANT SET ON PARAMETER log_min_duration_statement TO rollback;" in capsys.readouterr().out


def test_trying_leaves_nothing_behind(awkward):
    everything = "SELECT setdatabase, setrole, setconfig FROM pg_db_role_setting ORDER BY 1, 2"
    with awkward.database(), awkward.as_superuser() as connection:
        connection.execute("ALTER DATABASE awkward SET log_min_duration_statement = 250")
        before = connection.execute(everything).fetchall()
        stops(awkward)
        assert connection.execute(everything).fetchall() == before


def test_a_role_of_which_the_operator_is_a_member_gets_its_settings_without_createrole(awkward):
    with (
        awkward.database(),
        said(
            awkward,
            f"ALTER ROLE {OPERATOR} NOCREATEROLE",
            f"ALTER ROLE {OWNER} IN DATABASE awkward SET work_mem = '9MB'",
            f"ALTER ROLE {OWNER} IN DATABASE awkward SET search_path = 'Sales Data', public",
        ),
    ):
        assert stops(awkward) == []
        assert carried(awkward) == awkward.settings("awkward")


def test_settings_of_a_role_that_the_operator_can_neither_become_nor_alter_are_named(awkward):
    sets = ["CREATE ROLE stranger", "ALTER ROLE stranger IN DATABASE awkward SET work_mem = '9MB'"]
    with awkward.database(), said(awkward, f"ALTER ROLE {OPERATOR} NOCREATEROLE", *sets, undo=["DROP ROLE stranger"]):
        (sentence,) = stops(awkward)
        assert sentence.startswith("The settings of roles in database awkward (stranger) cannot be carried over")
        with said(awkward, sentence.partition("Run as a superuser: ")[2]):
            assert stops(awkward) == []
            assert carried(awkward) == awkward.settings("awkward")


def test_createrole_needs_admin_since_16(awkward):
    sets = ["CREATE ROLE stranger", "ALTER ROLE stranger IN DATABASE awkward SET work_mem = '9MB'"]
    undo = ["DROP ROLE stranger", f"ALTER ROLE {OPERATOR} NOCREATEROLE"]
    with awkward.database(), said(awkward, *sets, f"ALTER ROLE {OPERATOR} CREATEROLE", undo=undo):
        with awkward.as_superuser() as connection:
            needs_admin = connection.info.server_version >= 160000
        assert bool(stops(awkward)) == needs_admin
        if not needs_admin:
            assert carried(awkward) == awkward.settings("awkward")


def test_a_value_that_the_server_no_longer_takes_is_named_with_what_resets_it(awkward):
    with awkward.database(), awkward.as_superuser() as connection:
        # As an upgrade leaves it: by the catalogue, since no statement would do it.
        connection.execute(
            "UPDATE pg_db_role_setting SET setconfig = setconfig || '{work_mem=much,gone_parameter=1}'::text[]"
            " WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = 'awkward')"
        )
        found = stops(awkward)
        assert len(found) == 2
        assert any("has set work_mem to 'much', which this server no longer takes" in one for one in found)
        assert any("RESET work_mem;" in one for one in found)
        assert any("gone_parameter" in one and "RESET ALL" in one for one in found)


def test_a_trial_names_what_a_scratch_database_cannot_be_given_and_leaves_it_as_it_is(awkward):
    with awkward.database(), said(awkward, "ALTER DATABASE awkward SET log_min_duration_statement = 250"):
        with awkward.server.connect() as connection:
            beside.create(connection, "awkward", "awkward__scratch")
            before = settings.read(connection, "awkward__scratch")
            (problem,) = settings.trial(connection, "awkward", "awkward__scratch")
            assert settings.read(connection, "awkward__scratch") == before
        assert "GRANT SET ON PARAMETER log_min_duration_statement TO rollback;" in problem


def test_what_another_role_granted_is_granted_all_the_same_and_noted(awkward):
    grants = [
        f"GRANT TEMPORARY ON DATABASE awkward TO {READER} WITH GRANT OPTION",
        f"SET ROLE {READER}; GRANT TEMPORARY ON DATABASE awkward TO {OPERATOR}; RESET ROLE",
        f"GRANT TEMPORARY ON DATABASE awkward TO {OPERATOR}",
    ]
    with awkward.database(), said(awkward, *grants):
        assert stops(awkward) == []
        assert carried(awkward) == awkward.settings("awkward")
        with awkward.server.connect("awkward") as connection:
            assert obstacles.notes(connection) == [
                f"What {READER} granted on the database will have been granted by its owner on a restored one."
            ]


def test_a_member_that_has_not_the_owners_rights_is_told_so_and_how_to_get_them(awkward):
    with awkward.as_superuser() as connection:
        splits = connection.info.server_version >= 160000
    take = f"GRANT {OWNER} TO {OPERATOR} WITH INHERIT FALSE" if splits else f"ALTER ROLE {OPERATOR} NOINHERIT"
    give = f"GRANT {OWNER} TO {OPERATOR} WITH INHERIT TRUE, SET TRUE" if splits else f"ALTER ROLE {OPERATOR} INHERIT"
    connect = f"GRANT CONNECT ON DATABASE awkward TO {OPERATOR}"  # which the owner's rights gave it as well
    with awkward.database(), said(awkward, connect, take, undo=[give]):
        with awkward.server.connect("awkward") as connection:
            (sentence,) = obstacles.find(connection, "awkward")
        assert "Run as a superuser: GRANT hunter TO rollback" in sentence
        for statement in sentence.partition("Run as a superuser: ")[2].rstrip(";").split("; "):
            with said(awkward, statement):
                pass
        with awkward.server.connect("awkward") as connection:
            assert obstacles.find(connection, "awkward") == []


HOSTILE = {
    "statement_timeout": "40",
    "lock_timeout": "40",
    "idle_in_transaction_session_timeout": "40",
    "idle_session_timeout": "40",
    "transaction_timeout": "40",
    "default_transaction_read_only": "on",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "sql_standard",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "standard_conforming_strings": "off",
    "quote_all_identifiers": "on",
    "transform_null_equals": "on",
    "exit_on_error": "on",
    "jit": "on",
    "synchronous_commit": "off",
    "session_replication_role": "origin",
    "role": READER,
}


@pytest.mark.parametrize("whose", ["DATABASE awkward", f"ROLE {OPERATOR} IN DATABASE awkward"])
def test_defaults_of_a_database_do_not_reach_our_sessions(awkward, whose):
    asked = "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)"
    with awkward.database(), awkward.as_superuser() as connection:
        known = {name for (name, _) in connection.execute(asked, [list(HOSTILE)]).fetchall()} | {"role"}
        for name in known:
            connection.execute(f"ALTER {whose} SET {name} = '{HOSTILE[name]}'")
        with awkward.server.connect() as clean, awkward.server.connect("awkward") as ours:
            assert ours.execute("SELECT current_user").fetchone() == (OPERATOR,)
            expected = dict(clean.execute(asked, [list(known)]).fetchall())
            assert dict(ours.execute(asked, [list(known)]).fetchall()) == {**expected, "synchronous_commit": "local"}
            ours.execute("SELECT pg_sleep(0.1)")
            ours.execute("CREATE TEMPORARY TABLE scratch()")


def test_a_role_that_the_operator_was_given_for_its_sessions_is_kept(awkward):
    undo = [f"ALTER ROLE {OPERATOR} RESET role"]
    with (
        awkward.database(),
        said(awkward, f"ALTER ROLE {OPERATOR} SET role = {OWNER}", undo=undo),
        awkward.server.connect("awkward") as connection,
    ):
        assert connection.execute("SELECT current_user").fetchone() == (OWNER,)


def test_a_role_that_the_connection_string_names_is_kept(awkward):
    server = awkward.server
    as_owner = Server.of(f"{server.dsn} options='-c role={OWNER}'", server.password)
    with awkward.database(), as_owner.connect("awkward") as connection:
        assert connection.execute("SELECT current_user").fetchone() == (OWNER,)


def test_sessions_in_which_no_trigger_holds_are_refused(awkward):
    with (
        awkward.database(),
        said(awkward, "ALTER DATABASE awkward SET session_replication_role = replica"),
        pytest.raises(RollbackError, match="session_replication_role = replica"),
    ):
        awkward.server.connect("awkward")


def test_defaults_of_a_database_do_not_reach_client_programs(awkward):
    sets = [
        f"ALTER DATABASE awkward SET {name} = '{HOSTILE[name]}'"
        for name in ("statement_timeout", "default_transaction_read_only")
    ]
    with awkward.database(), said(awkward, *sets):
        argv = [
            awkward.tools.path("psql"),
            f"--dbname={awkward.server.conninfo('awkward')}",
            "--no-psqlrc",
            "--set=ON_ERROR_STOP=1",
        ]
        write = [*argv, "--command=SELECT pg_sleep(0.1)", "--command=CREATE TEMPORARY TABLE scratch()"]
        client_tools.run(write, awkward.server.environment())
        bare = {name: value for name, value in awkward.server.environment().items() if name != "PGOPTIONS"}
        with pytest.raises(RollbackError, match="timeout"):
            client_tools.run(write, bare)
        beside.analyse(awkward.server, awkward.tools, "awkward", 1)


def subscribe(awkward, owner=None):
    with awkward.as_superuser("awkward") as connection:
        connection.execute(
            "CREATE SUBSCRIPTION news CONNECTION 'host=127.0.0.1 port=1 dbname=x password=hush' PUBLICATION p WITH (connect = false, slot_name = 'of_live')"
        )
        if owner:
            connection.execute(f"ALTER SUBSCRIPTION news OWNER TO {owner}")


def test_a_database_with_a_subscription_is_dropped_and_its_publisher_not_asked(awkward):
    with awkward.database():
        subscribe(awkward)
        with awkward.as_superuser() as connection:
            # Nobody listens at the publisher's port: asking it would fail.
            assert beside.drop(connection, "awkward")
            assert connection.execute("SELECT FROM pg_subscription").fetchall() == []
        assert "awkward" not in awkward.place.databases()


def test_a_subscription_that_the_operator_may_not_drop_is_named_with_the_statements(awkward):
    with awkward.database():
        subscribe(awkward)
        with (
            awkward.server.connect() as connection,
            pytest.raises(RollbackError, match=r"has the subscription news: .*owner") as refused,
        ):
            beside.drop(connection, "awkward")
        assert "hush" not in str(refused.value)
        statements = refused.value.hint.partition("as a superuser: ")[2]
        with awkward.as_superuser("awkward") as connection:
            for statement in filter(None, re.split(r";\s*", statements)):
                connection.execute(statement)
        with awkward.server.connect() as connection:
            assert beside.drop(connection, "awkward")


# Before 16 subscriptions are a superuser's.
@pytest.mark.parametrize("awkward", ["postgres", "postgres16"], indirect=True)
def test_the_operator_drops_a_subscription_of_its_own(awkward):
    with (
        awkward.database(),
        said(
            awkward,
            f"GRANT pg_create_subscription TO {OPERATOR}",
            f"GRANT CREATE ON DATABASE awkward TO {OPERATOR}",
            undo=[f"REVOKE pg_create_subscription FROM {OPERATOR}"],
        ),
    ):
        subscribe(awkward, OPERATOR)
        with awkward.server.connect() as connection:
            assert beside.drop(connection, "awkward")
        assert "awkward" not in awkward.place.databases()


def test_an_error_that_nothing_has_words_for_says_where_it_was_met(awkward, capsys):
    def work(params, check_mode):
        with awkward.server.connect() as connection:
            settings.read(connection, "x\0y")

    with patch_module_args({}), pytest.raises(SystemExit):
        module.run({}, work, needs_psycopg=True)
    assert "in settings.read" in capsys.readouterr().out

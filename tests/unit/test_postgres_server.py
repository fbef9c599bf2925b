import pytest

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.postgres.server import Server

DSN = "host=db1 port=5433 user=rollback"


@pytest.mark.parametrize(
    "dsn", [f"{DSN} password=hush", "postgresql://rollback@db1/hunter?password=hush", f"{DSN} sslpassword=hush"]
)
def test_a_secret_in_the_connection_string_is_refused_without_showing_it(dsn):
    with pytest.raises(RollbackError, match="holds a password") as refused:
        Server.of(dsn)
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize(
    ("dsn", "missing"),
    [
        ("", "host and user"),
        ("host=db1", "user"),
        ("user=rollback", "host"),
        ("host='' user=rollback", "host"),
        ("postgresql:///hunter", "host and user"),
        ("service=hunter", "host and user"),
    ],
)
def test_what_libpq_would_take_from_the_environment_must_be_said(dsn, missing, monkeypatch):
    monkeypatch.setenv("PGHOST", "production")
    monkeypatch.setenv("PGUSER", "postgres")
    with pytest.raises(RollbackError, match=f"does not name its {missing}\\."):
        Server.of(dsn)


def test_nonsense_is_one_sentence():
    with pytest.raises(RollbackError, match="not one that libpq understands"):
        Server.of("hots=db1 user=x")


def test_the_callers_own_settings_do_not_reach_the_tools(monkeypatch):
    for name in ("PGHOST", "PGDATABASE", "PGOPTIONS", "PGSERVICE", "PGPASSWORD", "PGPASSFILE"):
        monkeypatch.setenv(name, "the caller's")
    monkeypatch.setenv("HOME", "/home/x")
    bare = Server.of(DSN).environment()
    ours = {name: value for name, value in bare.items() if name.startswith("PG")}
    assert set(ours) == {"PGCLIENTENCODING", "PGOPTIONS"}
    assert ours["PGCLIENTENCODING"] == "UTF8"
    assert "the caller's" not in ours["PGOPTIONS"]
    assert "-c statement_timeout=0 " in ours["PGOPTIONS"]
    assert Server.of(DSN).environment("-c jit=off")["PGOPTIONS"] == f"{ours['PGOPTIONS']} -c jit=off"
    assert bare["HOME"] == "/home/x"
    assert Server.of(DSN, "hush").environment()["PGPASSWORD"] == "hush"


def test_the_password_is_in_no_connection_string():
    server = Server.of(DSN, "hush")
    for shown in (server.conninfo("hunter"), server.where(), server.dsn, repr(server)):
        assert "hush" not in shown
    parts = dict(part.split("=") for part in server.conninfo("hunter").split())
    assert parts == {
        "host": "db1",
        "port": "5433",
        "user": "rollback",
        "dbname": "hunter",
        "connect_timeout": "10",
        "application_name": "rollback",
        "client_encoding": "UTF8",
    }


def test_the_database_asked_for_wins_over_any_in_the_string():
    assert "dbname=postgres" in Server.of(f"{DSN} dbname=hunter").conninfo()
    assert "connect_timeout=3" in Server.of(f"{DSN} connect_timeout=3").conninfo()
    assert Server.of("host=db1 user=x").where() == "db1:5432"


def test_a_server_that_does_not_answer_is_one_sentence():
    with pytest.raises(
        RollbackError,
        match=r"^No connection to database hunter: .*refused.*\. Check rollback_database_dsn, and that the server runs\.$",
    ) as refused:
        Server.of("host=127.0.0.1 port=1 user=x connect_timeout=2", "hush").connect("hunter")
    assert "hush" not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("dsn", "command"),
    [
        ("host=127.0.0.1 user=x through='docker compose -p hunter exec -T db'", "docker compose -p hunter exec -T db"),
        ("through=relay host=127.0.0.1 user=x", "relay"),
        (r"host=127.0.0.1 through = 'ssh -o \'ProxyJump bastion\' db1' user=x", "ssh -o 'ProxyJump bastion' db1"),
        ("host=through.example user=x", ""),
    ],
)
def test_the_command_that_leads_there_is_no_business_of_libpq(dsn, command):
    server = Server.of(dsn)
    assert server.through == command
    assert "through=" not in server.dsn


@pytest.mark.parametrize(
    ("dsn", "sentence"),
    [
        (
            "host=/run/postgresql user=x through='docker exec db'",
            r"^Through a command the database is reached by TCP, and /run/postgresql .* Say host=127\.0\.0\.1",
        ),
        ("host=127.0.0.1 user=x through='dokcer exec db'", r"^There is no program dokcer here"),
        (
            # What a client of an engine says when there is no such container.
            "host=127.0.0.1 user=x through='env /no/such/container'",
            r"^No connection to database hunter: env: .*/no/such/container.*No such file or directory\. Check",
        ),
        (
            "host=127.0.0.1 port=1 user=x through=env",
            r"^No connection to database hunter: .*Connection refused\. Check",
        ),
    ],
)
def test_a_command_that_leads_nowhere_is_one_sentence(dsn, sentence, monkeypatch):
    monkeypatch.setenv("LC_ALL", "C")
    with pytest.raises(RollbackError, match=sentence):
        Server.of(dsn).connect("hunter")

"""A password that is the database's name: Ansible masks what equals a secret in results, and plays go on with results."""

import json

import database_census
import pytest
from ansible.module_utils.testing import patch_module_args
from servers import OPERATOR, OWNER

from ansible.module_utils.rollback import sealed

DATABASE = "hunter"


def test_a_rollback_and_its_undo_name_the_database_as_it_is_called(place):
    with place.lab.connect("postgres") as connection:
        connection.execute(f"ALTER ROLE rollback PASSWORD '{DATABASE}'")
    before = place.databases()
    place.must("playbooks/backup.yml", next="1.1.1", rollback_database_password=DATABASE)
    there = place.must(
        "rollback.yml", method="restore", reason="the API answers 500", rollback_database_password=DATABASE
    )
    assert "VALUE_SPECIFIED" not in there
    assert "********" not in there
    gone = place.databases()
    (aside,) = [name for name in gone if name.startswith(f"{DATABASE}__before_")]
    assert gone[aside] == before[DATABASE]
    assert DATABASE in gone
    back = place.must("undo.yml", run=place.report()["run"], rollback_database_password=DATABASE)
    assert "VALUE_SPECIFIED" not in back
    assert place.databases()[DATABASE] == before[DATABASE]
    assert [name for name in place.databases() if "VALUE" in name] == []
    assert all("VALUE_SPECIFIED" not in path.read_text() for path in place.environment_dir.rglob("*.json*"))


@pytest.mark.parametrize("word", ["awkward", OWNER, OPERATOR, "public", "rows", "restore", "true", "1", "changed"])
def test_a_module_answers_the_same_whatever_the_password_is(awkward, word, capsys):
    facts = awkward.place.facts
    where = {"dsn": f"host={facts['host']} port={facts['port']} user={OPERATOR}", "database": "awkward"}

    def answer(password):
        with (
            patch_module_args({**where, "password": sealed.seal(password), "obstacles": True}),
            pytest.raises(SystemExit),
        ):
            database_census.main()
        said = json.loads(capsys.readouterr().out)
        del said["invocation"]
        return said

    with awkward.database(), awkward.as_superuser() as connection:
        before = answer(facts["operator_password"])
        assert not before.get("failed")
        connection.execute(f"ALTER ROLE {OPERATOR} PASSWORD '{word}'")
        try:
            assert answer(word) == before
        finally:
            connection.execute(f"ALTER ROLE {OPERATOR} PASSWORD '{facts['operator_password']}'")

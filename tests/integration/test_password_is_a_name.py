"""A password that is the database's name: Ansible masks what equals a secret in results, and plays go on with results."""

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

import pytest

from ansible.module_utils.rollback.backups import dump_reader, identifiers


@pytest.mark.parametrize(
    ("name", "canonical", "parts"),
    [
        ('"public"."t"', "public.t", ["public", "t"]),
        ("public.t", "public.t", ["public", "t"]),
        ('"public"."user"', 'public."user"', ["public", "user"]),
        ("t", "t", ["t"]),
        ('"My.Schema"."a""b"', '"My.Schema"."a""b"', ["My.Schema", 'a"b']),
        ('public."a\nb"', 'public."a\nb"', ["public", "a\nb"]),
        ('"1st"."_x1"', '"1st"._x1', ["1st", "_x1"]),
    ],
)
def test_names_are_quoted_where_they_must_be_and_nowhere_else(name, canonical, parts):
    assert identifiers.canonical(name) == canonical
    assert identifiers.parts(name) == parts


def test_a_dump_that_quotes_every_name_says_what_any_other_says():
    copy = b'COPY "public"."t" ("id") FROM stdin;\n1\n\\.\n'
    version = b'COPY "public"."alembic_version" ("version_num") FROM stdin;\naaa\n\\.\n'
    insert = b'INSERT INTO "public"."user" ("id") VALUES (1);\n'
    setval = b'SELECT pg_catalog.setval(\'"public"."t_id_seq"\', 5, true);\n'
    facts = dump_reader.read([copy + version + insert + setval], "public.alembic_version")
    assert facts.rows == {"public.t": 1, "public.alembic_version": 1, 'public."user"': 1}
    assert facts.alembic_heads == ["aaa"]
    assert facts.sequences == {"public.t_id_seq": 5}
    assert not facts.found


@pytest.mark.parametrize("said", ["Sales Data.alembic_version", '"Sales Data".alembic_version'])
def test_a_version_table_is_found_with_or_without_the_quotes_of_its_name(said):
    version = b'COPY "Sales Data".alembic_version (version_num) FROM stdin;\naaa\n\\.\n'
    assert dump_reader.read([version], said).alembic_heads == ["aaa"]

"""Rows that load through the root of a partitioned table are counted as those of the partition that they are of."""

from dataclasses import replace

import pytest
from made_up import census, manifest, table

from ansible.module_utils.rollback.backups import dump_reader, proof
from ansible.module_utils.rollback.census import Census, differences

TREE = (
    b"ALTER TABLE ONLY public.eh ATTACH PARTITION public.eh0 FOR VALUES WITH (modulus 2, remainder 0);\n"
    b'ALTER TABLE ONLY public.eh ATTACH PARTITION public."e h" FOR VALUES WITH (modulus 2, remainder 1);\n'
    b'ALTER TABLE ONLY public."e h" ATTACH PARTITION "S d"."e\nh" DEFAULT;\n'
)
END = b"--\n-- PostgreSQL database dump complete\n--\n"


def of(name, rows, schema="public", into=b"public.eh"):
    header = f"--\n-- Data for Name: {name}; Type: TABLE DATA; Schema: {schema}; Owner: -\n--\n-- load via partition root public.eh\n\n"
    return header.encode() + b"COPY %s (k) FROM stdin;\n" % into + b"x\n" * rows + b"\\.\n\n\n"


def rows(text):
    facts = dump_reader.read([text + END], "public.alembic_version")
    assert facts.complete
    assert not facts.found
    return facts.rows


def test_rows_count_as_those_of_the_partition_whose_comment_is_above_them():
    dump = TREE + of("eh0", 3) + of("e h", 0) + of("e h", 2, "S d")
    assert rows(dump) == {"public.eh0": 3, 'public."e h"': 0, '"S d"."e\nh"': 2}


def test_rows_as_statements_do_so_too():
    inserts = of("eh0", 0).partition(b"COPY")[0] + b"INSERT INTO public.eh VALUES ('x');\n" * 3
    assert rows(TREE + inserts) == {"public.eh0": 3}


@pytest.mark.parametrize(
    "text",
    [of("eh0", 3), TREE + of("other", 3), TREE + of("eh0", 3, "other"), TREE + of("eh0", 3, into=b"public.x")],
    ids=["no tree", "no partition", "of another schema", "of another root"],
)
def test_a_comment_that_the_statements_do_not_bear_out_counts_for_nothing(text):
    (name,) = rows(text)
    assert name in ("public.eh", "public.x")


def test_the_count_of_each_partition_is_compared_with_the_manifest():
    expected = manifest(census=census(tables={"public.eh0": table(3), 'public."e h"': table(2)}, alembic_heads=None))
    for second, problems in ((2, []), (1, ['public."e h" has 1 rows instead of 2 rows'])):
        facts = dump_reader.read([TREE + of("eh0", 3) + of("e h", second) + END], "public.alembic_version")
        assert proof.contradictions(expected, facts) == problems


# After a restore ---------------------------------------------------------------------------------------------------

LEAVES = {"public.eh0": "public.eh", "public.eh1": "public.eh"}


def restored(**counts: int) -> Census:
    tables = {f"public.{name}": table(count) for name, count in counts.items()}
    return census(tables=tables, partitions=LEAVES)


@pytest.mark.parametrize("objects", [{}, {"relation public.eh": "0123456789ab"}])
def test_rows_that_came_to_lie_in_another_partition_are_no_difference(objects):
    before, after = (
        replace(each, objects=objects) for each in (restored(eh0=60, eh1=30, t=1), restored(eh0=45, eh1=45, t=1))
    )
    assert differences(before, after) == []


def test_rows_that_are_missing_from_the_whole_are_one():
    assert differences(restored(eh0=60, eh1=30), restored(eh0=45, eh1=44)) == [
        "public.eh0 has 45 rows, not 60",
        "public.eh1 has 44 rows, not 30",
    ]
    assert differences(restored(eh0=60, t=1), restored(eh0=60, t=2)) == ["public.t has 2 rows, not 1"]


def test_rows_under_the_name_of_the_root_are_those_of_its_partitions():
    """Of a dump without comments."""
    judged = census(tables={"public.eh": table(90)}, objects={})
    assert differences(judged, restored(eh0=45, eh1=45)) == []
    assert differences(judged, restored(eh0=45, eh1=44)) == [
        "missing: public.eh",
        "rows that are not in the dump: public.eh0, public.eh1",
    ]


def test_contents_are_compared_as_a_whole_too():
    def hashed(*contents):
        named = zip(("public.eh0", "public.eh1"), contents, strict=True)
        return census(tables={name: replace(table(2), content=content) for name, content in named}, partitions=LEAVES)

    assert differences(hashed("1:10", "2:20"), hashed("3:30", "empty")) == []
    assert differences(hashed("1:10", "2:20"), hashed("3:30", "0:1")) == [
        "public.eh0 has other content in as many rows",
        "public.eh1 has other content in as many rows",
    ]

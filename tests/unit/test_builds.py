import pytest

from ansible.module_utils.rollback.backups.plain_sections import Entry
from ansible.module_utils.rollback.postgres import builds

# One with more to it than its columns stays in one piece.
KEY = b"ALTER TABLE ONLY %s\n    ADD CONSTRAINT %s PRIMARY KEY (id) DEFERRABLE;\n"
INDEX = b"CREATE INDEX %s ON %s USING btree (at);\n"
FOREIGN = b"ALTER TABLE ONLY %s\n    ADD CONSTRAINT %s FOREIGN KEY (lead_id) REFERENCES %s(id) ON DELETE CASCADE;\n"


def found(statement, partitioned=()):
    return builds.builds_of(Entry("x", "INDEX", [statement]), set(partitioned))


def build(statement):
    (only,) = found(statement)
    return only


def key(table):
    return build(KEY % (table, b"pkey"))


def index(table, name=b"i"):
    return build(INDEX % (name, table))


def foreign(table, to, partitioned=()):
    return found(FOREIGN % (table, b"fkey", to), partitioned)


def ordered(given, sizes, wide=None):
    return [each.statement for each in builds.in_order(given, sizes, wide or {})]


@pytest.mark.parametrize(
    ("statement", "alone", "shared"),
    [
        (KEY % (b"public.leads", b"leads_pkey"), {b"public.leads"}, set()),
        (
            b'ALTER TABLE ONLY "My S"."a.""b ("\n    ADD CONSTRAINT "x y" UNIQUE (id) DEFERRABLE;\n',
            {b"My S.a.b ("},
            set(),
        ),
        (b"ALTER TABLE ONLY s.t\n    ADD CONSTRAINT c EXCLUDE USING gist (r WITH &&);\n", {b"s.t"}, set()),
        (INDEX % (b"i", b"public.leads"), set(), {b"public.leads"}),
        (b'CREATE UNIQUE INDEX "a ON b" ON ONLY public."T" USING gin (x) WHERE (y > 1);\n', set(), {b"public.T"}),
    ],
)
def test_builds_are_told_by_the_statement_with_the_tables_they_lock(statement, alone, shared):
    only = build(statement)
    assert (only.statement, only.alone, only.shared) == (statement, alone, shared)


def test_a_foreign_key_is_declared_and_then_validated():
    declare, validate = foreign(b'"S".a', b"public.b")
    assert declare.statement == (FOREIGN % (b'"S".a', b"fkey", b"public.b")).replace(b";\n", b" NOT VALID;\n")
    assert validate.statement == b'ALTER TABLE ONLY "S".a VALIDATE CONSTRAINT fkey;\n'
    assert (declare.alone, validate.alone) == ({b"S.a", b"public.b"}, {b"S.a"})
    assert builds.in_order([declare, validate], {}, {}) == [declare, validate]


@pytest.mark.parametrize(
    ("name", "table", "kind", "columns"),
    [
        (b"leads_pkey", b"public.leads", b"PRIMARY KEY", b"id"),
        (b'"x y"', b'"My S"."a.""b ("', b"UNIQUE", b'"a, b)", "C", d'),
    ],
)
def test_the_index_of_a_key_is_built_beside_the_tables_others(name, table, kind, columns):
    index, key = found(b"ALTER TABLE ONLY %s\n    ADD CONSTRAINT %s %s (%s);\n" % (table, name, kind, columns))
    assert index.statement == b"CREATE UNIQUE INDEX %s ON %s USING btree (%s);\n" % (name, table, columns)
    assert key.statement == b"ALTER TABLE ONLY %s\n    ADD CONSTRAINT %s %s USING INDEX %s;\n" % (
        table,
        name,
        kind,
        name,
    )
    assert index.shared == key.alone == {builds.plain_name(table)}
    assert builds.in_order([key, index], {}, {}) == [index, key]


@pytest.mark.parametrize(
    "rest",
    [
        b"PRIMARY KEY (id, valid_at WITHOUT OVERLAPS);\n",
        b"UNIQUE NULLS NOT DISTINCT (id);\n",
        b"UNIQUE (id) INCLUDE (at);\n",
        b"UNIQUE (id)\n    WITH (fillfactor='70');\n",
    ],
)
def test_a_key_stays_in_one_piece_where_its_index_is_more_than_its_columns(rest):
    whole = b"ALTER TABLE ONLY public.leads\n    ADD CONSTRAINT c " + rest
    assert [build.statement for build in found(whole)] == [whole]


def test_the_key_of_a_partitioned_table_stays_in_one_piece():
    whole = b"ALTER TABLE ONLY public.leads\n    ADD CONSTRAINT c PRIMARY KEY (id);\n"
    assert [build.statement for build in found(whole, {b"public.leads"})] == [whole]


def test_a_foreign_key_stays_in_one_piece_where_it_must():
    whole = FOREIGN % (b"public.a", b"fkey", b'public."b"')
    unenforced = whole.replace(b";\n", b" NOT ENFORCED;\n")
    unvalidated = whole.replace(b";\n", b" NOT VALID;\n")
    assert [build.statement for build in found(whole, {b"public.b"})] == [whole]
    assert [build.statement for build in found(unenforced)] == [unenforced]
    assert [build.statement for build in found(unvalidated)] == [unvalidated]


def test_a_partitioned_table_is_told_by_the_statement_that_creates_it():
    create = b'CREATE TABLE public."P" (\n    id integer\n)\n'
    for beginning in (
        create,
        create.replace(b"CREATE TABLE", b"CREATE UNLOGGED TABLE"),
        b'CREATE TABLE public."P" OF public.t\n',
        b'CREATE TABLE public."P" OF public.t (\n    id NOT NULL\n)\n',
    ):
        statement = beginning + b"PARTITION BY RANGE (id);\n"
        assert builds.partitioned_table(Entry("x", "TABLE", [statement])) == b"public.P", statement
    assert builds.partitioned_table(Entry("x", "TABLE", [create.rstrip() + b";\n"])) is None


@pytest.mark.parametrize(
    "statement",
    [
        b"ALTER TABLE public.parts\n    ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES public.b(id);\n",  # locks the partitions too
        b"ALTER TABLE public.t\n    ADD CONSTRAINT c CHECK ((a > 1)) NOT VALID;\n",
        b"ALTER TABLE ONLY public.t\n    ADD CONSTRAINT c NOT NULL a NOT VALID;\n",
        b"ALTER INDEX public.a ATTACH PARTITION public.b;\n",
        b"CREATE TRIGGER t BEFORE UPDATE ON public.t FOR EACH ROW EXECUTE FUNCTION public.f();\n",
        b"CREATE INDEX CONCURRENTLY i ON public.t USING btree (a);\n",
        b"COPY public.t (a) FROM stdin;\n",
    ],
)
def test_everything_else_keeps_the_files_order(statement):
    assert found(statement) == []


def test_keys_and_foreign_keys_come_before_all_else_and_large_tables_first():
    small, large, other = b"public.small", b"public.large", b"public.other"
    given = [
        key(small),
        key(large),
        index(small),
        index(large),
        index(other),
        *foreign(other, small),
        *foreign(large, small),
    ]
    order = (1, 0, 7, 5, 8, 3, 2, 6, 4)
    assert ordered(given, {small: 1, large: 9}) == [given[number].statement for number in order]


@pytest.mark.parametrize(
    ("unique", "early"),
    [
        (b'UNIQUE INDEX i ON public."t" USING btree (id)', True),
        (b'UNIQUE INDEX i ON public.t USING btree ("id" DESC)', True),
        (b"UNIQUE INDEX i ON public.t USING btree (name)", False),
        (b"UNIQUE INDEX i ON public.other USING btree (id)", False),
        (b"INDEX i ON public.t USING btree (id)", False),
        (b"UNIQUE INDEX i ON public.t USING btree (id, name) INCLUDE (more)", True),
    ],
)
def test_what_a_foreign_key_may_point_to_comes_before_it(unique, early):
    index, (declare, validate) = build(b"CREATE " + unique + b";\n"), foreign(b"public.a", b"public.t")
    found = builds.in_order([declare, validate, index], {b"public.a": 9}, {})
    statements = [each.statement for each in found]
    assert (statements[0] == index.statement) is early
    if early:
        assert builds.startable(found[1:], found[:1]) is None


@pytest.mark.parametrize(
    ("pointed_to", "unique"),
    [
        (b'"a)b"', b'"a)b"'),
        (b'"a, b", c', b'c DESC, "a, b"'),
        (b'"a""(b"', b'"a""(b"'),
        (b"id, PERIOD valid_at", b"anything"),
    ],
)
def test_whatever_the_columns_are_called_that_it_points_to(pointed_to, unique):
    index = build(b"CREATE UNIQUE INDEX i ON public.t USING btree (%s);\n" % unique)
    given = (
        b"ALTER TABLE ONLY public.a\n    ADD CONSTRAINT c FOREIGN KEY (x) REFERENCES public.t(%s) ON DELETE CASCADE;\n"
    )
    assert ordered([*found(given % pointed_to), index], {b"public.a": 9})[0] == index.statement


def test_indexes_of_a_table_are_built_while_foreign_keys_to_it_are_validated():
    a, b = b"public.a", b"public.b"
    _, validate = foreign(a, b)
    assert builds.startable([index(a), index(b)], [validate]) == index(b)
    assert builds.startable([validate], [index(b)]) == validate
    assert builds.startable([index(a), index(b), validate], [validate]) == index(b)


@pytest.mark.parametrize(
    ("columns", "first"),
    [
        (b"btree (id)", False),
        (b"btree (id, email)", True),
        (b'btree (id) WHERE ("Na me" IS NOT NULL)', True),
        (b"btree (lower(id))", True),
        (b"gin (id)", True),
    ],
)
def test_an_index_on_text_or_of_another_kind_takes_as_long_as_one_on_a_table_three_times_as_large(columns, first):
    table, larger = b"public.table", b"public.larger"
    slow, plain = build(b"CREATE INDEX i ON %s USING %s;\n" % (table, columns)), index(larger)
    wide = {table: {b"email", b"Na me"}}
    usual = [plain.statement, slow.statement]
    assert ordered([plain, slow], {table: 4, larger: 10}, wide) == (usual[::-1] if first else usual)
    assert ordered([plain, slow], {table: 3, larger: 10}, wide) == usual


def test_a_b_tree_knows_how_much_is_sorted_for_it():
    table, to = b"public.t", b"public.to"
    tree, expression, gin, other = (
        build(b"CREATE INDEX i ON %s USING %s;\n" % (on, how))
        for on, how in [
            (table, b"btree (a)"),
            (table, b"btree (lower(a))"),
            (table, b"gin (a)"),
            (b"public.small", b"btree (a)"),
        ]
    )
    given = [tree, expression, gin, other, *foreign(table, to)]
    found = {each.statement: each.sorts for each in builds.in_order(given, {table: 9, to: 5}, {})}
    assert [found[each.statement] for each in given] == [9, 9, 0, 0, 0, 0]


def test_a_table_is_never_locked_by_two_that_exclude_each_other():
    a, b, c = b"public.a", b"public.b", b"public.c"
    (declare_ab, validate_ab), (declare_bc, validate_bc) = foreign(a, b), foreign(b, c)
    assert builds.startable([key(a), index(a)], []) == key(a)
    assert builds.startable([index(a), index(b)], [key(a)]) == index(b)
    assert builds.startable([index(a, b"second")], [index(a, b"first")]) == index(a, b"second")
    assert builds.startable([key(a)], [index(a)]) is None
    assert builds.startable([declare_bc], [declare_ab]) is None
    assert builds.startable([validate_ab], [declare_ab]) is None
    assert builds.startable([validate_bc], [validate_ab]) == validate_bc


def test_nothing_overtakes_what_it_may_need():
    """The key that a foreign key points to still waits for its turn, since another build of that table runs."""
    a, b = b"public.a", b"public.b"
    assert builds.startable([key(b), *foreign(a, b)], [index(b)]) is None
    assert builds.startable([], []) is None

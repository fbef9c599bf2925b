import dataclasses
import hashlib

import pytest
from made_up import BACKUP, backup, census, manifest, table

from ansible.module_utils.rollback.backups import dump_reader, wholeness

HEAD = b"--\n-- PostgreSQL database dump\n--\n\n"
TAIL = b"\n--\n-- PostgreSQL database dump complete\n--\n\n"
VERSION = b"CREATE TABLE public.alembic_version (version_num text);\nCOPY public.alembic_version (version_num) FROM stdin;\naaa\n\\.\n"
ORDERS = b"CREATE TABLE public.orders (\n    id integer NOT NULL,\n    exclude numeric(10,2) DEFAULT 0\n);\n"
ROWS = b"COPY public.orders (id) FROM stdin;\n1\n\\.\n"
EMPTY = b"COPY public.orders (id) FROM stdin;\n\\.\n"
NOTHING_OF_IT = "The dump creates public.orders and holds no rows of it (--exclude-table-data)."


def read(*parts):
    return dump_reader.read([HEAD, *parts, TAIL], "public.alembic_version")


def lacks(*parts, others=()):
    return wholeness.lacks(read(*parts), others)


def other(heads=("aaa",), tables=(), objects=()):
    """A manifest that has these tables, with rows, and these objects."""
    known = census(
        alembic_heads=list(heads),
        tables={name: table() for name in tables},
        objects=dict.fromkeys([*(f"relation {each}" for each in tables), *objects], "0123456789ab"),
    )
    return manifest(census=known)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([ORDERS, VERSION, ROWS], []),
        ([ORDERS, VERSION, EMPTY], []),
        ([ORDERS, VERSION], [NOTHING_OF_IT]),
        (
            [ORDERS],
            [
                "The dump creates 1 table (public.orders) and holds no rows of any: it was made with --schema-only, or its rows were left out."
            ],
        ),
        (
            [ORDERS.replace(b"TABLE", b"UNLOGGED TABLE"), VERSION],
            [
                "The dump creates public.orders and holds no rows of it (--no-unlogged-table-data, or dumped from a standby)."
            ],
        ),
        ([b"CREATE FOREIGN TABLE public.f (id integer) SERVER s;\n", VERSION], []),
        ([b"CREATE VIEW public.v AS\n SELECT 1 AS partition;\n", VERSION], []),
        (
            [b"CREATE MATERIALIZED VIEW public.m AS\n SELECT 1\n  WITH NO DATA;\n", VERSION],
            ["The dump creates materialized view public.m and does not refresh it: it would be without rows."],
        ),
        ([b"CREATE MATERIALIZED VIEW public.m AS\n SELECT 1;\nREFRESH MATERIALIZED VIEW public.m;\n", VERSION], []),
        ([VERSION, ROWS], ["The dump holds rows of public.orders and creates no such table (--data-only)."]),
        ([b"CREATE EXTENSION IF NOT EXISTS orders WITH SCHEMA public;\n", VERSION, ROWS], []),
        (
            [b"CREATE SEQUENCE public.s\n    START WITH 1;\n", VERSION],
            ["The dump creates sequence public.s and does not say where it stands: it would begin anew."],
        ),
        ([b"CREATE SEQUENCE public.s;\nSELECT pg_catalog.setval('public.s', 1, false);\n", VERSION], []),
        (
            [
                ORDERS,
                b'ALTER TABLE public.orders ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (\n    SEQUENCE NAME public."S"\n);\n',
                VERSION,
                ROWS,
            ],
            ['The dump creates sequence public."S" and does not say where it stands: it would begin anew.'],
        ),
        (
            [b"SELECT pg_catalog.lo_create('7');\nSELECT pg_catalog.lo_create('12');\n", VERSION],
            ["The dump creates 2 large objects without content: 7, 12."],
        ),
        ([b"SELECT pg_catalog.lo_create('7');\nSELECT pg_catalog.lo_open('7', 131072);\n", VERSION], []),
        (
            [b"SELECT pg_catalog.lo_open('7', 131072);\n", VERSION],
            ["The dump holds data of large objects that it does not create: 7."],
        ),
        (
            [b"SET row_security = on;\n", VERSION],
            ["The dump was made with --enable-row-security: rows that policies hid from its maker are not in it."],
        ),
    ],
)
def test_what_a_dump_creates_and_does_not_fill_is_named(parts, said):
    assert lacks(*parts) == said


PARTS = (
    b"CREATE TABLE public.log (at date)\nPARTITION BY RANGE (at);\nCREATE TABLE public.log_1 (at date);\nCREATE TABLE public.log_2 (at date);\n"
    b"ALTER TABLE ONLY public.log ATTACH PARTITION public.log_1 FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');\n"
    b"ALTER TABLE ONLY public.log ATTACH PARTITION public.log_2 DEFAULT;\n"
)


def test_rows_that_are_loaded_through_the_partitioned_table_are_those_of_its_partitions():
    others = [other(tables=["public.alembic_version", "public.log_1", "public.log_2"])]
    assert lacks(PARTS, VERSION, b"COPY public.log (at) FROM stdin;\n2026-01-01\n\\.\n", others=others) == []
    assert lacks(PARTS, VERSION, b"COPY public.log_1 (at) FROM stdin;\n2026-01-01\n\\.\n", others=others) == [
        "The dump creates public.log_2 and holds no rows of it (--exclude-table-data)."
    ]


def test_a_table_that_inherits_is_not_filled_by_the_rows_of_its_parent():
    heir = b'CREATE TABLE public."Heir" (\n)\nINHERITS (public.orders);\n'
    assert lacks(ORDERS, heir, VERSION, ROWS) == [
        'The dump creates public."Heir" and holds no rows of it (--exclude-table-data).'
    ]


def test_rows_as_insert_say_nothing_of_an_empty_table_without_pg_dumps_headings():
    inserted = b"CREATE TABLE public.alembic_version (v text);\nINSERT INTO public.alembic_version VALUES ('aaa');\n"
    heading = b"-- Data for Name: %s; Type: TABLE DATA; Schema: public; Owner: x\n"
    assert lacks(ORDERS, inserted) == []
    assert lacks(ORDERS, heading % b"orders", heading % b"alembic_version", inserted) == []
    assert lacks(ORDERS, heading % b"alembic_version", inserted) == [NOTHING_OF_IT]


OTHERS = "Every backup at revision aaa that has a manifest (2) has"


def test_what_every_other_backup_of_the_revision_has_is_named():
    both = ["public.alembic_version", "public.orders"]
    objects = ["index public.orders_at", "constraint public.orders.orders_pkey", "column public.orders.id"]
    others = [other(tables=[*both, "public.gone"], objects=[*objects, "column public.gone.id"]) for _ in range(2)]
    key = b"ALTER TABLE ONLY public.orders\n    ADD CONSTRAINT orders_pkey PRIMARY KEY (id);\n"
    assert lacks(ORDERS, VERSION, ROWS, key, others=others) == [
        f"{OTHERS} what this dump does not create: table public.gone, index public.orders_at."
    ]
    assert lacks(ORDERS, VERSION, EMPTY, others=[other(tables=both), other(tables=both)]) == [
        f"{OTHERS} rows of public.orders, and this dump has none."
    ]


def test_what_only_some_have_or_another_revision_is_no_lack():
    more = [other(tables=["public.alembic_version", "public.gone"]), other(tables=["public.alembic_version"])]
    assert lacks(VERSION, others=more) == []
    assert lacks(VERSION, others=[other(heads=["bbb"], tables=["public.gone"])]) == []
    assert lacks(b"CREATE TABLE public.t (i int);\nCOPY public.t (i) FROM stdin;\n\\.\n", others=more[:1]) == []


@pytest.mark.parametrize(
    ("created", "objects"),
    [
        (b"CREATE UNIQUE INDEX i ON ONLY public.orders USING btree (id);\n", ["index public.i"]),
        (
            b"CREATE TRIGGER t BEFORE UPDATE OF id ON public.orders FOR EACH ROW EXECUTE FUNCTION public.f();\n",
            ["trigger public.orders.t"],
        ),
        (b"CREATE POLICY p ON public.orders USING (true);\n", ["policy public.orders.p"]),
        (
            b'CREATE FUNCTION public."odd(name"(a integer) RETURNS integer\n    LANGUAGE sql\n    AS $$SELECT 1$$;\n',
            ['function public."odd(name"(a integer)'],
        ),
        (
            b"CREATE TYPE public.mood AS ENUM (\n    'x'\n);\nCREATE DOMAIN public.d AS integer\n\tCONSTRAINT c CHECK ((VALUE > 0));\n",
            ["type public.mood", "type public.d", "constraint public.d.c"],
        ),
        (
            b"CREATE SCHEMA sales;\nCREATE EXTENSION IF NOT EXISTS citext WITH SCHEMA public;\n",
            ["schema sales", "extension citext"],
        ),
        (
            b"ALTER TABLE public.orders\n    ADD CONSTRAINT k FOREIGN KEY (id) REFERENCES public.log(at);\n",
            ["constraint public.orders.k", "constraint public.orders.k_1", "constraint public.orders.k2"],
        ),
    ],
)
def test_objects_of_every_kind_are_known_by_the_names_of_a_census(created, objects):
    others = [
        other(tables=["public.alembic_version", "public.orders"], objects=[*objects, "column public.orders.exclude"])
    ]
    assert lacks(ORDERS, VERSION, ROWS, created, others=others) == []
    (said,) = lacks(ORDERS, VERSION, ROWS, others=others)
    assert objects[0].split("(a")[0] in said


def test_large_objects_that_the_others_have_are_missed():
    def having(number):
        of = dataclasses.replace(
            other(tables=["public.alembic_version"]).census,
            objects={"large objects": hashlib.sha256(number).hexdigest()[:12], "relation public.alembic_version": "x"},
        )
        return [manifest(census=of)]

    assert lacks(VERSION, others=having(b"0")) == []
    (said,) = lacks(VERSION, others=having(b"3"))
    assert said.endswith("has what this dump does not create: large objects.")


def test_the_others_are_fit_backups_of_this_environment_beside_it(tmp_path):
    backup(tmp_path)
    (tmp_path / "monday").write_bytes(HEAD + TAIL)
    known = wholeness.others(tmp_path / "monday", "hunter", "production")
    assert [entry.backup for entry in known] == [BACKUP]
    assert wholeness.others(tmp_path / "monday", "hunter", "staging") == []

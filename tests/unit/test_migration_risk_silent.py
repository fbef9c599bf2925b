"""Losses that are easy to overlook, in the words of SQL and of Python: none of them is called safe."""

import pytest
from migration_bodies import judged, losses, words

# What a statement takes away; None where that cannot be read.
STATEMENTS = {
    # Another table's column of the same name is not the column itself.
    "UPDATE t SET c = s.c FROM s WHERE s.id = t.id": ["values t.c"],
    "UPDATE t SET c = coalesce(s.c, 'x') FROM s WHERE s.id = t.id": ["values t.c"],
    "UPDATE t SET c = 'x' FROM s WHERE s.id = t.id AND s.c IS NULL": ["values t.c"],
    "UPDATE t AS x SET c = t.c FROM t WHERE t.parent = x.id": ["values t.c"],
    # A column of the application's own that is called as Alembic's.
    "UPDATE documents SET version_num = 1": ["values documents.version_num"],
    "DELETE FROM documents WHERE version_num > 3": ["rows documents"],
    "DELETE FROM documents WHERE documents.version_num = '3'": ["rows documents"],
    "DELETE FROM settings WHERE key = 'version_num'": ["rows settings"],
    # Statements in statements.
    "EXPLAIN ANALYZE DELETE FROM t": ["rows t"],
    "COPY (DELETE FROM t RETURNING *) TO '/tmp/t'": ["rows t"],
    "PREPARE p AS DELETE FROM t": ["rows t"],
    "WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d": ["rows t"],
    # Functions that are named like PostgreSQL's own, and where they may stand.
    "SELECT set_default_roles()": None,
    "SELECT to_old_layout()": None,
    "SELECT app.to_json(1)": None,
    "SELECT json_cleanup()": None,
    "INSERT INTO log SELECT archive(id) FROM t": None,
    "CREATE TABLE x AS SELECT wipe() FROM t": None,
    "UPDATE t SET c = c WHERE wipe(id)": None,
    "VALUES (wipe())": None,
    "MERGE INTO t USING s ON t.id = wipe(s.id) WHEN NOT MATCHED THEN INSERT VALUES (1)": None,
    # Types.
    "ALTER TABLE w ALTER COLUMN at TYPE timestamp(0)": ["values w.at"],
    "ALTER TABLE w ALTER COLUMN span TYPE interval day": ["values w.span"],
    "ALTER TABLE w ALTER COLUMN span TYPE interval(0)": ["values w.span"],
    "ALTER TABLE w ALTER COLUMN flags TYPE bit(3)": ["values w.flags"],
    "ALTER TABLE w ALTER COLUMN at TYPE timestamp USING at::date::timestamp": ["values w.at"],
    "ALTER TABLE w ALTER COLUMN c TYPE text USING c::varchar(3)": ["values w.c"],
    "ALTER TABLE w ALTER COLUMN c TYPE text USING c::int::text": ["values w.c"],
    "ALTER TABLE w ALTER COLUMN c TYPE code3 USING c::code3": ["values w.c"],
    # Things that others stand on.
    "DROP COLLATION german CASCADE": None,
    "DROP ACCESS METHOD columnar CASCADE": None,
}
WIDE = "op.execute('CREATE TABLE w (c text, at timestamp, span interval, flags bit(8))')"
READING = [
    "SELECT count(*), to_char(now(), 'YYYY'), jsonb_set(a, '{b}', '1'), pg_get_serial_sequence('t', 'id') FROM t",
    "SELECT setval('s', coalesce(max(id), 1)) FROM t",
    "INSERT INTO t SELECT gen_random_uuid(), uuid_generate_v4(), st_makepoint(1, 2), extract(year FROM at) FROM s",
    "SELECT pg_catalog.set_bit('', 0, 1), extensions.uuid_generate_v4()",
    "EXPLAIN DELETE FROM t",
    "COPY t TO '/tmp/t'",
    "UPDATE t SET c = t.c WHERE trim(c) <> ''",
    "ALTER TABLE w ALTER COLUMN c TYPE text USING c::text",
    "ALTER TABLE w ALTER COLUMN at TYPE timestamp(6)",
    "ALTER TABLE w ALTER COLUMN span TYPE interval(6)",
]
BLOCKS = {
    "FOR r IN EXECUTE 'DELETE FROM t RETURNING id' LOOP END LOOP;": ["rows t"],
    "FOR r IN DELETE FROM t RETURNING id LOOP END LOOP;": ["rows t"],
    "OPEN c FOR EXECUTE 'DELETE FROM t RETURNING id';": ["rows t"],
    "EXECUTE 'DELETE FROM t RETURNING 1' INTO n;": ["rows t"],
    "EXECUTE 'DELETE FROM ' || quote_ident(n::text);": None,
    "FOR r IN SELECT wipe(id) FROM s LOOP END LOOP;": None,
    "n := wipe();": None,
    "n := (SELECT wipe());": None,
    "IF wipe() > 1 THEN NULL; END IF;": None,
    "WHILE wipe() > 1 LOOP EXIT; END LOOP;": None,
    "RAISE NOTICE '%', wipe();": None,
    "PERFORM wipe();": None,
    "CALL wipe();": None,
}
ABOVE = """
import contextlib, dataclasses, functools, typing
from elsewhere import DROP_SQL, session
row = op.get_bind().execute(sa.text('SELECT 1')).fetchone() if False else None
t = sa.table('t', sa.column('a'), sa.column('b'), sa.column('c'))

@dataclasses.dataclass
class Step:
    table: str
    drop: bool = False

class Named(typing.NamedTuple):
    table: str = 'nothing'

class Base(DeclarativeBase):
    pass

class Thing(Base):
    __tablename__ = 'things'
    id = sa.Column('id', sa.Integer, primary_key=True)
    details = sa.Column('metadata', sa.Text)

class First:
    table = 'a'

class Second(First):
    pass

class Third(First):
    table = 'c'

class Both(Second, Third):
    pass

class Swallow:
    def __init__(self, function):
        self.function = function
    def __call__(self):
        try:
            return self.function()
        except Exception:
            return None

def collect(into):
    into += ['t']
"""
# What a step in Python takes away; None where that cannot be read.
STEPS = {
    "rows = leaf.all()\nop.execute(t.update().values(rows[0]))": None,
    "op.execute(t.update().values(**dict(leaf)))": None,
    "op.execute(t.update().values([(t.c.a, 1)]))": ["values t.a"],
    "op.execute(t.update().ordered_values((t.c.a, 1)))": ["values t.a"],
    "op.execute(f'UPDATE t SET {leaf} = {leaf}')": None,
    "op.execute(f\"UPDATE t SET {leaf} = 'x' WHERE {leaf} IS NULL\")": None,
    "op.execute(postgresql.insert(t).values(a=1).on_conflict_do_update(index_elements=['a'], set_={'c': 2}))": ["values t.c"],
    "d = sa.delete(t).returning(t.c.c).cte('d')\nop.execute(sa.select(d))": ["rows t"],
    "d = sa.delete(t).cte('d')\nop.execute(sa.select(1).add_cte(d))": ["rows t"],
    "op.execute(sa.select(sa.text('*')).select_from(sa.func.wipe()))": None,
    "op.execute(sa.select(sa.literal(1)).where(sa.func.wipe()))": None,
    "op.execute(DROP_SQL)": None,
    "op.execute(NOWHERE)": None,
    "found = session.execute(sa.text('DELETE FROM t'))": ["rows t"],
    "print(session.execute(sa.text('DELETE FROM t')).rowcount)": ["rows t"],
    "count = session.query(1).filter(2).delete()": None,
    "Thing.purge()": None,
    "for step in [Step('t', True)]:\n    if step.drop: op.drop_table(step.table)": ["table t"],
    "op.drop_table(Named('t').table)": ["table t"],
    "op.execute(sa.update(Thing).values(details=1))": ["values things.metadata"],
    "op.execute(sa.update(Thing).values({Thing.details: 1}))": ["values things.metadata"],
    "tables = []\ncollect(tables)\nfor one in tables: op.drop_table(one)": ["table t"],
    "tables = []\nalso = tables\nalso += ['t']\nfor one in tables: op.drop_table(one)": ["table t"],
    "steps = []\nfor one in ('a', 'b'): steps.append(lambda one=one: op.drop_table(one))\nfor step in steps: step()": ["table a", "table b"],
    "keep = False\ndef change(keep=keep):\n    if not keep: op.drop_table('t')\nkeep = True\nchange()": ["table t"],
    "box = First()\nsetattr(box, 'table', 't')\nif box.table != 'a': op.drop_table('t')": ["table t"],
    "last = 'keep'\n[last := one for one in ('a', 'b')]\nif last == 'b': op.drop_table('t')": ["table t"],
    "functools.partial(op.get_bind().execute)(sa.text('DELETE FROM t'))": None,
    "op.drop_table(Both().table)": ["table c"],
    "op.drop_index = op.drop_table\nop.drop_index('t')": None,
    "@Swallow\ndef gone(): op.drop_table('t')\ngone()": None,
    "op.add_column('h', sa.Column('c', sa.Text), if_not_exists=True)\nop.execute('UPDATE h SET c = 1')": ["values h.c"],
    "op.create_table('h', sa.Column('c', sa.Text), if_not_exists=True)\nop.execute('DELETE FROM h')": ["rows h"],
    "op.alter_column('h', 'at', existing_type=sa.DateTime(), type_=postgresql.TIMESTAMP(precision=0))": ["values h.at"],
    "op.alter_column('h', 'c', existing_type=sa.Text(), type_=leaf)": None,
    "m = sa.MetaData(schema='s')\nop.execute(sa.Table('a', m).delete())": ["rows s.a"],
    "op.get_bind().execution_options(schema_translate_map={None: 's'}).execute(t.delete())": None,
    "if leaf: op.rename_table('new', 'old')\nop.drop_table('old')": None,
    "if leaf: op.alter_column('h', 'c', new_column_name='d')\nop.drop_column('h', 'd')": None,
    # Errors.
    "ok = 1\nfor one in 'ab':\n    try: op.f(1)\n    except KeyError:\n        ok = 0\n        break\nif not ok: op.drop_table('t')": ["table t"],
    "err = ''\ntry: op.execute('SELECT 1')\nexcept Exception as err:\n    if err: op.drop_table('t')": ["table t"],
    "for one in ('a', 'b'):\n    try:\n        op.drop_table(one)\n        break\n    except Exception: continue": ["table a", "table b"],
    "def change():\n    try:\n        op.execute('SELECT 1')\n        return\n    except Exception: pass\n    op.drop_table('t')\nchange()": ["table t"],
    "try:\n    if leaf: raise ValueError\n    op.execute('DELETE FROM h')\nexcept ValueError: pass\nop.drop_column('h', 'c')": ["rows h", "column h.c"],
    "for one in (1,):\n    if leaf: break\n    raise ValueError\nop.drop_table('t')": ["table t"],
    "quiet = contextlib.suppress(ValueError)\nwith quiet:\n    raise ValueError\nop.drop_table('t')": ["table t"],
}  # fmt: skip
HISTORY = "op.create_table('h', sa.Column('c', sa.Text), sa.Column('at', sa.DateTime))"
NEVER = {
    "a block that raises": "op.execute(\"DO $$ BEGIN RAISE EXCEPTION 'no way back'; END $$\")",
    "Alembic's own error": "from alembic import util\nutil.err('no way back')",
    "an error that no handler is for": "try: raise NotImplementedError('no')\nexcept KeyError: op.drop_index('i')",
    "the end of the program": "import sys\ntry: sys.exit(1)\nexcept Exception: pass",
}
ORDINARY = [
    "op.create_index('i', 't', [sa.text('created_at DESC')])",
    "op.create_index('i', 't', [sa.text('created_at DESC NULLS LAST'), 'id'])",
    "op.create_index('i', 't', [sa.text('lower(name) varchar_pattern_ops')])",
    "op.alter_column('t', 'id', server_default=sa.Identity())",
    "op.execute(sa.schema.CreateTable(sa.Table('x', sa.MetaData())))",
    "sa.Index('i', 'c').drop(op.get_bind())",
    "sa.Sequence('s').drop(op.get_bind())",
    "op.execute(sa.schema.DropSequence(sa.Sequence('s')))",
    "import typing\ntyping.cast(sa.Connection, op.get_bind()).execute(sa.text('SELECT 1'))",
    "with context.begin_transaction(): op.drop_index('i')",
    "op.alter_column('t', 'c', existing_type=sa.Integer(), type_=sa.Numeric(scale=2))",
    "op.execute('DO $$ BEGIN IF NOT EXISTS (SELECT 1 FROM t) THEN CREATE INDEX i ON t (c); END IF; END $$')",
]


def _verdict(step, lost):
    assert step.risk == ("unknown" if lost is None else "lossy")
    assert lost is None or losses(step) == words(*lost)


@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_statement_that_takes_something_away_is_not_safe(statement):
    _verdict(judged(f"op.drop_index('ix')\nop.execute({statement!r})", up=WIDE), STATEMENTS[statement])


@pytest.mark.parametrize("statement", READING)
def test_a_statement_that_only_reads_is_safe(statement):
    assert judged(f"op.drop_index('ix')\nop.execute({statement!r})", up=WIDE).risk == "safe"


@pytest.mark.parametrize("part", BLOCKS)
def test_no_part_of_a_block_is_overlooked(part):
    block = f"DO $$ DECLARE r record; n int; c refcursor; BEGIN {part} END $$"
    _verdict(judged(f"op.drop_index('ix')\nop.execute({block!r})"), BLOCKS[part])


@pytest.mark.parametrize(
    "language", ["LANGUAGE plpython3u $$ plpy.execute('DROP TABLE t') $$", "$$ x $$ LANGUAGE plv8"]
)
def test_a_block_in_another_language_cannot_be_read(language):
    assert judged(f"op.execute({f'DO {language}'!r})").risk == "unknown"


def test_a_default_in_a_block_may_call_a_function():
    assert judged("op.execute('DO $$ DECLARE n int := wipe(); BEGIN NULL; END $$')").risk == "unknown"


@pytest.mark.parametrize("body", STEPS)
def test_a_step_that_takes_something_away_is_not_safe(body):
    begin = "leaf = op.get_bind().scalar(sa.text('SELECT 1'))\nop.drop_index('ix')"
    _verdict(judged(f"{begin}\n{body}", up=HISTORY, above=ABOVE), STEPS[body])


@pytest.mark.parametrize("body", NEVER.values(), ids=NEVER)
def test_a_step_that_always_refuses_is_irreversible(body):
    assert judged(f"op.drop_index('ix')\n{body}").risk == "irreversible"


@pytest.mark.parametrize("body", ORDINARY)
def test_what_many_migrations_do_is_read(body):
    assert judged(body).risk == "safe"

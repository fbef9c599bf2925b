import pytest
from migration_bodies import HEAD, body, judged, losses, words

from ansible.module_utils.rollback.migrations import risk, scripts
from ansible.module_utils.rollback.migrations.tree import Tree

# The body of a downgrade, its risk, and what it takes away.
BODIES = {
    "drop_table": ('op.drop_table("t")', "lossy", ["table t"]),
    "drop_table of a schema": ('op.drop_table("t", schema="s")', "lossy", ["table s.t"]),
    "drop_column": ('op.drop_column("t", "c")', "lossy", ["column t.c"]),
    "by keywords": ('op.drop_column(table_name="t", column_name="c")', "lossy", ["column t.c"]),
    "add_column": ('op.add_column("t", sa.Column("c", sa.Integer))', "safe", []),
    "create_table": ('op.create_table("t", sa.Column("id", sa.Integer, primary_key=True))', "safe", []),
    "indexes": (
        'op.drop_index("ix", table_name="t")\nop.create_index(op.f("iy"), "t", ["c"], unique=True)',
        "safe",
        [],
    ),
    "constraints": (
        'op.drop_constraint("fk", "t", type_="foreignkey")\n'
        'op.create_foreign_key(None, "t", "u", ["a"], ["b"])\n'
        'op.create_unique_constraint("uq", "t", ["a"])\n'
        'op.create_check_constraint("ck", "t", sa.text("a > 0"))\n'
        'op.create_primary_key("pk", "t", ["a"])\n'
        'op.create_exclude_constraint("ex", "t", (sa.column("a"), "="))',
        "safe",
        [],
    ),
    "comments": ('op.create_table_comment("t", "x")\nop.drop_table_comment("t")', "safe", []),
    "bulk_insert": ('op.bulk_insert(sa.table("t", sa.column("a")), [{"a": 1}])', "safe", []),
    "rename_table": ('op.rename_table("t", "u")', "safe", []),
    "rename of a column": ('op.alter_column("t", "c", new_column_name="d")', "safe", []),
    "nullable and default": ('op.alter_column("t", "c", nullable=False, server_default=None)', "safe", []),
    "batch": (
        'with op.batch_alter_table("t") as b:\n    b.drop_column("c")\n    b.drop_index("ix")',
        "lossy",
        ["column t.c"],
    ),
    "batch of a schema": (
        'with op.batch_alter_table("t", schema="s") as b:\n    b.drop_column("c")',
        "lossy",
        ["column s.t.c"],
    ),
    # Types: cut, rounded or refused, or not.
    "shorter": (
        'op.alter_column("t", "c", existing_type=sa.String(60), type_=sa.String(30))',
        "lossy",
        ["values t.c"],
    ),
    "longer": ('op.alter_column("t", "c", existing_type=sa.String(30), type_=sa.Text())', "safe", []),
    "text to varchar": (
        'op.alter_column("t", "c", existing_type=sa.Text, type_=sa.String(9))',
        "lossy",
        ["values t.c"],
    ),
    "bigint to int": (
        'op.alter_column("t", "c", existing_type=sa.BigInteger(), type_=sa.Integer())',
        "lossy",
        ["values t.c"],
    ),
    "int to bigint": ('op.alter_column("t", "c", existing_type=sa.Integer(), type_=sa.BigInteger())', "safe", []),
    "fewer digits": (
        'op.alter_column("t", "c", existing_type=sa.Numeric(10, 4), type_=sa.Numeric(10, 2))',
        "lossy",
        ["values t.c"],
    ),
    "timestamp to date": (
        'op.alter_column("t", "c", existing_type=sa.DateTime(), type_=sa.Date())',
        "lossy",
        ["values t.c"],
    ),
    "time zones": (
        'op.alter_column("t", "c", existing_type=sa.DateTime(timezone=True), type_=sa.DateTime())',
        "safe",
        [],
    ),
    "jsonb to json": ('op.alter_column("t", "c", existing_type=postgresql.JSONB, type_=sa.JSON)', "safe", []),
    "float is double": ('op.alter_column("t", "c", existing_type=sa.Float(precision=53), type_=sa.Float)', "safe", []),
    "the same enum": (
        'op.alter_column("t", "c", existing_type=sa.Enum("a", "b", name="e"), type_=sa.Enum("a", name="e"))',
        "safe",
        [],
    ),
    "variants": (
        'op.alter_column("t", "c", existing_type=sa.Text(), type_=sa.String(5).with_variant(sa.Text(), "postgresql"))',
        "safe",
        [],
    ),
    # What the migration itself puts back, moves or makes.
    "renamed, then dropped": (
        'op.alter_column("t", "c", new_column_name="d")\nop.rename_table("t", "u")\nop.drop_column("u", "d")',
        "lossy",
        ["column t.c"],
    ),
    "added, then dropped": ('op.add_column("t", sa.Column("x", sa.Text))\nop.drop_column("t", "x")', "safe", []),
    "a temporary table": (
        'op.create_table("tmp")\nop.execute("INSERT INTO tmp SELECT 1")\nop.drop_table("tmp")',
        "safe",
        [],
    ),
    "a column moved": (
        'op.add_column("t", sa.Column("old", sa.Text))\n'
        'op.execute("UPDATE t SET old = new")\n'
        'op.drop_column("t", "new")',
        "safe",
        [],
    ),
    "only some moved": (
        'op.add_column("t", sa.Column("old", sa.Text))\n'
        "op.execute(\"UPDATE t SET old = new WHERE kind = 'x'\")\n"
        'op.drop_column("t", "new")',
        "lossy",
        ["column t.new"],
    ),
    "a column made anew": (
        'op.drop_column("t", "c")\nop.add_column("t", sa.Column("c", sa.Text))',
        "lossy",
        ["column t.c"],
    ),
    "a table made anew": ('op.drop_table("t")\nop.create_table("t", sa.Column("a", sa.Text))', "lossy", ["rows t"]),
    "rows moved": (
        'op.execute("CREATE TABLE kept AS SELECT * FROM t WHERE x IS NULL")\nop.execute("DELETE FROM t WHERE x IS NULL")',
        "safe",
        [],
    ),
    "emptied, then altered": ('op.execute("DELETE FROM t")\nop.drop_column("t", "c")', "lossy", ["rows t"]),
    "perhaps emptied, then altered": (
        'if sa.inspect(op.get_bind()).has_table("u"):\n    op.execute("DELETE FROM t")\nop.drop_column("t", "c")',
        "lossy",
        ["rows t", "column t.c"],
    ),
    "SQLite's way": ('op.drop_table("_alembic_tmp_t")', "safe", []),
    # Data.
    "update": ("op.execute(\"UPDATE t SET c = 'x'\")", "lossy", ["values t.c"]),
    "update of nulls": ("op.execute(\"UPDATE t SET c = 'x' WHERE c IS NULL\")", "lossy", ["values t.c"]),
    "update of nulls that it added": (
        'op.add_column("t", sa.Column("c", sa.Text))\nop.execute("UPDATE t SET c = 1 WHERE c IS NULL")',
        "safe",
        [],
    ),
    "update of what it added": (
        'op.add_column("t", sa.Column("c", sa.Text))\nop.execute("UPDATE t SET c = 1")',
        "safe",
        [],
    ),
    "M18: delete": ('op.execute("DELETE FROM t WHERE made_by = 1")', "lossy", ["rows t"]),
    "sa.text": ('op.execute(sa.text("DELETE FROM t WHERE id IN :ids").bindparams(ids=[1]))', "lossy", ["rows t"]),
    "bind": ('op.get_bind().execute(sa.text("TRUNCATE t"))', "lossy", ["rows t"]),
    "a built update": (
        't = sa.table("t", sa.column("c"))\nop.execute(t.update().where(t.c.c == "a").values(c="b"))',
        "lossy",
        ["values t.c"],
    ),
    "a built update of nulls": (
        't = sa.table("t", sa.column("c"))\nop.execute(sa.update(t).where(t.c.c.is_(None)).values({"c": "b"}))',
        "lossy",
        ["values t.c"],
    ),
    "a built delete": ('t = sa.table("t")\nop.execute(sa.delete(t))', "lossy", ["rows t"]),
    "a query only read": (
        'rows = op.get_bind().execute(sa.text("SELECT 1")).fetchall()\nop.drop_index("ix")',
        "safe",
        [],
    ),
    "an ORM delete": (
        "s = orm.Session(bind=op.get_bind())\ns.query(T).filter(T.c == 1).delete()\ns.commit()",
        "lossy",
        ["rows t"],
    ),
    # M19: enums.
    "an enum type": (
        'sa.Enum("a", name="e").drop(op.get_bind())\npostgresql.ENUM(name="f").drop(op.get_bind())',
        "safe",
        [],
    ),
    "enum shrunk": (
        "op.execute(\"DELETE FROM t WHERE mood = 'new'\")\n"
        'op.execute("ALTER TYPE mood RENAME TO mood_old")\n'
        "op.execute(\"CREATE TYPE mood AS ENUM ('old')\")\n"
        'op.execute("ALTER TABLE t ALTER COLUMN mood TYPE mood USING mood::text::mood")\n'
        'op.execute("DROP TYPE mood_old")',
        "lossy",
        ["rows t"],
    ),
    "DROP TYPE CASCADE": ('op.execute("DROP TYPE mood CASCADE")', "unknown", []),
    # M10, M11 and others that never come back.
    "M10: pass": ("pass", "irreversible", []),
    "M10: docstring": ('"""Nothing to do."""', "irreversible", []),
    "M10: return": ("return None", "irreversible", []),
    "only a warning": ('print("cannot be undone")', "irreversible", []),
    "only for another dialect": (
        'if op.get_bind().dialect.name == "mysql":\n    op.drop_table("t")',
        "irreversible",
        [],
    ),
    "M11: raises": ('raise NotImplementedError("no way back")', "irreversible", []),
    "raises in a helper": ("refuse()", "irreversible", []),
    "raises at the end": ('op.drop_column("t", "c")\nraise RuntimeError("no")', "irreversible", ["column t.c"]),
    "raises, and catches it": ('try:\n    raise ValueError\nexcept ValueError:\n    op.drop_index("ix")', "safe", []),
    "no name": ('op.drop_constraint(None, "t", type_="foreignkey")', "irreversible", []),
    "a Column for a name": ('op.drop_column("t", sa.Column("c"))', "irreversible", []),
    "M29": ('op.drop_table("alembic_version")', "irreversible", ["table alembic_version"][:0]),
    # What cannot be read.
    "made at run time": ("op.execute(build())", "unknown", []),
    "no SQL": ('op.execute("DELETE t FROM")', "unknown", []),
    "a name made at run time": ('import os\nop.drop_table(os.environ["T"])', "unknown", []),
    "a table of a loop": (
        'for row in op.get_bind().execute(sa.text("SELECT x FROM t")):\n    op.execute(f"DROP TABLE {row.x}")',
        "unknown",
        [],
    ),
    "session objects": (
        "s = orm.Session(bind=op.get_bind())\nfor row in s.query(T).all():\n    row.c = row.c + 1\ns.commit()",
        "unknown",
        [],
    ),
    "session objects, gone over": (
        "s = orm.Session(bind=op.get_bind())\nfor row in s.query(T).filter(T.c == 1):\n    print(row.c)\ns.commit()",
        "unknown",
        [],
    ),
    "session objects, listed": (
        "s = orm.Session(bind=op.get_bind())\nrows = list(s.query(T))\ns.commit()",
        "unknown",
        [],
    ),
    "session objects that are flushed by the next query": (
        "s = orm.Session(bind=op.get_bind())\nrow = s.get(T, 1)\nrow.c = 2\ns.query(T).count()",
        "unknown",
        [],
    ),
    "session objects, by setattr": (
        "s = orm.Session(bind=op.get_bind())\nsetattr(s.execute(sa.select(T)).scalar_one(), 'c', 2)",
        "unknown",
        [],
    ),
    "the session of Flask-SQLAlchemy": (
        "from web import db\ns = db.Session(bind=op.get_bind())\ns.query(T).filter(T.c == 1).delete()",
        "lossy",
        ["rows t"],
    ),
    "a session that only asks": (
        "s = orm.Session(bind=op.get_bind())\nif s.query(T).count():\n    op.drop_index('ix')\ns.close()",
        "safe",
        [],
    ),
    "what a row holds is looked up": (
        "for row in op.get_bind().execute(sa.text('SELECT * FROM t')):\n"
        "    new = {'a': 'b'}.get(row.c, None)\n"
        "    if new:\n        op.execute(sa.text('UPDATE t SET c = :new WHERE id = :id'))",
        "lossy",
        ["values t.c"],
    ),
    "what a row holds decides": (
        "for row in op.get_bind().execute(sa.text('SELECT * FROM t')):\n"
        "    if row.c is None:\n        op.execute('DELETE FROM t')\n"
        "    if isinstance(row.d, str):\n        op.execute('DELETE FROM u')",
        "lossy",
        ["rows t", "rows u"],
    ),
    "a class method": (
        "class Mend:\n    @classmethod\n    def down(cls, session, table):\n        cls.run(session, table)\n"
        "    @staticmethod\n    def run(session, table):\n        session.execute(f'DELETE FROM {table}')\n"
        "Mend.down(orm.Session(bind=op.get_bind()), 't')",
        "lossy",
        ["rows t"],
    ),
    "a static method of an object": (
        "class Mend:\n    @staticmethod\n    def run(table):\n        op.drop_table(table)\nMend().run('t')",
        "lossy",
        ["table t"],
    ),
    "a method that the class has from elsewhere": (
        "from elsewhere import Base\nclass Mend(Base):\n    pass\nMend.down(op.get_bind())\nMend().up(op.get_bind())",
        "unknown",
        [],
    ),
    "somebody else's log": ("from web.log import logger\nlogger.info('gone')\nop.drop_index('ix')", "safe", []),
    "somebody else's function": ("import elsewhere\nelsewhere.mend(op.get_bind())", "unknown", []),
    "drop_all": ("Base.metadata.drop_all(bind=op.get_bind())", "unknown", []),
    "own operations": ('op.create_everything("t")', "unknown", []),
    "a function called for each row": ('op.execute("SELECT mend(id) FROM t")', "unknown", []),
    "a function called within another": ('op.execute("SELECT coalesce(mend(1), 0)")', "unknown", []),
    "a function as a table": ('op.execute("SELECT * FROM mend()")', "unknown", []),
    "functions that only read": (
        "op.execute(\"SELECT lower(c), count(*), to_char(now(), 'YYYY') FROM t GROUP BY 1\")",
        "safe",
        [],
    ),
    "a function of SQLAlchemy's": ("op.get_bind().execute(sa.select(sa.func.mend(1)))", "unknown", []),
    "a large object": ('op.execute("SELECT lo_unlink(oid) FROM pg_largeobject_metadata")', "unknown", []),
    "the catalogue": ("op.execute(\"DELETE FROM pg_enum WHERE enumlabel = 'x'\")", "unknown", []),
    "a part of a composite type": ('op.execute("ALTER TYPE address DROP ATTRIBUTE street CASCADE")', "unknown", []),
    "one more part of a composite type": ('op.execute("ALTER TYPE address ADD ATTRIBUTE street text")', "safe", []),
    "operations of one's own context": (
        "from alembic.operations import Operations\nfrom alembic.migration import MigrationContext\n"
        "Operations(MigrationContext.configure(op.get_bind())).drop_table('t')",
        "lossy",
        ["table t"],
    ),
    "an object that is called": (
        "class Drop:\n    def __call__(self, table):\n        op.drop_table(table)\nDrop()('t')",
        "lossy",
        ["table t"],
    ),
    "a property": (
        "class Drop:\n    @property\n    def now(self):\n        op.drop_table('t')\nDrop().now",
        "lossy",
        ["table t"],
    ),
    "what is done after an error": (
        "try:\n    op.get_bind().execute(sa.text('SELECT 1'))\nexcept Exception:\n    op.drop_table('t')",
        "lossy",
        ["table t"],
    ),
    "session objects of a sessionmaker": (
        "with orm.sessionmaker(bind=op.get_bind()).begin() as s:\n    for row in s.scalars(sa.select(T)):\n        row.c = None",
        "unknown",
        [],
    ),
    "values as drivers bind them": (
        "op.get_bind().exec_driver_sql(\"DELETE FROM t WHERE a = %s AND b LIKE '%s'\", (1,))",
        "lossy",
        ["rows t"],
    ),
    "functions without parentheses": (
        'op.create_table("t", sa.Column("at", sa.DateTime, server_default=sa.func.current_timestamp()))',
        "safe",
        [],
    ),
    "operations of alembic-postgresql-enum": ('op.sync_enum_values(enum_name="e", new_values=["a"])', "safe", []),
    "a called function": ('op.execute("SELECT wipe_everything()")', "unknown", []),
    # Ways through the script.
    "dialect arms": (
        'd = op.get_bind().dialect.name\nif d == "postgresql":\n    op.drop_index("ix")\nelse:\n    op.drop_table("t")',
        "safe",
        [],
    ),
    "isinstance of a dialect": (
        "if isinstance(op.get_bind().dialect, postgresql.dialect):\n    op.drop_index('ix')\nelse:\n    op.drop_table('t')",
        "lossy",
        ["table t"],
    ),
    "offline": (
        'if context.is_offline_mode():\n    op.execute("DELETE FROM t")\n    return\nop.drop_index("ix")',
        "safe",
        [],
    ),
    "reflection": (
        'if sa.inspect(op.get_bind()).has_table("t"):\n    op.drop_table("t")',
        "lossy",
        ["table t"],
    ),
    "reflection, the other way": (
        'if "c" not in [x["name"] for x in sa.inspect(op.get_bind()).get_columns("t")]:\n    return\nop.drop_column("t", "c")',
        "lossy",
        ["column t.c"],
    ),
    "early return": ('if True:\n    return\nop.drop_table("t")', "irreversible", []),
    "loop": ('for name in ("a", "b"):\n    op.drop_column("t", name)', "lossy", ["column t.a", "column t.b"]),
    "loop over pairs": (
        'for n, (table, column) in enumerate([("t", "a"), ("u", "b")]):\n    op.drop_column(table, column)',
        "lossy",
        ["column t.a", "column u.b"],
    ),
    "zip": ('for a, b in zip(["t"], ["c"]):\n    op.drop_column(a, b)', "lossy", ["column t.c"]),
    "dict": (
        "for table, names in COLUMNS.items():\n    for name in names:\n        op.drop_column(table, name)",
        "lossy",
        ["column t.a", "column t.b"],
    ),
    "a list that perhaps grows": (
        'names = []\nif sa.inspect(op.get_bind()).has_table("t"):\n    names.append("c")\n'
        'for name in names:\n    op.drop_column("t", name)',
        "lossy",
        ["column t.c"],
    ),
    "those of a list that are there": (
        'have = {x["name"] for x in sa.inspect(op.get_bind()).get_columns("t")}\n'
        'for name in [c for c in ("a", "b") if c in have]:\n    op.drop_column("t", name)\n'
        'for name in {"c"} & have:\n    op.drop_column("t", name)',
        "lossy",
        ["column t.a", "column t.b", "column t.c"],
    ),
    "a built insert": (
        't = sa.table("t", sa.column("c"))\nop.execute(t.insert().values([{"c": 1}]))\nop.execute(sa.insert(t))',
        "safe",
        [],
    ),
    "constant and f-string": (
        'op.execute(f"DELETE FROM {TABLE}")\nop.execute("DROP TABLE " + TABLE)',
        "lossy",
        ["rows t", "table t"],
    ),
    "format": ('op.execute("DROP TABLE {}_old".format(TABLE))', "lossy", ["table t_old"]),
    "per cent": ('op.execute("DROP TABLE %s" % TABLE)', "lossy", ["table t"]),
    "a model's name": ("op.drop_table(T.__tablename__)", "lossy", ["table t"]),
    "a helper": ('drop("t", column="c")', "lossy", ["column t.c"]),
    "a local helper": ('def gone(name):\n    op.drop_column("t", name)\ngone("c")', "lossy", ["column t.c"]),
    "a helper that yields": ('with guarded(op) as o:\n    o.drop_column("t", "c")', "lossy", ["column t.c"]),
    "autocommit": (
        'with op.get_context().autocommit_block():\n    op.drop_index("ix", postgresql_concurrently=True)',
        "safe",
        [],
    ),
    "M20: cascade": ('op.execute("ALTER TABLE t DROP COLUMN c CASCADE")', "lossy", ["column t.c"]),
    "views and functions": (
        'op.execute("DROP VIEW v")\nop.execute("CREATE OR REPLACE VIEW v AS SELECT 1 AS a")\n'
        'op.execute("DROP FUNCTION f(int)")\nop.execute("REFRESH MATERIALIZED VIEW m")',
        "safe",
        [],
    ),
    "a DO block": (
        'op.execute("DO $$ BEGIN IF true THEN ALTER TABLE t DROP COLUMN c; END IF; END $$")',
        "lossy",
        ["column t.c"],
    ),
    "the upgrade again": ("upgrade()", "safe", []),
    "entities": ("op.drop_entity(view)\nop.replace_entity(view)", "safe", []),
}

ABOVE = """
TABLE = "t"
COLUMNS = {"t": ["a"]}
COLUMNS["t"].append("b")

from contextlib import contextmanager
from sqlalchemy.orm import declarative_base

Base = declarative_base()

class T(Base):
    __tablename__ = "t"
    c = sa.Column(sa.Integer)

def drop(table, *, column):
    op.drop_column(table, column)

def refuse():
    raise RuntimeError("no way back")

@contextmanager
def guarded(op):
    if op.get_bind().dialect.name == "sqlite":
        op.execute("PRAGMA foreign_keys=off")
    yield op
"""


@pytest.mark.parametrize(("down", "risk", "lost"), BODIES.values(), ids=BODIES)
def test_the_risk_and_the_loss_of_a_body(down, risk, lost):
    step = judged(down, above=ABOVE)
    assert (step.risk, losses(step)) == (risk, words(*lost)), [done.reason for done in step.operations]
    assert all(done.reason.endswith(".") and "‽" not in done.reason for done in step.operations)


def test_a_step_says_of_what_it_is():
    step = judged('\nop.drop_column("t", "c")')
    assert (step.revision, step.down_to, step.path) == ("r2", ("r1",), "versions/r2.py")
    (done,) = step.operations
    assert (done.kind, done.table, done.lock) == ("drop_column", "t", "ACCESS EXCLUSIVE")
    assert done.losses[0].revision == "r2"
    assert step.reasons == ("Drops column c of t and the values in it.",)


def test_lines_are_those_of_the_source_also_within_a_text():
    step = judged('op.drop_index("ix")\nop.execute("""\n    UPDATE t SET a = 1;\n    DELETE FROM u\n""")', up="pass")
    first = step.operations[0].line
    assert [done.line - first for done in step.operations] == [0, 2, 3]


@pytest.mark.parametrize("down", ["pass", 'if op.get_bind().dialect.name == "mysql":\n    op.drop_table("t")'])
def test_nothing_to_undo_is_safe(down):
    step = judged(down, up='if op.get_bind().dialect.name == "mysql":\n    op.create_table("t")')
    assert (step.risk, step.operations) == ("safe", ())


def test_types_that_the_upgrade_tells_need_not_be_said_again():
    up = 'op.alter_column("t", "c", type_=sa.Text())\nop.add_column("t", sa.Column("d", sa.String(5)))'
    assert losses(judged('op.alter_column("t", "c", type_=sa.String(9))', up)) == words("values t.c")
    assert judged('op.alter_column("t", "d", type_=sa.String(9))', up).risk == "safe"


FAMILY = """
op.create_table("parents", sa.Column("id", sa.Integer, primary_key=True))
op.create_table(
    "children",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("parent", sa.Integer),
    sa.ForeignKeyConstraint(["parent"], ["parents.id"], ondelete="CASCADE"),
)
op.create_table("toys", sa.Column("owner", sa.Integer, sa.ForeignKey("children.id", ondelete="SET NULL")))
op.create_table("notes")
op.create_foreign_key("fk_notes", "notes", "parents", ["of"], ["id"], ondelete="CASCADE")
op.create_table("plain", sa.Column("of", sa.Integer, sa.ForeignKey("parents.id")))
"""


@pytest.mark.parametrize(
    ("down", "lost"),
    [
        (
            'op.execute("DELETE FROM parents WHERE id = 1")',
            ["rows parents", "rows children", "rows notes", "values toys.owner"],
        ),
        (
            'op.drop_constraint("fk_notes", "notes")\nop.execute("DELETE FROM parents")',
            ["rows parents", "rows children", "values toys.owner"],
        ),
        (
            'op.drop_constraint("children_parent_fkey", "children")\nop.execute("DELETE FROM parents")',
            ["rows parents", "rows notes"],
        ),
        ('op.rename_table("children", "kids")\nop.execute("DELETE FROM kids")', ["rows children", "values toys.owner"]),
        (
            'op.drop_table("notes")\nop.drop_column("children", "parent")\nop.execute("DELETE FROM parents")',
            ["table notes", "column children.parent", "rows parents"],
        ),
        # What was copied is not lost; what goes with it is.
        (
            'op.execute("CREATE TABLE kept AS SELECT * FROM parents")\nop.execute("DELETE FROM parents")',
            ["rows children", "rows notes", "values toys.owner"],
        ),
    ],
)
def test_what_goes_with_deleted_rows(down, lost):
    assert losses(judged(down, FAMILY)) == words(*lost)


def test_a_table_copied_into_one_that_lacks_a_column_is_lost():
    up = 'op.create_table("t", sa.Column("a", sa.Text), sa.Column("b", sa.Text))'
    copied = 'op.create_table("new")\nop.execute("INSERT INTO new (a{0}) SELECT a{0} FROM t")\nop.drop_table("t")'
    assert losses(judged(copied.format(", b"), up)) == set()
    assert losses(judged(copied.format(""), up)) == words("table t")


def test_types_are_known_from_the_whole_history():
    first = HEAD.replace('"r2"', '"r1"').replace('down_revision = "r1"', "down_revision = None")
    before = (
        first
        + body("upgrade", 'op.create_table("t", sa.Column("c", sa.String(5)))')
        + body("downgrade", 'op.drop_table("t")')
    )
    text = (
        HEAD
        + body("upgrade", "op.alter_column('t', 'c', type_=sa.String(9))")
        + body("downgrade", "op.alter_column('t', 'c', type_=sa.String({}))")
    )
    for length, expected in ((9, "safe"), (12, "safe"), (5, "lossy")):
        tree = Tree({"v/b.py": before, "v/a.py": text.format(length)}, ("v/a.py", "v/b.py"))
        (step,) = [risk.judge(script, tree) for script in scripts.parse(tree) if script.revision == "r2"]
        assert step.risk == expected


def test_a_refusal_on_data_is_told_and_the_rest_judged():
    down = """
        rows = op.get_bind().execute(sa.text("SELECT 1")).fetchall()
        if rows:
            raise RuntimeError(f"{len(rows)} rows are in the way")
        op.drop_column("t", "c")
    """
    step = judged(down)
    assert step.risk == "lossy"
    assert [done.kind for done in step.operations] == ["execute", "refuses", "drop_column"]
    assert "… rows are in the way" in step.operations[1].reason


HELPERS = {
    "app/__init__.py": "",
    "app/migrations/__init__.py": "",
    "app/migrations/utils.py": "from alembic import op\nfrom .more import PREFIX\n\n"
    "def drop_columns(table, *names):\n    for name in names:\n        op.drop_column(PREFIX + table, name)\n",
    "app/migrations/more.py": "PREFIX = 'my_'\n",
    "app/models.py": "from app.types import Json\nfrom sqlalchemy.orm import DeclarativeBase\n\n"
    "class Base(DeclarativeBase):\n    pass\n\n"
    "class User(Base):\n    __tablename__ = 'users'\n    __table_args__ = {'schema': 'crm'}\n",
    "app/types.py": "import sqlalchemy as sa\n\n"
    "class Json(sa.types.TypeDecorator):\n    impl = sa.Text\n\n"
    "def Key(length=10):\n    return sa.String(length=length)\n",
}


@pytest.mark.parametrize(
    ("above", "down", "lost"),
    [
        ("from app.migrations.utils import drop_columns", 'drop_columns("t", "a")', ["column my_t.a"]),
        ("from app.migrations import utils as u", 'u.drop_columns("t", "a")', ["column my_t.a"]),
        ("import app.migrations.utils", 'app.migrations.utils.drop_columns("t", "a")', ["column my_t.a"]),
        ("from app.models import User", "User.__table__.drop(op.get_bind())", ["table crm.users"]),
        ("from app.models import User", "op.execute(sa.delete(User).where(User.id == 1))", ["rows crm.users"]),
        ("from app.types import Json", 'op.alter_column("t", "c", existing_type=sa.String(5), type_=Json())', []),
        (
            "from app.types import Key",
            'op.alter_column("t", "c", existing_type=sa.String(20), type_=Key())',
            ["values t.c"],
        ),
    ],
)
def test_helpers_of_the_project_are_followed_and_never_run(above, down, lost):
    assert losses(judged(down, above=above, helpers=HELPERS)) == words(*lost)


@pytest.mark.parametrize(
    "down",
    [
        "for a in range(1000):\n    for b in range(1000):\n        c = a",
        "x = [a for a in range(1000) for b in range(1000)]",
    ],
    ids=["loop", "comprehension"],
)
def test_a_script_that_does_too_much_is_not_followed_for_ever(down):
    step = judged(f'op.drop_table("t")\n{down}\nop.drop_table("u")', up="pass")
    assert step.risk == "unknown"
    assert ("table", "t", "") in losses(step)


def test_helpers_that_walk_through_data_by_calling_themselves_say_nothing():
    above = """
        def strip(x):
            if isinstance(x, dict):
                return {key: strip(value) for key, value in x.items()}
            return [strip(item) for item in x] if isinstance(x, list) else x

        def again():
            again()
    """
    down = """
        again()
        for row in op.get_bind().execute(sa.text("SELECT id, data FROM t")):
            strip(row.data)
        op.drop_column("t", "c")
    """
    assert (judged(down, above=above).risk, losses(judged(down, above=above))) == ("lossy", words("column t.c"))


def test_no_downgrade_at_all():
    tree = Tree({"v/r.py": "revision = 'r'\ndown_revision = None\ndef upgrade():\n    pass\n"}, ("v/r.py",))
    (script,) = scripts.parse(tree)
    assert risk.judge(script, tree).risk == "irreversible"


@pytest.mark.parametrize(
    ("down", "kinds"),
    [
        ('op.execute("COMMIT")', ["execute"]),
        ("op.get_bind().commit()", ["commit"]),
        ('with op.get_context().autocommit_block():\n    op.execute("VACUUM t")', ["autocommit_block", "execute"]),
        ("op.execute(\"ALTER TYPE e ADD VALUE 'x'\")", ["execute"]),
    ],
)
def test_what_does_not_stay_within_the_transaction_is_said(down, kinds):
    step = judged(down)
    assert [done.kind for done in step.operations if not done.transactional] == kinds


def test_m13_concurrently_outside_an_autocommit_block():
    (done,) = judged('op.create_index("ix", "t", ["c"], postgresql_concurrently=True)').operations
    assert not done.transactional
    assert "no autocommit block" in done.reason

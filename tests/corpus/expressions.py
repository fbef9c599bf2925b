"""Kinds of expressions, and the places that hold one. Every expression is put into every place that can take it.

PostgreSQL rewrites many of them when they are stored, and again when a dump of them is read: `name IN ('a', 'b')` over a
varchar column is the classic one. In an expression `$name` is a column; each place says how it reaches that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

PREPARE = """
GRANT CREATE ON SCHEMA public TO app_owner;
SET ROLE app_owner;
CREATE TYPE public.mood AS ENUM ('low', 'it''s fine', 'high');
CREATE TYPE public.pair AS (a integer, b text);
CREATE FUNCTION public.is_even(integer) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 % 2 = 0';
CREATE FUNCTION public.joined(a text, b text DEFAULT 'x', VARIADIC rest text[] DEFAULT '{}') RETURNS text
  LANGUAGE sql IMMUTABLE AS 'SELECT a || b';
CREATE FUNCTION public.shown(a text, b text DEFAULT 'x', c text DEFAULT 'y') RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT a || b || c';
CREATE TABLE public.other (id integer PRIMARY KEY, word varchar(40));
"""
COLUMNS = """
id integer, n integer, small smallint, big bigint, amount numeric(10,2), ratio double precision, name varchar(40), code char(3),
note text, born date, at timestamptz, local timestamp, clock time, lasts interval, tags text[], words varchar(20)[], numbers integer[],
data jsonb, old json, flag boolean, ip inet, span int4range, spans int4multirange, feeling public.mood, both_ public.pair, bits bit(4),
raw bytea, place point, document tsvector
"""
# Where there is no row, a constant of the column's type stands for it.
CONSTANTS = {
    "n": "4", "small": "2::smallint", "big": "5::bigint", "amount": "1.50::numeric(10,2)", "ratio": "0.1::float8",
    "name": "'a'::varchar(40)", "code": "'a'::char(3)", "note": "'some'::text", "born": "'2020-02-29'::date",
    "at": "'2020-02-29 10:00+03'::timestamptz", "local": "'2020-02-29 10:00'::timestamp", "clock": "'10:00'::time",
    "lasts": "'1 day'::interval", "tags": "'{a,b}'::text[]", "words": "'{a,b}'::varchar(20)[]", "numbers": "'{1,2}'::int[]",
    "data": """'{"a": [1]}'::jsonb""", "old": """'{"a": 1}'::json""", "flag": "true", "ip": "'10.0.0.1'::inet",
    "span": "'[1,5)'::int4range", "spans": "'{[1,5)}'::int4multirange", "feeling": "'low'::public.mood",
    "both_": "'(1,x)'::public.pair", "bits": "B'1010'", "raw": r"'\x00ff'::bytea", "place": "'(1,2)'::point",
    "document": "'a:1 b:2'::tsvector",
}  # fmt: skip


@dataclass(frozen=True)
class Expression:
    """A boolean of SQL. `stable` ones depend on settings, and `query` ones read a table: fewer places take them."""

    name: str
    text: str
    stable: bool = False
    query: bool = False
    unfiltered: bool = False  # more than a filter of a publication takes


EXPRESSIONS = [
    Expression("in over varchar", "$name IN ('a', 'b', 'it''s')", unfiltered=True),
    Expression("not in over varchar", "$name NOT IN ('a', 'b')", unfiltered=True),
    Expression("in over char", "$code IN ('a', 'bb')"),
    Expression("in over text", "$note IN ('a', 'b')"),
    Expression("in over integers", "$n IN (1, 2, 3) AND $small IN (1, 2) AND $big NOT IN (1, 2)"),
    Expression("in of one", "$name IN ('a')"),
    Expression("in over mixed", "$n IN (1, $id)"),
    Expression("in over enum", "$feeling IN ('low', 'high')", unfiltered=True),
    Expression("in over dates", "$born IN ('2020-01-01', '2020-02-29')"),
    Expression("between", "$n BETWEEN 1 AND 10"),
    Expression("not between", "$amount NOT BETWEEN 0.5 AND 10"),
    Expression("between symmetric", "$n BETWEEN SYMMETRIC 10 AND 1"),
    Expression("like", "$name LIKE 'a%' AND $note NOT LIKE '%\\_x'"),
    Expression("ilike", "$name ILIKE 'A%' OR $note NOT ILIKE 'b_'"),
    Expression("like with escape", "$note LIKE '50!%' ESCAPE '!'"),
    Expression("similar to", "$note SIMILAR TO '(a|b)%'"),
    Expression("regex", "$name ~ '^[a-z]+$' AND $note !~* 'x\\d'"),
    Expression("backslashes", "$note <> E'a\\\\b\\n''c'"),
    Expression("is distinct", "$n IS DISTINCT FROM 3 AND $name IS NOT DISTINCT FROM 'a'"),
    Expression("is null", "$n IS NULL OR $name IS NOT NULL"),
    Expression("row is null", "$both_ IS NOT NULL AND ROW($n, $name) IS NOT NULL", unfiltered=True),
    Expression("is true", "$flag IS TRUE OR $flag IS NOT FALSE OR ($n > 1) IS UNKNOWN"),
    Expression("case", "CASE WHEN $n > 1 THEN $flag WHEN $n < 0 THEN false ELSE $name = 'x' END"),
    Expression("case of a value", "CASE $name WHEN 'a' THEN true WHEN 'b' THEN false END"),
    Expression("coalesce", "COALESCE($name, 'none') <> '' AND COALESCE($n, 0) >= 0"),
    Expression("nullif", "NULLIF($name, '') IS NOT NULL AND NULLIF($n, 0) > 1"),
    Expression("greatest", "GREATEST($n, $small, 3) > LEAST($big, 100)"),
    Expression("casts explicit", "$n::text = '1' AND CAST($note AS varchar(3)) = 'abc' AND $amount::integer > 1", unfiltered=True),
    Expression("casts implicit", "$name = 'a' AND $n > 1.5 AND $small < $big AND $ratio > 1 AND $code = 'x'"),
    Expression("casts of a cast", "($name::text)::varchar(10) = 'x' AND $amount::numeric(5,1)::text <> '0'", unfiltered=True),
    Expression("cast to a domainless type mod", "$local::timestamp(0) > '2020-01-01'::timestamp(3)"),
    Expression("any array", "$n = ANY (ARRAY[1, 2]) AND $name = ANY (ARRAY['a', 'b'])"),
    Expression("any of casted array", "$name::text = ANY (ARRAY['a'::varchar, 'b'::varchar]::text[])"),
    Expression("any array literal", "$name = ANY ('{a,b}'::text[])"),
    Expression("all array", "$n <> ALL (ARRAY[1, 2]) AND $name <> ALL (ARRAY['a'])"),
    Expression("any column", "'a' = ANY ($tags) AND 'a' = ANY ($words) AND 1 <= ALL ($numbers)", unfiltered=True),
    Expression("array subscripts", "$tags[1] = 'a' AND $numbers[1:2] = ARRAY[1, 2] AND array_length($tags, 1) > 0", unfiltered=True),
    Expression("array operators", "$tags @> ARRAY['a'] AND $words && ARRAY['b']::varchar[] AND $numbers || 1 <> '{}'"),
    Expression("empty array", "$tags <> '{}' AND $numbers <> ARRAY[]::integer[] AND cardinality($tags) > 0"),
    Expression("row comparison", "($n, $name) > (1, 'a') AND ($n, $big) = (1, 2)"),
    Expression("row in", "($n, $name) IN ((1, 'a'), (2, 'b'))"),
    Expression("composite field", "($both_).a > 1 AND $both_ <> ROW(1, 'x')::public.pair", unfiltered=True),
    Expression("date and interval", "$born + 7 > '2020-01-01' AND $born + interval '1 day' > '2020-01-01' AND $born - $born < 3"),
    Expression("interval units", "$lasts > interval '1-2' AND $lasts < interval '3 4:05:06' AND $lasts <> interval '1' month"),
    Expression("interval arithmetic", "$lasts * 2 > '1 day' AND $local - $local < '36:00' AND $clock + $lasts > '01:00'"),
    Expression("timestamptz arithmetic", "$at + interval '1 month' > '2020-01-01 00:00+00' AND $at > $local", stable=True),
    Expression("at time zone", "$at AT TIME ZONE 'UTC' > '2020-01-01' AND $local AT TIME ZONE 'Europe/Istanbul' < 'infinity'"),
    Expression("extract", "EXTRACT(year FROM $born) > 2000 AND date_part('dow', $local) < 6"),
    Expression("overlaps", "($born, $born) OVERLAPS ($born, $born)", stable=True),
    Expression("now", "$at < now() AND $born <= CURRENT_DATE AND $local < LOCALTIMESTAMP(0)", stable=True),
    Expression("current user", "$name = CURRENT_USER OR $note = current_setting('app.tenant', true)", stable=True),
    Expression("jsonb operators", "$data ? 'a' AND $data ->> 'b' = 'c' AND $data #>> '{a,0}' <> '1' AND $data @> '{\"a\": 1}'"),
    Expression("jsonb keys", "$data ?| ARRAY['a', 'b'] AND $data ?& '{a,b}' AND ($data - 'a') <> '{}'"),
    Expression("jsonb path", "$data @? '$.a[*] ? (@ > 2)' AND ($data -> 'n')::integer > 1 AND $data['a'] IS NOT NULL", unfiltered=True),
    Expression("json", "$old ->> 'a' = 'b' AND json_typeof($old) = 'object'"),
    Expression("and or nested", "($n > 1 AND ($n < 5 OR $big > 7)) OR (($flag OR $n = 0) AND NOT ($big = 1 AND $small = 2))"),
    Expression("and of many", "(($n > 1 AND $n < 9) AND ($n <> 5 AND $n <> 6)) AND $flag"),
    Expression("not", "NOT $flag AND NOT ($n = 1) AND NOT $name IN ('a') AND NOT (NOT $flag)"),
    Expression("boolean constants", "$flag = true AND $flag <> 'f' AND true"),
    Expression("arithmetic", "-$n + 2 * ($n - 1) % 3 > +1 AND $amount / 2 < 10 ^ 2 AND |/ $ratio > @ $ratio AND - (-1) = 1"),
    Expression("bits", "$n & 3 = 1 AND $n | 4 > 0 AND ~ $n < 0 AND $n << 1 > 0 AND $bits & B'1000' = X'8' AND $n # 1 <> 0"),
    Expression("numbers", "$ratio > 1e-07 AND $ratio < 'infinity' AND $amount <> 'NaN' AND $big < 9223372036854775807 AND $n > -2147483648"),
    Expression("strings", "$note || 'x' <> '' AND length($name) > 1 AND upper($note) = 'A' AND $name || $note <> $code || 1", unfiltered=True),
    Expression("functions in words", "substring($note FROM 2 FOR 3) = 'b' AND position('a' IN $note) > 0 AND trim(BOTH 'x' FROM $note) <> ''"),
    Expression("more functions in words", "overlay($note PLACING 'x' FROM 1) <> '' AND $note COLLATE \"C\" > 'a' AND $note IS NFC NORMALIZED"),
    Expression("collate", "$name COLLATE \"C\" < 'b' AND lower($note COLLATE \"POSIX\") = 'x'"),
    Expression("functions qualified", "pg_catalog.length($note) > 1 AND public.is_even($n) AND OPERATOR(pg_catalog.-) 1 < 0", unfiltered=True),
    Expression("operator qualified", "$n OPERATOR(pg_catalog.+) 1 > 2 AND $note OPERATOR(pg_catalog.~~) 'a%'"),
    Expression("named arguments", "public.shown(c => 'y', a => $note) <> '' AND public.shown($note, c => 'z') <> 'x'", unfiltered=True),
    Expression("variadic", "public.joined($note, 'a', 'b', 'c') <> '' AND public.joined($note, 'a', VARIADIC $tags) <> ''", unfiltered=True),
    Expression("make functions", "make_date($n, 1, 1) > '2020-01-01' AND make_interval(days => $n) > '1 day'", unfiltered=True),
    Expression("ranges", "$span && int4range(1, 5) AND $n <@ $span AND lower($span) > 1 AND $spans @> 3 AND $span <> 'empty'"),
    Expression("network", "$ip << '10.0.0.0/8' AND host($ip) <> '' AND family($ip) = 4"),
    Expression("bytes", "$raw <> '\\x00' AND length($raw) < 3 AND get_byte($raw, 0) = 1"),
    Expression("geometry", "$place <@ box '((0,0),(1,1))' AND ($place)[0] > 1", unfiltered=True),
    Expression("full text", "$document @@ to_tsquery('simple', 'a & b') AND $document @@ 'a'::tsquery"),
    Expression("enum order", "$feeling > 'low' AND $feeling = 'it''s fine'::public.mood", unfiltered=True),
    Expression("md5 and encode", "md5($note) <> 'x' AND encode($raw, 'hex') <> '' AND format('%s', $note) <> ''", stable=True),
    Expression("exists", "EXISTS (SELECT FROM public.other o WHERE o.id = $n)", query=True),
    Expression("in a subquery", "$n IN (SELECT o.id FROM public.other o WHERE o.word IN ('a', 'b')) AND $n NOT IN (SELECT 1)", query=True),
    Expression("scalar subquery", "(SELECT max(o.id) FROM public.other o) > $n AND $n = ANY (SELECT id FROM public.other)", query=True),
    Expression("array subquery", "$n = ANY (ARRAY(SELECT o.id FROM public.other o ORDER BY o.id)) AND ($n, $name) = (SELECT 1, 'a')", query=True),
]  # fmt: skip

# How a place reaches a column: alone, through NEW, as a field of the domain's value, or not at all.
_BARE, _NEW, _VALUE, _ARGUMENT, _CONSTANT = "{0}", "NEW.{0}", "(VALUE).{0}", "(r).{0}", "constant"


@dataclass(frozen=True)
class Place:
    name: str
    statement: str
    column: str = _BARE
    stable: bool = False  # takes expressions that depend on settings
    query: bool = False  # takes expressions that read a table
    filters: bool = False


PLACES = [
    Place("check", "ALTER TABLE t ADD CONSTRAINT holds CHECK ({0})", stable=True),
    Place("domain", "CREATE DOMAIN d AS t CHECK ({0})", _VALUE, stable=True),
    Place("default", "ALTER TABLE t ADD by_default boolean DEFAULT ({0})", _CONSTANT, stable=True),
    Place("generated column", "CREATE TABLE generated (LIKE t, made boolean GENERATED ALWAYS AS ({0}) STORED)"),
    Place("partial index", "CREATE INDEX partial ON t (id) WHERE {0}"),
    Place("expression index", "CREATE INDEX expression ON t (({0}), id)"),
    Place("exclusion constraint", "ALTER TABLE t ADD CONSTRAINT apart EXCLUDE USING gist (span WITH &&) WHERE ({0})"),
    Place("statistics", "CREATE STATISTICS s ON id, ({0}) FROM t"),
    Place("partition key", "CREATE TABLE parted (LIKE t) PARTITION BY LIST (({0}))"),
    Place("view", "CREATE VIEW v AS SELECT t.id, {0} AS holds FROM t WHERE {0}", "t.{0}", stable=True, query=True),
    Place("materialized view", "CREATE MATERIALIZED VIEW m AS SELECT t.id, {0} AS holds FROM t WHERE {0}", "t.{0}", stable=True, query=True),
    Place("policy", "CREATE POLICY p ON t USING ({0}) WITH CHECK ({0})", "t.{0}", stable=True, query=True),
    Place("trigger", "CREATE TRIGGER w BEFORE UPDATE ON t FOR EACH ROW WHEN ({0}) EXECUTE FUNCTION suppress_redundant_updates_trigger()", _NEW, stable=True),
    Place("rule", "CREATE RULE r AS ON UPDATE TO t WHERE {0} DO ALSO INSERT INTO log VALUES (NEW.id, {0})", _NEW, stable=True, query=True),
    Place("function body", "CREATE FUNCTION f(r t) RETURNS boolean BEGIN ATOMIC SELECT {0}; END", _ARGUMENT, stable=True, query=True),
    Place("publication", 'CREATE PUBLICATION "{schema}" FOR TABLE t (id, n) WHERE ({0}) WITH (publish = \'insert\')', filters=True),
]  # fmt: skip


def kinds() -> Iterator[tuple[str, str]]:
    """A schema per expression, with everything that can hold it; yields its name and its statements."""
    for expression in EXPRESSIONS:
        statements = [f"CREATE TABLE t ({COLUMNS}); CREATE TABLE log (id integer, held boolean)"]
        for place in PLACES:
            if takes(place, expression):
                statements.append(place.statement.format(_inside(place, expression.text), schema=expression.name))
        yield expression.name, ";\n".join(statements)


def count() -> int:
    """How many pairs of expression and place there are."""
    return sum(takes(place, expression) for place in PLACES for expression in EXPRESSIONS)


def takes(place: Place, expression: Expression) -> bool:
    return (
        (place.stable or not expression.stable)
        and (place.query or not expression.query)
        and not (place.filters and expression.unfiltered)
    )


def _inside(place: Place, text: str) -> str:
    def column(found: re.Match[str]) -> str:
        return f"({CONSTANTS.get(found[1], '1')})" if place.column == _CONSTANT else place.column.format(found[1])

    return re.sub(r"\$([a-z]\w*)", column, text)

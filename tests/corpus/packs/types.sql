-- Every built-in type, with the values at its edges.
-- kind: numbers
CREATE TABLE t (a smallint, b integer, c bigint, d numeric, e numeric(10,2), f real, g double precision, h money, i boolean, j oid);
INSERT INTO t VALUES (-32768, -2147483648, -9223372036854775808, 'NaN', -99999999.99, 1e-07, 1e-07, '-92233720368547758.08', NULL, 4294967295),
  (32767, 2147483647, 9223372036854775807, 'Infinity', 0.00, 'infinity', 'NaN', '12.34', false, 0),
  (0, 0, 0, 1e-100, 1.10, '-infinity', 4.9e-324, NULL, true, 1), (1, 1, 1, -1e100, NULL, 3.4e38, 1.7976931348623157e308, '0', true, 1),
  (1, 1, 1, '0.10000000000000000000000000001', 1, 0.1, 0.1 + 0.2, '0', true, 1), (NULL, NULL, NULL, -0.0, NULL, '-0', '-0', NULL, NULL, NULL);
-- kind: numeric scales
CREATE TABLE t (a numeric(3,-2), b numeric(3,5), c numeric(1000,500));
INSERT INTO t VALUES (12345, 0.00123, 1.5);
-- kind: strings
CREATE TABLE t (a text, b varchar, c varchar(5), d char, e char(5), f name, g "char", h bytea);
INSERT INTO t VALUES ('', '', '', '', '', '', '', ''), (E'\\.', E'\\N', E'\t\n', E'\\', 'ab', 'n', 'x', '\x00ff5c2e0a'),
  (E'line\r\n\b\f\v', repeat('ş', 20000), 'ığüşç', '€', '😀', repeat('n', 63), E'\\377', decode(repeat('00', 3000), 'hex')), (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
-- kind: dates
CREATE TABLE t (a date, b timestamp, c timestamptz, d time, e timetz, f timestamp(0), g timestamptz(3), h time(2));
INSERT INTO t VALUES ('infinity', 'infinity', '-infinity', '24:00', '24:00+15:59', '2000-01-01', '2000-01-01 00:00:00.123456Z', '00:00:00.567'),
  ('4713-01-01 BC', '4713-01-01 BC', '0001-01-01 BC', '00:00', '00:00-12', 'epoch', 'epoch', '1:00'),
  ('5874897-12-31', '294276-12-31 23:59:59.999999', '294276-12-31 23:59:59.999999Z', '23:59:59.999999', '10:00+05:30', NULL, NULL, NULL);
-- kind: intervals
CREATE TABLE t (a interval, b interval year to month, c interval day to second(2), d interval hour);
INSERT INTO t VALUES ('-1 year 2 mons -3 days 04:05:06.789', '1-2', '3 4:05:06.789', '5 hours'), ('178000000 years', '0', '-0.01 sec', '1 day'), ('1 mon -1 day -00:00:00.000001', NULL, NULL, NULL);
-- kind: json
CREATE TABLE t (a json, b jsonb, c jsonpath);
INSERT INTO t VALUES ('{"b": 1,  "a": [1e400, "\u00e9", null], "b": 2}', '{"b": 1e-100, "a": ["\\", "\n", {}], "b": 2}', '$.a[*] ? (@.b > 2 && @ like_regex "^x")'), ('null', 'null', 'strict $'), ('""', '[]', NULL);
-- kind: xml [15]
CREATE TABLE t (a xml, d xml DEFAULT xmlelement(name x, xmlattributes(1 AS y), 'z'));
INSERT INTO t VALUES ('<?xml version="1.0"?><a b="c">&amp;</a>'), ('content only <b/>'), ('<!DOCTYPE a [<!ELEMENT a ANY>]><a/>');
CREATE VIEW v AS SELECT xmlforest(1 AS a), xmlserialize(CONTENT a AS text), a IS DOCUMENT AS doc FROM t;
CREATE VIEW tabular AS SELECT x.* FROM t, XMLTABLE('/a' PASSING a COLUMNS b text PATH '@b' DEFAULT 'x', n FOR ORDINALITY) x;
-- kind: bits
CREATE TABLE t (a bit, b bit(9), c bit varying, d varbit(5));
INSERT INTO t VALUES (B'1', B'101010101', '', B'10'), (B'0', B'000000000', repeat('10', 500)::varbit, NULL);
-- kind: network
CREATE TABLE t (a inet, b cidr, c macaddr, d macaddr8);
INSERT INTO t VALUES ('10.0.0.1/8', '10.0.0.0/8', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05'), ('::ffff:1.2.3.4/128', '2001:db8::/32', NULL, NULL);
-- kind: geometry
CREATE TABLE t (a point, b line, c lseg, d box, e path, f polygon, g circle);
INSERT INTO t VALUES ('(1e-07,Infinity)', '{1,-1,0.1}', '[(0,0),(1,1)]', '(1,1),(0,0)', '[(0,0),(1,1)]', '((0,0),(1,1),(2,0))', '<(0,0),1>'), ('(NaN,-0)', NULL, NULL, NULL, '((0,0))', NULL, NULL);
-- kind: ranges
CREATE TABLE t (a int4range, b int8range, c numrange, d daterange, e tsrange, f tstzrange);
INSERT INTO t VALUES ('empty', '(,)', '(0.1,NaN]', '[2020-01-01,infinity]', '["2020-01-01 00:00",)', '(-infinity,2020-01-01 00:00Z]'), ('[1,1]', '[,5)', '[1,)', NULL, 'empty', NULL);
-- kind: multiranges
CREATE TABLE t (a int4multirange, b nummultirange, c datemultirange, d tstzmultirange, e int4multirange[]);
INSERT INTO t VALUES ('{}', '{[1,2),(3,)}', '{[2020-01-01,2020-02-01)}', '{}', '{"{[1,2)}","{}"}'), ('{[1,3),[7,9)}', NULL, NULL, NULL, '{}');
-- kind: text search types
CREATE TABLE t (a tsvector, b tsquery);
INSERT INTO t VALUES ('''it''''s'':1A,2B fat:3 ''a b'':16383', '''fat'' & ( ''rat'':AB | !''cat'':* ) <-> ''x'' <2> ''y'''), ('', '');
-- kind: identifiers
CREATE TABLE t (a uuid, b pg_lsn, c pg_snapshot, d txid_snapshot, e xid, f xid8, g cid, h tid);
INSERT INTO t VALUES ('00000000-0000-0000-0000-000000000000', 'FFFFFFFF/FFFFFFFF', '10:20:10,14', '10:20:', '42', '99999999999', '1', '(1,2)'), (gen_random_uuid(), '0/0', NULL, NULL, NULL, NULL, NULL, NULL);
-- kind: references to the catalogue
CREATE TABLE t (a regclass, b regproc, c regprocedure, d regtype, e regrole, f regnamespace, g regconfig, h regdictionary, i regoper, j regoperator, k regcollation);
INSERT INTO t VALUES ('pg_class', 'pg_catalog.now', 'length(text)', 'integer[]', 'app_owner', 'pg_catalog', 'simple', 'simple', 'pg_catalog.||/', '+(integer,integer)', '"C"');
-- kind: references to own things
CREATE TABLE aim (id integer);
CREATE TABLE t (a regclass DEFAULT 'aim'::regclass, b regtype DEFAULT 'aim'::regtype);
CREATE VIEW v AS SELECT 'aim'::regclass AS c;
-- kind: arrays
CREATE TABLE t (a integer[], b text[], c integer[3][2], d numeric[], e timestamptz[], f bytea[], g jsonb[]);
INSERT INTO t VALUES ('{}', '{}', '{{1,2},{3,4}}', '{NaN,1.10,NULL}', '{infinity,"2020-01-01 00:00+03"}', ARRAY['\x00'::bytea], ARRAY['{"a":"b,c"}'::jsonb]),
  ('[0:2]={1,2,3}', ARRAY['', NULL, 'NULL', '"', '\', ',', '{}', ' '], NULL, NULL, NULL, NULL, NULL);
-- kind: composites
CREATE TYPE inner_type AS (a integer, "B c" text COLLATE "C", c numeric(5,2)[]);
CREATE TYPE outer_type AS (i inner_type, l inner_type[]);
CREATE TABLE t (a outer_type, b inner_type[]);
INSERT INTO t VALUES (ROW(ROW(1, 'x,"y', '{1.10}'), ARRAY[ROW(NULL, '', '{}')::inner_type]), '{}'), (ROW(NULL, NULL), NULL);
ALTER TYPE inner_type ADD ATTRIBUTE late boolean;
ALTER TYPE inner_type DROP ATTRIBUTE a;
-- kind: composite of a table
CREATE TABLE made (id integer, label text);
CREATE TABLE t (r made, rs made[]);
INSERT INTO t VALUES (ROW(1, 'x'), ARRAY[ROW(2, NULL)::made]);
-- kind: typed tables
CREATE TYPE shape AS (id integer, name text);
CREATE TABLE t OF shape (id PRIMARY KEY, name DEFAULT 'x' NOT NULL);
INSERT INTO t VALUES (1);
-- kind: domains
CREATE DOMAIN plain AS integer;
CREATE DOMAIN full_ AS varchar(20) COLLATE "C" DEFAULT 'x' NOT NULL CONSTRAINT short CHECK (length(VALUE) < 10) CHECK (VALUE IN ('x', 'y', 'zz'));
CREATE DOMAIN list AS integer[] CHECK (array_length(VALUE, 1) < 4);
CREATE DOMAIN over_domain AS full_ CHECK (VALUE <> 'q');
CREATE DOMAIN unchecked AS integer;
ALTER DOMAIN unchecked ADD CONSTRAINT later CHECK (VALUE > 0) NOT VALID;
CREATE TABLE t (a plain, b full_, c list, d over_domain, e list[], f unchecked);
INSERT INTO t VALUES (1, 'x', '{1,2}', 'y', ARRAY['{1}'::list], 1), (NULL, 'y', NULL, 'zz', '{}', 2);
-- kind: domain over a composite
CREATE TYPE pair AS (lo integer, hi integer);
CREATE DOMAIN ordered AS pair CHECK ((VALUE).lo <= (VALUE).hi);
CREATE TABLE t (a ordered);
INSERT INTO t VALUES ((1, 2)), (NULL);
-- kind: enums
CREATE TYPE e AS ENUM ('a', 'c', '', 'with ''quote''', 'très bien');
ALTER TYPE e ADD VALUE 'b' BEFORE 'c';
CREATE TYPE never AS ENUM ();
;;
CREATE TABLE t (a e, b e[] DEFAULT '{a,b}', c e DEFAULT 'c');
;;
INSERT INTO t VALUES ('b', '{"",c}', 'with ''quote'''), (NULL, NULL, 'très bien');
CREATE INDEX ON t (a) WHERE a > 'a';
-- kind: range types
CREATE FUNCTION gap(double precision, double precision) RETURNS double precision LANGUAGE sql IMMUTABLE AS 'SELECT $1 - $2';
CREATE TYPE floats AS RANGE (subtype = double precision, subtype_diff = gap, multirange_type_name = many_floats);
CREATE TYPE words AS RANGE (subtype = text, collation = "C");
CREATE TABLE t (a floats, b many_floats, c words, EXCLUDE USING gist (a WITH &&));
INSERT INTO t VALUES ('[1e-07,infinity)', '{[1,2)}', '[a,b)');
-- kind: system columns in views
CREATE TABLE t (id integer);
CREATE VIEW v AS SELECT tableoid::regclass AS of, ctid, xmin::text = '0' AS frozen FROM t;
-- kind: wide rows
CREATE TABLE t (id integer, big text, raw bytea);
INSERT INTO t SELECT n, repeat(md5(n::text), 2000), decode(repeat(md5(n::text), 500), 'hex') FROM generate_series(1, 20) n;

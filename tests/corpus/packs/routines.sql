-- Views, functions and what is made of them.
-- kind: views
CREATE TABLE t (a integer, b text, c varchar(10), d timestamptz, e numeric, PRIMARY KEY (a));
INSERT INTO t VALUES (1, 'x', 'y', '2020-01-01 00:00+00', 1.50), (2, 'z', 'w', NULL, NULL);
CREATE VIEW every AS SELECT * FROM t;
CREATE VIEW renamed (x, "Y y") AS SELECT a, b FROM t;
CREATE VIEW literals AS SELECT 1 AS i, 'text' AS t, NULL AS n, 1.5 AS f, true AS b, '2020-01-01'::date AS d, interval '1 day' AS iv, E'\\' AS bs, B'101' AS bits, 1e-07::float8 AS tiny, -1 AS neg;
CREATE VIEW same_names AS SELECT t.a, u.a AS a2, t.* IS NULL AS gone FROM t, t u;
-- kind: view options
CREATE TABLE t (a integer, b text);
CREATE VIEW barrier WITH (security_barrier) AS SELECT * FROM t;
CREATE VIEW invoker WITH (security_invoker = true, security_barrier = false) AS SELECT * FROM t;
CREATE VIEW local_ AS SELECT * FROM t WHERE a > 1 WITH LOCAL CHECK OPTION;
CREATE VIEW cascaded AS SELECT * FROM local_ WHERE a > 2 WITH CASCADED CHECK OPTION;
ALTER VIEW cascaded ALTER COLUMN b SET DEFAULT 'x';
-- kind: joins
CREATE TABLE t (a integer, b text); CREATE TABLE u (a integer, c text); CREATE TABLE w (b text, d integer);
CREATE VIEW inner_ AS SELECT t.a, b, c FROM t JOIN u ON t.a = u.a AND (c IN ('x') OR c IS NULL);
CREATE VIEW using_ AS SELECT * FROM t LEFT JOIN u USING (a) FULL JOIN w USING (b);
CREATE VIEW using_alias AS SELECT j.a, b, c FROM t JOIN u USING (a) AS j;
CREATE VIEW natural_ AS SELECT * FROM t NATURAL JOIN u CROSS JOIN w AS w2 (x, y);
CREATE VIEW nested AS SELECT * FROM (t RIGHT JOIN u ON true) AS j (p, q, r, s) WHERE p > 1;
ALTER TABLE t ADD c text; ALTER TABLE t RENAME a TO a_new;
-- kind: lateral
CREATE TABLE t (a integer, b integer[]);
CREATE VIEW v AS SELECT t.a, x.n, y.* FROM t, LATERAL (SELECT t.a + 1 AS n LIMIT 1) x LEFT JOIN LATERAL unnest(t.b) WITH ORDINALITY AS y (item, place) ON true;
CREATE VIEW rows_from AS SELECT * FROM ROWS FROM (generate_series(1, 3), unnest('{a,b}'::text[])) WITH ORDINALITY AS r (n, s, o);
CREATE VIEW columns_of_a_function AS SELECT * FROM json_to_recordset('[{"a":1}]') AS r (a integer, b text);
CREATE VIEW sampled AS SELECT * FROM t TABLESAMPLE bernoulli (50) REPEATABLE (1);
-- kind: windows
CREATE TABLE t (a integer, b text, c numeric);
CREATE VIEW v AS SELECT row_number() OVER (PARTITION BY b ORDER BY a DESC NULLS LAST), sum(c) OVER w, avg(c) FILTER (WHERE b IN ('x', 'y')) OVER (w ROWS BETWEEN 1 PRECEDING AND CURRENT ROW),
  first_value(a) OVER (ORDER BY a RANGE BETWEEN UNBOUNDED PRECEDING AND 2 FOLLOWING EXCLUDE TIES), lag(a, 2, 0) OVER (ORDER BY a GROUPS 2 PRECEDING) FROM t WINDOW w AS (PARTITION BY b ORDER BY c);
-- kind: common table expressions
CREATE TABLE t (id integer, parent integer, name varchar(10));
CREATE VIEW v AS WITH a AS MATERIALIZED (SELECT * FROM t), b (x) AS NOT MATERIALIZED (SELECT id FROM a) SELECT * FROM b WHERE x > 1;
CREATE VIEW tree AS WITH RECURSIVE r AS (SELECT id, 1 AS depth FROM t WHERE parent IS NULL UNION ALL SELECT t.id, depth + 1 FROM t JOIN r ON t.parent = r.id) SEARCH DEPTH FIRST BY id SET way CYCLE id SET looped USING path SELECT id, depth, looped FROM r ORDER BY way;
CREATE RECURSIVE VIEW counted (n) AS VALUES (1) UNION SELECT n + 1 FROM counted WHERE n < 10;
-- kind: grouping
CREATE TABLE t (a integer, b text, c numeric);
CREATE VIEW v AS SELECT a, b, grouping(a, b), count(*), count(DISTINCT c) AS different, string_agg(b, ', ' ORDER BY b DESC, a), sum(c) FILTER (WHERE c > 0) FROM t GROUP BY GROUPING SETS ((a, b), ROLLUP (a), CUBE (b), ()) HAVING count(*) > 1 ORDER BY 1;
CREATE VIEW medians AS SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY a), mode() WITHIN GROUP (ORDER BY b), rank(1) WITHIN GROUP (ORDER BY a), array_agg(DISTINCT a) FROM t GROUP BY DISTINCT a, b;
-- kind: distinct on and limits
CREATE TABLE t (a integer, b text);
CREATE VIEW v AS SELECT DISTINCT ON (lower(b), a) a, b FROM t ORDER BY lower(b), a DESC, b USING ~<~ LIMIT 10 OFFSET 2;
CREATE VIEW ties AS SELECT a FROM t ORDER BY a FETCH FIRST 3 ROWS WITH TIES;
CREATE VIEW locking AS SELECT a FROM t FOR UPDATE OF t SKIP LOCKED;
-- kind: set operations
CREATE TABLE t (a integer, b varchar(5));
CREATE VIEW v AS (SELECT a, b FROM t UNION ALL SELECT 1, 'x' ORDER BY 1 LIMIT 3) EXCEPT (SELECT a, b FROM t INTERSECT SELECT 2, 'y') ORDER BY 2;
CREATE VIEW values_ AS VALUES (1, 'a'), (2, NULL);
CREATE VIEW mixed AS SELECT b FROM t UNION SELECT 'long enough' UNION SELECT NULL;
-- kind: subqueries
CREATE TABLE t (a integer, b varchar(10)); CREATE TABLE u (a integer);
CREATE VIEW v AS SELECT (SELECT max(a) FROM u WHERE u.a < t.a) AS m, ARRAY(SELECT a FROM u) AS list, EXISTS (SELECT 1 FROM u) AS e, t.a IN (SELECT a FROM u) AS i, (t.a, 1) IN (SELECT a, a FROM u) AS r FROM (SELECT * FROM t WHERE b IN ('x', 'y')) t;
-- kind: rows as values
CREATE TABLE t (a integer, b text);
CREATE VIEW v AS SELECT t AS whole, ROW(a, b) = ROW(1, 'x') AS made, (t).b AS field, to_jsonb(t) AS j, row_to_json(t.*) AS k, t.a::text || b AS s FROM t WHERE t.* IS NOT NULL;
-- kind: sql json [16 18]
CREATE VIEW v AS SELECT JSON_OBJECT('a': 1, 'b': NULL ABSENT ON NULL) AS o, JSON_ARRAY(1, 'x', NULL) AS a, '{}' IS JSON OBJECT AS i, JSON_ARRAYAGG(n ORDER BY n) AS g FROM generate_series(1, 3) n;
-- kind: json tables [18]
CREATE VIEW v AS SELECT JSON_VALUE(jsonb '{"a": 1}', '$.a' RETURNING integer DEFAULT 0 ON ERROR) AS one, JSON_EXISTS(jsonb '[]', '$[0]') AS e, j.* FROM JSON_TABLE(jsonb '[{"a": 1}]', '$[*]' COLUMNS (o FOR ORDINALITY, a integer PATH '$.a', NESTED PATH '$.b[*]' COLUMNS (c text PATH '$'))) j;
-- kind: views of views
CREATE TABLE z (a integer);
CREATE VIEW y AS SELECT a FROM z; CREATE VIEW x AS SELECT a FROM y; CREATE MATERIALIZED VIEW w AS SELECT a FROM x; CREATE VIEW v AS SELECT a FROM w;
CREATE FUNCTION reads_x() RETURNS SETOF x LANGUAGE sql AS 'SELECT * FROM x'; 
-- kind: circular views
CREATE VIEW v AS SELECT 1 AS a; CREATE VIEW w AS SELECT a FROM v; CREATE OR REPLACE VIEW v AS SELECT a FROM (SELECT 2 AS a) s WHERE a IN (SELECT 1 FROM pg_class LIMIT 0);
-- kind: materialized views
CREATE TABLE t (a integer, b text);
INSERT INTO t VALUES (1, 'x'), (2, 'y');
CREATE MATERIALIZED VIEW m WITH (fillfactor = 60) AS SELECT a, b || 'z' AS c FROM t;
CREATE UNIQUE INDEX ON m (a); CREATE INDEX ON m (lower(c)) WHERE c IN ('xz', 'yz'); ALTER MATERIALIZED VIEW m ALTER c SET STATISTICS 44;
CREATE MATERIALIZED VIEW empty AS SELECT * FROM t WITH NO DATA;
CREATE MATERIALIZED VIEW above AS SELECT count(*) FROM m;
CREATE MATERIALIZED VIEW early AS SELECT * FROM t WHERE a > 1; ALTER MATERIALIZED VIEW m CLUSTER ON m_a_idx;
-- kind: rules
CREATE TABLE t (a integer, b text); CREATE TABLE log (a integer, what text); CREATE VIEW v AS SELECT * FROM t;
CREATE RULE ins AS ON INSERT TO v DO INSTEAD INSERT INTO t VALUES (NEW.a, NEW.b) RETURNING a, b;
CREATE RULE upd AS ON UPDATE TO v WHERE NEW.b IN ('x', 'y') DO INSTEAD (UPDATE t SET b = NEW.b WHERE a = OLD.a; INSERT INTO log VALUES (OLD.a, 'u'););
CREATE RULE rest AS ON UPDATE TO v DO INSTEAD NOTHING;
CREATE RULE "also" AS ON DELETE TO t DO ALSO NOTIFY gone;
ALTER TABLE t DISABLE RULE "also"; CREATE RULE always AS ON INSERT TO log DO ALSO SELECT 1; ALTER TABLE log ENABLE ALWAYS RULE always;
-- kind: functions
CREATE FUNCTION plain(a integer, INOUT b text DEFAULT 'x', OUT c integer) LANGUAGE plpgsql AS $$ BEGIN c := a; -- comment
END $$;
CREATE FUNCTION quoted() RETURNS text LANGUAGE sql AS $f$ SELECT '$$ ''quoted'' \ $_$ '::text $f$;
CREATE FUNCTION options(integer) RETURNS integer LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 7 SECURITY DEFINER SET search_path = public, "$user" SET work_mem = '8MB' SET "DateStyle" = 'ISO, DMY' AS 'SELECT $1';
CREATE FUNCTION sets() RETURNS SETOF integer LANGUAGE sql STABLE ROWS 33 PARALLEL RESTRICTED AS 'VALUES (1), (2)';
CREATE FUNCTION tables_(p varchar(10)) RETURNS TABLE (a integer, "B b" text) LANGUAGE sql AS 'SELECT 1, p';
CREATE FUNCTION many(VARIADIC list integer[]) RETURNS integer LANGUAGE sql AS 'SELECT cardinality(list)';
CREATE FUNCTION poly(a anyelement, b anyarray DEFAULT '{}'::integer[]) RETURNS anyelement LANGUAGE sql AS 'SELECT a';
CREATE FUNCTION poly2(anycompatible, anycompatiblearray, anyrange) RETURNS anycompatible LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION overloaded(integer) RETURNS integer LANGUAGE sql AS 'SELECT 1'; CREATE FUNCTION overloaded(text) RETURNS integer LANGUAGE sql AS 'SELECT 2';
CREATE FUNCTION defaults(a timestamptz DEFAULT now(), b text[] DEFAULT ARRAY['x'], c numeric DEFAULT 1.50, d double precision DEFAULT 1e-07) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION refers_to_what_is_not_there() RETURNS integer LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT x FROM nowhere); END';
-- kind: sql bodies
CREATE TABLE t (a integer, b varchar(10), c integer DEFAULT 3); CREATE SEQUENCE s;
CREATE FUNCTION returned(x integer) RETURNS boolean RETURN x IN (1, 2) AND x IS DISTINCT FROM 3;
CREATE FUNCTION atomic(p varchar) RETURNS SETOF t LANGUAGE sql BEGIN ATOMIC
  INSERT INTO t AS n (a, b) VALUES (nextval('s'), p), (DEFAULT, p);
  UPDATE t SET (a, b) = (SELECT 1, 'x'), c = DEFAULT FROM (VALUES (1)) v (n) WHERE t.a = v.n AND t.b IN ('a', 'b');
  DELETE FROM t USING t u WHERE t.a = u.a;
  WITH gone AS (DELETE FROM t RETURNING *) SELECT * FROM gone WHERE b LIKE 'x%';
END;
CREATE PROCEDURE empty_body() BEGIN ATOMIC END;
ALTER TABLE t ADD UNIQUE (a);
CREATE FUNCTION upsert() RETURNS void BEGIN ATOMIC INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET b = excluded.b WHERE t.b <> 'y'; INSERT INTO t VALUES (2) ON CONFLICT DO NOTHING; END;
CREATE FUNCTION "uses" () RETURNS boolean RETURN returned(1);
-- kind: merges
CREATE TABLE t (a integer, b text);
CREATE PROCEDURE p() LANGUAGE plpgsql AS 'BEGIN MERGE INTO t USING t u ON t.a = u.a WHEN MATCHED THEN DELETE; END';
-- kind: merges in bodies [16 18]
CREATE TABLE t (a integer, b text);
CREATE PROCEDURE p() BEGIN ATOMIC MERGE INTO t USING (VALUES (1)) v (n) ON t.a = v.n WHEN MATCHED AND t.b IN ('x') THEN UPDATE SET b = 'y' WHEN NOT MATCHED THEN INSERT (a) VALUES (v.n); END;
-- kind: procedures
CREATE PROCEDURE p(IN a integer, INOUT b text DEFAULT NULL, VARIADIC c text[] DEFAULT '{}') LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS 'BEGIN COMMIT; END';
CREATE PROCEDURE q(OUT a integer, b integer) LANGUAGE sql AS 'SELECT 1';
-- kind: triggers
CREATE TABLE t (a integer, b text, c integer); CREATE VIEW v AS SELECT * FROM t;
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER a BEFORE INSERT OR UPDATE OF a, b OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION f('x', E'it''s\\n', '');
CREATE TRIGGER b AFTER UPDATE ON t REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION f();
CREATE TRIGGER c BEFORE TRUNCATE ON t EXECUTE FUNCTION f();
CREATE CONSTRAINT TRIGGER d AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.a > 1) EXECUTE FUNCTION f();
CREATE TRIGGER e INSTEAD OF DELETE ON v FOR EACH ROW EXECUTE FUNCTION f();
CREATE TRIGGER g BEFORE UPDATE ON t FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION f();
CREATE TRIGGER h BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f(); CREATE TRIGGER i BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f(); CREATE TRIGGER j BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f();
ALTER TABLE t DISABLE TRIGGER h, ENABLE REPLICA TRIGGER i, ENABLE ALWAYS TRIGGER j;
-- kind: triggers that write
CREATE TABLE t (a integer PRIMARY KEY, n integer DEFAULT 0); CREATE TABLE log (id serial, a integer);
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO log (a) VALUES (NEW.a); NEW.n := NEW.n + 1; RETURN NEW; END';
CREATE TRIGGER w BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f();
INSERT INTO t SELECT generate_series(1, 10);
-- kind: policies
CREATE TABLE t (a integer, owner name, b varchar(5)); CREATE TABLE u (id integer, allowed text);
ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE u ENABLE ROW LEVEL SECURITY;
CREATE POLICY everyone ON t USING (true);
CREATE POLICY "own rows" ON t AS RESTRICTIVE FOR UPDATE TO reader, writer, CURRENT_USER USING (owner = CURRENT_USER) WITH CHECK (b IN ('a', 'b'));
CREATE POLICY looks ON t FOR SELECT TO PUBLIC USING (EXISTS (SELECT FROM u WHERE u.id = t.a AND u.allowed = ANY (ARRAY['x', t.b]))); CREATE POLICY adds ON t FOR INSERT WITH CHECK (a > 0 AND (SELECT count(*) FROM u) < 10); CREATE POLICY gone ON t FOR DELETE USING (current_setting('app.x', true) = b);
INSERT INTO t VALUES (1, 'me', 'a');
-- kind: policies without security
CREATE TABLE t (a integer); CREATE POLICY p ON t USING (a > 1);
-- kind: aggregates
CREATE FUNCTION step(integer, integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $1 + $2';
CREATE AGGREGATE total(integer) (SFUNC = step, STYPE = integer, INITCOND = '0', COMBINEFUNC = step, PARALLEL = SAFE);
CREATE AGGREGATE moving(integer) (SFUNC = int4pl, STYPE = integer, MSFUNC = int4pl, MINVFUNC = int4mi, MSTYPE = integer, SORTOP = >);
-- kind: operators
CREATE FUNCTION same(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT lower($1) = lower($2)'; CREATE FUNCTION neg(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT reverse($1)';
CREATE OPERATOR === (FUNCTION = same, LEFTARG = text, RIGHTARG = text, COMMUTATOR = ===, NEGATOR = !==, RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES);
CREATE OPERATOR !== (FUNCTION = texticregexne, LEFTARG = text, RIGHTARG = text, COMMUTATOR = !==);
CREATE OPERATOR ~~! (FUNCTION = neg, RIGHTARG = text);
CREATE TABLE t (a text CHECK (a === 'x' OR ~~! a OPERATOR(pg_catalog.=) 'y')); CREATE VIEW v AS SELECT * FROM t WHERE a !== 'b';
INSERT INTO t VALUES ('X');
-- kind: casts
CREATE TYPE money2 AS (amount numeric, unit text); CREATE FUNCTION made(integer) RETURNS money2 LANGUAGE sql IMMUTABLE AS $$ SELECT ROW($1, 'EUR')::money2 $$;
CREATE CAST (integer AS money2) WITH FUNCTION made(integer) AS ASSIGNMENT;
CREATE TYPE mood AS ENUM ('a', 'b'); CREATE CAST (varchar AS mood) WITH INOUT AS IMPLICIT; CREATE CAST (mood AS varchar) WITH INOUT;
CREATE TABLE t (m money2 DEFAULT 1, x mood); CREATE VIEW v AS SELECT 5::money2 AS c, 'a'::varchar::mood AS d FROM t WHERE x::varchar = 'b'::varchar(4);
-- kind: collations
CREATE COLLATION same FROM "C"; CREATE COLLATION given (provider = libc, locale = 'C.UTF-8');
CREATE TABLE t (a text COLLATE same, b text COLLATE "POSIX", c text[] COLLATE given); CREATE INDEX ON t (a COLLATE given);
CREATE VIEW v AS SELECT a COLLATE "C" AS a, b || 'x' COLLATE given AS c FROM t ORDER BY b COLLATE same;
-- kind: icu collations [15]
CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false); CREATE COLLATION german (provider = icu, locale = 'de-u-co-phonebk');
CREATE TABLE t (a text COLLATE loose UNIQUE, b text COLLATE german, d text COLLATE "tr-x-icu"); INSERT INTO t VALUES ('a', 'ä', 'ı');
-- kind: builtin collations [18]
CREATE TABLE t (a text COLLATE pg_c_utf8, b text COLLATE pg_unicode_fast); CREATE COLLATION own (provider = builtin, locale = 'C.UTF-8');
-- kind: conversions
CREATE CONVERSION own FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8; CREATE DEFAULT CONVERSION other FOR 'UTF8' TO 'LATIN1' FROM utf8_to_iso8859_1;
-- kind: text search
CREATE TEXT SEARCH CONFIGURATION own (COPY = simple); CREATE TEXT SEARCH DICTIONARY words (TEMPLATE = simple, STOPWORDS = english, ACCEPT = false); CREATE TEXT SEARCH DICTIONARY stems (TEMPLATE = snowball, LANGUAGE = german);
ALTER TEXT SEARCH CONFIGURATION own ALTER MAPPING FOR asciiword, word WITH words, stems; ALTER TEXT SEARCH CONFIGURATION own DROP MAPPING FOR url;
CREATE TABLE t (a text, v tsvector GENERATED ALWAYS AS (to_tsvector('own', a)) STORED); CREATE INDEX ON t USING gin (to_tsvector('english', a)); INSERT INTO t VALUES ('The houses');
CREATE TRIGGER u BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION tsvector_update_trigger(v, 'pg_catalog.english', a); ALTER TABLE t DISABLE TRIGGER u;
-- kind: languages and do not
CREATE FUNCTION f() RETURNS integer LANGUAGE plpgsql AS $body$
#variable_conflict use_column
DECLARE c CURSOR FOR SELECT 1; r record;
BEGIN
  FOR r IN c LOOP NULL; END LOOP;
  EXECUTE format('SELECT %L', 'x\y');
  RETURN 1;
EXCEPTION WHEN OTHERS THEN RAISE NOTICE E'\\copy nothing\n\\. %', SQLERRM; RETURN 2;
END
$body$;
-- kind: functions in constraints
CREATE FUNCTION is_known(integer) RETURNS boolean LANGUAGE sql STABLE AS 'SELECT true';
CREATE TABLE t (a integer CHECK (is_known(a)), b integer DEFAULT length('abc')); INSERT INTO t VALUES (1); CREATE INDEX ON t ((a + b)) WHERE int4eq(a, b);
-- kind: publications
CREATE TABLE t (a integer PRIMARY KEY, b text, c integer); CREATE TABLE u (a integer) PARTITION BY LIST (a); CREATE TABLE u_1 PARTITION OF u FOR VALUES IN (1);
CREATE PUBLICATION empty; CREATE PUBLICATION rooted FOR TABLE u WITH (publish_via_partition_root = true, publish = 'insert, truncate');
CREATE PUBLICATION filtered FOR TABLE t (a, b) WHERE (a > 1 AND (b = 'x' OR b IS NULL)), TABLE ONLY u WITH (publish = 'insert');

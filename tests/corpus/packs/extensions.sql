-- Extensions that an owner may create, in a database whose operator is no superuser.
-- versions: 15
-- prepare:
GRANT CREATE ON SCHEMA public TO app_owner;
-- kind: hstore
CREATE EXTENSION hstore SCHEMA public; CREATE TABLE t (a hstore, b integer); INSERT INTO t VALUES ('a=>1, "b \"c"=>NULL'); CREATE INDEX ON t USING gin (a); CREATE VIEW v AS SELECT a -> 'a' AS x FROM t WHERE a ? 'b';
-- kind: citext
CREATE EXTENSION citext; CREATE TABLE u (a citext UNIQUE CHECK (a IN ('x', 'y'))); INSERT INTO u VALUES ('X'); CREATE DOMAIN email AS citext CHECK (VALUE ~ '@');
-- kind: trigrams
CREATE EXTENSION pg_trgm SCHEMA public; CREATE TABLE t (a text); CREATE INDEX ON t USING gin (a gin_trgm_ops); CREATE INDEX ON t USING gist (a gist_trgm_ops (siglen = 32)); CREATE VIEW v AS SELECT similarity(a, 'x') AS s FROM t WHERE a % 'y'; INSERT INTO t VALUES ('word');
-- kind: btree_gist
CREATE EXTENSION btree_gist SCHEMA public; CREATE TABLE t (room integer, at tstzrange, EXCLUDE USING gist (room WITH =, at WITH &&) WHERE (room > 0)); INSERT INTO t VALUES (1, '[2020-01-01 00:00+00,)');
-- kind: uuid-ossp
CREATE SCHEMA "ext of uuid"; CREATE EXTENSION "uuid-ossp" SCHEMA "ext of uuid"; CREATE TABLE t (a uuid DEFAULT "ext of uuid".uuid_generate_v4(), b integer); INSERT INTO t (b) VALUES (1);
-- kind: ltree
CREATE EXTENSION ltree; CREATE TABLE t (a ltree); INSERT INTO t VALUES ('a.b.c'); CREATE INDEX ON t USING gist (a); COMMENT ON EXTENSION ltree IS 'ours';
-- kind: pgcrypto and others
CREATE EXTENSION pgcrypto SCHEMA public; CREATE EXTENSION unaccent SCHEMA public; CREATE EXTENSION intarray SCHEMA public; CREATE EXTENSION cube SCHEMA public; CREATE EXTENSION fuzzystrmatch SCHEMA public; CREATE EXTENSION tablefunc SCHEMA public; CREATE TABLE t (a text, b integer[], c cube); CREATE INDEX ON t USING gin (b gin__int_ops); INSERT INTO t VALUES (crypt('x', 'ab'), '{1}', '(1,2)'); REVOKE EXECUTE ON FUNCTION unaccent(text) FROM PUBLIC; GRANT EXECUTE ON FUNCTION unaccent(text) TO reader;
-- kind: depends on extension
CREATE FUNCTION f() RETURNS integer LANGUAGE sql AS 'SELECT 1'; ALTER FUNCTION f() DEPENDS ON EXTENSION hstore; CREATE TABLE t (a integer); CREATE INDEX i ON t (a); ALTER INDEX i DEPENDS ON EXTENSION hstore;
-- kind: text search of extensions
CREATE TEXT SEARCH CONFIGURATION c (COPY = english); ALTER TEXT SEARCH CONFIGURATION c ALTER MAPPING FOR hword, word WITH unaccent, english_stem;

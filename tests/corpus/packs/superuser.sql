-- What only a superuser can make, and only a superuser can load.
-- operator: superuser
-- kind: functions in c [superuser]
CREATE FUNCTION f(internal) RETURNS internal LANGUAGE internal AS 'int4_sum'; CREATE FUNCTION i(integer, integer) RETURNS integer LANGUAGE internal IMMUTABLE STRICT AS 'int4pl'; CREATE FUNCTION support(integer) RETURNS integer LANGUAGE sql SUPPORT generate_series_int4_support AS 'SELECT 1';
-- kind: base types [superuser]
CREATE TYPE own; CREATE FUNCTION own_in(cstring) RETURNS own LANGUAGE internal IMMUTABLE STRICT AS 'int4in'; CREATE FUNCTION own_out(own) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int4out'; CREATE TYPE own (INPUT = own_in, OUTPUT = own_out, LIKE = integer, CATEGORY = 'N', DELIMITER = ';'); CREATE TYPE shell;
CREATE TABLE t (a own, b own[]); INSERT INTO t VALUES ('1', '{1;2}'); CREATE CAST (own AS integer) WITHOUT FUNCTION AS ASSIGNMENT;
-- kind: operator classes [superuser]
CREATE OPERATOR FAMILY fam USING btree; CREATE FUNCTION cmp(text, text) RETURNS integer LANGUAGE sql IMMUTABLE STRICT AS 'SELECT bttextcmp(reverse($1), reverse($2))';
CREATE OPERATOR CLASS reversed FOR TYPE text USING btree FAMILY fam AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 cmp(text, text); CREATE OPERATOR CLASS alone FOR TYPE text USING hash AS OPERATOR 1 =, FUNCTION 1 hashtext(text); ALTER OPERATOR FAMILY fam USING btree ADD FUNCTION 1 (text, varchar) bttextcmp(text, text);
CREATE TABLE t (a text); CREATE INDEX ON t (a reversed); INSERT INTO t VALUES ('ab'), ('ba'); CREATE TABLE p (a text) PARTITION BY RANGE (a reversed); CREATE TABLE p_1 PARTITION OF p DEFAULT;
-- kind: foreign data [superuser]
CREATE FOREIGN DATA WRAPPER own OPTIONS (debug 'true'); CREATE SERVER one TYPE 'x' VERSION '1' FOREIGN DATA WRAPPER own OPTIONS (host 'h ''q''', port '1'); CREATE USER MAPPING FOR app_owner SERVER one OPTIONS ("user" 'u', password 'p'); CREATE USER MAPPING FOR PUBLIC SERVER one; ALTER SERVER one OWNER TO app_owner; GRANT USAGE ON FOREIGN SERVER one TO reader; GRANT USAGE ON FOREIGN DATA WRAPPER own TO app_owner WITH GRANT OPTION; COMMENT ON SERVER one IS 'c';
CREATE FOREIGN TABLE t (a integer OPTIONS (col 'x') NOT NULL, b text DEFAULT 'y', CHECK (a > 1)) SERVER one OPTIONS (tab 't'); CREATE TABLE p (a integer) PARTITION BY LIST (a); CREATE FOREIGN TABLE p_1 PARTITION OF p FOR VALUES IN (1) SERVER one; ALTER FOREIGN TABLE t OWNER TO app_owner; COMMENT ON FOREIGN TABLE t IS 'ft';
-- kind: access methods [superuser]
CREATE ACCESS METHOD own TYPE TABLE HANDLER heap_tableam_handler; CREATE TABLE t (a integer) USING own; INSERT INTO t VALUES (1); CREATE ACCESS METHOD tree TYPE INDEX HANDLER bthandler;
-- kind: languages [superuser]
CREATE FUNCTION handler() RETURNS language_handler LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler'; CREATE FUNCTION inline(internal) RETURNS void LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_inline_handler'; CREATE FUNCTION valid(oid) RETURNS void LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_validator';
CREATE TRUSTED LANGUAGE mine HANDLER handler INLINE inline VALIDATOR valid; CREATE FUNCTION f() RETURNS integer LANGUAGE mine AS 'BEGIN RETURN 1; END'; REVOKE USAGE ON LANGUAGE mine FROM PUBLIC; GRANT USAGE ON LANGUAGE mine TO app_owner WITH GRANT OPTION; COMMENT ON LANGUAGE mine IS 'l'; REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC; GRANT USAGE ON LANGUAGE plpgsql TO app_owner;
-- kind: transforms [superuser]
CREATE FUNCTION to_sql(internal) RETURNS integer LANGUAGE internal IMMUTABLE AS 'int4_sum'; CREATE FUNCTION from_sql(internal) RETURNS internal LANGUAGE internal IMMUTABLE AS 'int4_sum'; CREATE TRANSFORM FOR integer LANGUAGE plpgsql (FROM SQL WITH FUNCTION from_sql(internal), TO SQL WITH FUNCTION to_sql(internal)); CREATE FUNCTION f(integer) RETURNS integer TRANSFORM FOR TYPE integer LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
-- kind: text search templates [superuser]
CREATE TEXT SEARCH PARSER own (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype, HEADLINE = prsd_headline); CREATE TEXT SEARCH TEMPLATE own (INIT = dsimple_init, LEXIZE = dsimple_lexize); CREATE TEXT SEARCH DICTIONARY d (TEMPLATE = own); CREATE TEXT SEARCH CONFIGURATION c (PARSER = own); ALTER TEXT SEARCH CONFIGURATION c ADD MAPPING FOR word WITH d, simple;
-- kind: subscripting functions and analyzers [superuser]
CREATE FUNCTION f() RETURNS integer LANGUAGE sql SET session_preload_libraries = '' AS 'SELECT 1';
-- kind: forced row security [superuser]
CREATE TABLE t (a integer); INSERT INTO t VALUES (1), (2); ALTER TABLE t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; CREATE POLICY p ON t USING (a > 1); ALTER TABLE t OWNER TO app_owner;
-- kind: owned by superusers [superuser]
CREATE TABLE t (a integer); CREATE FUNCTION f() RETURNS integer LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'; ALTER TABLE t OWNER TO postgres; ALTER FUNCTION f OWNER TO mighty;
-- kind: catalogue privileges [superuser]
GRANT SELECT ON pg_catalog.pg_authid TO auditor; REVOKE SELECT ON pg_catalog.pg_proc FROM PUBLIC; GRANT SELECT (rolname) ON pg_catalog.pg_authid TO reader; GRANT EXECUTE ON FUNCTION pg_catalog.pg_ls_dir(text) TO auditor; GRANT USAGE ON SCHEMA information_schema TO auditor; GRANT SELECT ON pg_catalog.pg_proc TO PUBLIC;
-- kind: aggregates of sets [superuser]
CREATE AGGREGATE middle(float8 ORDER BY anyelement) (SFUNC = ordered_set_transition, STYPE = internal, FINALFUNC = percentile_disc_final, FINALFUNC_EXTRA);
CREATE TABLE t (a integer); CREATE VIEW v AS SELECT middle(0.5) WITHIN GROUP (ORDER BY a) FROM t;
-- kind: publications by everything [superuser]
CREATE TABLE t (a integer); CREATE PUBLICATION of_schema FOR TABLES IN SCHEMA "publications by everything"; CREATE PUBLICATION of_all FOR ALL TABLES WITH (publish = 'delete');
-- kind: leakproof functions [superuser]
CREATE FUNCTION f() RETURNS integer LANGUAGE sql LEAKPROOF AS 'SELECT 1';
-- kind: revoked from owners
CREATE TABLE t (a integer); INSERT INTO t VALUES (1); REVOKE ALL ON t FROM app_owner; CREATE SEQUENCE s; REVOKE ALL ON SEQUENCE s FROM app_owner; CREATE TABLE u (a integer); GRANT SELECT ON u TO reader; CREATE MATERIALIZED VIEW m AS SELECT * FROM u; REVOKE SELECT ON m FROM app_owner; REVOKE ALL ON SCHEMA "revoked from owners" FROM app_owner;
-- kind: vector [16 18] [superuser]
CREATE EXTENSION vector;
CREATE TABLE t (v vector(3));
INSERT INTO t VALUES ('[1e-07,2,-3]');
CREATE INDEX ON t USING hnsw (v vector_l2_ops) WITH (m = 8);

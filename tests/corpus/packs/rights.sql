-- Owners, privileges, comments and names.
-- kind: schema of another
ALTER SCHEMA "schema of another" OWNER TO app_three; SET ROLE app_three; CREATE TABLE t (a integer); INSERT INTO t VALUES (1);
-- kind: table privileges
CREATE TABLE t (a integer, b text, "C c" text); CREATE TABLE u (a integer);
GRANT SELECT, INSERT ON t TO reader; GRANT ALL ON t TO writer WITH GRANT OPTION; GRANT TRUNCATE, REFERENCES, TRIGGER ON t TO PUBLIC; REVOKE INSERT, DELETE ON t FROM app_owner;

-- kind: column privileges
CREATE TABLE t (a integer, b text, "C c" text);
GRANT SELECT (a), UPDATE (b, "C c"), INSERT (a), REFERENCES (a) ON t TO reader, PUBLIC; GRANT UPDATE (a) ON t TO writer WITH GRANT OPTION;
-- kind: maintain [18]
CREATE TABLE t (a integer); GRANT MAINTAIN ON t TO reader;
-- kind: grant chain [superuser]
ALTER SCHEMA "grant chain" OWNER TO app_owner; GRANT USAGE ON SCHEMA "grant chain" TO PUBLIC;
SET ROLE app_owner; CREATE TABLE t (a integer, b integer); CREATE SEQUENCE s; CREATE FUNCTION f() RETURNS integer LANGUAGE sql AS 'SELECT 1'; CREATE TYPE e AS ENUM ('x');
GRANT SELECT ON t TO writer WITH GRANT OPTION; GRANT USAGE ON SEQUENCE s TO app_two WITH GRANT OPTION; GRANT EXECUTE ON FUNCTION f TO writer WITH GRANT OPTION; GRANT UPDATE (a) ON t TO writer WITH GRANT OPTION; GRANT USAGE ON TYPE e TO writer WITH GRANT OPTION; GRANT USAGE ON SCHEMA "grant chain" TO writer WITH GRANT OPTION;
SET ROLE writer; GRANT SELECT ON t TO reader WITH GRANT OPTION; GRANT EXECUTE ON FUNCTION f TO auditor; GRANT UPDATE (a) ON t TO auditor; GRANT USAGE ON TYPE e TO reader; GRANT USAGE ON SCHEMA "grant chain" TO auditor;
SET ROLE reader; GRANT SELECT ON t TO auditor; SET ROLE app_two; GRANT USAGE ON SEQUENCE s TO reader;
-- kind: function privileges
CREATE FUNCTION hidden() RETURNS integer LANGUAGE sql AS 'SELECT 1'; REVOKE ALL ON FUNCTION hidden FROM PUBLIC; GRANT EXECUTE ON FUNCTION hidden TO reader;
CREATE PROCEDURE p(integer) LANGUAGE sql AS 'SELECT 1'; REVOKE EXECUTE ON PROCEDURE p FROM PUBLIC; CREATE AGGREGATE g(integer) (SFUNC = int4pl, STYPE = integer); REVOKE ALL ON FUNCTION g(integer) FROM PUBLIC, app_owner;
-- kind: type privileges
CREATE TYPE e AS ENUM ('a'); REVOKE ALL ON TYPE e FROM PUBLIC; GRANT USAGE ON TYPE e TO reader; CREATE DOMAIN d AS integer; REVOKE USAGE ON DOMAIN d FROM PUBLIC; CREATE TYPE r AS RANGE (subtype = integer); GRANT USAGE ON TYPE r TO writer; CREATE TABLE t (a e);
-- kind: sequence privileges
CREATE SEQUENCE s; GRANT USAGE ON SEQUENCE s TO reader; GRANT SELECT, UPDATE ON SEQUENCE s TO writer; CREATE TABLE t (a integer GENERATED ALWAYS AS IDENTITY); GRANT SELECT ON SEQUENCE t_a_seq TO reader;
-- kind: schema privileges
GRANT USAGE, CREATE ON SCHEMA "schema privileges" TO reader, writer WITH GRANT OPTION; CREATE SCHEMA closed; REVOKE ALL ON SCHEMA closed FROM app_owner;
-- kind: privileges on public [superuser]
GRANT CREATE ON SCHEMA public TO writer; REVOKE USAGE ON SCHEMA public FROM PUBLIC; GRANT USAGE ON SCHEMA public TO reader, app_owner; COMMENT ON SCHEMA public IS 'ours';
-- kind: views and privileges
CREATE TABLE t (a integer); CREATE VIEW v AS SELECT * FROM t; CREATE MATERIALIZED VIEW m AS SELECT * FROM t; GRANT SELECT (a) ON v TO reader; GRANT SELECT ON m TO reader; GRANT INSERT, UPDATE (a) ON v TO writer WITH GRANT OPTION;
-- kind: default privileges
ALTER DEFAULT PRIVILEGES IN SCHEMA "default privileges" GRANT SELECT ON TABLES TO reader; ALTER DEFAULT PRIVILEGES IN SCHEMA "default privileges" GRANT USAGE ON SEQUENCES TO reader WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES FOR ROLE app_two REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC; ALTER DEFAULT PRIVILEGES FOR ROLE app_two GRANT ALL ON TYPES TO writer; ALTER DEFAULT PRIVILEGES FOR ROLE app_three GRANT USAGE ON SCHEMAS TO reader; ALTER DEFAULT PRIVILEGES FOR ROLE app_three REVOKE ALL ON TABLES FROM app_three;
CREATE TABLE t (a serial); CREATE FUNCTION f() RETURNS integer LANGUAGE sql AS 'SELECT 1';
-- kind: made before default privileges
CREATE TABLE before (a serial); ALTER DEFAULT PRIVILEGES IN SCHEMA "made before default privileges" GRANT ALL ON TABLES TO PUBLIC; ALTER DEFAULT PRIVILEGES IN SCHEMA "made before default privileges" GRANT EXECUTE ON FUNCTIONS TO reader; CREATE TABLE after (a integer); REVOKE ALL ON after FROM PUBLIC;
-- kind: large object default privileges [18]
ALTER DEFAULT PRIVILEGES FOR ROLE app_two GRANT SELECT ON LARGE OBJECTS TO reader;
-- kind: row security
CREATE TABLE t (a integer); INSERT INTO t VALUES (1); ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE t NO FORCE ROW LEVEL SECURITY; CREATE POLICY p ON t TO reader, "Odd ""Own""er" USING (a > 0);
-- kind: comments
COMMENT ON SCHEMA comments IS 'a schema';
CREATE TABLE t (a integer CONSTRAINT k PRIMARY KEY, b text DEFAULT 'x', c integer GENERATED ALWAYS AS (a) STORED); COMMENT ON TABLE t IS E'it''s\n\\. several\n\\connect lines; -- not a comment'; COMMENT ON COLUMN t.a IS 'ü'; COMMENT ON CONSTRAINT k ON t IS 'key'; COMMENT ON INDEX k IS 'index';
CREATE VIEW v AS SELECT a FROM t; COMMENT ON VIEW v IS 'view'; COMMENT ON COLUMN v.a IS 'of a view'; CREATE MATERIALIZED VIEW m AS SELECT a FROM t; COMMENT ON MATERIALIZED VIEW m IS 'm'; CREATE SEQUENCE s; COMMENT ON SEQUENCE s IS 's';
-- kind: comments on routines and types
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; COMMENT ON FUNCTION f() IS 'f'; CREATE PROCEDURE p(a integer) LANGUAGE sql AS ''; COMMENT ON PROCEDURE p IS 'p'; CREATE AGGREGATE g(integer) (SFUNC = int4pl, STYPE = integer); COMMENT ON AGGREGATE g(integer) IS 'g';
CREATE TYPE e AS ENUM ('a'); COMMENT ON TYPE e IS 'e'; CREATE TYPE c AS (x integer); COMMENT ON TYPE c IS 'c'; COMMENT ON COLUMN c.x IS 'x'; CREATE DOMAIN d AS integer CONSTRAINT k CHECK (VALUE > 0); COMMENT ON DOMAIN d IS 'd'; COMMENT ON CONSTRAINT k ON DOMAIN d IS 'k';
CREATE OPERATOR ~+~ (FUNCTION = int4pl, LEFTARG = integer, RIGHTARG = integer); COMMENT ON OPERATOR ~+~ (integer, integer) IS 'o'; CREATE COLLATION l FROM "C"; COMMENT ON COLLATION l IS 'l'; CREATE TEXT SEARCH CONFIGURATION w (COPY = simple); COMMENT ON TEXT SEARCH CONFIGURATION w IS 'w'; CREATE CAST (e AS text) WITH INOUT; COMMENT ON CAST (e AS text) IS 'cast';
CREATE TABLE t (a integer, b integer); CREATE TRIGGER r BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f(); COMMENT ON TRIGGER r ON t IS 'r'; CREATE RULE u AS ON DELETE TO t DO INSTEAD NOTHING; COMMENT ON RULE u ON t IS 'u'; CREATE POLICY y ON t USING (true); COMMENT ON POLICY y ON t IS 'y'; CREATE STATISTICS z ON a, b FROM t; COMMENT ON STATISTICS z IS 'z'; CREATE PUBLICATION commented; COMMENT ON PUBLICATION commented IS 'pub';
-- kind: names that need quotes
CREATE SCHEMA "Quoted ""Schema"" $$"; SET search_path = "Quoted ""Schema"" $$";
CREATE TABLE "Select" ("Order" integer PRIMARY KEY, "a b" text DEFAULT 'x', "c""d" integer, "e'f" text, "g.h" integer, "$1" integer, "ı̇ş" text, "😀" boolean, "%s" text, "{x}" text, "\" text, "tab	" text, ";" integer);
INSERT INTO "Select" VALUES (1, 'a'); CREATE INDEX "I ""x"" 'y'" ON "Select" ("c""d", lower("e'f")) WHERE "g.h" > 1; CREATE VIEW "V.v" AS SELECT "Order" AS "As", "a b" FROM "Select"; CREATE SEQUENCE "Seq.x"; SELECT nextval('"Seq.x"');
CREATE TYPE "Mood " AS ENUM ('a'); CREATE DOMAIN "D-d" AS "Mood "; CREATE FUNCTION "F(x)"("P p" integer, OUT "O o" text) LANGUAGE sql AS 'SELECT 1'; CREATE TABLE "trailing " ("user" "D-d", "table" "Mood "[]); ALTER TABLE "Select" ADD CONSTRAINT "C: c" CHECK ("c""d" > 0); CREATE TABLE "123" ("0" integer); GRANT SELECT ("a b") ON "Select" TO reader; COMMENT ON COLUMN "Select"."c""d" IS 'q';
-- kind: names with newlines
CREATE SCHEMA "new
line"; CREATE TABLE "new
line"."t
-- comment
\connect x" ("a
b" integer DEFAULT 1, c text); INSERT INTO "new
line"."t
-- comment
\connect x" VALUES (1, 'x'); CREATE INDEX "i
i" ON "new
line"."t
-- comment
\connect x" ("a
b"); COMMENT ON SCHEMA "new
line" IS 'x'; CREATE FUNCTION "new
line"."f
f"() RETURNS integer LANGUAGE sql AS 'SELECT 1';
-- kind: longest names
CREATE SCHEMA schema_of_sixty_three_bytes_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; SET search_path = schema_of_sixty_three_bytes_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx;
CREATE TABLE table_of_sixty_three_bytes_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx (column_of_sixty_three_bytes_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx serial PRIMARY KEY, b integer UNIQUE CHECK (b > 0));
CREATE TABLE table_of_sixty_three_bytes_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxy (column_of_sixty_three_bytes_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx serial PRIMARY KEY, b integer REFERENCES table_of_sixty_three_bytes_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx);
CREATE TABLE "şşşşşşşşşşşşşşşşşşşşşşşşşşşşşşş" ("ğ" serial); INSERT INTO "şşşşşşşşşşşşşşşşşşşşşşşşşşşşşşş" DEFAULT VALUES;
-- kind: names like the catalogue's
CREATE TABLE pg_class (relname text); CREATE FUNCTION now() RETURNS integer LANGUAGE sql AS 'SELECT 1'; CREATE TYPE text AS (a integer); CREATE TABLE t (a "names like the catalogue's".text, b integer DEFAULT "names like the catalogue's".now()); CREATE OPERATOR || (FUNCTION = int4pl, LEFTARG = integer, RIGHTARG = integer); CREATE VIEW v AS SELECT 1 OPERATOR("names like the catalogue's".||) 2 AS x; CREATE TABLE information_schema (a integer);
-- kind: large objects
SELECT lo_from_bytea(70001, '\x00ff5c2e'), lo_create(70002), lo_from_bytea(70003, decode(repeat('ab', 5000), 'hex')); GRANT SELECT ON LARGE OBJECT 70001 TO reader; GRANT UPDATE, SELECT ON LARGE OBJECT 70003 TO writer WITH GRANT OPTION; COMMENT ON LARGE OBJECT 70001 IS 'a blob'; ALTER LARGE OBJECT 70002 OWNER TO app_two; CREATE TABLE t (a oid); INSERT INTO t VALUES (70001);
-- kind: version table [superuser]
CREATE TABLE public.alembic_version (version_num varchar(32) CONSTRAINT alembic_version_pkc PRIMARY KEY); INSERT INTO public.alembic_version VALUES ('0123456789ab'); ALTER TABLE public.alembic_version OWNER TO app_owner;

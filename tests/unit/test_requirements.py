import pytest

from ansible.module_utils.rollback.backups.requirements import Requirements, RequirementsReader


def read(*lines, in_name=()):
    found = Requirements()
    reader = RequirementsReader(found)
    for number, line in enumerate(lines):
        reader.feed(line.encode() + b"\n", number in in_name)
    return found


@pytest.mark.parametrize(
    ("statement", "needs"),
    [
        ("ALTER TABLE public.leads OWNER TO hunter;", {"owners": {"hunter"}}),
        ('ALTER TABLE "a OWNER TO b".t OWNER TO "O""Brien; x";', {"owners": {'O"Brien; x'}}),
        ("ALTER FUNCTION public.f(a integer, b text) OWNER TO hunter;", {"owners": {"hunter"}}),
        ("ALTER LARGE OBJECT 4242 OWNER TO hunter;", {"owners": {"hunter"}}),
        ("ALTER OPERATOR public.@> (integer, integer) OWNER TO hunter;", {"owners": {"hunter"}}),
        ("ALTER TABLE ONLY public.t ADD CONSTRAINT c CHECK ((a <> ' OWNER TO x'::text));", {}),
        ("GRANT SELECT ON TABLE public.leads TO reader;", {"roles": {"reader"}}),
        ('GRANT ALL ON TABLE public."x TO y" TO "TO" WITH GRANT OPTION;', {"roles": {"TO"}}),
        ("GRANT SELECT(id),UPDATE(id) ON TABLE public.leads TO reader, writer;", {"roles": {"reader", "writer"}}),
        ("GRANT USAGE ON SCHEMA public TO PUBLIC;", {}),
        ('GRANT USAGE ON SCHEMA public TO "Public";', {"roles": {"Public"}}),
        ("REVOKE ALL ON TABLE public.leads FROM hunter;", {"roles": {"hunter"}}),
        ("REVOKE USAGE ON SCHEMA public FROM PUBLIC;", {}),
        ("REVOKE GRANT OPTION FOR SELECT ON TABLE public.t FROM a;", {"roles": {"a"}}),
        (
            "ALTER DEFAULT PRIVILEGES FOR ROLE hunter IN SCHEMA public GRANT SELECT ON TABLES TO reader;",
            {"owners": {"hunter"}, "roles": {"reader"}},
        ),
        (
            'ALTER DEFAULT PRIVILEGES FOR ROLE "a b" REVOKE ALL ON FUNCTIONS FROM PUBLIC;',
            {"owners": {"a b"}},
        ),
        ('CREATE POLICY "p TO q" ON public.t FOR SELECT TO a, "b c" USING ((x = 1));', {"roles": {"a", "b c"}}),
        ("CREATE POLICY p ON public.t USING ((kind = 'sent TO x'::text));", {}),
        ("CREATE POLICY p ON public.t TO a USING ((kind = 'two", {"roles": {"a"}}),
        ("CREATE USER MAPPING FOR hunter SERVER far OPTIONS (", {"roles": {"hunter"}}),
        ("CREATE USER MAPPING FOR PUBLIC SERVER far;", {}),
        ("SET SESSION AUTHORIZATION boss;", {"owners": {"boss"}}),
        ("SET SESSION AUTHORIZATION 'the boss';", {"owners": {"the boss"}}),
        ("CREATE EVENT TRIGGER guard ON ddl_command_end", {"restricted": {("event trigger", "guard")}}),
        ("CREATE FOREIGN DATA WRAPPER far;", {"restricted": {("foreign data wrapper", "far")}}),
        ('CREATE OPERATOR CLASS public."my ops"', {"restricted": {("operator class", "public.my ops")}}),
        ("CREATE OPERATOR FAMILY public.f USING btree;", {"restricted": {("operator family", "public.f")}}),
        ("CREATE OPERATOR public.@@@ (", {}),
        (
            "CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler;",
            {"restricted": {("access method", "heap2")}},
        ),
        ("CREATE TEXT SEARCH PARSER public.p (", {"restricted": {("text search parser", "public.p")}}),
        ("CREATE TEXT SEARCH TEMPLATE public.t (", {"restricted": {("text search template", "public.t")}}),
        ("CREATE TEXT SEARCH CONFIGURATION public.c (", {}),
        ("CREATE TYPE public.base (", {"restricted": {("base type", "public.base")}}),
        ("CREATE TYPE public.shell;", {"restricted": {("base type", "public.shell")}}),
        ("CREATE TYPE public.mood AS ENUM (", {}),
        ("CREATE TYPE public.span AS RANGE (", {}),
        (
            "CREATE CAST (public.mood AS integer) WITHOUT FUNCTION AS IMPLICIT;",
            {"restricted": {("cast without function", "public . mood AS integer")}},
        ),
        (
            "CREATE CAST (text AS double precision) WITH INOUT AS ASSIGNMENT;",
            {"restricted": {("cast between built-in types", "text AS double precision")}},
        ),
        ("CREATE CAST (text AS public.mood) WITH INOUT;", {}),
        (
            "CREATE PUBLICATION p FOR ALL TABLES WITH (publish = 'insert');",
            {"restricted": {("publication of all tables", "p")}},
        ),
        ("ALTER PUBLICATION p ADD TABLES IN SCHEMA s;", {"restricted": {("publication of all tables", "p")}}),
        ("CREATE PUBLICATION p WITH (publish = 'insert');", {}),
        ("ALTER PUBLICATION p ADD TABLE ONLY public.t;", {}),
        ("CREATE SUBSCRIPTION s CONNECTION 'host=x' PUBLICATION p;", {"restricted": {("subscription", "s")}}),
        ("CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (", {"wrappers": {"postgres_fdw"}}),
        ("SECURITY LABEL FOR anon ON COLUMN public.t.a IS 'MASKED';", {"label_providers": {"anon"}}),
        ("    SET log_statement TO 'none'", {"function_settings": {"log_statement"}}),
        ("    SET my.own TO 'x'", {"function_settings": {"my.own"}}),
        ("SET SESSION AUTHORIZATION DEFAULT;", {}),
        ('CREATE EXTENSION IF NOT EXISTS "uuid-ossp" WITH SCHEMA public;', {"extensions": {"uuid-ossp"}}),
        ("CREATE EXTENSION pg_trgm;", {"extensions": {"pg_trgm"}}),
        ("CREATE OR REPLACE PROCEDURAL LANGUAGE plperl;", {"extensions": {"plperl"}}),
        ("CREATE TRUSTED PROCEDURAL LANGUAGE own HANDLER public.own_handler;", {"restricted": {("language", "own")}}),
        ("    LANGUAGE plpgsql STABLE", {"languages": {"plpgsql"}}),
        (
            "CREATE COLLATION public.german (provider = libc, locale = 'de_DE.utf8');",
            {"collations": {"public.german": {"provider": "libc", "locale": "de_DE.utf8"}}},
        ),
        ("SET statement_timeout = 0;", {"settings": {("statement_timeout", "0")}}),
        ("SET default_tablespace = '';", {"settings": {("default_tablespace", "")}}),
        ('SET default_tablespace = "Fast Disk";', {"settings": {("default_tablespace", "Fast Disk")}}),
        ("SET search_path = public, pg_catalog;", {"settings": {("search_path", "public,pg_catalog")}}),
        ("SET my.own = on;", {"settings": {("my.own", "on")}}),
        ("RESET SESSION AUTHORIZATION;", {}),
        ("  GRANT SELECT ON t TO nobody;", {}),
        ("COMMENT ON TABLE public.t IS 'GRANT x TO y';", {}),
        ("CREATE TABLE public.language (", {}),
        ("CREATE EXTENSION", {}),
        ("SET ", {}),
    ],
)
def test_what_a_statement_needs(statement, needs):
    assert read(statement) == Requirements(**needs)


def test_a_name_may_go_on_in_the_next_line():
    found = read('ALTER TABLE public.t OWNER TO "two', 'lines";', "SET a = 1;", in_name=[1])
    assert found == Requirements(owners={"two\nlines"}, settings={("a", "1")})


def test_a_line_inside_a_name_of_a_statement_that_is_of_no_interest_says_nothing():
    assert read('COMMENT ON TABLE "x', 'ALTER TABLE t OWNER TO a;";', in_name=[1]) == Requirements()


def test_only_what_is_created_in_the_name_of_others_needs_a_superuser():
    grants = ["SET SESSION AUTHORIZATION boss;", "GRANT SELECT ON TABLE public.t TO a;", "RESET SESSION AUTHORIZATION;"]
    after = "CREATE TABLE public.t (a integer);"
    assert not read(*grants, after).switches_user
    assert read("SET SESSION AUTHORIZATION 'boss';", after).switches_user
    assert not read("SET SESSION AUTHORIZATION 'boss';", "SET SESSION AUTHORIZATION DEFAULT;", after).switches_user


def test_what_a_function_may_be_is_told_with_its_name():
    found = read("CREATE FUNCTION public.f(a integer) RETURNS integer", "    LANGUAGE sql IMMUTABLE LEAKPROOF COST 2")
    assert found.restricted == {("leakproof function", "public.f")}
    assert found.languages == {"sql"}

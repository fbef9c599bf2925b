-- Extensions that only a superuser may create, some with rows of their own and event triggers.
-- versions: 15
-- operator: superuser
-- kind: postgis [superuser]
CREATE EXTENSION postgis SCHEMA public; INSERT INTO public.spatial_ref_sys VALUES (990001, 'own', 1, 'LOCAL_CS["x"]', '+proj=longlat +datum=WGS84');
CREATE TABLE t (id serial PRIMARY KEY, g public.geometry(Point, 4326), h public.geography, b public.box2d, r public.geometry(MultiPolygon, 990001)); INSERT INTO t (g, h) VALUES ('SRID=4326;POINT(1e-07 2)', 'POINT(1 2)'); CREATE INDEX ON t USING gist (g); ALTER TABLE t ADD CHECK (public.ST_IsValid(g)); CREATE VIEW v AS SELECT public.ST_AsText(g) AS w FROM t WHERE g OPERATOR(public.&&) public.ST_MakeEnvelope(0, 0, 1, 1, 4326); ALTER TABLE t OWNER TO app_owner;
-- kind: postgis_topology [superuser]
CREATE EXTENSION postgis_topology; SELECT topology.CreateTopology('roads', 4326);
-- kind: partman of months [superuser]
CREATE SCHEMA partman; CREATE EXTENSION pg_partman SCHEMA partman; CREATE TABLE t (at timestamptz NOT NULL, a integer) PARTITION BY RANGE (at); 
DO $$ BEGIN IF (SELECT extversion FROM pg_extension WHERE extname = 'pg_partman') LIKE '4%' THEN PERFORM partman.create_parent('partman of months.t', 'at', 'native', 'monthly'); ELSE PERFORM partman.create_parent('partman of months.t', 'at', '1 month'); END IF; END $$; INSERT INTO t VALUES (now(), 1);
-- kind: pgaudit [superuser]
CREATE EXTENSION pgaudit SCHEMA public;
-- kind: statements [superuser]
CREATE EXTENSION pg_stat_statements SCHEMA public; GRANT EXECUTE ON FUNCTION public.pg_stat_statements_reset TO auditor;
-- kind: file_fdw [superuser]
CREATE EXTENSION file_fdw SCHEMA public; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw; CREATE FOREIGN TABLE t (a text) SERVER files OPTIONS (filename '/dev/null', format 'csv');
-- kind: postgres_fdw [superuser]
CREATE EXTENSION postgres_fdw SCHEMA public; CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'nowhere', fetch_size '500'); CREATE USER MAPPING FOR app_owner SERVER elsewhere OPTIONS ("user" 'u', password 'p'); CREATE FOREIGN TABLE t (a integer OPTIONS (column_name 'b')) SERVER elsewhere OPTIONS (table_name 'x');
-- kind: moved and renamed [superuser]
CREATE EXTENSION earthdistance SCHEMA public CASCADE; CREATE SCHEMA late; CREATE EXTENSION hstore SCHEMA public; ALTER EXTENSION hstore SET SCHEMA late; CREATE TABLE t (a late.hstore); INSERT INTO t VALUES ('a=>1');

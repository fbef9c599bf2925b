-- Large enough for several connections, and whatever has to come in the right order behind the rows.
CREATE TABLE big (id bigint PRIMARY KEY, note text NOT NULL, n int NOT NULL, line bigint REFERENCES "Sales Data"."Order ""Lines""");
INSERT INTO big SELECT n, CASE n % 3 WHEN 0 THEN E'\n--\n-- Name: x; Type: INDEX; Schema: public; Owner: -\n--\n\nDROP TABLE big;\n' WHEN 1 THEN E'\\.\n\\.'
  ELSE repeat('x', 60) END || n, n % 97, 1 + n % 2000 FROM generate_series(1, 50000) n;
CREATE INDEX big_n ON big (n);
CREATE UNIQUE INDEX big_note ON big (note, id);
ALTER TABLE big CLUSTER ON big_n;
CREATE INDEX big_expression ON big ((lower(note) || 'ş'), (n + 1)) WHERE n > 3;
ALTER INDEX big_expression ALTER COLUMN 2 SET STATISTICS 300;
COMMENT ON INDEX big_n IS E'of\n-- Name: y; Type: INDEX; Schema: public; Owner: -\nbig';
COMMENT ON CONSTRAINT big_pkey ON big IS 'key';
ALTER TABLE big REPLICA IDENTITY USING INDEX big_note;
CREATE STATISTICS big_both ON id, n FROM big;
CREATE TABLE busy (id int PRIMARY KEY, big_id bigint REFERENCES big, other int UNIQUE REFERENCES busy (id) DEFERRABLE INITIALLY DEFERRED,
  during int4range, EXCLUDE USING gist (during WITH &&));
INSERT INTO busy SELECT n, n, n, int4range(n, n + 1) FROM generate_series(1, 500) n;
CREATE RULE quiet AS ON DELETE TO busy DO INSTEAD NOTHING;
CREATE TABLE parts (id int, at date, busy int REFERENCES busy, PRIMARY KEY (id, at)) PARTITION BY LIST (at);
CREATE TABLE parts_a PARTITION OF parts FOR VALUES IN ('2026-01-01');
CREATE TABLE parts_b PARTITION OF parts DEFAULT;
CREATE INDEX parts_busy ON parts (busy);
INSERT INTO parts SELECT n, date '2026-01-01' + n % 3, n FROM generate_series(1, 400) n;
CREATE TABLE of_parts (id int, at date, FOREIGN KEY (id, at) REFERENCES parts);
INSERT INTO of_parts SELECT id, at FROM parts;
-- A check that looks into another table, which has to be full by then.
CREATE TABLE zones (name text PRIMARY KEY);
INSERT INTO zones VALUES ('north');
CREATE TABLE aaa_first (a text);
CREATE FUNCTION known(z text) RETURNS boolean LANGUAGE sql AS $$ SELECT EXISTS (SELECT FROM public.aaa_first WHERE a = z) $$;
INSERT INTO aaa_first VALUES ('north');
CREATE TABLE checked (zone text CHECK (public.known(zone)));
INSERT INTO checked VALUES ('north');
-- A view that needs a primary key, and so comes behind it; and what needs that view.
CREATE VIEW by_key AS SELECT b.id, b.note, count(*) FROM big b GROUP BY b.id;
CREATE MATERIALIZED VIEW keyed AS SELECT * FROM by_key;
CREATE UNIQUE INDEX keyed_id ON keyed (id);
CREATE PUBLICATION everything FOR TABLE big, child;
SELECT lo_from_bytea(4243, decode(repeat('5c2e0a27', 300000), 'hex'));
COMMENT ON LARGE OBJECT 4243 IS 'more than a megabyte';

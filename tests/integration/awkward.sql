-- Everything that naive tools lose: names that need quotes, all kinds of objects, text that looks like commands.
CREATE SCHEMA "Sales Data";
CREATE TYPE "Sales Data".mood AS ENUM ('so so', 'très bien', 'it''s fine');
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE TABLE "Sales Data"."Order ""Lines""" (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  note text DEFAULT E'tab\tand\\backslash',
  mood "Sales Data".mood,
  amount positive,
  double_amount integer GENERATED ALWAYS AS (amount * 2) STORED,
  data bytea, happened timestamptz DEFAULT '2026-01-01 00:00:00+03', details jsonb, ratio double precision);
INSERT INTO "Sales Data"."Order ""Lines""" (note, mood, amount, data, details, ratio)
  SELECT CASE n % 5 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN E'\\.' WHEN 3 THEN E'ş\tğ\nı\\' ELSE 'row ' || n END,
         'très bien', n + 1, decode(md5(n::text), 'hex'), jsonb_build_object('n', n), 1.0 / (n + 3) FROM generate_series(0, 1999) n;
CREATE TABLE nothing ();
INSERT INTO nothing DEFAULT VALUES; INSERT INTO nothing DEFAULT VALUES;
CREATE TABLE measured (at date NOT NULL, value numeric) PARTITION BY RANGE (at);
CREATE TABLE measured_old PARTITION OF measured FOR VALUES FROM ('2020-01-01') TO ('2026-01-01');
CREATE TABLE measured_new PARTITION OF measured FOR VALUES FROM ('2026-01-01') TO ('2030-01-01');
INSERT INTO measured SELECT date '2025-06-01' + n, n / 7.0 FROM generate_series(0, 499) n;
CREATE TABLE child (id serial PRIMARY KEY, line bigint REFERENCES "Sales Data"."Order ""Lines""" ON DELETE CASCADE);
INSERT INTO child (line) SELECT 1 + n % 2000 FROM generate_series(1, 300) n;
CREATE INDEX ON child (line) WHERE line > 10;
CREATE VIEW newest AS SELECT * FROM measured_new ORDER BY at DESC LIMIT 1;
CREATE MATERIALIZED VIEW totals AS SELECT count(*) AS lines FROM child;
CREATE FUNCTION shout(t text) RETURNS text LANGUAGE plpgsql AS $fn$
BEGIN
  -- \connect elsewhere: only a comment
  RETURN upper(t) || '
\! echo only a string';
END $fn$;
CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER touch BEFORE UPDATE ON child FOR EACH ROW EXECUTE FUNCTION touched();
ALTER TABLE child ENABLE ROW LEVEL SECURITY;
CREATE POLICY everyone ON child USING (true);
COMMENT ON TABLE child IS E'several\nlines, the next begins with a backslash:\n\\! rm nothing';
CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);
INSERT INTO alembic_version VALUES ('0123456789ab');
GRANT USAGE ON SCHEMA "Sales Data" TO hunter_readonly;
GRANT SELECT ON "Sales Data"."Order ""Lines""" TO hunter_readonly;
SELECT lo_from_bytea(4242, 'a large object');

-- What options of pg_dump write in their own way: partitions by hash of an enum and below others, numbers, text, names.
CREATE TYPE tiny AS ENUM ('a', 'b', 'c');
CREATE TABLE eh (k tiny, v int) PARTITION BY HASH (k);
CREATE TABLE eh0 PARTITION OF eh FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE eh1 PARTITION OF eh FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO eh SELECT (ARRAY['a', 'b', 'c'])[1 + i % 3]::tiny, i FROM generate_series(1, 90) i;
CREATE TABLE log (at date, v text) PARTITION BY RANGE (at);
CREATE TABLE "log 2025" PARTITION OF log FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE log_2026 PARTITION OF log FOR VALUES FROM ('2026-01-01') TO ('2027-01-01') PARTITION BY LIST (v);
CREATE TABLE log_2026_a PARTITION OF log_2026 FOR VALUES IN ('a');
CREATE TABLE log_2026_other PARTITION OF log_2026 DEFAULT;
INSERT INTO log VALUES ('2025-03-01', 'x'), ('2026-03-01', 'a'), ('2026-03-02', 'b'), ('2026-03-02', NULL);
CREATE TABLE kinds (f float8, n numeric, r real, b bit(3), vb bit varying, t text, ba bytea, ar int[], ts timestamptz, i interval);
INSERT INTO kinds VALUES
  (1e-07, 1e-30, 1.5e+30, B'101', B'1', E'lines\nand\r\none; ''quoted'' \\ \n\\.\n-- PostgreSQL database dump complete\n', '\x0d0a', '{1,-2}', '2026-01-01+00', '1 day'),
  ('NaN', 'NaN', 'Infinity', B'000', B'', 'pg_dump: no message', '', '{}', 'infinity', '-1 mon'),
  (-1.5e-300, -42, '-Infinity', B'111', NULL, E'\\.', '\x5c2e', NULL, NULL, NULL);
CREATE TABLE "user" (id int GENERATED ALWAYS AS IDENTITY, "values" text);
INSERT INTO "user" ("values") VALUES ('x'), ('y');
CREATE FUNCTION carriage() RETURNS text LANGUAGE plpgsql AS E'begin\r\n  return ''x\r\n''; -- it''s\nend';
CREATE FUNCTION atomic(a int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT a + 1; SELECT CASE WHEN a > 1 THEN 2 ELSE 3 END; END;

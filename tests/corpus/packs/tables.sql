-- Tables and what they are made of.
-- kind: nothing in it
-- kind: empty tables
CREATE TABLE no_rows (id integer);
CREATE TABLE no_columns ();
CREATE TABLE rows_without_columns ();
INSERT INTO rows_without_columns DEFAULT VALUES;
INSERT INTO rows_without_columns DEFAULT VALUES;
-- kind: dropped columns
CREATE TABLE t (a integer, gone text, b text, gone_too integer, c integer GENERATED ALWAYS AS (a * 2) STORED, d integer DEFAULT 1);
INSERT INTO t VALUES (1, 'x', 'y', 2);
ALTER TABLE t DROP COLUMN gone, DROP COLUMN gone_too;
ALTER TABLE t ADD late integer DEFAULT 42 NOT NULL, ADD stamped timestamptz DEFAULT '2020-01-01 00:00+00';
CREATE INDEX ON t (b, late);
CREATE TABLE all_gone (a integer);
INSERT INTO all_gone VALUES (1), (2);
ALTER TABLE all_gone DROP COLUMN a;
-- kind: defaults
CREATE TABLE t (a integer DEFAULT 1 + 1, b text DEFAULT E'a\tb\\c''d', c timestamptz DEFAULT now(), d date DEFAULT CURRENT_DATE, e uuid DEFAULT gen_random_uuid(),
  f text DEFAULT CURRENT_USER, g double precision DEFAULT 1e-07, h varchar(10) DEFAULT 'x', i interval DEFAULT '1 day 02:00', j jsonb DEFAULT '{"a": 1}',
  k text[] DEFAULT ARRAY['a', 'b'], l integer[] DEFAULT '{}', m numeric DEFAULT 'NaN', n boolean DEFAULT (NOT true), o text DEFAULT NULL, p timestamp DEFAULT '2020-01-01', q bigint DEFAULT 3000000000,
  r text DEFAULT (CASE WHEN random() > 2 THEN 'a' ELSE 'b' END), s timestamptz DEFAULT timezone('UTC', now()), u char(3) DEFAULT 'x', v interval DEFAULT now() - '2020-01-01');
-- kind: generated columns
CREATE TABLE t (a integer, b text, c integer GENERATED ALWAYS AS (a + 1) STORED, d text GENERATED ALWAYS AS (upper(b) || 'x') STORED, e boolean GENERATED ALWAYS AS (b IN ('a', 'b')) STORED);
INSERT INTO t VALUES (1, 'a'), (NULL, NULL);
-- kind: virtual generated columns [18]
CREATE TABLE t (a integer, c integer GENERATED ALWAYS AS (a + 1) VIRTUAL, d boolean GENERATED ALWAYS AS (a BETWEEN 1 AND 2));
INSERT INTO t VALUES (1);
-- kind: not null by name [18]
CREATE TABLE t (a integer CONSTRAINT must NOT NULL, b integer NOT NULL NO INHERIT, c integer);
INSERT INTO t VALUES (1, 1, NULL);
ALTER TABLE t ADD CONSTRAINT later NOT NULL c NOT VALID;
-- kind: without overlaps [18]
CREATE TABLE t (a int4range, b daterange, PRIMARY KEY (a, b WITHOUT OVERLAPS));
CREATE TABLE u (a int4range, b daterange, FOREIGN KEY (a, PERIOD b) REFERENCES t (a, PERIOD b));
-- kind: constraints not enforced [18]
CREATE TABLE t (a integer PRIMARY KEY, CONSTRAINT c CHECK (a > 5) NOT ENFORCED);
CREATE TABLE u (a integer REFERENCES t NOT ENFORCED);
INSERT INTO t VALUES (1); INSERT INTO u VALUES (7);
-- kind: keys
CREATE TABLE t (a integer, b text, c integer, d integer, CONSTRAINT "Primary" PRIMARY KEY (a) INCLUDE (b) WITH (fillfactor = 70), UNIQUE (b, c), UNIQUE NULLS NOT DISTINCT (d));
INSERT INTO t VALUES (1, 'a', NULL, NULL), (2, 'a', NULL, 1);
CREATE TABLE u (a integer);
CREATE UNIQUE INDEX becomes ON u (a);
ALTER TABLE u ADD CONSTRAINT becomes UNIQUE USING INDEX becomes;
-- kind: foreign keys
CREATE TABLE t (a integer PRIMARY KEY, b integer, c integer, UNIQUE (b, c));
CREATE TABLE u (a integer REFERENCES t ON DELETE CASCADE ON UPDATE SET NULL, b integer, c integer, d integer DEFAULT 1 REFERENCES t (a) ON DELETE SET DEFAULT,
  FOREIGN KEY (b, c) REFERENCES t (b, c) MATCH FULL ON DELETE RESTRICT, CONSTRAINT partly FOREIGN KEY (b, c) REFERENCES t (b, c) ON DELETE SET NULL (c));
INSERT INTO t VALUES (1, 1, 1); INSERT INTO u VALUES (1, 1, 1, 1), (NULL, NULL, NULL, 1);
CREATE TABLE self (id integer PRIMARY KEY, parent integer REFERENCES self);
INSERT INTO self VALUES (1, 2), (2, 1);
-- kind: circular foreign keys
CREATE TABLE t (id integer PRIMARY KEY, other integer);
CREATE TABLE u (id integer PRIMARY KEY, other integer REFERENCES t);
INSERT INTO t VALUES (1, 2); INSERT INTO u VALUES (2, 1);
ALTER TABLE t ADD FOREIGN KEY (other) REFERENCES u DEFERRABLE INITIALLY DEFERRED;
-- kind: deferrable constraints
CREATE TABLE t (a integer UNIQUE DEFERRABLE, b integer UNIQUE DEFERRABLE INITIALLY DEFERRED, c integer, EXCLUDE (c WITH =) DEFERRABLE INITIALLY DEFERRED, PRIMARY KEY (a, b) DEFERRABLE);
CREATE TABLE v (id integer PRIMARY KEY); CREATE TABLE u (c integer REFERENCES v DEFERRABLE);
-- kind: not valid constraints
CREATE TABLE t (a integer); CREATE TABLE u (a integer PRIMARY KEY);
INSERT INTO t VALUES (-1);
ALTER TABLE t ADD CONSTRAINT positive CHECK (a > 0) NOT VALID, ADD CONSTRAINT known FOREIGN KEY (a) REFERENCES u NOT VALID;
-- kind: checks
CREATE TABLE t (a integer CHECK (a > 0), b integer, CHECK (a < b), CONSTRAINT "not inherited" CHECK (b <> 3) NO INHERIT, CHECK (t IS NOT NULL));
INSERT INTO t VALUES (1, 2);
-- kind: indexes
CREATE TABLE t (a integer, b text, c int4range, d text[], e point, f varchar(20), g jsonb);
INSERT INTO t SELECT n, 'b' || n, int4range(n, n + 5), ARRAY['x'], point(n, n), 'f' FROM generate_series(1, 50) n;
CREATE INDEX ON t (a DESC NULLS LAST, b text_pattern_ops);
CREATE INDEX ON t USING hash (b);
CREATE INDEX ON t USING brin (a int4_minmax_multi_ops (values_per_range = 16)) WITH (pages_per_range = 4, autosummarize = on);
CREATE INDEX ON t USING gin (d) WITH (fastupdate = off);
CREATE INDEX ON t USING gin (g jsonb_path_ops);
CREATE INDEX ON t USING gist (c, e);
CREATE INDEX ON t USING spgist (b);
CREATE INDEX ON t (b COLLATE "C") INCLUDE (a) WITH (fillfactor = 50, deduplicate_items = off);
CREATE UNIQUE INDEX ON t (lower(b), (a + 1)) NULLS NOT DISTINCT WHERE a > 3 AND f IN ('f', 'g');
CREATE INDEX named ON t ((a % 10), (b || f));
ALTER INDEX named ALTER COLUMN 1 SET STATISTICS 500;
-- kind: exclusion constraints
CREATE TABLE t (a int4range, b point, c box, EXCLUDE USING gist (a WITH &&, c WITH &&) WHERE (a <> 'empty'), EXCLUDE USING spgist (a WITH -|-));
CREATE TABLE u (a integer, EXCLUDE USING btree ((a % 100) WITH =));
-- kind: cluster
CREATE TABLE t (a integer PRIMARY KEY, b integer);
CREATE INDEX t_b ON t (b);
INSERT INTO t VALUES (1, 3), (2, 1);
ALTER TABLE t CLUSTER ON t_b;
-- kind: replica identity
CREATE TABLE f (a integer); ALTER TABLE f REPLICA IDENTITY FULL;
CREATE TABLE n (a integer); ALTER TABLE n REPLICA IDENTITY NOTHING;
CREATE TABLE i (a integer NOT NULL); CREATE UNIQUE INDEX i_a ON i (a); ALTER TABLE i REPLICA IDENTITY USING INDEX i_a;
-- kind: storage
CREATE TABLE t (a text, b text, c bytea, d numeric);
ALTER TABLE t ALTER a SET STORAGE EXTERNAL, ALTER b SET STORAGE MAIN, ALTER c SET STORAGE PLAIN, ALTER a SET COMPRESSION pglz, ALTER b SET STATISTICS 777, ALTER c SET STATISTICS 0, ALTER d SET (n_distinct = -0.5, n_distinct_inherited = 7);
INSERT INTO t VALUES (repeat('x', 9000), 'b', '\x00', 1);
-- kind: storage parameters
CREATE TABLE t (a text) WITH (fillfactor = 70, autovacuum_enabled = off, autovacuum_vacuum_scale_factor = 0.01, toast_tuple_target = 256, toast.autovacuum_enabled = off, parallel_workers = 3, vacuum_truncate = false);
-- kind: unlogged tables
CREATE UNLOGGED TABLE t (id serial PRIMARY KEY, a text);
INSERT INTO t (a) VALUES ('still here');
-- kind: inheritance
CREATE TABLE parent (a integer NOT NULL DEFAULT 1, b text CHECK (b <> ''));
CREATE TABLE other (b text, c integer DEFAULT 5);
CREATE TABLE child (d integer, a integer DEFAULT 2) INHERITS (parent, other);
CREATE TABLE grandchild () INHERITS (child);
CREATE TABLE joined_late (e integer, b text CONSTRAINT parent_b_check CHECK (b <> ''), a integer NOT NULL);
ALTER TABLE joined_late INHERIT parent;
INSERT INTO parent VALUES (1, 'p'); INSERT INTO child VALUES (1, 'c', 2, 3); INSERT INTO grandchild VALUES (1, 'g'); INSERT INTO joined_late VALUES (1, 'j', 1);
CREATE TABLE once (LIKE parent INCLUDING ALL); ALTER TABLE once ADD f integer;
-- kind: dropped and inherited
CREATE TABLE parent (a integer, b integer, c integer);
CREATE TABLE child (d integer) INHERITS (parent);
ALTER TABLE parent DROP COLUMN b; ALTER TABLE child NO INHERIT parent;
CREATE TABLE second (x integer, c integer, gone integer, a integer); ALTER TABLE second DROP COLUMN gone; ALTER TABLE second INHERIT parent;
INSERT INTO second VALUES (1, 2, 3);
-- kind: partitions by range
CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY, at timestamptz NOT NULL, n integer, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE t_old PARTITION OF t FOR VALUES FROM (MINVALUE) TO ('2020-01-01 00:00+00');
CREATE TABLE t_2020 PARTITION OF t FOR VALUES FROM ('2020-01-01 00:00+00') TO ('2021-01-01 00:00+00');
CREATE TABLE t_new PARTITION OF t FOR VALUES FROM ('2021-01-01 00:00+00') TO ('infinity');
CREATE TABLE t_default PARTITION OF t DEFAULT;
CREATE INDEX ON t (n) WHERE n > 5;
INSERT INTO t (at, n) SELECT '2019-12-30 00:00+00'::timestamptz + g * '100 days'::interval, g FROM generate_series(0, 20) g;
INSERT INTO t (at) VALUES ('infinity');
-- kind: partitions by list
CREATE TABLE t (a text COLLATE "C", b integer) PARTITION BY LIST (lower(a));
CREATE TABLE t_1 PARTITION OF t FOR VALUES IN ('a', 'b', NULL);
CREATE TABLE t_2 PARTITION OF t FOR VALUES IN ('it''s', '') WITH (fillfactor = 80);
INSERT INTO t VALUES ('A', 1), (NULL, 2), ('It''s', 3);
-- kind: partitions by hash
CREATE TABLE t (a integer, b text) PARTITION BY HASH (a, b);
CREATE TABLE t_0 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE t_1 PARTITION OF t FOR VALUES WITH (MODULUS 4, REMAINDER 1);
CREATE TABLE t_3 PARTITION OF t FOR VALUES WITH (MODULUS 4, REMAINDER 3);
INSERT INTO t SELECT n, 'b' || n FROM generate_series(1, 100) n;
-- kind: partitions of partitions
CREATE TABLE t (a integer, b text, c date) PARTITION BY LIST (a);
CREATE TABLE t_1 PARTITION OF t FOR VALUES IN (1) PARTITION BY RANGE (b, c);
CREATE TABLE t_1_a PARTITION OF t_1 FOR VALUES FROM ('a', MINVALUE) TO ('m', '2020-01-01');
CREATE TABLE t_1_b PARTITION OF t_1 FOR VALUES FROM ('m', '2020-01-01') TO (MAXVALUE, MAXVALUE) PARTITION BY HASH (c);
CREATE TABLE t_1_b_0 PARTITION OF t_1_b FOR VALUES WITH (MODULUS 1, REMAINDER 0);
CREATE TABLE t_2 PARTITION OF t FOR VALUES IN (2) PARTITION BY LIST (b);
CREATE UNIQUE INDEX ON t (a, b, c);
INSERT INTO t VALUES (1, 'b', '2020-01-01'), (1, 'z', '2020-01-01');
-- kind: attached with other columns
CREATE TABLE t (a integer, b text, c date) PARTITION BY RANGE (a);
CREATE TABLE p (gone integer, c date, x text, b text, a integer);
ALTER TABLE p DROP COLUMN gone, DROP COLUMN x;
ALTER TABLE p ADD CONSTRAINT own CHECK (b <> 'q'), ALTER b SET DEFAULT 'own';
ALTER TABLE t ATTACH PARTITION p FOR VALUES FROM (0) TO (10);
INSERT INTO t VALUES (1, 'x', '2020-01-01');
CREATE TABLE q (a integer, b text, c date); ALTER TABLE t ATTACH PARTITION q DEFAULT;
CREATE TABLE let_go PARTITION OF t FOR VALUES FROM (10) TO (20); ALTER TABLE t DETACH PARTITION let_go;
-- kind: indexes of partitioned tables
CREATE TABLE t (a integer, b text) PARTITION BY RANGE (a);
CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (0) TO (10);
CREATE TABLE t_2 PARTITION OF t FOR VALUES FROM (10) TO (20);
CREATE INDEX only_parent ON ONLY t (b);
CREATE INDEX half ON ONLY t (a, b); CREATE INDEX half_1 ON t_1 (a, b); ALTER INDEX half ATTACH PARTITION half_1;
CREATE INDEX whole ON t (a);
CREATE INDEX own ON t_1 (b DESC);
-- kind: keys of partitioned tables
CREATE TABLE t (a integer, b integer, PRIMARY KEY (a)) PARTITION BY RANGE (a);
CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (0) TO (10);
CREATE TABLE u (a integer REFERENCES t ON DELETE CASCADE) PARTITION BY LIST (a);
CREATE TABLE u_1 PARTITION OF u FOR VALUES IN (1, 2);
INSERT INTO t VALUES (1); INSERT INTO u VALUES (1);
-- kind: triggers and defaults of partitions
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TABLE t (a integer, b integer DEFAULT 1) PARTITION BY RANGE (a);
CREATE TABLE t_1 PARTITION OF t (b DEFAULT 2, CHECK (b < 100)) FOR VALUES FROM (0) TO (10);
CREATE TRIGGER r AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();
ALTER TABLE t_1 DISABLE TRIGGER r;
INSERT INTO t VALUES (1);
-- kind: sequences
CREATE SEQUENCE never_called; CREATE SEQUENCE called; SELECT nextval('called'), nextval('called');
CREATE SEQUENCE down AS smallint INCREMENT -5 MINVALUE -100 MAXVALUE 100 START 90 CYCLE; SELECT nextval('down');
CREATE SEQUENCE cached CACHE 20; SELECT nextval('cached');
CREATE SEQUENCE at_end MAXVALUE 3; SELECT setval('at_end', 3, true); CREATE SEQUENCE set_not_called START 7; SELECT setval('set_not_called', 100, false);
CREATE SEQUENCE big START 9223372036854775807; SELECT nextval('big');
-- kind: owned sequences
CREATE TABLE t (a serial, b bigserial, c smallserial, d integer);
CREATE SEQUENCE lone OWNED BY t.d; CREATE SEQUENCE shared START 5;
ALTER TABLE t ALTER d SET DEFAULT nextval('shared');
INSERT INTO t DEFAULT VALUES;
ALTER SEQUENCE t_a_seq OWNED BY NONE;
-- kind: identity
CREATE TABLE t (a integer GENERATED ALWAYS AS IDENTITY (START 10 INCREMENT -2 MINVALUE -100 MAXVALUE 10 CYCLE), b smallint GENERATED BY DEFAULT AS IDENTITY (SEQUENCE NAME "My Seq" START 5), c text);
INSERT INTO t (c) VALUES ('x'), ('y');
ALTER TABLE t ALTER b SET GENERATED ALWAYS;
-- kind: unlogged sequences
CREATE UNLOGGED SEQUENCE u; SELECT nextval('u');
CREATE TABLE t (a integer GENERATED ALWAYS AS IDENTITY); ALTER SEQUENCE t_a_seq SET UNLOGGED;
INSERT INTO t DEFAULT VALUES;
-- kind: statistics objects
CREATE TABLE t (a integer, b integer, c text);
CREATE STATISTICS every ON a, b FROM t;
CREATE STATISTICS partly (ndistinct, mcv) ON a, b, c FROM t;
CREATE STATISTICS worded ON (a % 10), (lower(c)), b FROM t;
CREATE STATISTICS one ON (a + b) FROM t; ALTER STATISTICS one SET STATISTICS 300;
INSERT INTO t SELECT n, n, n::text FROM generate_series(1, 20) n;
-- kind: table access
CREATE TABLE t (a integer) USING heap;
CREATE MATERIALIZED VIEW m USING heap AS SELECT 1 AS a;

-- pg_dump writes rows of partitions through their root where the hash of a key may differ in another database.
-- kind: partitions by hash of an enum
CREATE TYPE colour AS ENUM ('red', 'green', 'blue', 'black', 'white');
CREATE TABLE t (a colour, n integer) PARTITION BY HASH (a);
CREATE TABLE t_0 PARTITION OF t FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE t_1 PARTITION OF t FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE t_2 PARTITION OF t FOR VALUES WITH (MODULUS 3, REMAINDER 2);
INSERT INTO t SELECT c, n FROM unnest(enum_range(NULL::colour)) c, generate_series(1, 3) n;

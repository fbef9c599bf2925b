-- An index that was never finished: CREATE UNIQUE INDEX CONCURRENTLY leaves it behind where it fails.
-- kind: invalid index [fails at the end]
CREATE TABLE t (a integer, b text); INSERT INTO t VALUES (1, 'x'), (1, 'y'); CREATE INDEX good ON t (b);
;;
CREATE UNIQUE INDEX CONCURRENTLY bad ON t (a)

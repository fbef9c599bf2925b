-- A database without schema public, and with settings of its own.
-- prepare:
DROP SCHEMA public;
ALTER DATABASE without_public SET search_path TO app; ALTER DATABASE without_public SET work_mem TO '7MB'; ALTER DATABASE without_public CONNECTION LIMIT 40; REVOKE CONNECT, TEMPORARY ON DATABASE without_public FROM PUBLIC; GRANT CONNECT ON DATABASE without_public TO reader; COMMENT ON DATABASE without_public IS 'it''s the one'; ALTER DATABASE without_public SET default_transaction_read_only = off; 
-- kind: app
CREATE TABLE t (a serial PRIMARY KEY, b varchar(5) CHECK (b IN ('a', 'b'))); INSERT INTO t (b) VALUES ('a'); CREATE VIEW v AS SELECT * FROM t;

-- Event triggers that write while a backup is loaded.
-- operator: superuser
-- kind: event triggers [superuser]
CREATE TABLE log (what text, at timestamptz DEFAULT now());
CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO "event triggers".log (what) VALUES (tg_tag); END $$;
CREATE EVENT TRIGGER watches ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'ALTER TABLE') EXECUTE FUNCTION f(); CREATE EVENT TRIGGER off ON sql_drop EXECUTE FUNCTION f(); ALTER EVENT TRIGGER off DISABLE; CREATE EVENT TRIGGER always ON table_rewrite EXECUTE FUNCTION f(); ALTER EVENT TRIGGER always ENABLE ALWAYS; COMMENT ON EVENT TRIGGER watches IS 'w';
CREATE TABLE seen (a integer); INSERT INTO seen VALUES (1);

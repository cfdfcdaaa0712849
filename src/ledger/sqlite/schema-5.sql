-- Version 5: high counts are compared too, once the halves of their window have come to them. Those of before have not been
-- held against anything.
ALTER TABLE slice RENAME COLUMN unfinished TO restless;
DELETE FROM slice WHERE total >= 9000;
-- Whoever adds records adds them up, a posting at a time.
DROP TRIGGER record_added;

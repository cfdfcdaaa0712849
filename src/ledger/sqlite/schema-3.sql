-- Version 3: when something of a series was counted or released last, and what it shows while it is held after it had left the page as idle.
ALTER TABLE series ADD COLUMN active_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE series ADD COLUMN returned_at INTEGER;
-- Nobody knows when; now is the latest it can have been.
UPDATE series SET active_at = unixepoch();

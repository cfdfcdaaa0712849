-- Version 3: when a series was counted last, and what it shows while it is held after it had left the page as idle.
ALTER TABLE series ADD COLUMN counted_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE series ADD COLUMN returned_at INTEGER;
-- Nobody knows when; now is the latest it can have been.
UPDATE series SET counted_at = unixepoch();

-- Version 6: keys of groups begin with their start, so that the groups of one response stand on few pages. Which sessions
-- have been counted hangs on their keys, so whatever may have one keeps it: all that had ended, or are recorded as having
-- started, up to now. (A session that is listed as starting after this moment, though it has ended, and whose record is
-- gone already would be counted again.)
ALTER TABLE ledger_key ADD COLUMN ordered_since INTEGER NOT NULL DEFAULT 0;
UPDATE ledger_key SET ordered_since = 1 + max(
    unixepoch(),
    (SELECT ifnull(max(last_end), 0) FROM session_group),
    (SELECT ifnull(max(start_time), 0) FROM record)
);

-- Version 2: what the stream counter leaves out, so that sums by stream and by reason can still be held together.
-- Where it exists, the version was wrong; whether the table is right is looked at next.
CREATE TABLE IF NOT EXISTS domain_excluded (
    domain INTEGER NOT NULL,
    reason TEXT NOT NULL,
    total INTEGER NOT NULL,
    baseline INTEGER NOT NULL,
    PRIMARY KEY (domain, reason)
) STRICT, WITHOUT ROWID;

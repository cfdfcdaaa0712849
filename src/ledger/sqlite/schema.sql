-- Version 1. Times are Unix seconds, names the bytes as received, labels UTF-8 text.
CREATE TABLE ledger_key (only INTEGER PRIMARY KEY CHECK (only = 1), bytes BLOB NOT NULL CHECK (length(bytes) = 16)) STRICT;

CREATE TABLE account (
    name TEXT PRIMARY KEY,
    first_start INTEGER NOT NULL,
    counting_since INTEGER NOT NULL,
    floor INTEGER NOT NULL,
    published INTEGER NOT NULL DEFAULT 0
) STRICT;

-- A listing scope: an account narrowed to a domain, an app, both or neither.
CREATE TABLE scope (
    id INTEGER PRIMARY KEY,
    account TEXT NOT NULL,
    domain BLOB,
    app BLOB,
    watermark INTEGER
) STRICT;
CREATE UNIQUE INDEX scope_names ON scope (account, ifnull(domain, 0), ifnull(app, 0));

CREATE TABLE slice (
    scope INTEGER NOT NULL,
    level INTEGER NOT NULL,
    slice_index INTEGER NOT NULL,
    total INTEGER NOT NULL,
    unfinished INTEGER NOT NULL,
    PRIMARY KEY (scope, level, slice_index)
) STRICT, WITHOUT ROWID;

-- accounted: 16 bytes a session, its fact.
CREATE TABLE session_group (
    key BLOB PRIMARY KEY,
    account TEXT NOT NULL,
    last_end INTEGER NOT NULL,
    accounted BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX session_group_age ON session_group (account, last_end);

CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    domain TEXT NOT NULL,
    app TEXT NOT NULL,
    stream TEXT NOT NULL,
    reason TEXT NOT NULL,
    created INTEGER NOT NULL,
    total INTEGER NOT NULL CHECK (total >= 0),
    baseline INTEGER NOT NULL CHECK (baseline BETWEEN 0 AND total),
    held INTEGER NOT NULL
) STRICT;

CREATE TABLE domain (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    account TEXT NOT NULL,
    created INTEGER NOT NULL,
    held INTEGER NOT NULL
) STRICT;

CREATE TABLE domain_reason (
    domain INTEGER NOT NULL,
    reason TEXT NOT NULL,
    total INTEGER NOT NULL,
    baseline INTEGER NOT NULL,
    PRIMARY KEY (domain, reason)
) STRICT, WITHOUT ROWID;

CREATE TABLE domain_class (
    domain INTEGER NOT NULL,
    class TEXT NOT NULL,
    seconds INTEGER NOT NULL,
    baseline_seconds INTEGER NOT NULL,
    last_end INTEGER NOT NULL,
    PRIMARY KEY (domain, class)
) STRICT, WITHOUT ROWID;

-- up_to: upper bound of the bucket in seconds, -1 for no bound.
CREATE TABLE domain_duration (
    domain INTEGER NOT NULL,
    class TEXT NOT NULL,
    up_to INTEGER NOT NULL,
    sessions INTEGER NOT NULL,
    baseline_sessions INTEGER NOT NULL,
    PRIMARY KEY (domain, class, up_to)
) STRICT, WITHOUT ROWID;

CREATE TABLE record (
    id INTEGER PRIMARY KEY,
    account TEXT NOT NULL,
    session_group BLOB NOT NULL,
    fact BLOB NOT NULL,
    domain BLOB NOT NULL,
    app BLOB NOT NULL,
    stream BLOB NOT NULL,
    start_time INTEGER NOT NULL,
    end_time INTEGER NOT NULL,
    reason_text TEXT NOT NULL,
    client_ip TEXT NOT NULL,
    duration INTEGER,
    resolution TEXT NOT NULL,
    first_seen INTEGER NOT NULL,
    counted INTEGER NOT NULL
) STRICT;
CREATE INDEX record_end ON record (end_time);

-- Version 4: records can be asked for. What many of them have in common stands once, as it was received: reasons are
-- read out of it when somebody asks, so that a better taxonomy reads history too.
CREATE TABLE record_kind (
    id INTEGER PRIMARY KEY,
    account TEXT NOT NULL,
    domain BLOB NOT NULL,
    app BLOB NOT NULL,
    reason_text TEXT NOT NULL,
    UNIQUE (account, domain, app, reason_text)
) STRICT;
CREATE TABLE record_stream (id INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE) STRICT;
INSERT INTO record_kind (account, domain, app, reason_text) SELECT DISTINCT account, domain, app, reason_text FROM record;
INSERT INTO record_stream (name) SELECT DISTINCT stream FROM record;

CREATE TABLE record_told (
    id INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,
    stream INTEGER NOT NULL,
    end_time INTEGER NOT NULL,
    start_time INTEGER NOT NULL,
    duration INTEGER,
    first_seen INTEGER NOT NULL,
    counted INTEGER NOT NULL,
    client_ip TEXT NOT NULL,
    resolution TEXT NOT NULL,
    session_group BLOB NOT NULL,
    fact BLOB NOT NULL
) STRICT;
INSERT INTO record_told
    SELECT record.id, record_kind.id, record_stream.id, end_time, start_time, duration, first_seen, counted, client_ip,
           resolution, session_group, fact
    FROM record JOIN record_kind USING (account, domain, app, reason_text) JOIN record_stream ON name = stream;
DROP TABLE record;
ALTER TABLE record_told RENAME TO record;

-- Newest first by time and id, for all and for what is asked for; the other columns save the way to the row.
CREATE INDEX record_end ON record (end_time, id, kind, stream);
CREATE INDEX record_by_kind ON record (kind, end_time, id, stream);
CREATE INDEX record_by_stream ON record (stream, end_time, id, kind);

-- How many ended in each hour and in each third of a day since 1970, by kind. The triggers keep it, and let go of what no
-- record has any more.
CREATE TABLE record_sum (
    width INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    records INTEGER NOT NULL,
    PRIMARY KEY (width, slot, kind)
) STRICT, WITHOUT ROWID;
INSERT INTO record_sum SELECT 3600, end_time / 3600, kind, count(*) FROM record GROUP BY 2, 3;
INSERT INTO record_sum SELECT 28800, end_time / 28800, kind, count(*) FROM record GROUP BY 2, 3;

CREATE TRIGGER record_added AFTER INSERT ON record BEGIN
    INSERT INTO record_sum VALUES (3600, new.end_time / 3600, new.kind, 1)
        ON CONFLICT (width, slot, kind) DO UPDATE SET records = records + 1;
    INSERT INTO record_sum VALUES (28800, new.end_time / 28800, new.kind, 1)
        ON CONFLICT (width, slot, kind) DO UPDATE SET records = records + 1;
END;
CREATE TRIGGER record_gone AFTER DELETE ON record BEGIN
    UPDATE record_sum SET records = records - 1 WHERE width = 3600 AND slot = old.end_time / 3600 AND kind = old.kind;
    UPDATE record_sum SET records = records - 1 WHERE width = 28800 AND slot = old.end_time / 28800 AND kind = old.kind;
    DELETE FROM record_sum WHERE width = 3600 AND slot = old.end_time / 3600 AND kind = old.kind AND records <= 0;
    DELETE FROM record_sum WHERE width = 28800 AND slot = old.end_time / 28800 AND kind = old.kind AND records <= 0;
    DELETE FROM record_kind WHERE id = old.kind AND NOT EXISTS (SELECT 1 FROM record WHERE kind = old.kind);
    DELETE FROM record_stream WHERE id = old.stream AND NOT EXISTS (SELECT 1 FROM record WHERE stream = old.stream);
END;
CREATE TRIGGER record_corrected AFTER UPDATE OF kind, end_time ON record
WHEN new.kind <> old.kind OR new.end_time / 3600 <> old.end_time / 3600 BEGIN
    UPDATE record_sum SET records = records - 1 WHERE width = 3600 AND slot = old.end_time / 3600 AND kind = old.kind;
    UPDATE record_sum SET records = records - 1 WHERE width = 28800 AND slot = old.end_time / 28800 AND kind = old.kind;
    DELETE FROM record_sum WHERE width = 3600 AND slot = old.end_time / 3600 AND kind = old.kind AND records <= 0;
    DELETE FROM record_sum WHERE width = 28800 AND slot = old.end_time / 28800 AND kind = old.kind AND records <= 0;
    INSERT INTO record_sum VALUES (3600, new.end_time / 3600, new.kind, 1)
        ON CONFLICT (width, slot, kind) DO UPDATE SET records = records + 1;
    INSERT INTO record_sum VALUES (28800, new.end_time / 28800, new.kind, 1)
        ON CONFLICT (width, slot, kind) DO UPDATE SET records = records + 1;
    DELETE FROM record_kind WHERE id = old.kind AND NOT EXISTS (SELECT 1 FROM record WHERE kind = old.kind);
END;

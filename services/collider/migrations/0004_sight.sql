-- How each bucket was doing when it was surveyed last. It is for eyes: nothing is decided by it, and
-- nobody but the survey writes it. A row is written when something has changed, and told then.
CREATE TABLE bucket_states (
    org_id           text COLLATE "C" NOT NULL,
    carrier          text NOT NULL,
    backlog          int NOT NULL,
    replies          int NOT NULL,              -- of the backlog
    ready            int NOT NULL,              -- of the backlog: open, not held, and with room
    oldest_queued_at timestamptz,
    oldest_reply_at  timestamptz,
    sent_per_minute  int NOT NULL,
    per_minute       int,                       -- the organization's own SMS limit; null: no cap
    room             int,                       -- under it; null: no cap
    day_quota_left   int,                       -- of the organization's; null: no cap
    slowed           boolean NOT NULL,
    told_at          timestamptz NOT NULL,
    PRIMARY KEY (org_id, carrier)
) WITH (fillfactor = 50);

-- One row: how far the round of the survey that is under way has come, and when it goes on.
CREATE TABLE surveys (
    one      boolean PRIMARY KEY DEFAULT true CHECK (one),
    due_at   timestamptz NOT NULL DEFAULT '-infinity',
    round    int NOT NULL DEFAULT 0,
    begun_at timestamptz,
    ended_at timestamptz,                       -- the last one that was whole
    org_id   text COLLATE "C" NOT NULL DEFAULT '',
    carrier  text NOT NULL DEFAULT ''           -- up to this bucket
);

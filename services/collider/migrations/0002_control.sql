-- What admins and carriers say after the launch: pause, withdraw, archive, slow down, START.

ALTER TABLE campaigns
    ADD COLUMN paused          boolean NOT NULL DEFAULT false,
    ADD COLUMN paused_revision int NOT NULL DEFAULT 0,   -- of pause and resume; an older one changes nothing
    ADD COLUMN withdrawn_at    timestamptz,              -- what was queued by then is not to go
    ADD COLUMN archived_at     timestamptz,              -- over for good
    ADD COLUMN sweep_until     timestamptz;              -- transactions from before may bring texts

-- How many texts were handed over in this minute of the database's clock and the one before: what
-- the carrier has seen lately, should it say "too fast".
ALTER TABLE buckets
    ADD COLUMN minute_at   timestamptz,
    ADD COLUMN this_minute int NOT NULL DEFAULT 0,
    ADD COLUMN last_minute int NOT NULL DEFAULT 0;

-- Where a carrier said "too fast": the pace that it refused, and since when the use case's texts
-- of this channel go slower. The row goes when the limit is reached again.
CREATE TABLE paces (
    org_id      text COLLATE "C" NOT NULL,
    carrier     text NOT NULL,
    use_case_id text COLLATE "C" NOT NULL,
    channel     text NOT NULL,
    refused     real NOT NULL,                           -- a minute
    cut_at      timestamptz NOT NULL,
    PRIMARY KEY (org_id, carrier, use_case_id, channel)
);

-- A contact who has opted out may come back: START, or an admin's word.
ALTER TABLE opt_outs ADD COLUMN opted_in_at timestamptz; -- later than opted_out_at: texts are welcome

ALTER TABLE registrations ADD COLUMN refused_at timestamptz;

-- What admins and carriers say after the launch: pause, settlement, hold, START, how it goes.

ALTER TABLE campaigns
    ADD COLUMN paused_at      timestamptz,              -- null: it is not paused
    ADD COLUMN pause_revision int NOT NULL DEFAULT 0;   -- pauses and resumptions, counted together

-- A contact may come back. The later word stands, whichever was heard first; of two at one time it
-- is the opt-out.
ALTER TABLE opt_outs
    ALTER COLUMN opted_out_at DROP NOT NULL,            -- null: no opt-out was heard of (yet)
    ADD COLUMN opted_in_at timestamptz,
    ADD COLUMN stands boolean NOT NULL GENERATED ALWAYS AS (
        opted_out_at IS NOT NULL AND (opted_in_at IS NULL OR opted_in_at <= opted_out_at)) STORED;

-- Which carrier takes no texts from a campaign's number. A confirmation that comes later, or a text
-- that arrived there since, ends it.
CREATE TABLE carrier_holds (
    org_id      text COLLATE "C" NOT NULL,
    campaign_id text COLLATE "C" NOT NULL,
    carrier     text NOT NULL,
    state       text NOT NULL CHECK (state IN ('pending', 'refused', 'confirmed')),
    code        text,
    reason      text NOT NULL,
    held_at     timestamptz NOT NULL,
    PRIMARY KEY (org_id, campaign_id, carrier)
);

-- Who settled what, of the texts whose answer was lost.
CREATE TABLE settlements (
    org_id        text COLLATE "C" NOT NULL,
    campaign_id   text COLLATE "C" NOT NULL,
    settlement_id text COLLATE "C" NOT NULL,
    message_id    text COLLATE "C" NOT NULL DEFAULT '', -- '': all that were unclear by then
    outcome       text NOT NULL CHECK (outcome IN ('sent', 'failed')),
    settled_by    text COLLATE "C" NOT NULL,
    settled_at    timestamptz NOT NULL,
    PRIMARY KEY (org_id, campaign_id, settlement_id)
);
-- A handful out of a million; without it each look at them reads the campaign's texts.
CREATE INDEX messages_unclear ON messages (org_id, campaign_id, message_id)
    WHERE status = 'unclear';

-- The last that the collider told of each bucket.
CREATE TABLE bucket_states (
    org_id           text COLLATE "C" NOT NULL,
    carrier          text NOT NULL,
    backlog          int NOT NULL,
    replies          int NOT NULL,
    oldest_queued_at timestamptz,
    sent_per_minute  int NOT NULL,
    room             int,                               -- null: no cap
    day_quota_left   int,                               -- null: no cap
    slowed           boolean NOT NULL,
    at               timestamptz NOT NULL,
    PRIMARY KEY (org_id, carrier)
);

-- The collider's schema. Whatever waits is a row with a due time.

-- What is known of each campaign. Facts come in any order, so every part may be missing still.
CREATE TABLE campaigns (
    org_id           text COLLATE "C" NOT NULL,
    campaign_id      text COLLATE "C" NOT NULL,
    use_case_id      text COLLATE "C",             -- null: not launched yet
    launched_at      timestamptz,
    number           text,                         -- null: not bought yet
    revision         int NOT NULL DEFAULT 0,       -- of window and hours; an older one changes nothing
    window_opens_at  timestamptz,
    window_closes_at timestamptz,
    opens            time,
    closes           time,
    time_zone        text,
    closed_at        timestamptz,                  -- a WindowClosed told so, at that revision
    closed_revision  int NOT NULL DEFAULT 0,
    turn_at          timestamptz,                  -- when its lanes' next opening has to be found anew
    close_due_at     timestamptz,                  -- when what is left of its initials has to be marked
    ended_at         timestamptz,                  -- their end, or when it was learnt, if that was later
    PRIMARY KEY (org_id, campaign_id)
);
CREATE INDEX campaigns_to_turn ON campaigns (turn_at) WHERE turn_at IS NOT NULL;
CREATE INDEX campaigns_to_close ON campaigns (close_due_at) WHERE close_due_at IS NOT NULL;
CREATE INDEX campaigns_by_number ON campaigns (number) WHERE number IS NOT NULL;

CREATE TABLE use_cases (
    org_id               text COLLATE "C" NOT NULL,
    use_case_id          text COLLATE "C" NOT NULL,
    messaging_profile_id text,
    PRIMARY KEY (org_id, use_case_id)
);

-- Limits as they were told last. use_case_id '' is the organization's own.
CREATE TABLE limits (
    org_id           text COLLATE "C" NOT NULL,
    carrier          text NOT NULL,
    use_case_id      text COLLATE "C" NOT NULL,
    version          bigint NOT NULL,
    sms_per_minute   int,
    sms_unit         text NOT NULL,
    mms_per_minute   int,
    segments_per_day int,
    day_zone         text NOT NULL,
    PRIMARY KEY (org_id, carrier, use_case_id)
);

-- The only lock that a claim takes. What stands under a bucket (meters, quotas, lanes' cursors) is
-- changed while it is held.
CREATE TABLE buckets (
    org_id       text COLLATE "C" NOT NULL,
    carrier      text NOT NULL,
    due_at       timestamptz,                      -- null: nothing waits, until a wake-up comes
    paused_until timestamptz,                      -- the carrier said: too fast
    PRIMARY KEY (org_id, carrier)
);
CREATE INDEX buckets_due ON buckets (due_at) WHERE due_at IS NOT NULL;

-- Minute meters: use_case_id '' for the organization's.
CREATE TABLE meters (
    org_id      text COLLATE "C" NOT NULL,
    carrier     text NOT NULL,
    use_case_id text COLLATE "C" NOT NULL,
    channel     text NOT NULL,
    per_minute  int NOT NULL,
    largest     int NOT NULL,
    largest_at  timestamptz NOT NULL,
    dry_at      timestamptz NOT NULL,
    PRIMARY KEY (org_id, carrier, use_case_id, channel)
) WITH (fillfactor = 50);

-- Segments of a civil day. What was surely not taken by the provider is given back to its day.
CREATE TABLE day_quotas (
    org_id      text COLLATE "C" NOT NULL,
    carrier     text NOT NULL,
    use_case_id text COLLATE "C" NOT NULL,
    day         date NOT NULL,
    spent       int NOT NULL DEFAULT 0,
    given_back  int NOT NULL DEFAULT 0,
    full_at     timestamptz,                       -- the carrier said: daily cap reached
    PRIMARY KEY (org_id, carrier, use_case_id, day)
) WITH (fillfactor = 50);

-- One row for each campaign, kind and channel below a bucket, so that a campaign that may not send
-- is passed over without reading its messages, and an edited window rewrites a few rows.
CREATE TABLE lanes (
    lane_id          bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    org_id           text COLLATE "C" NOT NULL,
    carrier          text NOT NULL,
    campaign_id      text COLLATE "C" NOT NULL,
    kind             text NOT NULL,
    channel          text NOT NULL,
    use_case_id      text COLLATE "C" NOT NULL,
    backlog          boolean NOT NULL DEFAULT true,
    cursor           bigint NOT NULL DEFAULT 0,    -- nothing queued at or before this position
    opens_at         timestamptz NOT NULL,         -- next (or present) sendable interval, half-open
    closes_at        timestamptz NOT NULL,
    last_sendable_at timestamptz NOT NULL,         -- nearest goes first
    held_until       timestamptz,                  -- the carrier does not know the number (yet)
    PRIMARY KEY (org_id, carrier, campaign_id, kind, channel)
) WITH (fillfactor = 70);
CREATE INDEX lanes_by_campaign ON lanes (org_id, campaign_id);
CREATE INDEX lanes_waiting ON lanes (org_id, carrier, (kind <> 'reply'), last_sendable_at, lane_id)
    WHERE backlog;

-- What the carriers said of campaigns' numbers, for as long as it matters to their lanes.
CREATE TABLE registrations (
    org_id       text COLLATE "C" NOT NULL,
    campaign_id  text COLLATE "C" NOT NULL,
    carrier      text NOT NULL,
    confirmed_at timestamptz,
    held_until   timestamptz,
    PRIMARY KEY (org_id, campaign_id, carrier)
);

-- Every cause to look at a bucket again appends one, in its own transaction, and never touches the
-- bucket: so that steady intake does not block the claim. The claim consumes them.
CREATE TABLE wakes (
    wake_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id   text COLLATE "C" NOT NULL,
    carrier  text NOT NULL,
    lane_id  bigint,                               -- this lane has backlog
    position bigint                                -- from this position on
);
CREATE INDEX wakes_by_bucket ON wakes (org_id, carrier);

CREATE TABLE messages (
    org_id       text COLLATE "C" NOT NULL,
    message_id   text COLLATE "C" NOT NULL,
    campaign_id  text COLLATE "C" NOT NULL,
    kind         text NOT NULL,
    channel      text NOT NULL,
    carrier      text NOT NULL,
    phone        text NOT NULL,
    text         text NOT NULL,
    media_urls   text[] NOT NULL,
    segments     smallint NOT NULL,
    queued_at    timestamptz NOT NULL,             -- by the publisher's word
    recorded_at  timestamptz NOT NULL,
    position     bigint GENERATED ALWAYS AS IDENTITY,
    lane_id      bigint,                           -- null: unrouted
    status       text NOT NULL CHECK (status IN (
        'unrouted', 'queued', 'claimed', 'calling', 'sent', 'delivered',
        'sending failed', 'campaign closed', 'failed', 'unclear')),
    -- Each attempt has its number: it fences off the late results of a replica that lost its lease,
    -- and it is in the attempt's own receipt address.
    attempt            int NOT NULL DEFAULT 0,
    lease_until        timestamptz,
    claimed_at         timestamptz,
    quota_day          date,                       -- which day of the organization's quota it spent
    use_case_quota_day date,                       -- and of its use case's
    sent_at            timestamptz,
    provider_id        text,
    code               text,
    reason             text,
    PRIMARY KEY (org_id, message_id)
);
CREATE INDEX messages_queued ON messages (lane_id, position) WHERE status = 'queued';
CREATE INDEX messages_leased ON messages (lease_until) WHERE status IN ('claimed', 'calling');
CREATE INDEX messages_unrouted ON messages (org_id, campaign_id) WHERE status = 'unrouted';
CREATE INDEX messages_unrouted_by_age ON messages (recorded_at) WHERE status = 'unrouted';
CREATE INDEX replies_by_age ON messages (recorded_at) WHERE status = 'queued' AND kind = 'reply';
CREATE INDEX messages_by_phone ON messages (org_id, phone, position);

CREATE TABLE opt_outs (
    org_id       text COLLATE "C" NOT NULL,
    phone        text NOT NULL,
    opted_out_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, phone)
);

-- The provider's account has its own rate: its 429 pauses all calls, not a bucket.
CREATE TABLE pauses (
    provider     text PRIMARY KEY,
    paused_until timestamptz NOT NULL
);

-- What the campaign service owns: who may do what, whom to text, which text stands where.
--
-- Every primary key leads with org_id, so that the tables can be split by organization when one
-- database is not enough, and so that row-level security finds its column in each of them.
-- Ids are made by the caller (UUIDv7 text): COLLATE "C" compares them byte by byte, which is both
-- the order in which they were made and the cheapest order there is.
-- No foreign keys on the hot tables (messages, contacts, received): they come by the hundred
-- thousand in one statement, out of rows that this service itself has just read.

CREATE TABLE organizations (
    org_id     text COLLATE "C" PRIMARY KEY,
    name       text NOT NULL,
    created_at timestamptz NOT NULL
);

-- The limits as they stand, one row for each carrier. Null is "no cap"; no row is "never told",
-- for which the collider has the operator's default.
CREATE TABLE limits (
    org_id           text COLLATE "C" NOT NULL REFERENCES organizations,
    carrier          text NOT NULL,
    use_case_id      text COLLATE "C" NOT NULL DEFAULT '', -- '': the organization's own
    version          int NOT NULL,   -- counted for each carrier: hearers keep the highest
    sms_per_minute   int,
    sms_unit         text NOT NULL,
    mms_per_minute   int,
    segments_per_day int,
    day_zone         text NOT NULL,
    changed_at       timestamptz NOT NULL,
    PRIMARY KEY (org_id, carrier, use_case_id)
);

CREATE TABLE use_cases (
    org_id               text COLLATE "C" NOT NULL REFERENCES organizations,
    use_case_id          text COLLATE "C" NOT NULL,
    name                 text NOT NULL,
    provider_campaign_id text NOT NULL,
    messaging_profile_id text,
    registered_at        timestamptz NOT NULL,
    PRIMARY KEY (org_id, use_case_id),
    UNIQUE (org_id, provider_campaign_id)
);

-- A person's place in one organization. Operators belong to none: their org_id is '', which no
-- organization has, and so nothing of an organization's is ever theirs by accident.
CREATE TABLE people (
    org_id     text COLLATE "C" NOT NULL,
    person_id  text COLLATE "C" NOT NULL,
    role       text NOT NULL CHECK (role IN ('operator', 'admin', 'sender')),
    name       text NOT NULL,
    email      text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, person_id),
    CHECK ((role = 'operator') = (org_id = ''))
);
CREATE UNIQUE INDEX people_by_email ON people (org_id, lower(email)) WHERE role <> 'operator';

CREATE TABLE tokens (
    org_id    text COLLATE "C" NOT NULL,
    token_id  text COLLATE "C" NOT NULL,
    person_id text COLLATE "C" NOT NULL,
    hash      bytea NOT NULL,
    issued_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, token_id),
    FOREIGN KEY (org_id, person_id) REFERENCES people
);
-- The one look-up that cannot know the organization yet: it finds out who asks.
CREATE INDEX tokens_by_hash ON tokens (hash);

-- Who wants no more texts from an organization, whatever list or campaign their number is in.
CREATE TABLE opt_outs (
    org_id       text COLLATE "C" NOT NULL,
    phone        text COLLATE "C" NOT NULL,
    opted_out_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, phone)
);

-- An upload comes in chunks, each a transaction of its own (a client may take an hour over it).
-- Until the last one is in, the list is not ready and nobody sees it; one that was given up is
-- cleared away by the worker, found by when it was last touched.
CREATE TABLE contact_lists (
    org_id          text COLLATE "C" NOT NULL REFERENCES organizations,
    contact_list_id text COLLATE "C" NOT NULL,
    name            text NOT NULL,
    ready           boolean NOT NULL DEFAULT false,
    touched_at      timestamptz NOT NULL,
    created_at      timestamptz NOT NULL,
    fields          text[] NOT NULL,                 -- what a script may name
    longest         jsonb NOT NULL DEFAULT '{}',     -- of each field, the value that costs most
    contacts        int NOT NULL DEFAULT 0,
    duplicates      int NOT NULL DEFAULT 0,
    bad_row_count   int NOT NULL DEFAULT 0,
    bad_rows        jsonb NOT NULL DEFAULT '[]',     -- the first thousand
    PRIMARY KEY (org_id, contact_list_id)
);
CREATE INDEX contact_lists_unfinished ON contact_lists (touched_at) WHERE NOT ready;

CREATE TABLE contacts (
    org_id          text COLLATE "C" NOT NULL,
    contact_list_id text COLLATE "C" NOT NULL,
    contact_id      text COLLATE "C" NOT NULL,
    phone           text COLLATE "C" NOT NULL,
    carrier         text,                            -- null: not known
    first_name      text NOT NULL,
    last_name       text NOT NULL,
    fields          jsonb NOT NULL,                  -- the other columns of the file
    PRIMARY KEY (org_id, contact_list_id, contact_id),
    UNIQUE (org_id, contact_list_id, phone)
);

CREATE TABLE campaigns (
    org_id           text COLLATE "C" NOT NULL,
    campaign_id      text COLLATE "C" NOT NULL,
    state            text NOT NULL CHECK (state IN ('draft', 'active')),
    name             text NOT NULL,
    use_case_id      text COLLATE "C" NOT NULL,
    contact_list_id  text COLLATE "C" NOT NULL,
    script           text NOT NULL,
    channel          text NOT NULL,
    media_urls       text[] NOT NULL,
    area_codes       text[] NOT NULL,                -- in the order of preference
    opens_at         timestamptz NOT NULL,
    closes_at        timestamptz NOT NULL,
    hours_open       time NOT NULL,
    hours_close      time NOT NULL,                  -- 23:59:59.999999 is the end of the day
    time_zone        text NOT NULL,
    self_assign      boolean NOT NULL,
    batch_size       int NOT NULL,
    revision         int NOT NULL DEFAULT 0,         -- of window and hours; 1 at the launch
    created_by       text COLLATE "C" NOT NULL,
    created_at       timestamptz NOT NULL,
    launched_by      text COLLATE "C",
    launched_at      timestamptz,
    -- When WindowClosed is to be told: set with every edit, so that a later end is told again.
    close_due_at     timestamptz,
    PRIMARY KEY (org_id, campaign_id),
    FOREIGN KEY (org_id, use_case_id) REFERENCES use_cases,
    FOREIGN KEY (org_id, contact_list_id) REFERENCES contact_lists
);
CREATE INDEX campaigns_closing ON campaigns (close_due_at) WHERE close_due_at IS NOT NULL;

CREATE TABLE campaign_senders (
    org_id      text COLLATE "C" NOT NULL,
    campaign_id text COLLATE "C" NOT NULL,
    person_id   text COLLATE "C" NOT NULL,
    added_at    timestamptz NOT NULL,
    PRIMARY KEY (org_id, campaign_id, person_id),
    FOREIGN KEY (org_id, campaign_id) REFERENCES campaigns,
    FOREIGN KEY (org_id, person_id) REFERENCES people
);
CREATE INDEX campaign_senders_by_person ON campaign_senders (org_id, person_id);

-- What was heard of a campaign's number. Each column is a fact that is written once; an outcome
-- may still turn from failed to complete, and never back.
CREATE TABLE numbers (
    org_id       text COLLATE "C" NOT NULL,
    campaign_id  text COLLATE "C" NOT NULL,
    number       text,
    purchased_at timestamptz,
    outcome      text CHECK (outcome IN ('complete', 'failed')),
    reason       text,
    took_s       float8,
    PRIMARY KEY (org_id, campaign_id)
);

-- What each carrier said of a campaign's number; the later word stands.
CREATE TABLE carrier_answers (
    org_id      text COLLATE "C" NOT NULL,
    campaign_id text COLLATE "C" NOT NULL,
    carrier     text NOT NULL,
    state       text NOT NULL CHECK (state IN ('confirmed', 'refused', 'pending')),
    reason      text,
    at          timestamptz NOT NULL,
    PRIMARY KEY (org_id, campaign_id, carrier)
);

-- Texts that go out, from the launch on: initials (unassigned, assigned, then queued and what came
-- of it) and replies (queued at once).
CREATE TABLE messages (
    org_id       text COLLATE "C" NOT NULL,
    campaign_id  text COLLATE "C" NOT NULL,
    message_id   text COLLATE "C" NOT NULL,
    kind         text NOT NULL CHECK (kind IN ('initial', 'reply')),
    channel      text NOT NULL,
    phone        text COLLATE "C" NOT NULL,
    contact_id   text COLLATE "C",                   -- null: a number that was in no list
    carrier      text,                               -- null: not known
    sender_id    text COLLATE "C" NOT NULL DEFAULT '',  -- '': nobody's yet
    text         text,                               -- rendered when it is sent, not before
    status       text NOT NULL,
    -- Events come in any order and more than once: one changes the status only when it is higher
    -- in rank, or of the same rank and later. So every order ends in the same row.
    rank         smallint NOT NULL,
    status_at    timestamptz NOT NULL,
    segments     int,
    provider_id  text,
    code         text,
    reason       text,
    queued_at    timestamptz,
    sent_at      timestamptz,
    delivered_at timestamptz,
    failed_at    timestamptz,
    PRIMARY KEY (org_id, campaign_id, message_id)
);
CREATE INDEX messages_by_id ON messages (org_id, message_id);
-- Who texted this contact last, and what is to be withdrawn after a STOP.
CREATE INDEX messages_by_phone ON messages (org_id, phone, campaign_id);
-- What waits for a sender's click; a text leaves this index when it is queued.
CREATE INDEX messages_to_send ON messages (org_id, campaign_id, status, sender_id, message_id)
    WHERE status IN ('unassigned', 'assigned');

-- One contact's talk with one campaign; begins when they answer.
CREATE TABLE conversations (
    org_id           text COLLATE "C" NOT NULL,
    conversation_id  text COLLATE "C" NOT NULL,
    campaign_id      text COLLATE "C" NOT NULL,
    phone            text COLLATE "C" NOT NULL,
    contact_id       text COLLATE "C",
    sender_id        text COLLATE "C" NOT NULL DEFAULT '',
    waiting          boolean NOT NULL,               -- the last word is the contact's
    last_received_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, conversation_id),
    UNIQUE (org_id, campaign_id, phone)
);
CREATE INDEX conversations_of_sender ON conversations (org_id, sender_id, campaign_id);

-- Texts that came in. The id follows from what was heard, so that a text told twice is one row.
CREATE TABLE received (
    org_id      text COLLATE "C" NOT NULL,
    campaign_id text COLLATE "C" NOT NULL,
    phone       text COLLATE "C" NOT NULL,
    received_at timestamptz NOT NULL,
    received_id text COLLATE "C" NOT NULL,
    text        text NOT NULL,
    PRIMARY KEY (org_id, campaign_id, phone, received_at, received_id)
);

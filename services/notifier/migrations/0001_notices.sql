-- The notifier's schema. Whatever waits is a row with a due time.

-- What somebody is to be told: once for each campaign and kind, however often the event comes.
CREATE TABLE notices (
    org_id      text COLLATE "C" NOT NULL,
    notice_id   text COLLATE "C" NOT NULL,   -- made of organization, campaign and kind
    campaign_id text COLLATE "C" NOT NULL,
    kind        text NOT NULL,               -- services/notifier/domain.py: Kind
    facts       jsonb NOT NULL,              -- the event's data
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (org_id, notice_id)
);

-- How a notice gets to one address.
CREATE TABLE deliveries (
    org_id      text COLLATE "C" NOT NULL,
    notice_id   text COLLATE "C" NOT NULL,
    channel     text NOT NULL,               -- email
    address     text NOT NULL,
    state       text NOT NULL,               -- domain.py: State
    state_since timestamptz NOT NULL,
    tries       int NOT NULL,                -- that came to nothing
    error       text,                        -- what the last one, or the server, said
    due_at      timestamptz,                 -- null: settled. While leased: when that ends
    lease       text,                        -- whoever holds it may record
    PRIMARY KEY (org_id, notice_id, channel, address)
);
CREATE INDEX deliveries_due ON deliveries (due_at) WHERE due_at IS NOT NULL;

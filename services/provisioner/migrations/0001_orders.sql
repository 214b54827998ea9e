-- The provisioner's schema. Whatever waits is a row with a due time.

CREATE TABLE use_cases (
    org_id               text COLLATE "C" NOT NULL,
    use_case_id          text COLLATE "C" NOT NULL,
    provider_campaign_id text NOT NULL,
    messaging_profile_id text,
    PRIMARY KEY (org_id, use_case_id)
);

-- One number order for each campaign. The first half is what the launch said, written once.
CREATE TABLE orders (
    org_id            text COLLATE "C" NOT NULL,
    order_id          text COLLATE "C" NOT NULL,   -- the provider keeps it with every purchase
    campaign_id       text COLLATE "C" NOT NULL,
    use_case_id       text COLLATE "C" NOT NULL,
    name              text NOT NULL,
    launched_by_name  text NOT NULL,
    launched_by_email text NOT NULL,
    area_codes        text[] NOT NULL,             -- in the order of preference
    launched_number   text,                        -- it came with a number: nothing to buy
    launched_at       timestamptz NOT NULL,

    step              text NOT NULL,               -- services/provisioner/domain.py: Step
    step_since        timestamptz NOT NULL,
    tries             int NOT NULL,                -- faults in this step, in a row
    refusals          int NOT NULL,                -- clear refusals in this step
    error             text,                        -- the last one, for people
    preference        int NOT NULL,                -- which area code is searched
    candidates        text[] NOT NULL,             -- found, still to be tried
    number            text,                        -- being bought; ours from purchased_at on
    purchase          int NOT NULL,                -- numbers tried; part of the reference
    ask               text NOT NULL,               -- domain.py: Ask
    asked_at          timestamptz,
    provider_order_id text,
    purchased_at      timestamptz,

    due_at            timestamptz,                 -- null: settled. While leased: when that ends
    lease             text,                        -- whoever holds it may record
    PRIMARY KEY (org_id, order_id),
    UNIQUE (org_id, campaign_id)
);
CREATE INDEX orders_due ON orders (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX orders_waiting ON orders (org_id, use_case_id) WHERE step = 'waiting';
CREATE INDEX orders_by_number ON orders (org_id, number) WHERE purchased_at IS NOT NULL;

-- Each carrier's word on an order's number.
CREATE TABLE confirmations (
    org_id   text COLLATE "C" NOT NULL,
    order_id text COLLATE "C" NOT NULL,
    carrier  text NOT NULL,
    state    text NOT NULL,                        -- pending, confirmed, refused
    at       timestamptz NOT NULL,                 -- since when
    reason   text,
    PRIMARY KEY (org_id, order_id, carrier)
);

-- Numbers that were bought, and the use case that each stands on.
CREATE TABLE numbers (
    org_id       text COLLATE "C" NOT NULL,
    number       text COLLATE "C" NOT NULL,
    use_case_id  text COLLATE "C" NOT NULL,
    order_id     text COLLATE "C" NOT NULL,
    purchased_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, number)
);
CREATE INDEX numbers_of_use_cases ON numbers (org_id, use_case_id);

-- Campaigns' windows at their latest revision: the notices at the end name them, and an admin may
-- have edited them since the launch (or the edit may have come before it).
CREATE TABLE windows (
    org_id      text COLLATE "C" NOT NULL,
    campaign_id text COLLATE "C" NOT NULL,
    revision    int NOT NULL,
    opens_at    timestamptz NOT NULL,
    closes_at   timestamptz NOT NULL,
    PRIMARY KEY (org_id, campaign_id)
);

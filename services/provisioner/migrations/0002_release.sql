-- Places on a use case, several campaigns on one number, and numbers that are given back.

-- What is known of a campaign whether or not it was launched yet. Launch and archive both lock this
-- row first, so that neither misses the other, in whichever order they are heard.
CREATE TABLE campaigns (
    org_id      text COLLATE "C" NOT NULL,
    campaign_id text COLLATE "C" NOT NULL,
    archived_at timestamptz,
    PRIMARY KEY (org_id, campaign_id)
);
INSERT INTO campaigns (org_id, campaign_id) SELECT org_id, campaign_id FROM orders;

ALTER TABLE orders ADD COLUMN archived_at timestamptz;

-- A use case's places are counted from these two and the numbers that are on it.
CREATE INDEX orders_under_way ON orders (org_id, use_case_id) WHERE due_at IS NOT NULL;

-- A number is held until the last campaign on it is archived; then it comes off its use case, rests
-- for its last receipts and answers, and is given back.
ALTER TABLE numbers
    ADD COLUMN step       text NOT NULL DEFAULT 'held', -- services/provisioner/release.py: Step
    ADD COLUMN step_since timestamptz,
    ADD COLUMN on_since   timestamptz,           -- since when it is (to be) on its use case
    ADD COLUMN off_at     timestamptz,           -- and since when it surely is not: a place is free
    ADD COLUMN let_go_at  timestamptz,           -- the last campaign on it was archived
    ADD COLUMN reference  text,                  -- of a purchase that may have landed: it is looked for
    ADD COLUMN tries      int NOT NULL DEFAULT 0,
    ADD COLUMN error      text,                  -- the last one, for people
    ADD COLUMN due_at     timestamptz,           -- null: held or gone. While leased: when that ends
    ADD COLUMN lease      text;                  -- whoever holds it may record
UPDATE numbers SET step_since = purchased_at, on_since = purchased_at;
ALTER TABLE numbers
    ALTER COLUMN step DROP DEFAULT,
    ALTER COLUMN step_since SET NOT NULL,
    ALTER COLUMN on_since SET NOT NULL;
CREATE INDEX numbers_due ON numbers (due_at) WHERE due_at IS NOT NULL;

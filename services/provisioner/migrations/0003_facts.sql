-- What carriers say of our numbers, by webhook, reconciliation or poll, with the provider's own time.

-- The last word of each carrier on a number: whoever knows it needs no earlier one.
CREATE TABLE facts (
    org_id               text COLLATE "C" NOT NULL,
    number               text COLLATE "C" NOT NULL,
    carrier              text COLLATE "C" NOT NULL,
    provider_campaign_id text COLLATE "C" NOT NULL, -- empty: the provider did not say
    state                text NOT NULL,             -- confirmed, refused
    at                   timestamptz NOT NULL,      -- the provider's time
    reason               text COLLATE "C" NOT NULL, -- empty: none given
    PRIMARY KEY (org_id, number, carrier, provider_campaign_id)
);

-- A fact names a number, and no organization.
CREATE INDEX numbers_by_number ON numbers (number);

ALTER TABLE orders
    ADD COLUMN heard     boolean NOT NULL DEFAULT false, -- a fact came since it was last taken up
    ADD COLUMN waits_for text;                     -- the delay that was told last, in words

-- A failed order may be due still: its number is looked at, for a late confirmation.
DROP INDEX orders_under_way;
CREATE INDEX orders_under_way ON orders (org_id, use_case_id)
    WHERE step NOT IN ('complete', 'failed');

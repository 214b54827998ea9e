-- How campaigns end, what comes out of them, and texts to oneself.

ALTER TABLE campaigns
    -- Of a clone: the campaign whose plan it began with. '': it is nobody's clone.
    ADD COLUMN cloned_from   text COLLATE "C" NOT NULL DEFAULT '',
    -- Of an archived campaign: what was never sent of it is still to be ended, from this message
    -- on. Null: nothing is.
    ADD COLUMN ending_due_at timestamptz,
    ADD COLUMN ended_up_to   text COLLATE "C" NOT NULL DEFAULT '';
CREATE INDEX campaigns_ending ON campaigns (ending_due_at) WHERE ending_due_at IS NOT NULL;

ALTER TABLE messages
    DROP CONSTRAINT messages_kind_check,
    -- What stands there fits the narrower one that it replaces: no need to read it all.
    ADD CONSTRAINT messages_kind_check CHECK (kind IN ('initial', 'reply', 'test')) NOT VALID,
    -- The clone that texts this contact instead.
    ADD COLUMN taken_by text COLLATE "C";

-- Numbers that were given back. The release may be heard of before the purchase, and a number may
-- be bought again: it is gone for those who bought it before.
CREATE TABLE number_releases (
    org_id      text COLLATE "C" NOT NULL,
    number      text COLLATE "C" NOT NULL,
    released_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, number)
);
ALTER TABLE number_releases ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON number_releases TO sluice_campaign_api
    USING (org_id = current_setting('sluice.org_id', true));

-- Where a person gets texts to themselves.
ALTER TABLE people ADD COLUMN phone text COLLATE "C";

-- What an admin may choose of a campaign, where its number and its contacts come from, and its end.

ALTER TABLE campaigns
    DROP CONSTRAINT campaigns_state_check,
    ADD CONSTRAINT campaigns_state_check CHECK (state IN ('draft', 'active', 'archived')),
    ADD COLUMN senders_may_edit       boolean NOT NULL DEFAULT false,
    ADD COLUMN hold_until_provisioned boolean NOT NULL DEFAULT false,
    -- Initials wait while more than so many replies of a sender's wait for an answer; null: never.
    ADD COLUMN replies_first_over     int,
    -- A batch that lies untouched for so long is unassigned again; null: it lies.
    ADD COLUMN take_back_after_min    int,
    -- Of a follow-up: the campaign whose number it sends from. '': it has one bought for itself.
    ADD COLUMN number_of              text COLLATE "C" NOT NULL DEFAULT '',
    -- Of a clone or a follow-up: which contacts of which campaign. Null: all of the contact list.
    ADD COLUMN audience               jsonb,
    ADD COLUMN archived_at            timestamptz;
CREATE INDEX campaigns_by_number ON campaigns (org_id, number_of) WHERE number_of <> '';

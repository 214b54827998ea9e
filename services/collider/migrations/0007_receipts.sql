-- Holds that were told, and texts whose answer was lost: since when, and what an admin says of them.

ALTER TABLE registrations ADD COLUMN told_at timestamptz; -- when CampaignHeld was told of the hold

ALTER TABLE messages ADD COLUMN unclear_at timestamptz;   -- when its answer was given up
CREATE INDEX messages_unclear ON messages (org_id, campaign_id) WHERE status = 'unclear';

-- What admins decided of unclear texts, until it has been done, in batches.
CREATE TABLE settlements (
    settlement_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id        text COLLATE "C" NOT NULL,
    campaign_id   text COLLATE "C" NOT NULL,
    message_ids   text[],                          -- null: all that were unclear by then
    outcome       text NOT NULL,
    settled_at    timestamptz NOT NULL
);

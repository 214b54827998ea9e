-- Whose texts and talks are whose: batches that lie untouched, those who were taken off, links that
-- make whoever opens them a sender.

ALTER TABLE campaign_senders
    -- When they last sent, skipped or took texts, to a few seconds.
    ADD COLUMN active_at       timestamptz,
    -- Since when nothing of what is assigned to them was touched, or earlier: no text of theirs
    -- lies longer. Null: none lies with them.
    ADD COLUMN untouched_since timestamptz;
UPDATE campaign_senders SET untouched_since = added_at;
CREATE INDEX campaign_senders_untouched ON campaign_senders (org_id, campaign_id, untouched_since)
    WHERE untouched_since IS NOT NULL;
-- The few campaigns whose untouched batches are taken back: all that the worker looks at.
CREATE INDEX campaigns_taking_back ON campaigns (closes_at)
    WHERE state = 'active' AND take_back_after_min IS NOT NULL;

-- Who has the talks of a sender who was taken off; those as well that begin later, with contacts
-- whom that one texted. heir_id '': nobody.
CREATE TABLE heirs (
    org_id      text COLLATE "C" NOT NULL,
    campaign_id text COLLATE "C" NOT NULL,
    person_id   text COLLATE "C" NOT NULL,
    heir_id     text COLLATE "C" NOT NULL,
    PRIMARY KEY (org_id, campaign_id, person_id)
);
ALTER TABLE heirs ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON heirs TO sluice_campaign_api
    USING (org_id = current_setting('sluice.org_id', true));

-- A campaign's link. Its secret is kept as it is, to be shown again: it opens a place among the
-- campaign's senders, and nothing that anybody has.
CREATE TABLE invites (
    org_id      text COLLATE "C" NOT NULL,
    campaign_id text COLLATE "C" NOT NULL,
    hash        bytea NOT NULL,
    secret      text NOT NULL,
    enabled     boolean NOT NULL,
    made_at     timestamptz NOT NULL,
    replaced_at timestamptz,                             -- null: it is the campaign's link
    PRIMARY KEY (org_id, campaign_id, hash),
    FOREIGN KEY (org_id, campaign_id) REFERENCES campaigns
);
CREATE UNIQUE INDEX invites_of_campaign ON invites (org_id, campaign_id) WHERE replaced_at IS NULL;
CREATE UNIQUE INDEX invites_by_hash ON invites (hash);
ALTER TABLE invites ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON invites TO sluice_campaign_api
    USING (org_id = current_setting('sluice.org_id', true));
-- Whoever opens a link is shown that very row, and whose it is.
CREATE POLICY presented ON invites FOR SELECT TO sluice_campaign_api
    USING (hash = decode(current_setting('sluice.presented', true), 'hex'));

-- Which notices people want, where an organization's webhooks go, and why a number takes its time.

ALTER TABLE organizations
    -- Counts all that was told of its notices, whoever that was about: an e-mail address may pass
    -- from one person to another, and the later word has to win.
    ADD COLUMN notice_version int NOT NULL DEFAULT 0;

-- What they want as e-mail in this place. Null: they have never said, and get everything.
ALTER TABLE people ADD COLUMN notices text[];

-- The key that signs is not here: it is derived (shared/rules/webhook_keys.py).
CREATE TABLE webhooks (
    org_id         text COLLATE "C" PRIMARY KEY REFERENCES organizations,
    url            text,                   -- null: removed; its secrets stay counted
    notices        text[] NOT NULL,
    time_zone      text NOT NULL,          -- in which the daily digest's day begins and ends
    secret_version int NOT NULL DEFAULT 1,
    changed_at     timestamptz NOT NULL
);
ALTER TABLE webhooks ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON webhooks TO sluice_campaign_api
    USING (org_id = current_setting('sluice.org_id', true));

-- What the provisioner said last that a campaign's number waits for. Beside `numbers`: of a campaign
-- on another one's number it may be all that was heard, and is nothing about the number itself.
CREATE TABLE provisioning_delays (
    org_id      text COLLATE "C" NOT NULL,
    campaign_id text COLLATE "C" NOT NULL,
    waits_for   text NOT NULL,
    delayed_at  timestamptz NOT NULL,
    PRIMARY KEY (org_id, campaign_id)
);
ALTER TABLE provisioning_delays ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON provisioning_delays TO sluice_campaign_api
    USING (org_id = current_setting('sluice.org_id', true));

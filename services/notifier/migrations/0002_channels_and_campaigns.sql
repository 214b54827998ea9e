-- Notices of more kinds, and by more channels than e-mail.

-- What is known of each campaign. Facts come in any order, so every part may be missing still.
CREATE TABLE campaigns (
    org_id           text COLLATE "C" NOT NULL,
    campaign_id      text COLLATE "C" NOT NULL,
    name             text,                    -- null: not launched yet, as far as we know
    admin_name       text,                    -- who launched it, and where they read their mail
    admin_email      text,
    revision         int NOT NULL DEFAULT 0,  -- of window and hours; an older one changes nothing
    window_opens_at  timestamptz,
    window_closes_at timestamptz,
    opens            time,
    closes           time,
    time_zone        text,
    PRIMARY KEY (org_id, campaign_id)
);

-- A digest is about no campaign.
ALTER TABLE notices ALTER COLUMN campaign_id DROP NOT NULL;
CREATE INDEX notices_by_campaign ON notices (org_id, campaign_id);

-- Each channel has workers of its own: an organization's slow address holds up no e-mail.
DROP INDEX deliveries_due;
CREATE INDEX deliveries_due ON deliveries (channel, due_at) WHERE due_at IS NOT NULL;

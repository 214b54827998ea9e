-- Campaigns whose window may end too early.

ALTER TABLE campaigns
    -- When a running campaign was last looked at, and at which revision of its window.
    ADD COLUMN forecast_at        timestamptz,
    ADD COLUMN forecast_revision  int NOT NULL DEFAULT 0,
    -- As of then: how many of its initials will be left, and which end would save them all.
    ADD COLUMN failing            int NOT NULL DEFAULT 0,
    ADD COLUMN safe_end_at        timestamptz,
    -- The last revision that was told to be at risk: each is told once.
    ADD COLUMN risk_told_revision int NOT NULL DEFAULT 0;
CREATE INDEX campaigns_running ON campaigns (closes_at) WHERE state = 'active';

-- Webhooks that were taken, so that none is taken twice: kept for as long as its signature counts as
-- fresh. After that its age alone refuses it.
CREATE TABLE webhooks_seen (
    digest      bytea PRIMARY KEY,    -- of what was signed
    fresh_until timestamptz NOT NULL
);
CREATE INDEX webhooks_seen_by_age ON webhooks_seen (fresh_until);

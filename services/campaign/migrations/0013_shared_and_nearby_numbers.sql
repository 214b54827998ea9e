-- Where a campaign's number comes from: the one that its use case keeps for many campaigns, and
-- whether other area codes of the same state will do.
ALTER TABLE campaigns
    ADD COLUMN dedicated_number  boolean NOT NULL DEFAULT false,
    ADD COLUMN nearby_area_codes boolean NOT NULL DEFAULT true;

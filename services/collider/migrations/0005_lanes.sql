-- When the next of a bucket's lanes opens, without reading all of them: an organization may have
-- hundreds of campaigns.
CREATE INDEX lanes_to_open ON lanes (org_id, carrier, greatest(opens_at, held_until)) WHERE backlog;

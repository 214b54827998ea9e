-- Campaigns that wait for their number's provisioning, and numbers from which several campaigns send.

ALTER TABLE campaigns
    ADD COLUMN hold_until_provisioned boolean NOT NULL DEFAULT false,
    ADD COLUMN hold_revision          int NOT NULL DEFAULT 0, -- of the last word on that; null in a word is none
    ADD COLUMN provisioned_at         timestamptz;            -- since when all carriers know its number

-- What holds for a number holds for all campaigns on it. The row is also the lock between who launches
-- a campaign with a number and who learns something of that number: neither may miss the other.
CREATE TABLE numbers (
    org_id         text COLLATE "C" NOT NULL,
    number         text NOT NULL,
    provisioned_at timestamptz,                    -- by the carriers' own times
    released_at    timestamptz,                    -- given back; it may be bought again, by whomever
    PRIMARY KEY (org_id, number)
);

-- What was heard before this: the carriers one by one.
UPDATE campaigns SET provisioned_at = confirmed.at
FROM (
    SELECT org_id, campaign_id, max(confirmed_at) AS at FROM registrations
    WHERE carrier IN ('att', 'tmobile', 'verizon') AND confirmed_at IS NOT NULL
      AND coalesce(refused_at <= confirmed_at, true)
    GROUP BY org_id, campaign_id HAVING count(*) = 3) AS confirmed
WHERE campaigns.org_id = confirmed.org_id AND campaigns.campaign_id = confirmed.campaign_id;

INSERT INTO numbers (org_id, number, provisioned_at)
SELECT org_id, number, max(provisioned_at) FROM campaigns
WHERE number IS NOT NULL AND provisioned_at IS NOT NULL GROUP BY org_id, number;

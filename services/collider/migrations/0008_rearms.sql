-- Texts were put back whose campaign is over, or that were withdrawn: the sweep looks again. A row
-- of its own, since who puts back holds buckets, and who edits a campaign locks that before them.
CREATE TABLE rearms (
    rearm_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id      text COLLATE "C" NOT NULL,
    campaign_id text COLLATE "C" NOT NULL
);

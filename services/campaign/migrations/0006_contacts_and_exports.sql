-- What an upload left out, line by line; carriers that are looked up; exports by time.

-- Each row of a file that is not in its list, and why. As many as the file had: an admin mends the
-- file by them, so the thousandth counts as much as the first.
CREATE TABLE rows_left_out (
    org_id          text COLLATE "C" NOT NULL,
    contact_list_id text COLLATE "C" NOT NULL,
    line            int NOT NULL,
    what            text NOT NULL CHECK (what IN ('bad', 'duplicate', 'opted out')),
    field           text NOT NULL,                   -- the column at fault; '': the whole row
    reason          text NOT NULL,
    PRIMARY KEY (org_id, contact_list_id, line)
);
ALTER TABLE rows_left_out ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON rows_left_out TO sluice_campaign_api
    USING (org_id = current_setting('sluice.org_id', true));

INSERT INTO rows_left_out (org_id, contact_list_id, line, what, field, reason)
SELECT org_id, contact_list_id, bad.line, 'bad', bad.field, bad.reason
FROM contact_lists, jsonb_to_recordset(bad_rows) AS bad (line int, field text, reason text)
ON CONFLICT DO NOTHING;

ALTER TABLE contact_lists
    DROP COLUMN bad_rows,
    ADD COLUMN opted_out   int NOT NULL DEFAULT 0,
    -- Which try of the upload may write: one that was taken for dead finds another's here.
    ADD COLUMN upload_id   text COLLATE "C" NOT NULL DEFAULT '',
    -- Of the whole request, where it had an Idempotency-Key: the same again, or another one?
    ADD COLUMN fingerprint bytea;

ALTER TABLE contacts
    ADD COLUMN line         int,                     -- in the file; null: from before this was kept
    -- When a look-up last told of this phone; with the carrier still null, it could not.
    ADD COLUMN looked_up_at timestamptz,
    -- The same promise in the order in which a phone is found in all lists of its organization.
    DROP CONSTRAINT contacts_org_id_contact_list_id_phone_key,
    ADD UNIQUE (org_id, phone, contact_list_id);
CREATE INDEX contacts_unknown ON contacts (org_id, contact_list_id, contact_id)
    WHERE carrier IS NULL;
CREATE INDEX contacts_by_carrier ON contacts (org_id, contact_list_id, carrier);

-- A list whose unknown carriers are looked up: the last time that somebody asked for it.
CREATE TABLE carrier_look_ups (
    org_id          text COLLATE "C" NOT NULL,
    contact_list_id text COLLATE "C" NOT NULL,
    asked_by        text COLLATE "C" NOT NULL,
    started_at      timestamptz NOT NULL,
    contacts        int NOT NULL,                    -- how many were unknown then
    asked           int NOT NULL DEFAULT 0,          -- how many of them the collider was told
    asked_to        text COLLATE "C" NOT NULL DEFAULT '', -- the last of these: the rest is behind
    due_at          timestamptz,                     -- null: all were asked for
    PRIMARY KEY (org_id, contact_list_id)
);
CREATE INDEX carrier_look_ups_due ON carrier_look_ups (due_at) WHERE due_at IS NOT NULL;
ALTER TABLE carrier_look_ups ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON carrier_look_ups TO sluice_campaign_api
    USING (org_id = current_setting('sluice.org_id', true));

-- Exports between two dates: a walk along the index, a page at a time.
CREATE INDEX messages_by_time ON messages (org_id, campaign_id, queued_at, message_id)
    WHERE queued_at IS NOT NULL;
CREATE INDEX received_by_time ON received (org_id, campaign_id, received_at, received_id);
-- What the details count. Of a million texts the table is 766 MB and this 7 MB, and all of the
-- counting is done in it as long as the visibility map is fresh (76 ms for 520).
CREATE INDEX messages_counted ON messages (org_id, campaign_id, carrier, status);
ALTER TABLE messages SET (autovacuum_vacuum_scale_factor = 0.05,
                          autovacuum_vacuum_insert_scale_factor = 0.05);

-- The API's role sees one organization's rows: those of the transaction's own settings
-- (store/scope.py). Owners, that is workers and event handlers, are not bound by any of this.
--
-- Each table that is made after this one needs these two lines in its own migration:
--   ALTER TABLE x ENABLE ROW LEVEL SECURITY;
--   CREATE POLICY own ON x TO sluice_campaign_api
--       USING (org_id = current_setting('sluice.org_id', true));
-- A setting that was never made is null, one whose transaction has ended is '': neither is the id
-- of an organization, and no row matches.

-- Whoever made the role by 0003 may give it to others, but from PostgreSQL 16 on not take it on.
DO $$
BEGIN
    SET LOCAL ROLE sluice_campaign_api;
    RESET ROLE;
EXCEPTION WHEN insufficient_privilege THEN
    EXECUTE 'GRANT sluice_campaign_api TO ' || quote_ident(current_user);
END $$;

ALTER TABLE organizations
    -- Whether who follows a campaign's invite link, and has no place here yet, gets one.
    ADD COLUMN invites_add_people boolean NOT NULL DEFAULT false;

ALTER TABLE tokens
    ADD COLUMN name         text NOT NULL DEFAULT '',          -- what it is for, in words
    ADD COLUMN issued_by    text COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN expires_at   timestamptz,                        -- null: from before there were ends
    ADD COLUMN last_used_at timestamptz;                        -- to the hour
CREATE INDEX tokens_by_person ON tokens (org_id, person_id, token_id);
-- One person may have places in several organizations.
CREATE INDEX people_by_person ON people (person_id) WHERE org_id <> '';

DO $$
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO sluice_campaign_api', current_schema());
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %I '
                   'TO sluice_campaign_api', current_schema());
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I '
                   'GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO sluice_campaign_api',
                   current_schema());
END $$;

-- What happened stays as it was written.
REVOKE UPDATE, DELETE ON audit FROM sluice_campaign_api;
-- Nothing of the API's, but for what it tells.
REVOKE ALL ON migrations, heard, outbox FROM sluice_campaign_api;
GRANT INSERT ON outbox TO sluice_campaign_api;
ALTER TABLE migrations ENABLE ROW LEVEL SECURITY;
ALTER TABLE heard ENABLE ROW LEVEL SECURITY;
ALTER TABLE outbox ENABLE ROW LEVEL SECURITY;
CREATE POLICY told ON outbox FOR INSERT TO sluice_campaign_api WITH CHECK (true);

DO $$
DECLARE
    plain text;
BEGIN
    FOREACH plain IN ARRAY ARRAY[
        'organizations', 'limits', 'use_cases', 'opt_outs', 'contact_lists', 'contacts',
        'campaigns', 'campaign_senders', 'numbers', 'carrier_answers', 'carrier_holds', 'messages',
        'conversations', 'received', 'settlements', 'bucket_states']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', plain);
        EXECUTE format('CREATE POLICY own ON %I TO sluice_campaign_api '
                       'USING (org_id = current_setting(''sluice.org_id'', true))', plain);
    END LOOP;
END $$;

-- Operators' own rows have the org_id '', as a setting has that nobody made: so these ask for more.
ALTER TABLE people ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON people TO sluice_campaign_api
    USING (org_id = current_setting('sluice.org_id', true)
           AND (org_id <> '' OR current_setting('sluice.role', true) = 'operator'));
ALTER TABLE tokens ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON tokens TO sluice_campaign_api
    USING (org_id = current_setting('sluice.org_id', true)
           AND (org_id <> '' OR current_setting('sluice.role', true) = 'operator'));
ALTER TABLE audit ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON audit TO sluice_campaign_api
    USING (org_id = current_setting('sluice.org_id', true)
           AND (org_id <> '' OR current_setting('sluice.role', true) = 'operator'));

-- Kept for the one who asked, wherever an operator was asking about; strangers have no id.
ALTER TABLE kept_answers ENABLE ROW LEVEL SECURITY;
CREATE POLICY askers ON kept_answers TO sluice_campaign_api
    USING (org_id = current_setting('sluice.asker_org_id', true)
           AND person_id = current_setting('sluice.asker_id', true)
           AND current_setting('sluice.role', true) <> '');

-- Who asks? Whoever presents a token is shown that very row, and whose it is.
CREATE POLICY presented ON tokens FOR SELECT TO sluice_campaign_api
    USING (hash = decode(current_setting('sluice.presented', true), 'hex'));
CREATE POLICY presented ON people FOR SELECT TO sluice_campaign_api
    USING ((org_id, person_id) IN (
        SELECT t.org_id, t.person_id FROM tokens t
        WHERE t.hash = decode(current_setting('sluice.presented', true), 'hex')));

-- A person's places, wherever they are, and what these organizations are called.
CREATE POLICY places ON people FOR SELECT TO sluice_campaign_api
    USING (person_id = current_setting('sluice.places_of', true) AND org_id <> '');
CREATE POLICY places ON organizations FOR SELECT TO sluice_campaign_api
    USING (org_id IN (
        SELECT p.org_id FROM people p
        WHERE p.person_id = current_setting('sluice.places_of', true)));

-- Operators see all that there are; to change one they name it.
CREATE POLICY listed ON organizations FOR SELECT TO sluice_campaign_api
    USING (current_setting('sluice.role', true) = 'operator');

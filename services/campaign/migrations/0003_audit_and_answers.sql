-- The HTTP API's own, lesser role; who did what; answers that a lost connection did not bring.

-- The API's pool takes this role on, and owns nothing: row-level security binds it, and a forgotten
-- WHERE shows nobody else's rows. Roles belong to the whole server: it may be there already, made
-- for another database or by hand, where this one's owner may not make roles.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sluice_campaign_api') THEN
        CREATE ROLE sluice_campaign_api NOLOGIN;
    END IF;
EXCEPTION
    -- Another database's migration was faster.
    WHEN duplicate_object OR unique_violation THEN NULL;
    WHEN insufficient_privilege THEN
        RAISE EXCEPTION 'the role sluice_campaign_api is missing'
            USING HINT = 'As a superuser: CREATE ROLE sluice_campaign_api NOLOGIN; '
                         'GRANT sluice_campaign_api TO ' || quote_ident(current_user);
END $$;
DO $$
BEGIN
    IF NOT pg_has_role(current_user, 'sluice_campaign_api', 'MEMBER') THEN
        EXECUTE 'GRANT sluice_campaign_api TO ' || quote_ident(current_user);
    END IF;
END $$;

-- Who did what to whom or what: launches, edits, settlements, tokens; as it was before and after.
CREATE TABLE audit (
    org_id     text COLLATE "C" NOT NULL,
    audit_id   text COLLATE "C" NOT NULL,
    at         timestamptz NOT NULL,
    person_id  text COLLATE "C" NOT NULL,
    role       text NOT NULL,
    act        text NOT NULL,             -- in the past tense: "campaign launched"
    subject_id text COLLATE "C" NOT NULL, -- the campaign, person, message... it was done to
    before     jsonb,
    after      jsonb,
    PRIMARY KEY (org_id, audit_id)
);
CREATE INDEX audit_by_subject ON audit (org_id, subject_id, audit_id);

-- The answers to requests with an Idempotency-Key, written with what the request did: a second one
-- gets the same answer and does nothing. Sealed with what only the asker has (their token, and the
-- key), because an answer may hold a new person's token.
CREATE TABLE kept_answers (
    org_id      text COLLATE "C" NOT NULL,
    person_id   text COLLATE "C" NOT NULL,
    request     bytea NOT NULL,           -- hash of method, path and key
    fingerprint bytea NOT NULL,           -- hash of query and body
    status      int NOT NULL,
    location    text,
    sealed      bytea NOT NULL,
    kept_at     timestamptz NOT NULL,
    PRIMARY KEY (org_id, person_id, request)
);
CREATE INDEX kept_answers_by_time ON kept_answers (kept_at);
